import pytest

from trainer.columns import Column, Label, Table

LABEL = Label("late", ("no", "yes"), "whether it was late")


@pytest.mark.parametrize("name", ["bill length", "class", "2nd", ""])
def test_a_name_that_no_signature_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"Expected a column name .* got {name!r}"):
        Column(name, "number", "")


def test_a_column_described_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="describes late twice"):
        Table("trips", "trip", LABEL, (Column("late", "number", ""),))


def test_a_baseline_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="number columns as baseline, got 'town'"):
        Table("trips", "trip", LABEL, (Column("town", "category", ""),), baseline="town")
