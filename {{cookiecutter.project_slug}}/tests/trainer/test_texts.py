"""Free texts: their words and pairs, how many rows have each, and what the network gets."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from table_schema.columns import Column, Label, Table
from trainer.tabular import model, texts
from trainer.tabular.data import Rows
from trainer.tabular.preprocess import Preprocessor
from trainer.tabular.statistics import measure

TABLE = Table("t", "k", Label("y", ("a", "b"), ""), (Column("said", "text", ""),))


def rows_of(*said: str) -> Rows:
    labels = (np.arange(len(said)) % 2).astype(np.int32)
    return Rows("memory", {"said": np.array(said, object)}, labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t…!?", []),
        ("Good, GOOD dog!", ["good", "good", "dog", "good good", "good dog"]),
        ("naïve ÉCOLE №5", ["naïve", "école", "5", "naïve école", "école 5"]),
        ("снег_идёт", ["снег", "идёт", "снег идёт"]),
        ("हिन्दी", ["हिन्दी"]),  # with marks that are no letters
        ("日本で", ["日", "本", "で", "日 本", "本 で"]),
        ("a" * 100_000, ["a" * 100_000]),
    ],
)
def test_a_text_is_its_words_and_pairs(text: str, expected: list[str]) -> None:
    [found] = texts.tokens(tf.constant([text])).to_list()
    assert [token.decode() for token in found] == expected


def test_bytes_that_are_no_text_trouble_nobody() -> None:
    found = texts.tokens(tf.constant([b"\xff\xfe", b"\xffgood\x00", b"good"])).to_list()
    assert b"good" in found[1]
    assert found[2] == [b"good"]


def test_a_long_text_is_read_up_to_a_limit() -> None:
    found = texts.tokens(tf.constant(["w " * 2_000, "one"]))
    assert found.row_lengths().numpy().tolist() == [2 * texts.MAX_WORDS - 1, 1]


def test_rows_are_counted_and_not_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "BLOCK", 2)
    counts = texts.Counts()
    counts.add(rows_of("good dog", "Good good", "good cat").features["said"])
    counts.add(rows_of("", "a cat", "cat, dog").features["said"])
    assert counts.frequent() == {"cat": 3, "good": 3}
    assert counts.length() == 3
    assert counts.fault() == ""


def test_the_rarest_are_forgotten_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "COUNTED", 50)
    monkeypatch.setattr(texts, "BLOCK", 10)
    counts = texts.Counts()
    for start in range(0, 200, 10):
        counts.add(np.array([f"often w{n}" for n in range(start, start + 10)], object))
    assert next(iter(counts.frequent().items())) == ("often", 200)
    assert len(counts.frequent()) == 1


def test_what_is_too_long_for_a_word_is_none() -> None:
    counts = texts.Counts()
    counts.add(rows_of(*["good " + "a" * 100] * 3).features["said"])
    assert counts.frequent() == {"good": 3}


def test_a_column_without_common_words_is_named() -> None:
    said = [f"word{n}" for n in range(20)]
    for values, fault in ((said, "no words that 3 rows share"), ([""] * 20, "no values")):
        found = measure([rows_of(*values)], TABLE, min_count=1)
        assert found.words == {"said": {}}
        assert [*found.warnings] == [
            f"Column 'said' has {fault} in the training rows, so the model cannot learn from it."
        ]
        assert not Preprocessor(TABLE, found).encode(rows_of("word1", "")).codes.any()


def test_a_text_weighs_by_how_rare_its_words_are() -> None:
    rows = rows_of(*["good dog"] * 3, *["bad dog"] * 5, "")
    statistics = measure([rows], TABLE, min_count=1)
    assert [*statistics.words["said"]] == ["dog", "bad", "bad dog", "good", "good dog"]
    assert statistics.words["said"]["good"] == pytest.approx(math.log(10 / 4))
    assert statistics.lengths == {"said": 3}
    codes = Preprocessor(TABLE, statistics).encode(
        rows_of("Dog good!", "", "unheard", "good dog bad")
    )
    assert codes.codes.tolist() == [[4, 1, 0], [0, 0, 0], [0, 0, 0], [5, 4, 2]]

    weights: list[float] = [*statistics.words["said"].values()]
    embedded = np.zeros((4, 3, 5), np.float32)
    for row, places in enumerate(codes.codes):
        for word, place in enumerate(places):
            embedded[row, word] = np.eye(6)[place, 1:]
    summed: Any = model._summed(embedded, codes.codes, weights)
    lengths = np.linalg.norm(summed, axis=1)
    np.testing.assert_allclose(lengths, [model.TEXT_WEIGHT, 0, 0, model.TEXT_WEIGHT], atol=1e-4)
    first = np.asarray(summed)[0]
    assert first[3] / first[0] == pytest.approx(weights[3] / weights[0])
