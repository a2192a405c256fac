"""Aliases, ids and labels as Google documents them: refused here what is refused there."""

from typing import Any

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.vertex.models import ALIAS, MODEL_ID
from vertex_emulator.vertex.resources import check_labels


@pytest.mark.parametrize(
    ("alias", "is_good"),
    [
        ("releaseCandidate1", True), ("a1", True), ("x" * 128, True), ("prod-eu", True),
        ("x" * 129, False), ("Release", False), ("a", False), ("1a", False), ("rc-", False),
        ("releaseA", False), ("a_b", False), ("a\n", False),
    ],
)  # fmt: skip
def test_aliases(alias: str, is_good: bool) -> None:
    assert (ALIAS.fullmatch(alias) is not None) == is_good


@pytest.mark.parametrize(
    ("model_id", "is_good"),
    [("flights", True), ("_a-1", True), ("7flights", False), ("-a", False), ("A", False),
     ("a" * 63, True), ("a" * 64, False)],
)  # fmt: skip
def test_model_ids(model_id: str, is_good: bool) -> None:
    assert (MODEL_ID.fullmatch(model_id) is not None) == is_good


@pytest.mark.parametrize(
    "labels",
    [{}, {"team": "ml"}, {"team": ""}, {"größe": "klein-1"}, {"a" * 63: "1" * 63}, {"名": "値"}],
)
def test_labels_that_google_takes(labels: dict[str, str]) -> None:
    check_labels({"labels": labels})


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        ({"Team": "ml"}, "'Team'"), ({"team": "ML"}, "'ML'"), ({"team": "a b"}, "'a b'"),
        ({"": "x"}, "a key"), ({"1a": "x"}, "'1a'"), ({"a" * 64: "x"}, "a key"),
        ({"a": "b" * 64}, "labels.a"), ({"a.b": "x"}, "'a.b'"), ({"a": "x\n"}, "labels.a"),
        ({f"k{number}": "" for number in range(65)}, "at most 64"),
    ],
)  # fmt: skip
def test_labels_that_google_refuses(labels: dict[str, Any], part: str) -> None:
    with pytest.raises(ApiError, match="labels") as caught:
        check_labels({"labels": labels})
    assert part in caught.value.message
