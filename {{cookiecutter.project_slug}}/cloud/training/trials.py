"""The trials of a tuning: how good each is, which is the best, and the table of them."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from cloud import lookup
from cloud.client import Client
from cloud.console import Cell, Column, amount, format_duration, table, text
from cloud.errors import UserError
from cloud.lookup import Trial
from cloud.training.search import SCALES
from table_schema.metrics import NAMES

STYLES = {"ACTIVE": "cyan", "STOPPING": "yellow", "SUCCEEDED": "green", "INFEASIBLE": "red"}
DIGITS = 4  # of a parameter in the table


def metric_of(tuning: Any) -> str:
    """Returns the metric by which a tuning judges its trials."""
    return str(tuning.study_spec.metrics[0].metric_id)


def is_rising(tuning: Any) -> bool:
    """Whether more of that metric is better; Google's default is that it is."""
    return bool(tuning.study_spec.metrics[0].goal.name != "MINIMIZE")


def ranges(tuning: Any) -> dict[str, str]:
    """Returns what a tuning searches, by flag, as `--search` takes it."""
    return {each.parameter_id: _range(each) for each in tuning.study_spec.parameters}


def _range(parameter: Any) -> str:
    if parameter.categorical_value_spec:
        return "|".join(parameter.categorical_value_spec.values)
    if parameter.discrete_value_spec:
        return "|".join(map(_as_text, parameter.discrete_value_spec.values))
    ends = parameter.double_value_spec or parameter.integer_value_spec
    scales = {each: f":{name}" for name, each in SCALES.items() if name != "linear"}
    scale = scales.get(parameter.scale_type.name, "")
    return f"{_as_text(ends.min_value)}..{_as_text(ends.max_value)}{scale}"


def value(trial: Any) -> float | None:
    """Returns a trial's metric: at its end, or the newest; None before its first report."""
    measured = [trial.final_measurement, *reversed(trial.measurements)]
    return next((float(each.metrics[0].value) for each in measured if each and each.metrics), None)


def steps(trial: Any) -> int:
    """Returns how many steps a trial has reported, which are epochs of the table's trainer."""
    return max((int(each.step_count) for each in trial.measurements), default=0)


def has_ended(trial: Any) -> bool:
    """Whether a trial's state is final."""
    return trial.state.name in lookup.ENDED


def ranked(tuning: Any) -> list[Any]:
    """Returns the trials, best first; then those that run, then those that failed."""

    def rank(trial: Any) -> tuple[bool, bool, float, int]:
        found, sign = value(trial), -1 if is_rising(tuning) else 1
        is_known = found is not None and math.isfinite(found)
        order = sign * found if found is not None and is_known else 0.0
        return trial.state.name == "INFEASIBLE", not is_known, order, int(trial.id)

    return sorted(tuning.trials, key=rank)


def best(tuning: Any) -> Any | None:
    """Returns the best trial of those that succeeded; None before the first."""
    found = [each for each in ranked(tuning) if each.state.name == "SUCCEEDED"]
    return found[0] if found and value(found[0]) is not None else None


def best_of(job: Any) -> Any:
    """Returns the `lookup.Trial` that is the best of a tuning; another job as it is."""
    winner = best(job) if lookup.is_tuning(job) else None
    return job if winner is None else Trial(job, winner.id)


def parameters(trial: Any) -> dict[str, str]:
    """Returns a trial's parameters as the trainer reads them, by flag."""
    return {each.parameter_id: _as_text(each.value) for each in trial.parameters}


def flags(trial: Any) -> list[str]:
    """Returns a trial's parameters as flags of the trainer."""
    return [f"--{name}={value}" for name, value in parameters(trial).items()]


def _as_text(found: Any) -> str:
    return f"{found:.6g}" if isinstance(found, float) else str(found)


def _as_cell(found: str) -> str:
    try:
        return f"{float(found):.{DIGITS}g}" if "." in found or "e" in found else found
    except ValueError:
        return found


def summary(tuning: Any) -> str:
    """Says how far a tuning is: `7/20 trials`."""
    ended = sum(map(has_ended, tuning.trials))
    return f"{ended}/{tuning.max_trial_count} trials"


def board(tuning: Any) -> Table:
    """Draws the trials of a tuning, best first."""
    names = ranges(tuning)
    metric = metric_of(tuning)
    columns = [
        Column("trial"),
        Column("state", 3),
        Column(NAMES.get(metric, metric)),
        Column("steps", 5),
        *(Column(name, 2) for name in names),
        Column("duration", 4),
    ]
    winner = best(tuning)
    rows: list[Sequence[Cell]] = []
    for trial in ranked(tuning):
        found, values = value(trial), parameters(trial)
        state = _state(tuning, trial)
        is_best = winner is not None and trial.id == winner.id
        style = "bold" if is_best else ""
        rows.append(
            [
                text(trial.id, style),
                text(state, STYLES.get(trial.state.name, "")),
                text("" if found is None else figure(found), style),
                str(steps(trial) or ""),
                *(_as_cell(values.get(name, "")) for name in names),
                duration(trial),
            ]
        )
    return table(columns, rows)


def line(tuning: Any, trial: Any) -> str:
    """Says in a line how a trial has ended."""
    found, given = value(trial), " ".join(flags(trial))
    if found is None or trial.state.name == "INFEASIBLE":
        reason = str(trial.infeasible_reason).rstrip(".") or "no metric was reported"
        return f"Trial {trial.id}: {_state(tuning, trial)} ({reason}), with {given}"
    metric = NAMES.get(metric_of(tuning), metric_of(tuning))
    winner = best(tuning)
    praise = ", the best so far" if winner is not None and winner.id == trial.id else ""
    return f"Trial {trial.id}: {metric} {figure(found)} with {given}{praise}"


def _state(tuning: Any, trial: Any) -> str:
    return lookup.state(Trial(tuning, trial.id))


def figure(number: float) -> str:
    """Writes a metric with five digits."""
    return amount(float(f"{number:.5g}"))


def duration(trial: Any) -> str:
    """Time that a trial has run, in words; a dash before it starts."""
    if not trial.start_time:
        return "-"
    return format_duration((trial.end_time or datetime.now(UTC)) - trial.start_time)


def trained(client: Client, name: str | None) -> Any:
    """Returns what trained the model that a person names.

    Args:
        client: of the target.
        name: of a job; of a trial, as `NAME/3`; of a tuning, which stands for its best trial; None
            for the newest job that succeeded.

    Returns:
        A `CustomJob`, or a `lookup.Trial`.

    Raises:
        UserError: there is none.
    """
    if name is None:
        return lookup.job(client, None, state="JOB_STATE_SUCCEEDED")
    found = lookup.job_or_trial(client, name)
    if isinstance(found, Trial):
        return found
    chosen = best_of(found)
    if not isinstance(chosen, Trial) and lookup.is_tuning(found):
        raise UserError(f"No trial of {found.display_name} has succeeded yet.")
    return chosen
