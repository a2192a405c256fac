"""Finds what a person names: a job, the project's table, model and endpoint."""

import heapq
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions

from cloud.client import Client
from cloud.config import Config
from cloud.errors import UserError
from table_schema.columns import Table
from table_schema.tables import TABLES

# What a display name may hold that is no part of the filter's own syntax.
NAME_CHARACTERS = re.compile(r"[\w .+@-]+")
# The name of a job that 'submit' made: NAME-YYYYMMDD-HHMMSS, and a number where that was taken.
SUBMITTED = re.compile(r"(.+)-\d{8}-\d{6}(?:-\d+)?")
# The name of a trial of a tuning, as its folder is called.
TRIAL = re.compile(r"(?P<tuning>.+)/(?P<number>\d+)")
# Label of the job that trains with the defaults beside a tuning, with the tuning's name: who names
# no job does not mean that one.
DEFAULTS_OF = "defaults-of"
SHOWN_NAMES = 3
NEWEST = "newest"  # a version by its age, where its number is not known, as in a workflow
SUCCEEDED = ("JOB_STATE_SUCCEEDED", "SUCCEEDED")  # of a job, and of a trial
ENDED = (
    "JOB_STATE_SUCCEEDED",
    "JOB_STATE_PARTIALLY_SUCCEEDED",
    "JOB_STATE_FAILED",
    "JOB_STATE_CANCELLED",
    "JOB_STATE_EXPIRED",
    *("SUCCEEDED", "INFEASIBLE"),
)


@dataclass(frozen=True)
class Trial:
    """One training of a tuning.

    Attributes:
        tuning: the `HyperparameterTuningJob`.
        number: of the trial, from 1.
    """

    tuning: Any
    number: str

    @property
    def found(self) -> Any:
        """The `Trial` of the API."""
        return next(each for each in self.tuning.trials if each.id == self.number)

    @property
    def display_name(self) -> str:
        return f"{self.tuning.display_name}/{self.number}"

    @property
    def state(self) -> Any:
        """That of the tuning where it has ended before the trial did."""
        own = self.found.state
        return self.tuning.state if own.name not in ENDED and has_ended(self.tuning) else own


def state(job: Any) -> str:
    """Returns a job's state as a person reads it, such as `succeeded`."""
    return _state_words(job.state.name)


def _state_words(name: str) -> str:
    return name.removeprefix("JOB_STATE_").replace("_", " ").lower()


def has_ended(job: Any) -> bool:
    """Whether a job's state is final."""
    return job.state.name in ENDED


def has_succeeded(job: Any) -> bool:
    """Whether a job has done all it was asked to."""
    return job.state.name in SUCCEEDED


def is_tuning(job: Any) -> bool:
    """Whether a job is a `HyperparameterTuningJob`."""
    return "/hyperparameterTuningJobs/" in job.name


def why(job: Any) -> str:
    """Returns why a job, or a trial, did not succeed; "" where nobody says."""
    return str(job.found.infeasible_reason if isinstance(job, Trial) else job.error.message)


def again(client: Client, job: Any) -> Any:
    """Returns a job, or a trial, as it is now."""
    if isinstance(job, Trial):
        return Trial(again(client, job.tuning), job.number)
    if is_tuning(job):
        return client.jobs.get_hyperparameter_tuning_job(name=job.name)
    return client.jobs.get_custom_job(name=job.name)


def table(config: Config) -> Table:
    """Returns the description of the project's table.

    Raises:
        UserError: there is none of that name.
        DescriptionError: its description is wrong.
    """
    if not config.data_set:
        raise UserError(
            "[tool.cloud] data_set is empty, as in a project with a trainer of its own: it has no"
            " table. For one: nox -s adopt -- FILE.csv --label COLUMN"
        )
    if config.data_set not in TABLES:
        raise UserError(
            f"[tool.cloud] data_set: expected one of {', '.join(TABLES)}, the tables of"
            f" trainer/tables/, got {config.data_set!r}. For a table of your own:"
            " nox -s adopt -- FILE.csv --label COLUMN"
        )
    return TABLES[config.data_set]


