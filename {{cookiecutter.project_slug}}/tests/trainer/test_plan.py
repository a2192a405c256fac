"""What is not given follows the table."""

import dataclasses

from trainer.tabular.plan import plan
from trainer.tabular.settings import Settings

SETTINGS = Settings(train_data="a", eval_data="b", test_data="c")


def test_every_setting_is_decided_with_a_reason() -> None:
    decided, reasons = plan(SETTINGS, 7_000, 900)
    assert set(reasons) == set(SETTINGS.undecided) != set()
    assert decided.undecided == ()
    assert all(reasons.values())


def test_what_is_given_stays() -> None:
    given = dataclasses.replace(SETTINGS, epochs=3, batch_size=100, patience=0, hidden_units=())
    decided, reasons = plan(given, 7_000, 900)
    assert (decided.epochs, decided.batch_size, decided.patience) == (3, 100, 0)
    assert decided.hidden_units == ()
    assert not {"epochs", "batch_size", "patience", "hidden_units"} & set(reasons)


def test_small_tables_take_enough_steps_and_large_ones_large_batches() -> None:
    small, _ = plan(SETTINGS, 140, 18)
    large, _ = plan(SETTINGS, 260_000, 33_000)
    assert small.epochs > large.epochs
    assert small.batch_size < large.batch_size
    assert small.members > large.members
    assert small.min_count < large.min_count
    assert small.folds > 1 == large.folds
    assert small.patience > 0  # all of its rows tell the best epoch
    few, _ = plan(dataclasses.replace(SETTINGS, folds=1), 140, 18)
    assert few.patience == 0 < large.patience  # 18 rows tell none


def test_rows_of_a_group_are_not_shared_out_over_folds() -> None:
    decided, reasons = plan(SETTINGS, 140, 18, split_by="group")
    assert decided.folds == 1
    assert "group" in reasons["folds"]
