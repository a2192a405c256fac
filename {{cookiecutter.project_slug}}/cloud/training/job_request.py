"""The training job as Vertex AI takes it: a `CustomJob` from the flags of `submit`.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec.
"""

import argparse
import json
import re
import shlex
from typing import Any

from cloud.client import Client
from cloud.config import Config
from cloud.errors import UserError

# The stock image has TensorFlow and pip; the bucket is a folder in it. So no image is built.
INSTALL_AND_RUN = """\
import runpy, subprocess, sys
package = sys.argv.pop(1)
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
subprocess.run([*pip, "--root-user-action=ignore", package], check=True)
runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
"""
NAME = re.compile(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?")
# Google's rules of label keys and values.
LABEL = re.compile(r"(?P<key>[a-z][a-z0-9_-]{0,62})=(?P<value>[a-z0-9_-]{0,63})")
SERVICE_ACCOUNT = re.compile(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com")
MOST_SECONDS = 604_800  # a job runs for 7 days at the longest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the flags that make the job."""
    parser.add_argument(
        "--name", help="begins the job's name and folder; default: the model's name"
    )
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument("--accelerator", metavar="TYPE", help="such as NVIDIA_TESLA_T4")
    parser.add_argument(
        "--accelerator-count", type=int, default=1, metavar="N", help="accelerators of each machine"
    )
    parser.add_argument("--replicas", type=int, default=1, help="workers that train together")
    parser.add_argument(
        "--spot",
        action="store_true",
        help="on Spot machines: cheaper, and taken away at any time; the job goes on from its"
        " newest checkpoint",
    )
    parser.add_argument(
        "--timeout", type=int, default=86_400, help="seconds the job may run at most"
    )
    parser.add_argument(
        "--label", action="append", default=[], metavar="KEY=VALUE", help="may be given again"
    )
    parser.add_argument(
        "--service-account", metavar="EMAIL", help="whom the job acts as; default: Vertex AI's own"
    )
    parser.add_argument("trainer", nargs="*", help="flags for python -m trainer.task, after a --")


def check(config: Config, options: argparse.Namespace) -> None:
    """Checks the flags before anything is sent.

    Raises:
        UserError: one is wrong.
    """
    name = options.name or config.name_stem
    if not NAME.fullmatch(name):
        raise UserError(
            f"--name: expected up to 42 of a-z, 0-9 and -, beginning with a letter, got {name!r}."
        )
    if options.replicas < 1:
        raise UserError(f"--replicas: expected at least 1, got {options.replicas}.")
    if not 1 <= options.timeout <= MOST_SECONDS:
        raise UserError(
            f"--timeout: expected 1 to {MOST_SECONDS:,} seconds, got {options.timeout:,}."
        )
    if options.accelerator_count < 1:
        raise UserError(
            f"--accelerator-count: expected at least 1, got {options.accelerator_count}."
        )
    if options.accelerator is not None and options.accelerator not in accelerators():
        raise UserError(
            f"--accelerator: expected one of {', '.join(accelerators())}, got"
            f" {options.accelerator!r}."
        )
    if options.service_account and not SERVICE_ACCOUNT.fullmatch(options.service_account):
        raise UserError(
            "--service-account: expected NAME@PROJECT.iam.gserviceaccount.com, got"
            f" {options.service_account!r}."
        )
    for label in options.label:
        found = LABEL.fullmatch(label)
        if found is None:
            raise UserError(
                f"--label: expected KEY=VALUE of a-z, 0-9, _ and -, up to 63 each, got {label!r}."
            )
        if found["key"] in config.labels:
            raise UserError(f"--label: {found['key']!r} names the model already; take another key.")


def accelerators() -> list[str]:
    """Returns the names of the accelerators that Vertex AI knows."""
    from google.cloud import aiplatform_v1

    return [kind.name for kind in aiplatform_v1.AcceleratorType if kind.value]


def custom_job(
    config: Config, options: argparse.Namespace, folder: str, package_uri: str, arguments: list[str]
) -> dict[str, Any]:
    """Returns the job to create, as a `CustomJob` in snake case.

    Args:
        config: the project's values.
        options: the flags of `add_arguments`, checked.
        folder: `jobs/NAME-TIME`, of the bucket.
        package_uri: gs:// URI of the trainer's wheel.
        arguments: of `python -m trainer.task`.
    """
    machine = {"machine_type": options.machine_type or config.machine_type}
    if options.accelerator is not None:
        machine |= {
            "accelerator_type": options.accelerator,
            "accelerator_count": options.accelerator_count,
        }
    pool = {
        "machine_spec": machine,
        "container_spec": {
            "image_uri": config.image_uri(config.training_image),
            "command": ["python", "-c", INSTALL_AND_RUN],
            "args": [package_uri.replace("gs://", "/gcs/", 1), *arguments],
        },
    }
    pools = [pool | {"replica_count": 1}]
    scheduling: dict[str, Any] = {"timeout": {"seconds": options.timeout}}
    if options.replicas > 1:
        pools.append(pool | {"replica_count": options.replicas - 1})
        # Workers that train together cannot go on without the one that is lost.
        scheduling["restart_job_on_worker_restart"] = True
    if options.spot:
        scheduling["strategy"] = "SPOT"
    spec: dict[str, Any] = {
        "worker_pool_specs": pools,
        "scheduling": scheduling,
        "base_output_directory": {"output_uri_prefix": f"gs://{config.bucket}/{folder}"},
    }
    if options.service_account:
        spec["service_account"] = options.service_account
    return {
        "display_name": folder.removeprefix("jobs/"),
        "job_spec": spec,
        "labels": config.labels | dict(label.split("=", 1) for label in options.label),
    }


def as_json(job: dict[str, Any]) -> dict[str, Any]:
    """Returns the job as its JSON goes over the wire."""
    from google.cloud import aiplatform_v1
    from google.protobuf import json_format

    message = aiplatform_v1.CustomJob.pb(aiplatform_v1.CustomJob(job))
    document: dict[str, Any] = json_format.MessageToDict(message)
    return document


def as_curl(client: Client, document: dict[str, Any]) -> str:
    """Returns the shell command that sends the job with curl."""
    url = f"{client.vertex_url}/v1/{client.config.location}/customJobs"
    return f"{client.curl(url, '@-')} <<'JSON'\n{json.dumps(document, indent=2)}\nJSON"


def as_gcloud(config: Config, document: dict[str, Any]) -> str:
    """Returns the shell command that sends the job with gcloud."""
    labels = ",".join(f"{key}={value}" for key, value in document["labels"].items())
    words = [
        *("gcloud", "ai", "custom-jobs", "create"),
        f"--project={config.project}",
        f"--region={config.region}",
        f"--display-name={document['displayName']}",
        f"--labels={labels}",
        "--config=/dev/stdin",
    ]
    return f"{shlex.join(words)} <<'JSON'\n{json.dumps(document['jobSpec'], indent=2)}\nJSON"