def job(client: Client, name: str | None, *, state: str | None = None) -> Any:
    """Returns a job by name, the beginning of one, number or resource name.

    Args:
        client: of the target.
        name: what the person typed; None stands for the newest `CustomJob`. Of several jobs that
            were submitted with the same `--name`, that name stands for the newest.
        state: where no name is given, only jobs in this state count.

    Returns:
        A `CustomJob`; where its name is given, it may be a `HyperparameterTuningJob` as well.

    Raises:
        UserError: there is none, or the beginning is that of several names.
    """
    if name is None:
        listed = _custom_jobs(client, f'state="{state}"' if state else "")
        newest = next((each for each in listed if DEFAULTS_OF not in each.labels), None)
        if newest is None:
            kind = f" that is {_state_words(state)}" if state else ""
            raise UserError(f"There is no job{kind} yet; submit one with 'nox -s submit'.")
        return newest
    is_resource = name.isdigit() or name.startswith("projects/")
    found = _job_by_number(client, name) if is_resource else None
    if found is None and NAME_CHARACTERS.fullmatch(name):
        found = _job_by_name(client, name)
    if found is None:
        raise UserError(f"There is no job {name!r}; 'nox -s jobs' lists the jobs there are.")
    return found


def newest(client: Client) -> Any:
    """Returns the newest job, or tuning.

    Raises:
        UserError: there is none.
    """
    found = next((each for each in jobs(client) if DEFAULTS_OF not in each.labels), None)
    if found is None:
        raise UserError("There is no job yet; submit one with 'nox -s submit'.")
    return found


def job_or_trial(client: Client, name: str | None) -> Any:
    """Returns what `job` does, and by `NAME/3` the third trial of a tuning.

    Raises:
        UserError: there is none.
    """
    parts = TRIAL.fullmatch(name or "")
    if parts is None or parts["tuning"].endswith("Jobs"):  # a resource's name
        return job(client, name)
    tuning = job(client, parts["tuning"])
    numbers = [each.id for each in tuning.trials] if is_tuning(tuning) else []
    if parts["number"] not in numbers:
        raise UserError(
            f"There is no trial {parts['number']} of {tuning.display_name}; 'nox -s jobs --"
            f" {tuning.display_name}' shows it."
        )
    return Trial(tuning, parts["number"])


def jobs(client: Client, condition: str = "") -> Iterator[Any]:
    """Yields the jobs of both kinds, `CustomJob` and `HyperparameterTuningJob`, newest first.

    Args:
        client: of the target.
        condition: filter of the API's grammar.
    """
    request = {"parent": client.config.location, "filter": condition}
    tunings = client.jobs.list_hyperparameter_tuning_jobs(request=request)
    kinds = _custom_jobs(client, condition), iter(tunings)
    return heapq.merge(*kinds, key=lambda each: each.create_time, reverse=True)


def _custom_jobs(client: Client, condition: str) -> Iterator[Any]:
    request = {"parent": client.config.location, "filter": condition}
    return iter(client.jobs.list_custom_jobs(request=request))


def _job_by_number(client: Client, name: str) -> Any | None:
    for kind, get in (
        ("customJobs", client.jobs.get_custom_job),
        ("hyperparameterTuningJobs", client.jobs.get_hyperparameter_tuning_job),
    ):
        full = name if "/" in name else f"{client.config.location}/{kind}/{name}"
        if f"/{kind}/" in full:
            with suppress(exceptions.NotFound, exceptions.InvalidArgument, ValueError):
                return get(name=full)
    return None


def _job_by_name(client: Client, name: str) -> Any | None:
    exact = next(jobs(client, f'display_name="{name}"'), None)
    if exact is not None:
        return exact
    begun = list(jobs(client, f'display_name="{name}*"'))
    same = [
        each
        for each in begun
        if (parts := SUBMITTED.fullmatch(each.display_name)) and parts[1] == name
    ]
    if same or len(begun) < 2:
        return next(iter(same or begun), None)
    names = ", ".join(each.display_name for each in begun[:SHOWN_NAMES])
    raise UserError(
        f"{len(begun)} jobs have names that begin with {name!r}: {names}"
        f"{', …' if len(begun) > SHOWN_NAMES else ''}. Type more of the name."
    )


