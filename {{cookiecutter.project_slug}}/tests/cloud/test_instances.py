"""Rows of people's files, read with the trainer's rules for what a text means."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cloud import config
from cloud.datasets import files
from cloud.errors import UserError
from cloud.serving import batch_results, instances
from cloud.serving.batch_results import KEY_FIELD, Results
from table_schema.columns import Column, Label, Table
from table_schema.tables import TABLES

TABLE = Table(
    "trips",
    "trip",
    Label("late", ("no", "yes"), ""),
    (
        Column("key", "number", "a feature of this name"),
        Column("month", "integer", "when"),
        Column("town", "category", "where to"),
        Column("night", "boolean", "whether it is dark"),
    ),
)


def read(folder: Path, content: str | bytes, name: str = "rows.csv") -> list[dict[str, Any]]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return instances.read(path, TABLE, allow_missing=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "Key,month,To Wn,night\n1,2,Rome,no\n"),
        ("rows.jsonl", '{"Key": 1, "month": 2}\n{"To Wn": "Rome", "night": false}\n'),
        ("rows.json", '[{"Key": 1, "month": 2, "To Wn": "Rome", "night": false}]'),
    ],
)
def test_a_feature_that_no_row_names_is_refused_with_its_likely_name(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as raised:
        instances.read(tmp_path / name, TABLE)
    assert str(raised.value).startswith(
        f"{tmp_path / name}: has no features key (did you mean it by 'Key'?), town (did you mean it"
        " by 'To Wn'?). Use the names of the table 'trips', or"
    )


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("rows.csv", "when\n2013-01-31\n31.1.2013\n", "line 3"),
        ("rows.jsonl", '{"when": "2013-01-31"}\n{"when": "31.1.2013"}\n', "line 2"),
        ("rows.json", '[{"when": "31.1.2013"}]', "instance 1"),
    ],
)
def test_a_text_that_is_no_date_is_refused(
    tmp_path: Path, name: str, content: str, place: str
) -> None:
    table = Table("trips", "trip", TABLE.label, (Column("when", "timestamp", "departure"),))
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as raised:
        instances.read(tmp_path / name, table)
    assert str(raised.value) == (
        f"{tmp_path / name}, {place}: when: expected a date such as 2013-01-31, a date and time"
        " such as 2013-01-31 17:05, or a time of day such as 17:05 (departure), got '31.1.2013'."
    )


def test_a_feature_that_some_rows_leave_out_is_a_gap_there(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"key": 1, "month": 2}\n{"town": "Rome"}\n{"night": true}\n'
    )
    found = instances.read(tmp_path / "rows.jsonl", TABLE)
    assert found == [{"key": 1, "month": 2}, {"town": "Rome"}, {"night": True}]


@pytest.mark.parametrize("gap", ["", "NA", "nan", "NaN", "null", "N/A", "  "])
def test_a_gap_is_left_out_whatever_the_word(tmp_path: Path, gap: str) -> None:
    content = f"key,month,town,night\n{gap},{gap},Rome,{gap}\n"
    assert read(tmp_path, content) == [{"town": "Rome"}]


def test_whole_numbers_booleans_and_blanks_are_read_as_in_training(tmp_path: Path) -> None:
    content = "\ufeffmonth , key,town,night\n2007.0, 2.5 , Rome,Y\n7,1e3,NA,0.0\n"
    expected = [
        {"month": 2007, "key": 2.5, "town": "Rome", "night": True},
        {"month": 7, "key": 1000.0, "town": "NA", "night": False},
    ]
    assert read(tmp_path, content) == expected
    assert read(tmp_path, gzip.compress(content.encode())) == expected
    assert read(tmp_path, gzip.compress(content.encode()), "rows.csv.gz") == expected
    assert all(type(each["month"]) is int for each in read(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('key,town\n1,x\n2,"y\n3,z\n', "line 3: a quote is opened and not closed in the same"),
        ("key,month\n1,2007.5\n", "line 2: month: expected a whole number (when), got '2007.5'"),
        ("key,month\n1_000,3\n", "line 2: key: expected a number"),
        ("key,night\n1,maybe\n", "line 2: night: expected true or false"),
        ("sep=,\nkey,town\n1,x\n", "remove line 1, 'sep=,', which only Excel understands"),
        (
            "# by x\nkey,town\n1,x\n",
            "columns among key, month, town, night, got '# by x'; remove",
        ),
        ("key;town\n1,5;x\n", "got 'key;town'; separate the columns by commas and not by ';'"),
        ("key,town,key\n1,x,2\n", "line 1: expected one column 'key', got two; rename one"),
        (b"PAR1\x15\x04", "got a Parquet file; convert it"),
        ("key\n1\n".encode("utf-16"), "got UTF-16 text; convert it"),
        (b"key,town\n1,Z\xfcrich\n", "expected UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path, content)
    assert sentence in str(raised.value)
    assert "rows.csv" in str(raised.value)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_json_lines_end_at_line_ends_alone(tmp_path: Path, mark: str) -> None:
    row = {"key": 1.5, "town": f"a{mark}b"}
    text = "".join(json.dumps(each, ensure_ascii=False) + "\r\n" for each in (row, row))
    assert read(tmp_path, text, "rows.jsonl") == [row, row]


def test_json_values_are_read_as_in_training(tmp_path: Path) -> None:
    text = '{"key": null, "month": 2007.0, "town": " Rome ", "night": "yes", "extra": 1}\n'
    expected = [{"month": 2007, "town": "Rome", "night": True, "extra": 1}]
    assert read(tmp_path, text, "rows.jsonl") == expected
    assert read(tmp_path, f"[{text}]", "rows.json") == expected
    assert read(tmp_path, f'{{"instances": [{text}]}}', "rows.json") == expected
    assert [instances.parse(text, TABLE)] == expected
    # What is of another kind is the model server's to refuse, row by row.
    assert read(tmp_path, '{"month": "soon"}', "rows.jsonl") == [{"month": "soon"}]


def test_no_feature_can_have_the_name_of_the_key() -> None:
    with pytest.raises(ValueError, match="Expected a column name"):
        Column(KEY_FIELD, "number", "")


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        (Results({"0": 1.0}, {"7": "bad"}, []), "got 1 other key such as '7'"),
        (Results({"0": 1.0}, {}, []), "for each of 2 rows, got none for 1, such as .* key '1'"),
    ],
)
def test_keys_that_come_back_are_held_against_those_sent(results: Results, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        batch_results.check_keys({"0": {}, "1": {}}, results)


def test_every_row_answered_is_right() -> None:
    batch_results.check_keys({"0": {}, "1": {}}, Results({"0": 1.0}, {"1": "bad"}, []))
    batch_results.check_keys({"0": {}, "1": {}}, Results({"0": 1.0}, {}, ["bad, without a key"]))


def test_the_test_file_with_a_mark_keeps_its_first_column(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("\ufeffisland,species\nBiscoe,Gentoo\n", encoding="utf-8")
    assert instances.csv_rows(path) == [{"island": "Biscoe", "species": "Gentoo"}]
    found = instances.read(path, TABLES["penguins"], allow_missing=True)
    assert found == [{"island": "Biscoe"}]


def test_a_short_test_file_has_a_sample_row_too(tmp_path: Path) -> None:
    values = config.load(environment={"CLOUD_DATA_FOLDER": str(tmp_path)})
    path = files.path(values, "test")
    path.parent.mkdir()
    path.write_text("flight\na\nb\n")
    assert instances.sample_row(values) == {"flight": "b"}
    assert instances.sample_row(values, 0) == {"flight": "a"}
    with pytest.raises(UserError, match="--row: expected 0 to 1, the rows of the test file, got 2"):
        instances.sample_row(values, 2)
    path.write_text("flight\n")
    with pytest.raises(UserError, match="has no rows"):
        instances.sample_row(values)


def test_a_json_file_may_have_headings_as_an_instance_may(tmp_path: Path) -> None:
    table = Table("t", "key", TABLE.label, (Column("size_cm", "number", "", "Size (cm)"),))
    path = tmp_path / "rows.json"
    path.write_text('[{"Size (cm)": 4.5}]', encoding="utf-8")
    assert instances.read(path, table) == [{"size_cm": 4.5}]
    assert instances.parse('{"Size (cm)": 4.5}', table) == {"size_cm": 4.5}
