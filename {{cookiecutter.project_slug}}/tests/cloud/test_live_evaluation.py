"""Labels that come later find their predictions, and scores by day tell how good these were."""

import json
import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud.errors import UserError
from cloud.monitoring import labels, live_evaluation, live_scores, since
from cloud.monitoring.labels import Labels
from cloud.monitoring.live_scores import LiveScores, Version
from cloud.monitoring.request_log import Logged
from cloud.serving.contract import TableContract
from cloud.serving.evaluations import Evaluation
from cloud.serving.instances import Instance, whole
from table_schema.columns import Column, Label, Source, Table

TABLE = Table(
    "visits",
    "visit",
    Label("bought", ("no", "yes"), "whether something was bought"),
    (
        Column("price", "number", "of the article"),
        Column("month", "integer", "of the visit"),
        Column("shop", "category", "its town"),
        Column("member", "boolean", "whether the person has a card"),
    ),
)
TAKEN = TableContract(TABLE)
BEGIN = datetime(2026, 11, 20, 22, tzinfo=UTC)
TRAINED = Evaluation({"auc": 0.9, "log_loss": 0.3}, "auc", True, "", 0.5)


def logged(asked: Sequence[Instance], version: str = "1", hours: int = 1) -> list[Logged]:
    """Logged predictions of a model that expects a purchase the sooner, the lower the price."""
    return [
        Logged(
            BEGIN + timedelta(hours=hours * number),
            version,
            whole(TABLE, instance),
            {"label": "yes", "probability": 1 - instance.get("price", 0.0) / 100},
        )
        for number, instance in enumerate(asked)
    ]


def versions(**trained: Evaluation | None) -> dict[str, Version]:
    """Versions 1, 2, …, by their deployed models' ids, which are the same."""
    return {name[1:]: Version(name[1:], True, each) for name, each in trained.items()}


def join(found: list[Logged], known: Labels, **trained: Evaluation | None) -> LiveScores:
    return live_scores.join(TABLE, found, known, versions(**(trained or {"v1": None})))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_find_their_predictions_by_features_however_these_are_written(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path / "labels.csv",
        "visit,price,month,shop,member,bought\n"
        "a,0.1,11,Oslo,true,yes\n"  # as a float32 has it
        "b,NA,,,,no\n"  # gaps
        "c,7.0,3,Bergen,no,\n"  # no label yet
        "d,9,3,Bergen,no,Yes\n",  # nobody asked
    )
    known = labels.read(TAKEN, path)
    assert known.left_out == {"no label yet": 1}
    asked = logged([{"price": 0.1, "month": 11.0, "shop": "Oslo", "member": True}, {}])
    asked[0].instance["price"] = 0.10000000149011612  # a client that has float32 itself
    asked += logged([{"price": 7.0, "month": 3, "shop": "Bergen", "member": False}], hours=0)
    found = join(asked, known)
    assert found.left_out == {"no label yet": 1}
    assert (found.unused, found.ambiguous) == (1, 0)
    [served] = found.versions
    assert (served.total.predictions, served.total.labelled) == (3, 2)
    assert served.verdict == ""
    lines = [
        {"price": 0.1, "month": 11, "shop": "Oslo", "member": True, "bought": "yes"},
        {"price": None, "month": None, "shop": None, "member": None, "bought": "no"},
        {"price": 7, "month": 3, "shop": "Bergen", "member": False, "bought": None},
        {"price": 9, "month": 3, "shop": "Bergen", "member": False, "bought": "yes"},
    ]
    same = write(tmp_path / "labels.jsonl", "".join(json.dumps(each) + "\n" for each in lines))
    assert labels.read(TAKEN, same) == known


def test_labels_with_keys_alone_need_the_rows_of_the_keys(tmp_path: Path) -> None:
    path = write(
        tmp_path / "labels.csv",
        "visit,bought\na,yes\nb,no\nb,yes\nc,yes\na,yes\nz,no\n",
    )
    with pytest.raises(UserError, match=r"no price.*--rows FILE, with the column 'visit' in both"):
        labels.read(TAKEN, path)
    rows = write(
        tmp_path / "rows.csv",
        "visit,price,month,shop,member\na,1,1,Oslo,yes\nb,2,1,Oslo,yes\nc,3,1,Oslo,yes\n",
    )
    known = labels.read(TAKEN, path, rows)
    assert known.left_out == {
        "a key with different labels": 2,
        "there twice": 1,
        f"a key that {rows} has not": 1,
    }
    assert sorted(each[0] for each in known.truths) == [1.0, 3.0]
    with pytest.raises(UserError, match="row 1: expected a key as 'visit', got none"):
        labels.read(TAKEN, write(tmp_path / "keyless.csv", "bought\nyes\n"), rows)


