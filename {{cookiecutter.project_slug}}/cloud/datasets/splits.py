"""The parts of a data set: rows to train on, to evaluate on after each epoch, and to test with."""

# Of every hundred values of the hash, the first eighty are for training, and so on.
SPLITS = {"train": range(80), "eval": range(80, 90), "test": range(90, 100)}
SPLIT_BY = ("row", "day")
