"""teardown: removes what the project made, after it has listed it and asked."""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.commands import cancel
from cloud.console import say, step
from cloud.errors import UserError
from cloud.resources import provision
from cloud.resources.resource import is_labelled

OPERATION_SECONDS = 3600.0


@dataclass(frozen=True)
class Made:
    """Something that the project made: what it is in words, and how it is removed."""

    title: str
    remove: Callable[[], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="list it, and remove nothing")


def run(client: Client, options: argparse.Namespace) -> int:
    """Lists, asks, removes.

    Raises:
        UserError: nobody can be asked.
    """
    say(f"Target: {client.target}")
    with step("Looking for what the project made"):
        made = list(everything(client))
    if not made:
        [(key, value)] = client.config.labels.items()
        say(f"There is nothing with the label {key}={value}.")
        return 0
    for each in made:
        say(f"  {each.title}")
    if options.dry_run:
        return 0
    if not options.yes and not agreed(len(made)):
        say("Nothing was removed.")
        return 1
    for each in made:
        with step(f"Removing {each.title}"):
            each.remove()
    return 0


def agreed(count: int) -> bool:
    """Asks the person.

    Raises:
        UserError: there is none at a terminal.
    """
    if not sys.stdin.isatty():
        raise UserError(
            "Expected a person at a terminal to agree, found none; say it with --yes. Nothing was"
            " removed."
        )
    return input(f"Remove these {count} for good? Type yes: ").strip().lower() == "yes"


def everything(client: Client) -> Iterator[Made]:
    """Yields what carries the project's label, in the order in which it can be removed."""
    yield from serving(client)
    yield from jobs(client)
    if client.is_emulator:
        bucket = provision.Bucket(client)
        if bucket.is_ours():
            yield Made(bucket.title, bucket.remove)
        return
    for thing in reversed(provision.needed(client)):
        if thing.is_ours():
            yield Made(thing.title, thing.remove)


def serving(client: Client) -> Iterator[Made]:
    """Yields the endpoints, with what they serve, and the models."""
    location = client.config.location
    for endpoint in client.endpoints.list_endpoints(parent=location):
        if is_labelled(client, endpoint.labels):
            title = f"endpoint {endpoint.display_name}, {len(endpoint.deployed_models)} deployed"
            yield Made(title, partial(remove_endpoint, client, endpoint))
    for model in client.models.list_models(parent=location):
        if is_labelled(client, model.labels):
            title = f"model {model.display_name} with its versions"
            yield Made(title, partial(remove_model, client, model))


def jobs(client: Client) -> Iterator[Made]:
    """Yields the training jobs and the batch predictions."""
    location = client.config.location
    for job in client.jobs.list_custom_jobs(parent=location):
        if is_labelled(client, job.labels):
            title = f"job {job.display_name}, {job.state.name}"
            yield Made(title, partial(remove_job, client, job))
    for job in client.jobs.list_batch_prediction_jobs(parent=location):
        if is_labelled(client, job.labels):
            title = f"batch prediction {job.display_name}, {job.state.name}"
            yield Made(title, partial(remove_batch, client, job))


def remove_endpoint(client: Client, endpoint: Any) -> None:
    """Undeploys everything and deletes the endpoint."""
    # While others are deployed, only what has no traffic can go; the last may have all of it.
    by_share = sorted(
        endpoint.deployed_models, key=lambda each: endpoint.traffic_split.get(each.id, 0)
    )
    left = [each.id for each in by_share]
    for deployed in by_share:
        left.remove(deployed.id)
        split = dict.fromkeys(left, 0) | ({left[-1]: 100} if left else {})
        request = {
            "endpoint": endpoint.name,
            "deployed_model_id": deployed.id,
            "traffic_split": split,
        }
        done(client.endpoints.undeploy_model(request=request))
    done(client.endpoints.delete_endpoint(name=endpoint.name))


def remove_model(client: Client, model: Any) -> None:
    """Deletes the model with all its versions."""
    done(client.models.delete_model(name=model.name.partition("@")[0]))


def remove_batch(client: Client, job: Any) -> None:
    """Deletes the batch prediction, and not what it wrote."""
    done(client.jobs.delete_batch_prediction_job(name=job.name))


def remove_job(client: Client, job: Any) -> None:
    """Ends the job where it runs, and deletes it."""
    if job.state.name not in lookup.ENDED:
        client.jobs.cancel_custom_job(name=job.name)
        cancel.wait_until_ended(client, job.name)
    done(client.jobs.delete_custom_job(name=job.name))


def done(operation: Any) -> None:
    """Waits for an operation."""
    operation.result(timeout=OPERATION_SECONDS)
