"""How the rows of a person's table are divided, so that each split can be learned or scored."""

from typing import Any

import numpy as np

from cloud.adoption.findings import Roles
from cloud.adoption.inference import Guess
from cloud.adoption.labels import Learned
from cloud.adoption.sample import Sample
from cloud.datasets.conversion import hashes
from cloud.datasets.splits import SHARES
from cloud.errors import UserError
from table_schema.columns import Split

SALTS = 1000  # that are tried
LEAST_CLASSES = 2


def by_time(heading: str, guess: Guess) -> Split:
    """Returns the split of which the tests are later than the training's rows.

    Raises:
        UserError: the column holds no times.
    """
    if not guess.is_dated:
        raise UserError(
            f"--time: expected a column of dates, got {heading!r}, whose values are"
            f" such as {guess.examples[0]!r}."
        )
    return Split("time", heading, guess.written)


def by_hash(sample: Sample, learned: Learned, roles: Roles) -> Split:
    """Returns the split by group or by row in which each part has each class, or two at least.

    Raises:
        UserError: there is none.
    """
    by = roles.group or roles.key
    texts = sample.cells[by].texts if by else ["\0".join(row) for row in sample.rows]
    label, truths = learned.label, learned.truths
    labels = truths.values[truths.there]
    for wanted in (len(label.classes), LEAST_CLASSES):
        for salt in range(SALTS):
            places = hashes(texts, salt, len(texts))[truths.there] % 100
            if _each_split_has(places, labels, wanted or LEAST_CLASSES):
                return Split("group" if roles.group else "row", roles.group or "", "", salt)
    different = len(set(texts))
    what = f"groups of {roles.group!r}" if roles.group else "different rows"
    raise UserError(
        f"Column {label.heading!r} cannot be learned: the {different:,} {what} cannot be split so"
        " that two different labels are to train on, to evaluate on and to test with; bring more"
        " rows" + (", or --group none." if roles.group else ".")
    )


def _each_split_has(places: Any, labels: Any, wanted: int) -> bool:
    """Whether each split has so many different labels, by the hundredth that each row is in."""
    return all(
        len(np.unique(labels[np.isin(places, share)])) >= wanted for share in SHARES.values()
    )
