"""What a tuning has found: its best trial beside the defaults, and whether that may be chance."""

import shlex
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say
from cloud.lookup import Trial
from cloud.serving import evaluations
from cloud.serving.evaluations import Evaluation
from cloud.training import job_request, search, trials, tuning
from table_schema.metrics import NAMES


def show(client: Client, found: Any) -> None:
    """Prints the best trial of a `HyperparameterTuningJob`, its worth, and what to do with it.

    On the test rows, which the search has not seen, and beside a training with the defaults on the
    same data.
    """
    name, winner = found.display_name, trials.best(found)
    logs = (f"nox -s logs -- {name}", "what the trials printed")
    if winner is None:
        say("No trial has succeeded.", "yellow")
        next_commands(logs)
        return
    metric = trials.metric_of(found)
    value = trials.figure(trials.value(winner) or 0.0)
    say(
        f"Best: trial {winner.id} of {len(found.trials)}, with {NAMES.get(metric, metric)} {value}:"
        f" {shlex.join(trials.flags(winner))}",
        "bold",
    )
    mine = evaluations.read(client, lookup.model_folder(Trial(found, winner.id)))
    theirs = evaluations.read(client, f"{lookup.folder(found)}/{tuning.DEFAULTS}/model")
    beside = defaults_of(client, found)
    if theirs is None and beside is not None:
        say(f"The defaults: {beside.display_name} is {lookup.state(beside)}.", "yellow")
    else:
        say(verdict(metric, mine, theirs))
    words = shlex.join([*given(client, found), *trials.flags(winner)])
    next_commands(
        (f"nox -s submit -- -- {words}", "train on what it found"),
        (f"nox -s deploy -- {name}", "serve the best trial's model"),
        (f"nox -s tensorboard -- --logdir {lookup.folder(found)}", "all trials; see HParams"),
        (f"nox -s logs -- {name}/{winner.id}", "what the best trial printed"),
    )


def verdict(metric: str, mine: Evaluation | None, theirs: Evaluation | None) -> str:
    """Says by how much the best trial is better than the defaults, and whether that may be chance.

    It may be where the defaults' score is within the interval of the trial's (`metrics.intervals`).

    Args:
        metric: by which the trials were judged.
        mine: the best trial's evaluation; None where nobody wrote one.
        theirs: that of the defaults, likewise.
    """
    if mine is None or theirs is None:
        which = "the best trial" if mine is None else "the job with the defaults"
        return (
            f"It is unknown whether that is better than the defaults: {which} has no"
            f" {evaluations.FILE}."
        )
    if metric not in mine.scores or metric not in theirs.scores:
        metric = mine.metric
    if metric not in theirs.scores or mine.test_rows != theirs.test_rows:
        return "It is unknown whether that is better: the defaults were scored on other test rows."
    one, other = mine.scores[metric], theirs.scores[metric]
    gain = (one - other) * (1 if mine.rises(metric) else -1)
    better = "as good" if gain == 0 else f"{'better' if gain > 0 else 'worse'} by"
    amount = "" if gain == 0 else f" {trials.figure(abs(gain))}"
    found = (
        f"On the test rows it has {NAMES.get(metric, metric)} {trials.figure(one)}, the defaults"
        f" have {trials.figure(other)}: {better}{amount}."
    )
    interval = mine.intervals.get(metric)
    if interval is None:
        return (
            f"{found} Whether that is more than chance is unknown: {evaluations.FILE} gives no"
            " interval."
        )
    low, high = interval
    noise = f"{trials.figure(low)} to {trials.figure(high)} with 95 % confidence"
    if low <= other <= high:
        return f"{found} That is within the noise ({noise}): no known gain over the defaults."
    advice = ": keep the defaults" if gain < 0 else ""
    return f"{found} That is more than the noise ({noise}){advice}."


def defaults_of(client: Client, found: Any) -> Any | None:
    """Returns the `CustomJob` with the defaults beside a tuning; None where there is none."""
    name = f"{found.display_name}-{tuning.DEFAULTS}"
    request = {"parent": client.config.location, "filter": f'display_name="{name}"'}
    return next(iter(client.jobs.list_custom_jobs(request=request)), None)


def given(client: Client, found: Any) -> list[str]:
    """Returns the trainer's flags of a tuning that a person gave."""
    config = client.config
    words = job_request.trainer_arguments(found)
    own = set(search.space(config, words).trial_arguments)
    return [word for word in words[len(config.job_arguments) :] if word not in own]
