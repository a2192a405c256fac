"""The training job as Vertex AI takes it: a `CustomJob` from a person's settings.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.config import Config
from cloud.console import say
from cloud.errors import UserError
from cloud.training import accelerators

# The stock image has TensorFlow and pip; the bucket is a folder in it. So no image is built.
INSTALL_AND_RUN = """\
import faulthandler, os, runpy, subprocess, sys
package = sys.argv.pop(1)
faulthandler.dump_traceback_later(float(os.environ["SHOW_STACKS_AFTER"]))
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
subprocess.run([*pip, "--root-user-action=ignore", package], check=True)
runpy.run_module("{module}", run_name="__main__", alter_sys=True)
"""
NAME = re.compile(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?")
# Google's rules of label keys and values.
LABEL = re.compile(r"(?P<key>[a-z][a-z0-9_-]{0,62})=(?P<value>[a-z0-9_-]{0,63})")
SERVICE_ACCOUNT = re.compile(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com")
MAX_SECONDS = 604_800  # 7 days, the longest that a job may run


@dataclass(frozen=True)
class JobSettings:
    """What a person decides about a job.

    Attributes:
        name: begins the names of the job and of its folder; None takes the model's name.
        machine_type: such as `n1-standard-4`; None takes the project's.
        accelerator: such as `NVIDIA_TESLA_T4`; None stands for none.
        accelerator_count: of each machine; None takes as few as the machine can have.
        replicas: workers that train together.
        spot: whether on Spot machines.
        timeout: seconds that the job may run.
        labels: `KEY=VALUE` each.
        service_account: email of the account that the job acts as; None takes Vertex AI's own.
        trainer: arguments of the trainer.
        resume: name of an ended job whose folder, settings and checkpoints this one takes over.
    """

    name: str | None = None
    machine_type: str | None = None
    accelerator: str | None = None
    accelerator_count: int | None = None
    replicas: int = 1
    spot: bool = False
    timeout: int = 86_400
    labels: Sequence[str] = ()
    service_account: str | None = None
    trainer: Sequence[str] = ()
    resume: str | None = None


def check(config: Config, settings: JobSettings) -> None:
    """Checks the flags before anything is sent.

    Raises:
        UserError: one is wrong.
    """
    name = config.name_stem if settings.name is None else settings.name
    if not NAME.fullmatch(name):
        raise UserError(
            f"--name: expected up to 42 of a-z, 0-9 and -, beginning with a letter, got {name!r}."
        )
    if settings.replicas < 1:
        raise UserError(f"--replicas: expected at least 1, got {settings.replicas}.")
    if not 1 <= settings.timeout <= MAX_SECONDS:
        raise UserError(
            f"--timeout: expected 1 to {MAX_SECONDS:,} seconds, got {settings.timeout:,}."
        )
    if settings.accelerator is not None and settings.accelerator not in accelerator_types():
        raise UserError(
            f"--accelerator: expected one of {', '.join(accelerator_types())}, got"
            f" {settings.accelerator!r}."
        )
    accelerator_count(config, settings)
    if settings.service_account and not SERVICE_ACCOUNT.fullmatch(settings.service_account):
        raise UserError(
            "--service-account: expected NAME@PROJECT.iam.gserviceaccount.com, got"
            f" {settings.service_account!r}."
        )
    for label in settings.labels:
        found = LABEL.fullmatch(label)
        if found is None:
            raise UserError(
                f"--label: expected KEY=VALUE of a-z, 0-9, _ and -, up to 63 each, got {label!r}."
            )
        if found["key"] in config.labels:
            raise UserError(f"--label: {found['key']!r} names the model already; take another key.")


def accelerator_types() -> list[str]:
    """Returns the names of the accelerators that Vertex AI knows."""
    from google.cloud import aiplatform_v1

    return [kind.name for kind in aiplatform_v1.AcceleratorType if kind.value]


def accelerator_count(config: Config, settings: JobSettings) -> int | None:
    """Returns how many accelerators each machine has; None where it has none.

    Raises:
        UserError: Google Cloud has no such machine.
    """
    machine_type = settings.machine_type or config.machine_type
    return accelerators.check(machine_type, settings.accelerator, settings.accelerator_count)


def custom_job(
    config: Config,
    settings: JobSettings,
    *,
    name: str,
    folder: str,
    package_uri: str,
    arguments: Sequence[str],
) -> dict[str, Any]:
    """Returns the job to create, as a `CustomJob` in snake case.

    Args:
        config: the project's values.
        settings: checked.
        name: of the job, `NAME-TIME`.
        folder: gs:// URI of what the job writes.
        package_uri: gs:// URI of the trainer's wheel.
        arguments: of the trainer.
    """
    machine: dict[str, Any] = {"machine_type": settings.machine_type or config.machine_type}
    if settings.accelerator is not None:
        machine |= {
            "accelerator_type": settings.accelerator,
            "accelerator_count": accelerator_count(config, settings),
        }
    image = accelerators.image(config.training_image, settings.accelerator)
    pool = {
        "machine_spec": machine,
        "container_spec": {
            "image_uri": config.image_uri(image),
            "command": ["python", "-c", INSTALL_AND_RUN.replace("{module}", config.trainer_module)],
            "args": [package_uri.replace("gs://", "/gcs/", 1), *arguments],
            # Shortly before the job's time is up its log shows where each thread is.
            "env": [{"name": "SHOW_STACKS_AFTER", "value": str(0.95 * settings.timeout)}],
        },
    }
    pools = [pool | {"replica_count": 1}]
    scheduling: dict[str, Any] = {"timeout": {"seconds": settings.timeout}}
    if settings.replicas > 1:
        pools.append(pool | {"replica_count": settings.replicas - 1})
        # Workers that train together cannot go on without the one that is lost.
        scheduling["restart_job_on_worker_restart"] = True
    if settings.spot:
        scheduling["strategy"] = "SPOT"
    spec: dict[str, Any] = {
        "worker_pool_specs": pools,
        "scheduling": scheduling,
        "base_output_directory": {"output_uri_prefix": folder},
    }
    if settings.service_account:
        spec["service_account"] = settings.service_account
    return {
        "display_name": name,
        "job_spec": spec,
        "labels": config.labels | dict(label.split("=", 1) for label in settings.labels),
    }


def trainer_arguments(job: Any) -> list[str]:
    """Returns the arguments of the trainer in a job, of either kind."""
    pools = lookup.spec(job).worker_pool_specs
    return list(pools[0].container_spec.args[1:]) if pools else []


def trainer_settings(job: Any) -> dict[str, str]:
    """Returns the settings that a job gives the trainer, by flag, such as `epochs`."""
    settings: dict[str, str] = {}
    name = ""
    for word in trainer_arguments(job):
        if word.startswith("--"):
            name, _, value = word.removeprefix("--").partition("=")
            settings[name] = value
        elif name:
            settings[name] = word
    return settings


def as_json(job: dict[str, Any]) -> dict[str, Any]:
    """Returns a `CustomJob` or a `HyperparameterTuningJob` as its JSON goes over the wire."""
    from google.cloud import aiplatform_v1
    from google.protobuf import json_format

    is_tuning = "trial_job_spec" in job
    kind = aiplatform_v1.HyperparameterTuningJob if is_tuning else aiplatform_v1.CustomJob
    document: dict[str, Any] = json_format.MessageToDict(kind.pb(kind(job)))
    return document


def show(client: Client, job: dict[str, Any]) -> None:
    """Prints the job that a command would create, and how to create it without this project."""
    document = as_json(job)
    kind = "HyperparameterTuningJob" if "trialJobSpec" in document else "CustomJob"
    say(f"The request, a {kind}:", "bold")
    say(json.dumps(document, indent=2))
    say("\nThe same with gcloud:", "bold")
    say(as_gcloud(client.config, document))
    say("\nThe same with curl:", "bold")
    say(as_curl(client, document))
    say("\nNothing was sent. The package must be in the bucket first: 'nox -s package'.")


def as_curl(client: Client, document: dict[str, Any]) -> str:
    """Returns the shell command that sends a job with curl."""
    collection = "hyperparameterTuningJobs" if "trialJobSpec" in document else "customJobs"
    url = f"{client.vertex_url}/v1/{client.config.location}/{collection}"
    return f"{client.curl(url, '@-')} <<'JSON'\n{json.dumps(document, indent=2)}\nJSON"


def as_gcloud(config: Config, document: dict[str, Any]) -> str:
    """Returns the shell command that sends a job with gcloud."""
    labels = ",".join(f"{key}={value}" for key, value in document["labels"].items())
    is_tuning = "trialJobSpec" in document
    # Of a tuning gcloud reads the whole job, of others what runs.
    content = document if is_tuning else document["jobSpec"]
    words = [
        *("gcloud", "ai", "hp-tuning-jobs" if is_tuning else "custom-jobs", "create"),
        f"--project={config.project}",
        f"--region={config.region}",
        f"--display-name={document['displayName']}",
        f"--labels={labels}",
        "--config=/dev/stdin",
    ]
    return f"{shlex.join(words)} <<'JSON'\n{json.dumps(content, indent=2)}\nJSON"