def test_a_file_of_ones_own_is_read_as_it_is_written(tmp_path: Path) -> None:
    table = Table(
        *("cars", "key", Label("price", (), "euro", "Preis (€)", "1.234,5")),
        (Column("age", "number", "years", "Alter", written="1.234,5"),),
        source=Source(("cars.csv",), delimiter=";"),
    )
    path = write(tmp_path / "new.csv", "Alter;Preis (€)\n1,5;1.200,5\n2,5;\n")
    known = labels.read(TableContract(table), path)
    assert (known.truths, known.left_out) == ({(1.5,): [1200.5]}, {"no label yet": 1})
    # What its rows have no key for is not recommended.
    keyed = write(tmp_path / "keyed.csv", "key;Preis (€)\n1;1.200,5\n")
    with pytest.raises(UserError, match="Add them to the file: the rows of 'cars' are") as why:
        labels.read(TableContract(table), keyed)
    assert "--rows" not in str(why.value)
    with pytest.raises(UserError, match="leave --rows out"):
        labels.read(TableContract(table), keyed, path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("price,month,shop,member\n1,1,Oslo,yes\n", "expected the label 'bought', got the columns"),
        ("price,month,shop,member,bought\n1,1,Oslo,yes,maybe\n", "row 1: expected a class of no"),
        ("price,month,shop,member,bought\n", "expected rows, found none"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        labels.read(TAKEN, write(tmp_path / "labels.csv", text))


def test_rows_that_look_the_same_get_their_labels_by_lot_each_once() -> None:
    features = labels.features_of(TABLE, {"price": 5.0})
    known = Labels({features: [0.0, 1.0, 1.0]}, {})
    found = join(logged([{"price": 5.0}] * 5), known)
    assert (found.left_out, found.ambiguous, found.unused) == ({"asked before": 2}, 3, 0)
    assert found.versions[0].total.scores["accuracy"] == pytest.approx(2 / 3)
    # Each version has its own turn.
    both = logged([{"price": 5.0}] * 3) + logged([{"price": 5.0}], "2")
    found = join(sorted(both, key=lambda each: each.time), known, v1=None, v2=None)
    assert [each.total.labelled for each in found.versions] == [3, 1]


def test_scores_are_by_day_and_what_is_no_prediction_is_counted() -> None:
    asked = [{"price": float(price)} for price in (10, 90, 20, 80)]
    known = Labels(
        {labels.features_of(TABLE, each): [float(each["price"] < 50)] for each in asked[:3]}, {}
    )
    found = logged(asked)  # 22:00 to 01:00
    found.append(Logged(BEGIN, "1", {"price": "x"}, {"label": "no"}))
    scores = join(sorted(found, key=lambda each: each.time), known)
    [served] = scores.versions
    assert scores.left_out == {"no row of the table": 1, "no label yet": 1}
    assert list(served.days) == ["2026-11-20", "2026-11-21"]
    assert served.days["2026-11-20"].scores["auc"] == 1
    assert (served.days["2026-11-21"].predictions, served.days["2026-11-21"].labelled) == (2, 1)
    document = json.loads(live_scores.as_json(scores))
    assert document["versions"][0]["days"]["2026-11-20"]["begin"] == BEGIN.isoformat()


def noisy(rows: int, seed: int, error: float) -> tuple[list[Logged], Labels]:
    """Predictions whose probability is right but for a share that is drawn at random."""
    turns = random.Random(seed)  # noqa: S311, no secret
    truths: dict[Any, list[float]] = {}
    asked = []
    for _ in range(rows):
        price = turns.uniform(0, 100)
        chance = 0.5 if turns.random() < error else 1 - price / 100
        asked.append({"price": price})
        truths[labels.features_of(TABLE, asked[-1])] = [float(turns.random() < chance)]
    return logged(asked), Labels(truths, {})


def test_a_verdict_is_of_more_than_chance(capsys: pytest.CaptureFixture[str]) -> None:
    """As good as trained in 20 of 20 tries, and known to be worse where it is."""
    found, known = noisy(4_000, 0, 0.0)
    [served] = join(found, known).versions
    evaluation = Evaluation(
        served.total.scores, "auc", True, "", 0.5, intervals=dict(served.intervals)
    )
    for seed in range(1, 21):
        [same] = join(*noisy(live_scores.MIN_ROWS, seed, 0.0), v1=evaluation).versions
        assert same.verdict == "", seed
    bad = join(*noisy(1_000, 1, 0.5), v1=evaluation)
    live_evaluation.show(bad.versions[0], TABLE.label)
    assert live_evaluation.judge(bad) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^all +1,000 +1,000 +0\.\d{4}", printed, re.MULTILINE)
    assert re.search(r"^95 % interval +0\.\d{3} to 0\.\d{3}", printed, re.MULTILINE)
    assert re.search(rf"^trainer +{evaluation.score:.4f}", printed, re.MULTILINE)
    assert "nox -s drift" in printed
    [worse] = bad.versions
    assert worse.verdict.startswith("Version 1 is worse than its trainer measured: ROC AUC is")
    falling = Evaluation({"log_loss": 0.5}, "log_loss", False, "", 0.5)
    assert join(*noisy(1_000, 1, 0.5), v1=falling).versions[0].verdict
    easy = Evaluation({"log_loss": 0.9}, "log_loss", False, "", 0.5)
    assert join(*noisy(1_000, 1, 0.5), v1=easy).versions[0].verdict == ""


def test_since_takes_dates_times_and_spans() -> None:
    assert since.parse("2026-11-20") == datetime(2026, 11, 20, tzinfo=UTC)
    assert since.parse("2026-11-20T08:00+01:00") == datetime(2026, 11, 20, 7, tzinfo=UTC)
    assert abs(datetime.now(UTC) - timedelta(hours=36) - since.parse("36h")) < timedelta(minutes=1)
    for wrong in ("7", "week", "2026-13-01", "99999999d", "9999-01-01", ""):
        with pytest.raises(UserError, match="--since: expected a"):
            since.parse(wrong)
