"""How rows are divided: to train on, to evaluate on after each epoch, and to test with."""

from table_schema.columns import SPLITS

# Of every hundred values of the hash, the first eighty are for training, and so on.
SHARES = dict(zip(SPLITS, (range(80), range(80, 90), range(90, 100)), strict=True))
SPLIT_BY = ("row", "day")
