"""A tuning: many trainings, each with other values of the trainer's flags, and which is best.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.config import Config
from cloud.console import say, step
from cloud.errors import UserError
from cloud.training import experiments, packaging, search, submission
from cloud.training.job_request import JobSettings
from cloud.training.search import Parameter, Space
from table_schema.metrics import rises

ALGORITHMS = {
    "bayesian": "ALGORITHM_UNSPECIFIED",  # Google's own, which learns from the trials so far
    "random": "RANDOM_SEARCH",
    "grid": "GRID_SEARCH",
}
STOPPING = {
    "median": {"median_automated_stopping_spec": {"use_elapsed_duration": False}},
    "none": {},
}
NAME_STEM = 35  # letters of the model's name, so that the suffix still fits
DEFAULTS = "defaults"  # the job, and its folder, that the trials are compared with


@dataclass(frozen=True)
class TuningSettings:
    """What a person decides about a tuning, besides the jobs that it runs.

    Attributes:
        trials: how many trainings.
        parallel: how many of them at a time.
        max_failed: how many may fail before all of it fails; 0 leaves that to Vertex AI.
        algorithm: one of `ALGORITHMS`.
        stopping: one of `STOPPING`, the rule that ends a trial early.
        metric: by which trials are judged; None takes the project's, or the trainer's.
        goal: `maximize` or `minimize`; None goes by the metric.
        search: `NAME=RANGE` each; none takes all that the trainer describes.
    """

    trials: int
    parallel: int
    max_failed: int = 0
    algorithm: str = "bayesian"
    stopping: str = "median"
    metric: str | None = None
    goal: str | None = None
    search: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """A tuning that has been checked, and whose trainer is not packaged yet.

    Attributes:
        settings: of the person.
        job: that each trial runs, and the one with the defaults.
        parameters: what is searched.
        metric: by which trials are judged.
        is_rising: whether more of it is better.
        keeps_best: whether a trial's model is that of its best epoch, not of its last.
    """

    settings: TuningSettings
    job: submission.Plan
    parameters: Sequence[Parameter]
    metric: str
    is_rising: bool
    keeps_best: bool

    def request(self, config: Config, name: str, package_uri: str) -> dict[str, Any]:
        """Returns the `HyperparameterTuningJob` in snake case, by its name."""
        job = self.job.request(config, name, package_uri)
        measurement = "BEST_MEASUREMENT" if self.keeps_best else "LAST_MEASUREMENT"
        study = {
            "metrics": [
                {"metric_id": self.metric, "goal": "MAXIMIZE" if self.is_rising else "MINIMIZE"}
            ],
            "parameters": [{"parameter_id": each.flag, **each.spec} for each in self.parameters],
            "algorithm": ALGORITHMS[self.settings.algorithm],
            "measurement_selection_type": measurement,
        }
        return {
            "display_name": job["display_name"],
            "study_spec": study | STOPPING[self.settings.stopping],
            "max_trial_count": self.settings.trials,
            "parallel_trial_count": self.settings.parallel,
            "max_failed_trial_count": self.settings.max_failed,
            "trial_job_spec": job["job_spec"],
            "labels": job["labels"],
        }


def submit(client: Client, settings: TuningSettings, job: JobSettings) -> tuple[Any, Any]:
    """Checks everything, packages the trainer, and creates the tuning and the job beside it.

    Returns:
        The `HyperparameterTuningJob`; and the `CustomJob` that trains with the defaults.

    Raises:
        UserError: a setting is wrong, or the data is not in the bucket.
        KeyboardInterrupt: the person interrupted it, and was told what may exist.
    """
    config = client.config
    try:
        plan = check(client, settings, job)
        package_uri = packaging.upload(client)
    except KeyboardInterrupt:
        say("\nInterrupted; nothing was submitted.")
        raise

    def request(name: str) -> dict[str, Any]:
        return plan.request(config, name, package_uri)

    candidates = submission.names(config, plan.job)
    with step("Submitting the tuning"), submission.reserved(client, candidates, request) as tuning:
        created = client.jobs.create_hyperparameter_tuning_job(
            parent=config.location, hyperparameter_tuning_job=tuning
        )
        name = tuning["display_name"]
        beside = plan.job.request(
            config,
            f"{name}-{DEFAULTS}",
            package_uri,
            folder=f"gs://{config.bucket}/jobs/{name}/{DEFAULTS}",
        )
        beside["labels"] |= {lookup.DEFAULTS_OF: name}
        defaults = client.jobs.create_custom_job(parent=config.location, custom_job=beside)
    experiments.start(client, defaults)
    return created, defaults


def preview(client: Client, settings: TuningSettings, job: JobSettings) -> dict[str, Any]:
    """Returns the tuning that `submit` would create, in snake case.

    Raises:
        UserError: as `submit` does.
    """
    plan = check(client, settings, job)
    name = next(submission.names(client.config, plan.job))
    return plan.request(client.config, name, packaging.uri(client))


def check(client: Client, settings: TuningSettings, job: JobSettings) -> Plan:
    """Checks the settings, the data, and what is searched, before anything is sent.

    Raises:
        SystemExit: the trainer refuses an argument, and has said why.
        UserError: something is wrong.
    """
    config = client.config
    check_counts(settings)
    known = search.space(config, submission.trainer_arguments(config, job.trainer))
    metric, is_rising = judged_by(config, settings, known)
    extra = [*known.trial_arguments, *job.trainer]
    if known.metric_flag and metric != known.metric:
        extra.append(f"{known.metric_flag}={metric}")
    named = job.name or f"{config.name_stem[:NAME_STEM].rstrip('-')}-tuning"
    plan = submission.check(client, replace(job, name=named, trainer=extra))
    parameters = search.parameters(config, known, plan.arguments, settings.search)
    if settings.algorithm == "grid":
        check_grid(parameters)
    return Plan(settings, plan, parameters, metric, is_rising, bool(known.metric))


def check_counts(settings: TuningSettings) -> None:
    """Raises UserError where there are too few trials, or too many of something else."""
    if settings.trials < 1:
        raise UserError(f"--trials: expected at least 1, got {settings.trials}.")
    if not 1 <= settings.parallel <= settings.trials:
        raise UserError(
            f"--parallel: expected 1 to {settings.trials}, the number of trials, got"
            f" {settings.parallel}."
        )
    if not 0 <= settings.max_failed <= settings.trials:
        raise UserError(
            f"--max-failed: expected 0 to {settings.trials}, the number of trials, got"
            f" {settings.max_failed}."
        )


def check_grid(parameters: Sequence[Parameter]) -> None:
    """Raises UserError where a parameter has no finite number of values."""
    for each in parameters:
        if each.is_continuous:
            low, high = each.values
            raise UserError(
                f"--algorithm grid: expected choices or a range of whole numbers, but {each.flag}"
                f" has any value of {low} to {high}; give choices, such as --search"
                f" '{each.flag}={low}|{high}'."
            )


def judged_by(config: Config, settings: TuningSettings, known: Space) -> tuple[str, bool]:
    """Returns the metric by which trials are judged, and whether more of it is better.

    Raises:
        UserError: nobody names one, or the trainer does not report it, which on Vertex AI would be
            known only once the first trial has ended.
    """
    metric = settings.metric or config.tuning_metric or known.metric
    if not metric:
        raise UserError(
            "--metric: expected the name of a metric that the trainer reports with job.report, got"
            " none; tuning_metric in pyproject.toml can name it for every tuning."
        )
    if any(map(str.isspace, metric)):
        raise UserError(f"--metric: expected a name without spaces, got {metric!r}.")
    if known.metrics and metric not in known.metrics:
        raise UserError(
            f"--metric: expected a metric that the trainer reports, one of"
            f" {', '.join(known.metrics)}, got {metric!r}."
        )
    is_rising = known.metrics.get(metric, rises(metric))
    if settings.goal is not None:
        is_rising = settings.goal == "maximize"
    return metric, is_rising
