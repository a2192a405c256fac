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


@pytest.mark.parametrize("name", ["delay", "town"])
def test_slices_by_a_number_or_by_no_column_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected slices by category, .* got '{name}'"):
        Table("trips", "trip", LABEL, (Column("delay", "number", ""),), slices=(name,))
