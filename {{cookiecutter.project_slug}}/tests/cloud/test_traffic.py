"""Shares of the traffic add up; a signature is read without TensorFlow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import signature
from cloud.errors import UserError
from cloud.traffic import tries, with_share
from trainer.columns import TABLES


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


@pytest.mark.parametrize(("share", "count"), [(100, 1), (50, 14), (5, 180), (1, 917)])
def test_a_version_is_seldom_missed(share: int, count: int) -> None:
    assert tries(share) == count
    assert (1 - share / 100) ** count <= 1e-4


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [(b"\xff\xff", "expected a SavedModel, got something else"), (b"", "found none")],
)
def test_what_is_no_saved_model_is_refused(contents: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        signature.check(contents, TABLES["penguins"], "gs://bucket/saved_model.pb")
