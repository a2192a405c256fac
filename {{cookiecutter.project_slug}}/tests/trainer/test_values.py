"""What the texts of files and flags mean, one by one and a column at once."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from table_schema import values
from table_schema.columns import Column, Kind, Label, Table
from trainer.errors import UserError
from trainer.tabular.data import Source, join
from trainer.tabular.records import trimmed

ERROR = "error"
KINDS: tuple[Kind, ...] = ("number", "integer", "category", "boolean")
# By text: what it is as a number, an integer, a category and a boolean.
MEANINGS: dict[str, tuple[Any, Any, Any, Any]] = {
    "2007": (2007.0, 2007, "2007", ERROR),
    "2007.0": (2007.0, 2007, "2007.0", ERROR),
    "2007.": (2007.0, 2007, "2007.", ERROR),
    "2007.5": (2007.5, ERROR, "2007.5", ERROR),
    "2e3": (2000.0, 2000, "2e3", ERROR),
    "+1.5": (1.5, ERROR, "+1.5", ERROR),
    "-0": (0.0, 0, "-0", ERROR),
    " 7 ": (7.0, 7, "7", ERROR),
    "1": (1.0, 1, "1", True),
    "0.0": (0.0, 0, "0.0", False),
    "1_000": (ERROR, ERROR, "1_000", ERROR),
    "1,000": (ERROR, ERROR, "1,000", ERROR),
    "inf": (ERROR, ERROR, "inf", ERROR),
    "1e39": (ERROR, ERROR, "1e39", ERROR),
    "9223372036854775807": (9223372036854775807.0, 2**63 - 1, "9223372036854775807", ERROR),
    "9223372036854775808": (9223372036854775808.0, ERROR, "9223372036854775808", ERROR),
    "Yes": (ERROR, ERROR, "Yes", True),
    "f": (ERROR, ERROR, "f", False),
    " TRUE ": (ERROR, ERROR, "TRUE", True),
    "maybe": (ERROR, ERROR, "maybe", ERROR),
    "": (None, None, None, None),
    "   ": (None, None, None, None),
    "NA": (None, None, "NA", None),
    "n/a": (None, None, "n/a", None),
    "NaN": (None, None, "NaN", None),
    "null": (None, None, "null", None),
    "None": (None, None, "None", None),
    "٣": (ERROR, ERROR, "٣", ERROR),
    " Rome\u00a0": (ERROR, ERROR, "Rome", ERROR),
}


def read(kind: Kind, text: str) -> Any:
    try:
        return values.read(kind, text)
    except ValueError:
        return ERROR


def read_in_file(kind: Kind, text: str, folder: Path) -> Any:
    """Reads a text as the trainer does: as a cell of a CSV file."""
    table = Table("t", "k", Label("y", ("a", "b"), ""), (Column("x", kind, ""),))
    cell = '"' + text.replace('"', '""') + '"'
    path = folder / "t.csv"
    path.write_text(f"x,y\n{cell},a\n", encoding="utf-8", newline="")
    try:
        [value] = join(list(Source(str(path), table))).features["x"].tolist()
    except UserError:
        return ERROR
    missing = table.columns[0].missing
    if value == missing or (isinstance(value, float) and math.isnan(value)):
        return None
    return value


@pytest.mark.parametrize("text", MEANINGS)
def test_a_text_means_the_same_alone_and_in_a_file(text: str, tmp_path: Path) -> None:
    for kind, expected in zip(KINDS, MEANINGS[text], strict=True):
        assert read(kind, text) == expected
        # A file has no room for a gap of a boolean: it is false.
        in_file = None if kind == "boolean" and not expected else expected
        assert read_in_file(kind, text, tmp_path) == (
            pytest.approx(in_file) if in_file else in_file
        )


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=12))
@example(text="0x1F")
@example(text='"')
@example(text="1e-400")
@example(text="-Infinity")
def test_any_text_means_the_same_alone_and_in_a_file(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for kind in ("integer", "number"):
        expected = read(kind, text)
        found = read_in_file(kind, text, folder)
        if kind == "integer" and expected == -1:  # the value that stands for a gap
            expected = None
        if kind == "number" and isinstance(expected, float):
            expected = pytest.approx(expected, rel=1e-6, abs=1e-37)
        assert found == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 2007.0, 2007),
        ("integer", 2007.5, 2007.5),  # the model server refuses it
        ("integer", None, None),
        ("integer", "2007.0", 2007),
        ("number", "NA", None),
        ("number", 3, 3),
        ("boolean", 1, True),
        ("boolean", 0.0, False),
        ("boolean", "yes", True),
        ("boolean", 2, 2),
        ("category", " Rome ", "Rome"),
        ("category", 5, 5),
    ],
)
def test_json_values_follow_the_same_rules(kind: Kind, value: Any, expected: Any) -> None:
    found = values.of_json(Column("x", kind, ""), value)
    assert (found, type(found)) == (expected, type(expected))


def test_blanks_are_the_same_for_python_arrow_and_tensorflow() -> None:
    import tensorflow as tf

    points = itertools.chain(range(0xD800), range(0xE000, 0x3200))
    texts = [f"{chr(point)}a{chr(point)}b{chr(point)}{chr(point)}" for point in points]
    expected = [text.strip() for text in texts]
    assert sum(map(len, expected)) < sum(map(len, texts))
    assert trimmed(pa.array(texts)).to_pylist() == expected
    in_model = tf.strings.regex_replace(texts, values.BLANKS, "").numpy()
    assert [text.decode() for text in in_model] == expected
    # Bytes that are no text stay as they are.
    assert tf.strings.regex_replace(b" \xff ", values.BLANKS, "").numpy() == b"\xff"


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\x1c", "\x0b", "\x0c"])
def test_only_line_ends_end_a_line(mark: str) -> None:
    text = json.dumps({"town": f"a{mark}b"}, ensure_ascii=False)
    assert list(values.lines(f"\ufeff{text}\r\n\n{text}")) == [(1, text), (3, text)]


def test_rows_of_csv_are_counted_by_lines() -> None:
    text = '\ufeff a, b \n1,x\n\n2,"x, y"\n'
    assert list(values.csv_rows(text)) == [
        (2, {"a": "1", "b": "x"}),
        (4, {"a": "2", "b": "x, y"}),
    ]
    for bad, sentence in (
        ('1,"x\n2,y"\n', "line 2: a quote is opened and not closed"),
        ("1,x\n2\n", "line 3: expected 2 cells as in the first line, got 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            list(values.csv_rows("a,b\n" + bad))