def spec(job: Any) -> Any:
    """Returns the `CustomJobSpec` of a job, or of each trial of a tuning."""
    return job.trial_job_spec if is_tuning(job) else job.job_spec


def folder(job: Any) -> str:
    """Returns the gs:// URI of what a job, or a trial, writes; empty where there is none."""
    if isinstance(job, Trial):
        base = folder(job.tuning)
        return f"{base}/{job.number}" if base else ""
    return str(spec(job).base_output_directory.output_uri_prefix).rstrip("/")


def model_folder(job: Any) -> str:
    """Returns the gs:// URI of the folder of a job's model; empty where the job has none."""
    base = folder(job)
    return f"{base}/model" if base else ""


def batch_job(client: Client, name: str) -> Any:
    """Returns a `BatchPredictionJob` by number, display name or resource name.

    Raises:
        UserError: there is none.
    """
    if not name.isdigit() and "/" not in name:
        found = find_batch_job(client, name)
        if found is not None:
            return found
    full = name if "/" in name else f"{client.config.location}/batchPredictionJobs/{name}"
    try:
        return client.jobs.get_batch_prediction_job(name=full)
    except (exceptions.NotFound, exceptions.InvalidArgument, ValueError) as error:
        raise UserError(
            f"There is no batch prediction job {name!r}; 'nox -s batch' prints its job's number."
        ) from error


def find_batch_job(client: Client, name: str) -> Any | None:
    """Returns a `BatchPredictionJob` by display name, or None."""
    if not NAME_CHARACTERS.fullmatch(name):
        return None
    return _named(client, client.jobs.list_batch_prediction_jobs, name)


def model(client: Client) -> Any:
    """Returns the project's `Model` (its default version), or None before the first deployment."""
    return _named(client, client.models.list_models, client.config.model)


def version(client: Client, name: str | None) -> Any:
    """Returns a version of the project's model, a `Model`, by number or alias.

    Args:
        client: of the target.
        name: number or alias; None and `newest` stand for the newest version.

    Raises:
        UserError: there is none; the message says how to list them.
    """
    found = model(client)
    if found is None:
        raise UserError("There is no version yet; 'nox -s deploy' makes one of a job's model.")
    if name is None or name == NEWEST:
        return versions(client)[0]
    try:
        return client.models.get_model(name=version_name(found, name))
    except (exceptions.NotFound, exceptions.InvalidArgument) as error:
        raise UserError(
            f"There is no version {name!r} of {client.config.model}; 'nox -s versions' lists the"
            " versions there are."
        ) from error


def model_name(version: Any) -> str:
    """Returns the resource name of a `Model` without its version."""
    return without_version(version.name)


def without_version(name: str) -> str:
    """Returns the resource name of a model without its version or alias."""
    return name.partition("@")[0]


def version_name(version: Any, number: str) -> str:
    """Returns the resource name of a version, by number or alias, of the same model."""
    return f"{model_name(version)}@{number}"


def versions(client: Client) -> list[Any]:
    """Returns all versions of the project's model, each a `Model`, newest first."""
    found = model(client)
    if found is None:
        return []
    listed = client.models.list_model_versions(name=model_name(found))
    return sorted(listed, key=lambda each: int(each.version_id), reverse=True)


def alias(client: Client, name: str) -> Any:
    """Returns the version of the project's model that carries an alias, or None."""
    return next((each for each in versions(client) if name in each.version_aliases), None)


def endpoint(client: Client) -> Any:
    """Returns the project's `Endpoint`, or None before the first deployment."""
    return _named(client, client.endpoints.list_endpoints, client.config.model)


def serving_endpoint(client: Client) -> Any:
    """Returns the project's `Endpoint` with a deployed model.

    Raises:
        UserError: nothing is deployed.
    """
    found = endpoint(client)
    if found is None or not found.deployed_models:
        raise UserError("No version is deployed; deploy the newest job with 'nox -s deploy'.")
    return found


def _named(client: Client, list_method: Any, display_name: str) -> Any:
    request = {"parent": client.config.location, "filter": f'display_name="{display_name}"'}
    return next(iter(list_method(request=request)), None)
