"""Dates and times: Python and TensorFlow read the same texts, and see the calendar's parts."""

import re
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from table_schema import values
from table_schema.columns import Column, Label, Table
from trainer.tabular import timestamps
from trainer.tabular.data import Rows
from trainer.tabular.preprocess import Preprocessor
from trainer.tabular.statistics import measure

ZONES = ("", "Z", "+01:00", "-0330", "+14")
GOOD = ["2012-02-29", "2000-02-29", "0001-01-01", "9999-12-31T23:59:59.999", "1969-12-31 23:59Z"]
CLOCKS = ["00:00", "17:05", "23:59:59.5", "17:05:30Z", "08:15+01:00"]
BAD = [
    *("2013-02-29", "1900-02-29", "0000-01-01", "2013-00-10", "2013-13-01", "2013-04-31"),
    *("2013-1-31", "13-01-31", "2013-01-31T", "2013-01-31 24:00", "2013-01-31 17:60", "31/01/2013"),
    *("2013-01-31 17", "2013-01-31 17:05:60", "2013-01-31Z", "2013-01-31 17:05+25:00", "yesterday"),
    *("24:00", "7:05", "17:60", "17:05 PM", "17", "T17:05", "17:05 2013-01-31", ":"),
    *("2013-01-31\n", "٢٠١٣-01-31", "2013-01-31 17:05 Z", "1359651900", "\0", "2013-01-31 17:05."),
]
parts = tf.function(
    timestamps.parts, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
)


def is_read(text: str) -> bool:
    try:
        return values.read("timestamp", text) is not None
    except ValueError:
        return False


def in_graph(texts: list[str]) -> dict[str, list[Any]]:
    found = parts(tf.constant(texts, tf.string, shape=[len(texts)]))
    return {name: tensor.numpy().tolist() for name, tensor in found.items()}


@settings(deadline=None)
@given(st.lists(st.tuples(st.datetimes(), st.sampled_from(ZONES), st.integers(0, 3)), max_size=30))
@example([(datetime(1900, 2, 28), "", 0), (datetime(1970, 1, 1), "", 0)])
@example([(datetime(1, 1, 1), "", 2), (datetime(9999, 12, 31, 23, 59, 59, 999999), "Z", 3)])
def test_the_parts_are_those_of_the_calendar(moments: list[tuple[datetime, str, int]]) -> None:
    texts, expected = [], []
    for moment, zone, digits in moments:
        kept = [  # what a date, minutes, seconds and their fractions leave of a moment
            moment.replace(hour=0, minute=0, second=0, microsecond=0),
            moment.replace(second=0, microsecond=0),
            moment.replace(microsecond=0),
            moment.replace(microsecond=0),
        ][digits]
        forms = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"]
        written = moment.strftime(forms[digits].replace("%Y", f"{moment.year:04}"))
        texts.append(written + zone * bool(digits))
        expected.append(kept)
    assert all(map(is_read, texts))
    found = in_graph(texts)
    for place, moment in enumerate(expected):
        apart = moment - datetime(1970, 1, 1)
        told = {name: column[place] for name, column in found.items()}
        assert told == {
            "known": True,
            "day": apart.days,
            "second": apart.seconds,
            "month": moment.month,
            "weekday": moment.isoweekday(),
            "hour": moment.hour,
        }


@settings(deadline=None)
@given(
    text=st.from_regex(r"\A\d{4}-[01]\d-[0-3]\d([T ][0-2]\d:[0-6]\d(:[0-6]\d)?(Z|[+-]\d\d)?)?\Z")
)
def test_python_and_tensorflow_read_the_same_texts(text: str) -> None:
    assert in_graph([text])["known"] == [is_read(text)]


