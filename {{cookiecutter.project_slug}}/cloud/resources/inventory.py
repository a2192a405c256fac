"""Everything that the project created, found by its label, and how each thing is removed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloud import lookup, operations
from cloud.client import Client
from cloud.console import step
from cloud.resources import federation, provision, request_datasets
from cloud.resources.resource import Resource, is_labelled
from cloud.serving import batch_jobs
from cloud.training import cancellation, experiments


@dataclass(frozen=True)
class Created:
    """Something that the project created.

    Attributes:
        title: what it is, in words.
        remove: removes it.
        kept: names of what is in it and stays, as the project did not create it.
    """

    title: str
    remove: Callable[[], None]
    kept: tuple[str, ...] = ()


def sharing(client: Client) -> list[str]:
    """Returns the labels of other models of which something lies in the project's bucket.

    Who adopts a second table gives it a model of its own, in the same bucket.
    """
    [(key, own)] = client.config.labels.items()
    bucket = f"gs://{client.config.bucket}/"
    models = client.models.list_models(parent=client.config.location)
    places = [(model.labels, model.artifact_uri) for model in models]
    places += [(job.labels, lookup.folder(job)) for job in lookup.jobs(client)]
    found = {labels[key] for labels, uri in places if key in labels and uri.startswith(bucket)}
    return sorted(found - {own})


def everything(client: Client, shared: bool = True) -> Iterator[Created]:
    """Yields what carries the project's label, in the order in which it can be removed.

    Args:
        client: of the target.
        shared: whether what several models use, such as the bucket, is a part of it.
    """
    yield from _serving(client)
    yield from _jobs(client)
    yield from _experiment(client)
    if not client.is_emulator:
        for name in request_datasets.labelled(client):
            yield Created(
                request_datasets.title(name), partial(request_datasets.remove, client, name)
            )
    if not shared:
        return
    needed: list[Resource] = [provision.Bucket(client)]
    if not client.is_emulator:
        needed = [*provision.required(client), *federation.removable(client)]
    for resource in reversed(needed):
        if resource.is_ours():
            yield Created(resource.title, resource.remove, resource.kept())


def _serving(client: Client) -> Iterator[Created]:
    """Yields the endpoints, with what they serve, and the models."""
    location = client.config.location
    for endpoint in client.endpoints.list_endpoints(parent=location):
        if is_labelled(client, endpoint.labels):
            title = f"endpoint {endpoint.display_name}, {len(endpoint.deployed_models)} deployed"
            yield Created(title, partial(_remove_endpoint, client, endpoint, title))
    for model in client.models.list_models(parent=location):
        if is_labelled(client, model.labels):
            title = f"model {model.display_name} with its versions"
            yield Created(title, partial(_remove_model, client, model, title))


def _jobs(client: Client) -> Iterator[Created]:
    """Yields the training jobs, the tunings and the batch predictions."""
    location = client.config.location
    for job in lookup.jobs(client):
        if is_labelled(client, job.labels):
            kind = "tuning" if lookup.is_tuning(job) else "job"
            title = f"{kind} {job.display_name}, {lookup.state(job)}"
            yield Created(title, partial(_remove_job, client, job, title))
    for job in client.jobs.list_batch_prediction_jobs(parent=location):
        if is_labelled(client, job.labels):
            title = f"batch prediction {job.display_name}, {lookup.state(job)}"
            yield Created(title, partial(_remove_batch_job, client, job, title))


def _experiment(client: Client) -> Iterator[Created]:
    """Yields the experiment whose runs are the jobs."""
    experiment = experiments.find(client)
    if experiment is not None and is_labelled(client, experiment.labels):
        title = f"experiment {experiment.display_name} with its runs"
        yield Created(title, partial(_remove_experiment, client, experiment, title))


def _remove_endpoint(client: Client, endpoint: Any, title: str) -> None:
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
        operation = client.endpoints.undeploy_model(request=request)
        operations.finish(client, operation, f"Undeploying version {deployed.model_version_id}")
    operation = client.endpoints.delete_endpoint(name=endpoint.name)
    operations.finish(client, operation, f"Removing {title}")


def _remove_model(client: Client, model: Any, title: str) -> None:
    operation = client.models.delete_model(name=lookup.model_name(model))
    operations.finish(client, operation, f"Removing {title}")


def _remove_job(client: Client, job: Any, title: str) -> None:
    """Cancels the job where it runs, and deletes it."""
    if not lookup.has_ended(job):
        cancellation.cancel(client, job)
    if lookup.is_tuning(job):
        operation = client.jobs.delete_hyperparameter_tuning_job(name=job.name)
    else:
        operation = client.jobs.delete_custom_job(name=job.name)
    operations.finish(client, operation, f"Removing {title}")


def _remove_experiment(client: Client, experiment: Any, title: str) -> None:
    with step(f"Removing {title}"):
        experiments.remove(client, experiment)


def _remove_batch_job(client: Client, job: Any, title: str) -> None:
    """Cancels the batch prediction where it runs, and deletes it, but not what it wrote."""
    if not lookup.has_ended(job):
        batch_jobs.cancel(client, job.name)
    operation = client.jobs.delete_batch_prediction_job(name=job.name)
    operations.finish(client, operation, f"Removing {title}")
