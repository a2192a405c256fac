"""Shares of the traffic add up; a version is judged by its own answers and scores."""

import itertools
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.errors import UserError
from cloud.serving import deployments, evaluations, signature, traffic
from cloud.serving.evaluations import Evaluation
from cloud.serving.traffic import Probe, tries, with_share
from table_schema.tables import TABLES


@given(parts=st.lists(st.integers(0, 100), min_size=1, max_size=6), share=st.integers(0, 100))
def test_shares_add_up_to_100(parts: list[int], share: int) -> None:
    whole = sum(parts)
    split = {str(index): 100 * part // whole if whole else 0 for index, part in enumerate(parts)}
    split["0"] += 100 - sum(split.values())
    new = with_share(split, "new", share)
    assert sum(new.values()) == 100
    assert min(new.values()) >= 0
    assert new["new"] == share
    assert new.keys() == split.keys() | {"new"}
    assert all(new[each] == 0 for each in split if split[each] == 0)


def test_others_keep_their_proportion() -> None:
    assert with_share({"a": 75, "b": 25}, "c", 20) == {"a": 60, "b": 20, "c": 20}
    assert with_share({"a": 60, "b": 20, "c": 20}, "c", 0) == {"a": 75, "b": 25, "c": 0}


def test_a_share_alone_is_everything() -> None:
    assert with_share({}, "a", 5) == {"a": 100}
    assert with_share({"a": 100, "b": 0}, "a", 5) == {"a": 100, "b": 0}


@pytest.mark.parametrize(("share", "count"), [(100, 1), (50, 20), (5, 270), (1, 1375)])
def test_a_version_is_seldom_missed(share: int, count: int) -> None:
    assert tries(share) == count
    assert (1 - share / 100) ** count <= 1e-6


OLD_REFUSES = Probe("old", 400, '{"error": "no feature x"}')


@pytest.mark.parametrize(
    "answers",
    [
        [Probe("old", 200, ""), Probe("new", 200, "")],
        [OLD_REFUSES, OLD_REFUSES, Probe("new", 200, "")],
    ],
)
def test_a_version_is_proven_by_its_own_answer(
    answers: list[Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(answers)
    monkeypatch.setattr(traffic, "probe", lambda *_arguments: next(left))
    client: Any = None
    deployments.see_it_answer(client, "endpoint", "new", {})
    assert list(left) == []


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([OLD_REFUSES, Probe("new", 400, '{"error": "broken"}')], "does not predict: 400, broken"),
        ([Probe("", 503, "no server")], "does not predict: 503, no server"),
        ([Probe("old", 200, "")], "None of 270 requests reached the version"),
    ],
)
def test_a_version_that_fails_is_not_proven(
    answers: list[Probe], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = itertools.chain(answers, itertools.repeat(answers[-1]))
    monkeypatch.setattr(traffic, "probe", lambda *_arguments: next(left))
    client: Any = None
    with pytest.raises(UserError, match=sentence):
        deployments.see_it_answer(client, "endpoint", "new", {})


def test_the_traffic_has_moved_once_nobody_else_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Probe("old", 200, ""), Probe("new", 200, "")
    left = iter([new, new, old, new, old, *[new] * traffic.IN_A_ROW])
    monkeypatch.setattr(traffic, "probe", lambda *_arguments: next(left))
    client: Any = SimpleNamespace(poll_seconds=0)
    traffic.wait_until_moved(client, "endpoint", "new", {})
    assert list(left) == []

    monkeypatch.setattr(traffic, "probe", lambda *_arguments: old)
    monkeypatch.setattr(traffic, "MOVE_SECONDS", -1)
    with pytest.raises(UserError, match="Other versions still answer"):
        traffic.wait_until_moved(client, "endpoint", "new", {})


AUC = Evaluation({"auc": 0.9}, "auc", higher_is_better=True, test_rows="a")
BASELINES = {"majority class": {"auc": 0.5}, "age alone": {"auc": 0.91}, "old": {"rmse": 8.0}}
RMSE = Evaluation({"rmse": 9.0}, "rmse", higher_is_better=False, test_rows="a")


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (replace(AUC, baselines=BASELINES), "'age alone', .* ROC AUC 0.9000, .*0.9100"),
        (replace(RMSE, baselines=BASELINES), "'old', .* RMSE 9.0000, .*8.0000"),
        (replace(AUC, baselines={"even": {"auc": 0.9}}), None),
        (AUC, None),
        (None, None),
        (
            replace(AUC, boosting={"auc": 0.95}, intervals={"auc": (0.88, 0.92)}),
            r"gradient boosting .* 0.9000 \(0.8800 to 0.9200 .*0.9500",
        ),
        (replace(AUC, boosting={"auc": 0.91}, intervals={"auc": (0.88, 0.92)}), None),
        (
            replace(RMSE, boosting={"rmse": 7.0}, intervals={"rmse": (8.0, 10.0)}),
            "gradient boosting .* RMSE 9.0000",
        ),
        (replace(RMSE, boosting={"rmse": 8.5}, intervals={"rmse": (8.0, 10.0)}), None),
    ],
)
def test_what_needs_no_model_is_an_objection_where_it_is_better(
    found: Evaluation | None, names: str | None
) -> None:
    objection = evaluations.objection_of_baselines(found)
    assert re.search(f"worse than {names}", objection) if names else not objection, objection


@pytest.mark.parametrize(
    ("candidate", "current", "is_better", "words"),
    [
        (replace(AUC, scores={"auc": 0.91}), AUC, True, "it has ROC AUC 0.9100, version 4 has 0.9"),
        (AUC, AUC, False, "no better than the default: on the same test rows it has ROC AUC 0.9"),
        (replace(RMSE, scores={"rmse": 8.0}), RMSE, True, "it has RMSE 8.0000, version 4 has 9.0"),
        (replace(RMSE, scores={"rmse": 9.5}), RMSE, False, "no better than the default"),
        (AUC, RMSE, False, "it is judged by ROC AUC, version 4 by RMSE"),
        (
            replace(AUC, metric="pr_auc", scores={"auc": 0.9, "pr_auc": 0.5}),
            replace(AUC, scores={"auc": 0.95, "pr_auc": 0.4}),
            True,
            "it has PR AUC 0.5000, version 4 has 0.4000",
        ),
        (AUC, replace(AUC, test_rows="b"), False, "on its own test rows it has ROC AUC 0.9000"),
        (None, AUC, False, "it has no evaluation.json"),
        (AUC, None, False, "version 4 has no evaluation.json"),
    ],
)
def test_models_are_compared_on_the_same_rows(
    candidate: Evaluation | None, current: Evaluation | None, is_better: bool, words: str
) -> None:
    found, verdict = evaluations.compare(candidate, current, "4")
    assert found is is_better
    assert words in verdict


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [(b"\xff\xff", "expected a SavedModel, got something else"), (b"", "found none")],
)
def test_what_is_no_saved_model_is_refused(contents: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        signature.check(contents, TABLES["penguins"], "gs://bucket/saved_model.pb")
