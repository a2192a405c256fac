"""cost: what a job or a tuning may cost, from the time that past jobs took; an estimate."""

import argparse
import statistics
from datetime import timedelta
from itertools import islice
from typing import Any

from cloud.client import Client
from cloud.console import format_duration, next_commands, say
from cloud.errors import UserError
from cloud.training import prices

LATEST = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument("--replicas", type=int, default=1, help="workers that train together")
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="of a tuning, which runs one more job, with the defaults; default: one job alone",
    )
    parser.add_argument(
        "--minutes", type=float, help="how long a job will take; default: as long as past jobs took"
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints machine-hours, and money where Google Cloud tells its prices.

    Raises:
        UserError: a flag is wrong, or no job has succeeded to go by.
    """
    if options.replicas < 1:
        raise UserError(f"--replicas: expected at least 1, got {options.replicas}.")
    if options.trials is not None and options.trials < 1:
        raise UserError(f"--trials: expected at least 1, got {options.trials}.")
    if options.minutes is not None and not options.minutes > 0:
        raise UserError(f"--minutes: expected more than 0, got {options.minutes:g}.")
    machine_type = options.machine_type or client.config.machine_type
    span, source = duration(client, options.minutes)
    count = 1 if options.trials is None else options.trials + 1
    hours = count * options.replicas * span.total_seconds() / 3600
    jobs = "" if options.trials is None else f"{options.trials} trials and the defaults, each "
    say(
        f"Estimate: {jobs}{options.replicas} x {machine_type} for {format_duration(span)}"
        f" ({source}): {hours:.3g} machine-hours.",
        "bold",
    )
    say("Storage, logs, network, and the machines that serve cost extra.")
    if client.is_emulator:
        say(
            "The emulator costs nothing. 'CLOUD_TARGET=cloud nox -s cost' shows Google's prices.",
            "dim",
        )
    else:
        say_price(client, machine_type, hours)
    command = "submit" if options.trials is None else "tune"
    next_commands((f"nox -s {command} -- --dry-run", "the request, before it costs anything"))
    return 0


def duration(client: Client, minutes: float | None) -> tuple[timedelta, str]:
    """Returns how long a job takes, and where that comes from.

    Raises:
        UserError: there is no job to go by.
    """
    if minutes is not None:
        return timedelta(minutes=minutes), "as given"
    request = {"parent": client.config.location, "filter": 'state="JOB_STATE_SUCCEEDED"'}
    past = list(islice(client.jobs.list_custom_jobs(request=request), LATEST))
    if not past:
        raise UserError(
            "No job has succeeded yet, so there is no duration to go by; give one with --minutes."
        )
    took = statistics.median(seconds_of(job) for job in past)
    return timedelta(seconds=took), f"the median of the last {len(past)} that succeeded"


def seconds_of(job: Any) -> float:
    """Returns how long a job ran."""
    return float((job.end_time - job.start_time).total_seconds())


def say_price(client: Client, machine_type: str, hours: float) -> None:
    """Prints the money, or why there is no price."""
    try:
        hourly = prices.training_hour(client, machine_type)
    except UserError as error:
        say(f"No price: {error}", "yellow")
        return
    say(
        f"At {hourly.amount:.4f} {hourly.currency} an hour of {machine_type}:"
        f" about {hours * hourly.amount:.2f} {hourly.currency}. List prices of the Cloud Billing"
        " Catalog, without discounts or taxes.",
        "bold",
    )
    for line in hourly.parts:
        say(f"  {line}", "dim")
