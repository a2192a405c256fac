"""The settings that nobody has given: chosen by how many rows and columns the table has.

The numbers were chosen on evaluation rows of the tables of `benchmarks/tables.py`.
"""

import dataclasses
from typing import Any

from trainer.tabular.settings import Settings
from trainer.tabular.statistics import MANY_ROWS, affordable_bins, enough

STEPS = 8_000  # of the optimizer, that a table takes where the epochs' bounds allow
ROWS = 3_000_000  # taken in over all epochs, at most, likewise: it bounds the time
EPOCHS = 11, 60  # at least, at most
BATCH = 32, 512  # at least, at most; a power of two
BATCHES = 128  # of an epoch, at least, where the batch is above its smallest
FEW_ROWS = 1_000  # of training and evaluation, of which every row is worth learning from
FOLDS = 5
MEMBERS = 8
FOLD_MEMBERS = 4  # of each of a few rows' networks
BEARING_ROWS = 40  # of evaluation, below which what they say of an epoch is chance


def plan(
    settings: Settings, rows: int, evaluation_rows: int, split_by: str = "row"
) -> tuple[Settings, dict[str, str]]:
    """Decides what is undecided.

    Args:
        settings: of which some are `auto`.
        rows: of training.
        evaluation_rows: that tell the best epoch, and with several folds are learned from too.
        split_by: row, group or time; only of a table split by row can rows be left out at random.

    Returns:
        The settings with a value for each field, and by the fields that were undecided the reason
        of their value.
    """
    undecided = settings.undecided
    chosen: dict[str, Any] = {}
    reasons: dict[str, str] = {}

    def choose(name: str, value: Any, reason: str) -> Any:
        if name not in undecided:
            return getattr(settings, name)
        chosen[name], reasons[name] = value, reason
        return value

    known = rows + evaluation_rows
    if split_by != "row":
        wanted, reason = 1, f"the rows are split by {split_by}"
    else:
        wanted = FOLDS if FOLDS <= known < FEW_ROWS else 1
        worth = "each leaves out a part, all are learned from" if wanted > 1 else "enough"
        reason = f"{known:,} training and evaluation rows, {worth}"
    folds = choose("folds", wanted, reason)
    if folds > 1:
        rows = evaluation_rows = known
    many = rows >= MANY_ROWS
    told = f"{rows:,} rows to learn from"
    size = BATCH[0]
    while size < BATCH[1] and rows // (2 * size) >= BATCHES:
        size *= 2
    batch = choose("batch_size", size, f"{told} make {max(1, rows // size):,} steps an epoch")
    steps = max(1, rows // batch)
    epochs = min(max(min(STEPS // steps, ROWS // rows), EPOCHS[0]), EPOCHS[1])
    choose("epochs", epochs, f"so training takes {epochs * steps:,} steps at most")
    choose("hidden_units", (128, 64), "of any table")
    members = 1 if many else FOLD_MEMBERS if folds > 1 else MEMBERS
    choose("members", members, f"{told} leave time for so many")
    choose("bins", affordable_bins(rows), f"{told} leave time for so many")
    choose("learning_rate", 0.006 if many else 0.003, told)
    choose("min_count", enough(rows), told)
    if evaluation_rows >= BEARING_ROWS:
        choose("patience", max(4, epochs // 4), f"of {evaluation_rows:,} evaluation rows")
    else:
        choose("patience", 0, f"{evaluation_rows:,} evaluation rows tell too little to stop by")
    return dataclasses.replace(settings, **chosen), reasons
