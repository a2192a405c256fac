"""Each training job as a run of the project's experiment: its settings, its scores, its end.

The contexts are as `aiplatform.init(experiment=…)`, `start_run` and `log_params` of Google's SDK
write them (`google.cloud.aiplatform.metadata`), so `aiplatform.get_experiment_df` and Google's
console show the jobs beside each other. The SDK itself takes seconds to import, hence this.
"""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import requests
from google.api_core import exceptions

from cloud import lookup
from cloud.client import Client, explain
from cloud.config import Config
from cloud.console import say
from cloud.serving import evaluations
from cloud.training import job_request

SCHEMA_VERSION = "0.0.1"
OPEN = "RUNNING"
REFUSALS = (exceptions.GoogleAPIError, requests.RequestException)
STATES = {
    "JOB_STATE_SUCCEEDED": "COMPLETE",
    "JOB_STATE_PARTIALLY_SUCCEEDED": "COMPLETE",
    "JOB_STATE_FAILED": "FAILED",
    "JOB_STATE_EXPIRED": "FAILED",
    "JOB_STATE_CANCELLED": "CANCELLED",
}


def start(client: Client, job: Any) -> None:
    """Opens the run of a job that was submitted, with its settings.

    The job runs in any case: where the target refuses the run, a line says so.

    Args:
        client: of the target.
        job: the `CustomJob`.
    """
    metadata = {
        "_params": {
            name: _number(value) for name, value in job_request.trainer_settings(job).items()
        },
        "_metrics": {},
        "_state": OPEN,
        "_custom_jobs": [
            {
                "custom_job_resource_name": job.name,
                "custom_job_console_uri": client.console_url(job.name),
            }
        ],
    }
    try:
        run = _create(client, "system.ExperimentRun", job.display_name, metadata)
        _add_to_experiment(client, run.name)
    except REFUSALS as error:
        say(
            f"The experiment {client.config.experiment} misses this job: {explain(error)}", "yellow"
        )


def close(client: Client, jobs: Iterable[Any]) -> None:
    """Writes how jobs ended, and their scores, into those of their runs that are open.

    Args:
        client: of the target.
        jobs: `CustomJob`s; those that go on do not count, and those without a run neither.
    """
    ended = {job.display_name: job for job in jobs if lookup.has_ended(job)}
    if not ended:
        return
    try:
        for run in _open_runs(client):
            if run.display_name in ended:
                _close(client, run, ended[run.display_name])
    except REFUSALS as error:
        say(
            f"The experiment {client.config.experiment} is not up to date: {explain(error)}",
            "yellow",
        )


def find(client: Client) -> Any | None:
    """Returns the `Context` of the project's experiment; None where no job was submitted."""
    try:
        return client.metadata.get_context(name=_name(client.config, client.config.experiment))
    except exceptions.NotFound:
        return None


def runs(client: Client, experiment: Any, condition: str = "") -> list[Any]:
    """Returns the runs of an experiment, `Context`s, newest first.

    Args:
        client: of the target.
        experiment: its `Context`.
        condition: what else of them is so, in Google's filter grammar.
    """
    # The name as the server gave it, which has the project's number on Google Cloud.
    terms = [f'parent_contexts:"{experiment.name}"', *filter(None, [condition])]
    request = {"parent": _store(client.config), "filter": " AND ".join(terms)}
    return list(client.metadata.list_contexts(request=request))


def remove(client: Client, experiment: Any) -> None:
    """Deletes an experiment with its runs."""
    for each in (*runs(client, experiment), experiment):
        client.metadata.delete_context(name=each.name).result()


def _open_runs(client: Client) -> list[Any]:
    experiment = find(client)
    if experiment is None:
        return []
    return runs(client, experiment, f'metadata._state.string_value="{OPEN}"')


def _close(client: Client, run: Any, job: Any) -> None:
    metadata = type(run).to_dict(run)["metadata"]
    metadata["_state"] = STATES[job.state.name]
    if lookup.has_succeeded(job):
        scores = evaluations.scores(client, lookup.model_folder(job))
        metadata["_metrics"] = {**metadata.get("_metrics", {}), **scores}
    changed = {"name": run.name, "metadata": metadata, "etag": run.etag}
    with suppress(exceptions.Conflict):  # another command has closed it in this moment
        client.metadata.update_context(
            request={"context": changed, "update_mask": {"paths": ["metadata"]}}
        )


def _add_to_experiment(client: Client, run: str) -> None:
    """Makes a run a child of the experiment, and the experiment where it is missing."""
    request = {
        "context": _name(client.config, client.config.experiment),
        "child_contexts": [run],
    }
    try:
        client.metadata.add_context_children(request=request)
    except exceptions.NotFound:
        with suppress(exceptions.Conflict):  # another command creates it in this moment
            _create(client, "system.Experiment", "", {"experiment_deleted": False})
        client.metadata.add_context_children(request=request)


def _create(client: Client, schema: str, run: str, metadata: dict[str, Any]) -> Any:
    """Creates the context of a run, or of the experiment where the run's name is ""."""
    experiment = client.config.experiment
    request = {
        "parent": _store(client.config),
        "context_id": f"{experiment}-{run}" if run else experiment,
        "context": {
            "display_name": run or experiment,
            "schema_title": schema,
            "schema_version": SCHEMA_VERSION,
            "metadata": metadata,
            "labels": client.config.labels,
        },
    }
    try:
        return client.metadata.create_context(request=request)
    except exceptions.NotFound:  # of the store, which a project has once anything used it
        _create_store(client)
        return client.metadata.create_context(request=request)


def _create_store(client: Client) -> None:
    parent, _, store_id = _store(client.config).rpartition("/metadataStores/")
    with suppress(exceptions.Conflict):  # another command creates it in this moment
        client.metadata.create_metadata_store(
            parent=parent, metadata_store={}, metadata_store_id=store_id
        ).result()


def _store(config: Config) -> str:
    return f"{config.location}/metadataStores/default"


def _name(config: Config, context_id: str) -> str:
    return f"{_store(config)}/contexts/{context_id}"


def _number(text: str) -> float | str:
    """Returns a setting as the SDK keeps it: a number where it is one; a flag alone is `true`."""
    try:
        value = float(text)
    except ValueError:
        return text or "true"
    return value if math.isfinite(value) else text