def test_what_is_no_date_is_refused_in_python_and_a_gap_in_the_model() -> None:
    good = [*GOOD, *CLOCKS]
    assert in_graph([*good, *BAD, ""])["known"] == [True] * len(good) + [False] * (len(BAD) + 1)
    assert [text for text in good if not is_read(text)] == []
    assert [text for text in BAD if is_read(text)] == ["2013-01-31\n"]  # blanks are trimmed
    for gap in ("", " ", "NA", "null"):
        assert values.read("timestamp", gap) is None
    expected = values.EXPECTED["timestamp"]
    assert expected.startswith("a date such as 2013-01-31, a date and time")
    with pytest.raises(ValueError, match=f"^expected {re.escape(expected)}, got '31/01/2013'$"):
        values.read("timestamp", "31/01/2013")
    with pytest.raises(ValueError, match=r"^expected a date of the calendar, got '2013-02-30'$"):
        values.read("timestamp", "2013-02-30")
    column = Column("when", "timestamp", "")
    assert values.of_json(column, " 2013-01-31 ") == "2013-01-31"
    with pytest.raises(ValueError, match="got 'soon'"):
        values.of_json(column, "soon")


def rows_of(texts: list[str]) -> Rows:
    labels = (np.arange(len(texts)) % 2).astype(np.int32)
    return Rows("memory", {"when": np.array(texts, object)}, labels)


def test_a_timestamp_is_days_and_the_parts_that_vary() -> None:
    table = Table("t", "k", Label("y", ("a", "b"), ""), (Column("when", "timestamp", ""),))
    first = datetime(2013, 1, 31)
    texts = [(first + timedelta(days=day)).strftime("%Y-%m-%d") for day in range(7)]
    found = measure([rows_of([*texts, ""])], table, min_count=1)
    assert found.dates == {"when": ("2013-01-31", "2013-02-06")}
    assert found.references == {"when": (first - datetime(1970, 1, 1)).days + 3}
    assert found.mean == {"when": 0}
    assert found.scale == {"when": pytest.approx(2)}
    # All are midnights of the same year.
    assert {name: sorted(known) for name, known in found.vocabulary.items()} == {
        "when.month": [1, 2],
        "when.weekday": [1, 2, 3, 4, 5, 6, 7],
    }
    assert found.warnings == ()
    encoded = Preprocessor(table, found).encode(rows_of([texts[0], texts[3] + " 12:00", "", "?"]))
    numbers = np.array([[-1.5, 0], [0.25, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(encoded.numbers, numbers)
    codes = encoded.codes.tolist()
    assert codes[2:] == [[0, 0], [0, 0]]
    vocabulary = found.vocabulary
    assert codes[1] == [
        vocabulary["when.month"].index(2) + 1,
        vocabulary["when.weekday"].index(7) + 1,
    ]


def test_times_of_day_are_a_number_and_their_hour() -> None:
    assert in_graph(["17:05:30"]) == in_graph(["1970-01-01 17:05:30+02:00"])
    table = Table("t", "k", Label("y", ("a", "b"), ""), (Column("when", "timestamp", ""),))
    texts = [f"{hour:02}:30" for hour in range(24)]
    found = measure([rows_of([*texts, ""])], table, min_count=1)
    assert list(found.vocabulary) == ["when.hour"]
    encoded = Preprocessor(table, found).encode(rows_of(["00:30", "23:30:00"]))
    assert encoded.numbers[0, 0] == pytest.approx(-encoded.numbers[1, 0])


def test_moments_of_one_day_are_told_apart() -> None:
    """Days since 1970 would leave a float32 two minutes."""
    table = Table("t", "k", Label("y", ("a", "b"), ""), (Column("when", "timestamp", ""),))
    texts = [f"2026-11-27T10:00:{second:02}" for second in range(60)]
    found = measure([rows_of(texts)], table, min_count=1)
    numbers = Preprocessor(table, found).encode(rows_of(texts)).numbers[:, 0]
    np.testing.assert_allclose(np.diff(numbers), numbers[1] - numbers[0], rtol=0.02)
    assert found.vocabulary == {}


def test_a_day_of_its_own_for_each_row_is_no_id() -> None:
    table = Table("t", "k", Label("y", ("a", "b"), ""), (Column("when", "timestamp", ""),))
    texts = [str(date.fromordinal(700_000 + day)) for day in range(300)]
    assert measure([rows_of(texts)], table, min_count=1).warnings == ()
    assert "only one value" in measure([rows_of(texts[:1] * 300)], table, min_count=1).warnings[0]
