"""What runs on Google Cloud and costs money until somebody ends it, in a line each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import say, step
from cloud.errors import UserError
from cloud.monitoring import request_log
from cloud.resources.resource import is_labelled
from cloud.training import prices
from cloud.training.prices import Hourly

# States of a job that has not ended, as a filter of the API.
NOT_ENDED = " OR ".join(
    f'state="JOB_STATE_{state}"' for state in ("QUEUED", "PENDING", "RUNNING", "CANCELLING")
)


@dataclass(frozen=True)
class Running:
    """Machines of one kind.

    Attributes:
        what: runs on them.
        machine_type: such as `n1-standard-4`.
        minimum: how many there are at least.
        maximum: how many at most.
        hour: looks up the price of one.
        until: when they end.
    """

    what: str
    machine_type: str
    minimum: int
    maximum: int
    hour: Callable[[Client, str], Hourly]
    until: str

    @property
    def machines(self) -> str:
        """Says how many of what."""
        least = "" if self.minimum == self.maximum else f"{self.minimum} to "
        return f"{self.what}, {least}{self.maximum} x {self.machine_type}"


def everything(client: Client) -> Iterator[Running]:
    """Yields the project's deployed versions, jobs, tunings and batch predictions."""
    endpoint = lookup.endpoint(client)
    if endpoint is not None:
        yield from deployed(client, endpoint)
    for job in lookup.jobs(client, NOT_ENDED):
        if is_labelled(client, job.labels):
            yield from training(job)
    request = {"parent": client.config.location, "filter": NOT_ENDED}
    for job in client.jobs.list_batch_prediction_jobs(request=request):
        if is_labelled(client, job.labels):
            yield batch(job)


def deployed(client: Client, endpoint: Any) -> Iterator[Running]:
    """Yields what an endpoint serves."""
    for each in endpoint.deployed_models:
        resources = each.dedicated_resources
        yield Running(
            f"{client.config.model} version {each.model_version_id}, deployed",
            resources.machine_spec.machine_type,
            resources.min_replica_count,
            max(resources.max_replica_count, resources.min_replica_count),
            prices.prediction_hour,
            "until 'nox -s teardown', or another version takes its place",
        )


def training(job: Any) -> Iterator[Running]:
    """Yields the machines of a job, or of the trials of a tuning that run at once."""
    tuning = lookup.is_tuning(job)
    at_once = job.parallel_trial_count if tuning else 1
    kind = "tuning" if tuning else "job"
    counts: dict[str, int] = {}
    for pool in lookup.spec(job).worker_pool_specs:
        machine_type = pool.machine_spec.machine_type
        counts[machine_type] = counts.get(machine_type, 0) + pool.replica_count * at_once
    for machine_type, count in counts.items():
        yield Running(
            f"{kind} {job.display_name}",
            machine_type,
            count,
            count,
            prices.training_hour,
            f"until it ends, or 'nox -s cancel -- {job.display_name}'",
        )


def batch(job: Any) -> Running:
    """Returns the machines of a batch prediction."""
    resources = job.dedicated_resources
    return Running(
        f"batch prediction {job.display_name}",
        resources.machine_spec.machine_type,
        resources.starting_replica_count,
        resources.max_replica_count,
        prices.prediction_hour,
        "until it ends",
    )


def lines(client: Client, found: list[Running]) -> Iterator[str]:
    """Yields a line each, with the list price where the catalog has one."""
    known: dict[tuple[Any, str], str] = {}
    for each in found:
        key = each.hour, each.machine_type
        if key not in known:
            try:
                hourly = each.hour(client, each.machine_type)
                known[key] = (
                    f", about {hourly.amount:.2f} {hourly.currency} an hour each (list price)"
                )
            except UserError:
                known[key] = ""
        yield f"{each.machines}{known[key]}, {each.until}"


def say_what_costs(client: Client, *found: Running) -> None:
    """Says on Google Cloud what a command leaves running; the emulator costs nothing."""
    if client.is_emulator or not found:
        return
    with step("Looking up what it costs"):
        told = list(lines(client, list(found)))
    for line in told:
        say(f"Costs money on Google Cloud: {line}.", "yellow")


def say_deployed(client: Client) -> None:
    """Says on Google Cloud what the project's endpoint costs."""
    if not client.is_emulator:
        endpoint = lookup.serving_endpoint(client)
        say_what_costs(client, *deployed(client, endpoint))
        if logging := logging_line(client, endpoint):
            say(f"Costs money on Google Cloud: {logging}.", "yellow")


def logging_line(client: Client, endpoint: Any) -> str:
    """Says where requests are logged to; "" where they are not."""
    config = endpoint.predict_request_response_logging_config
    if not config.enabled:
        return ""
    return (
        f"{config.sampling_rate:.0%} of the requests, logged to"
        f" {request_log.place(client, endpoint)}, which BigQuery bills by size and by query, until"
        " 'nox -s promote -- default --log-requests 0'"
    )
