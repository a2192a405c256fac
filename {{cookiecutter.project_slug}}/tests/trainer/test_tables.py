"""A table's description: what is wrong gets file, line and key."""

import json
import re
from pathlib import Path

import pytest

from table_schema.tables import (
    TABLES,
    DescriptionError,
    Tables,
    document,
    of_document,
    parse,
)

GOOD = """\
key = "id"
label = { name = "churn", classes = ["no", "yes"], about = "whether they leave" }
columns = [
    { name = "age", kind = "number", about = "years" },
    { name = "town", kind = "category", about = "where they live" },
]
"""


def test_a_description_is_read_as_it_stands() -> None:
    more = 'slices = ["town"]\nlimits = ["Of one year."]\ndefaults = { hidden_units = [32, 16] }\n'
    table = parse("customers", GOOD + more)
    assert (table.name, table.key, table.label.kind) == ("customers", "id", "binary")
    assert [(column.name, column.kind) for column in table.columns] == [
        ("age", "number"),
        ("town", "category"),
    ]
    assert (table.slices, table.limits) == (("town",), ("Of one year.",))
    assert table.defaults == {"hidden_units": (32, 16)}


@pytest.mark.parametrize("name", list(TABLES))
def test_a_description_goes_through_json(name: str) -> None:
    assert of_document(json.loads(json.dumps(document(TABLES[name])))) == TABLES[name]


def test_a_column_may_have_a_heading_and_buckets() -> None:
    more = 'kind = "category", heading = "Home town", buckets = 50,'
    table = parse("customers", GOOD.replace('kind = "category",', more))
    assert [(column.heading, column.buckets) for column in table.columns] == [
        ("age", 0),
        ("Home town", 50),
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('key = "id"', "key = id", r"is not TOML: .*line 1"),
        ('key = "id"\n', "", r": key: is missing\."),
        ('key = "id"', "key = 3", r", line 1: key: expected a text, got 3\."),
        ('key = "id"', 'kye = "id"', r", line 1: kye: expected a key of key, label, columns, "),
        ('"number"', '"float"', r", line 4: expected a kind of number, .*, got 'float'\."),
        ('"age"', '"Total age"', r", line 4: Expected a column name .* got 'Total age'"),
        ('"years"', '"years", buckets = true', r"\.buckets: expected a whole number, got True\."),
        ('"years"', '"years", buckets = 9', r", line 4: Column 'age': expected buckets of a cat"),
        (', about = "years"', "", r", line 4: columns\[0\]\.about of 'age': is missing\."),
        ('["no", "yes"]', '["no"]', r", line 2: Label 'churn': expected two different classes"),
        ('["no", "yes"]', "[0, 1]", r", line 2: label\.classes: expected texts, each in \"\""),
        ('"town"', '"age"', r": Table 'customers' describes age twice\."),
        ("columns = [", 'slices = ["age"]\ncolumns = [', r"expected slices by category"),
    ],
)
def test_a_slip_gets_file_line_and_key(old: str, new: str, sentence: str) -> None:
    assert old in GOOD
    with pytest.raises(DescriptionError) as raised:
        parse("customers", GOOD.replace(old, new))
    assert re.search(rf"^trainer/tables/customers\.toml.*{sentence}", str(raised.value))


def test_a_broken_file_troubles_its_own_table_alone(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "broken.toml").write_text("key")
    tables = Tables(tmp_path)
    assert list(tables) == ["broken", "good"]
    assert tables["good"].key == "id"
    with pytest.raises(DescriptionError, match=r"trainer/tables/broken\.toml: is not TOML"):
        tables["broken"]
    assert "other" not in tables


def test_the_tables_of_the_project_are_described() -> None:
    assert {"flights", "flights_delay", "penguins"} <= set(TABLES)
    for name in TABLES:
        assert TABLES[name].columns
