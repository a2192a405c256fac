import re

import pytest

from table_schema.columns import Column, Kind, Label, Table

LABEL = Label("late", ("no", "yes"), "whether it was late")


@pytest.mark.parametrize(
    "name", ["bill length", "class", "2nd", "", "größe", "年齢", "_key", "a-b", "x\n"]
)
def test_a_name_that_no_signature_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"Expected a column name .* got {re.escape(repr(name))}"):
        Column(name, "number", "")


def test_a_column_described_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="describes late twice"):
        Table("trips", "trip", LABEL, (Column("late", "number", ""),))


@pytest.mark.parametrize("name", ["größe", "my table", ""])
def test_a_table_that_no_module_can_be_named_after_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"Expected a table's name .* got {name!r}"):
        Table(name, "trip", LABEL, (Column("delay", "number", ""),))


def test_columns_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in more than their case, got Key, key;"):
        Table("t", "trip", LABEL, (Column("key", "number", ""), Column("Key", "category", "")))


def test_a_column_is_called_by_its_name_unless_a_heading_is_given() -> None:
    assert Column("age", "number", "").heading == "age"
    assert Column("age", "number", "", heading="Age (years)").heading == "Age (years)"


@pytest.mark.parametrize(("name", "heading"), [("b", "Years"), ("b", "a"), ("b", "late")])
def test_a_heading_of_two_columns_is_refused(name: str, heading: str) -> None:
    columns = (Column("a", "number", "", "Years"), Column(name, "number", "", heading))
    with pytest.raises(ValueError, match=f"of one column only, got {heading} of two"):
        Table("t", "trip", LABEL, columns)


@pytest.mark.parametrize(
    ("kind", "buckets"),
    [("number", 10), ("text", 10), ("category", 1), ("category", -5), ("integer", 10**7)],
)
def test_buckets_that_no_column_can_have_are_refused(kind: Kind, buckets: int) -> None:
    with pytest.raises(ValueError, match="Column 'a': expected buckets of"):
        Column("a", kind, "", buckets=buckets)


@pytest.mark.parametrize("kind", ["timestamp", "text"])
def test_slices_by_values_that_hardly_recur_are_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match=r"expected slices by category, .* got 'a'"):
        Table("t", "trip", LABEL, (Column("a", kind, ""),), slices=("a",))


@pytest.mark.parametrize("name", ["delay", "town"])
def test_slices_by_a_number_or_by_no_column_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected slices by category, .* got '{name}'"):
        Table("trips", "trip", LABEL, (Column("delay", "number", ""),), slices=(name,))


@pytest.mark.parametrize("classes", [("yes",), ("yes", "no", "yes")])
def test_a_label_has_two_different_classes_or_more_or_none(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="Label 'late': expected two different classes"):
        Label("late", classes, "")


def test_a_label_tells_what_is_learned() -> None:
    kinds = [Label("a", classes, "").kind for classes in ((), ("x", "y"), ("x", "y", "z"))]
    assert kinds == ["regression", "binary", "multiclass"]
