"""What `nox -s tune` may search: the ranges stand beside the settings, in `settings.py`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from table_schema import metrics
from table_schema.tables import TABLES
from trainer.tabular.settings import Settings, as_flag, parse

# A trial is compared with the other trials, not with other models.
OF_TRIALS = {"boosting_rows": 0, "explain": 0, "folds": 1}


def search_space(arguments: Sequence[str]) -> dict[str, Any]:
    """Returns what a tuning of a training with these arguments may search.

    Returns:
        `flags`, the names of all flags, without dashes in front; `parameters`, the range of each
        flag that is searched if nobody says otherwise, as `--search` takes it; `metrics`, the names
        of those reported after each epoch, each with whether more of it is better; `metric`, the
        one that chooses a trial's best epoch, whose weights are its model's, and `metric_flag`,
        which names another one; `trial_arguments`, what every trial leaves out.

    Raises:
        SystemExit: an argument is wrong, after one sentence.
    """
    settings = parse(arguments)
    fields = dataclasses.fields(Settings)
    reported = metrics.of_label(TABLES[settings.table].label)
    return {
        "flags": [_name(field.name) for field in fields],
        "parameters": {
            _name(field.name): field.metadata["search"]
            for field in fields
            if field.metadata["search"]
        },
        "metrics": {name: name in metrics.RISING for name in reported},
        "metric": settings.watched,
        "metric_flag": as_flag("metric"),
        "trial_arguments": [f"{as_flag(name)}={value}" for name, value in OF_TRIALS.items()],
    }


def _name(field: str) -> str:
    return as_flag(field).removeprefix("--")
