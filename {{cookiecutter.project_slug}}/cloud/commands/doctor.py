"""doctor: checks that the target has what the project needs, and says how to fix what it lacks."""

import argparse
import os
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from google.api_core import exceptions
from packaging.requirements import Requirement
from rich.text import Text

from cloud import lookup, rest
from cloud.client import Client
from cloud.config import ROOT
from cloud.console import counted, next_commands, out, say, step, text
from cloud.datasets import files
from cloud.errors import UserError
from cloud.resources import provision, running
from cloud.training import prices

PERMISSIONS_OF_PROJECT = (
    "aiplatform.customJobs.create",
    "aiplatform.endpoints.deploy",
    "aiplatform.endpoints.predict",
    "aiplatform.hyperparameterTuningJobs.create",
    "aiplatform.models.upload",
    "logging.logEntries.list",
    "monitoring.timeSeries.list",
)
PERMISSIONS_OF_BUCKET = ("storage.objects.create", "storage.objects.get", "storage.objects.list")
# CPUs that custom training may use at once in a region, of machines that have a quota in common.
QUOTA = "aiplatform.googleapis.com/custom_model_training_cpus"
SETUP = "nox -s setup"
SHOWN_DAMAGED = 10


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        what: in words.
        fix: the command that fixes it; empty where all is well.
    """

    what: str
    fix: str = ""


Check = Callable[[Client], Finding]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags: none."""


def run(client: Client, _options: argparse.Namespace) -> int:
    """Prints a line for each check; exits 1 where there is a problem."""
    say(f"Target: {client.target}")
    failed = 0
    for title, check in checks(client):
        try:
            found = check(client)
        except UserError as error:
            found = Finding(str(error), SETUP)
        if found.fix:
            failed += 1
            out.print(Text.assemble(("✗", "red"), f" {title}: ", text(found.what)))
            say(f"    fix: {found.fix}", "bold")
        else:
            out.print(Text.assemble(("✓", "green"), f" {title}: ", text(found.what)))
    if failed:
        say(f"{counted(failed, 'problem')} found.", "red")
        return 1
    uris = files.uris(client.config).values() if client.config.data_set else ()
    has_data = all(client.blob(uri).exists() for uri in uris)
    next_commands(
        ("nox -s submit", "train a model") if has_data else ("nox -s data", "make the data")
    )
    return 0


def checks(client: Client) -> Iterator[tuple[str, Check]]:
    """Yields the checks of the target, in the order in which one rests on another."""
    yield "libraries", libraries
    if client.is_emulator:
        yield "bucket", emulated_bucket
        yield "objects", objects
        yield "Vertex AI", vertex
        yield "costs", emulated_costs
        return
    yield "APIs", apis
    yield "permissions", permissions
    yield "bucket", bucket
    yield "permissions on the bucket", bucket_permissions
    yield "training image", training_image
    yield "serving image", serving_image
    yield "machine", machine
    yield "quota", quota
    yield "Vertex AI", vertex
    yield "costs", costs


def libraries(_client: Client) -> Finding:
    """Compares what is installed with what pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["cloud"]
    wrong = []
    for requirement in map(Requirement, wanted):
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            installed = "none"
        if installed == "none" or installed not in requirement.specifier:
            wrong.append(f"expected {requirement}, found {installed}")
    if wrong:
        return Finding("; ".join(wrong), "python -m nox -s doctor")
    return Finding(f"{len(wanted)} installed, as pyproject.toml requires")


def emulated_bucket(client: Client) -> Finding:
    """Makes sure that the emulator has the bucket."""
    return Finding(f"gs://{client.bucket.name}")


def objects(client: Client) -> Finding:
    """Reads every object that the project wrote and checks its checksum.

    A power cut or a full disk may have damaged some on this machine; Google Cloud guards its own.
    """
    found = [
        blob
        for blob in client.storage.list_blobs(client.bucket)
        if provision.is_written(client.config, blob.name)
    ]
    size = sum(blob.size for blob in found)
    with step(f"Reading {counted(len(found), 'object')} ({size / 1e6:,.0f} MB)"):
        damaged = [blob for blob in found if not is_whole(blob)]
    if not damaged:
        return Finding(f"{len(found)} whole, {size / 1e6:,.0f} MB")
    names = " ".join(f"gs://{blob.bucket.name}/{blob.name}" for blob in damaged[:SHOWN_DAMAGED])
    url = f"{client.api_url('storage')}/storage/v1"
    words = ["curl", "-X", "DELETE", *(url + blob.path for blob in damaged[:SHOWN_DAMAGED])]
    has_data = any(blob.name.startswith("data/") for blob in damaged)
    again = "nox -s data" if has_data else "nox -s submit"
    more = ", …" * (len(damaged) > SHOWN_DAMAGED)
    return Finding(
        f"{len(damaged)} of {len(found)} are damaged: {names}{more}",
        f"{shlex.join(words)} && {again}",
    )


def is_whole(blob: Any) -> bool:
    """Whether an object's bytes are there, as many as there should be, and of its checksum."""
    from google.cloud.storage.exceptions import DataCorruption

    try:
        with Path(os.devnull).open("wb") as nowhere:
            blob.download_to_file(nowhere, raw_download=True)
    except exceptions.NotFound:
        return True  # deleted since it was listed
    except (exceptions.BadRequest, DataCorruption):
        return False
    return True


def vertex(client: Client) -> Finding:
    """Asks Vertex AI for a job."""
    next(iter(client.jobs.list_custom_jobs(parent=client.config.location)), None)
    return Finding(f"answers in {client.config.region}")


def emulated_costs(client: Client) -> Finding:
    """Says what would cost money on Google Cloud."""
    found = ", ".join(each.machines for each in running.everything(client))
    return Finding("none" + f"; on Google Cloud these would have some: {found}" * bool(found))


def costs(client: Client) -> Finding:
    """Looks for what runs, and so costs money."""
    found = [*running.lines(client, list(running.everything(client)))]
    endpoint = lookup.endpoint(client)
    if endpoint is not None and (logging := running.logging_line(client, endpoint)):
        found.append(logging)
    return Finding("\n    ".join(found) or "nothing of the project runs; the bucket is stored")


def apis(client: Client) -> Finding:
    """Looks whether the APIs are enabled."""
    missing = provision.Apis(client).missing()
    if missing:
        project = f"--project={client.config.project}"
        return Finding(
            f"not enabled: {', '.join(missing)}",
            f"gcloud services enable {' '.join(missing)} {project}",
        )
    return Finding(f"{len(provision.APIS)} enabled")


def permissions(client: Client) -> Finding:
    """Asks what the credentials may do in the project."""
    project = client.config.project
    body = {"permissions": list(PERMISSIONS_OF_PROJECT)}
    path = f"v1/projects/{project}:testIamPermissions"
    found = rest.call(client, "POST", "cloudresourcemanager", path, body)
    missing = sorted(set(PERMISSIONS_OF_PROJECT) - set(found.get("permissions", [])))
    if missing:
        return Finding(
            f"missing: {', '.join(missing)}",
            f"gcloud projects add-iam-policy-binding {project}"
            " --member=user:YOU@EXAMPLE.COM --role=roles/aiplatform.user",
        )
    return Finding(f"{len(PERMISSIONS_OF_PROJECT)} granted")


def bucket(client: Client) -> Finding:
    """Looks at the bucket and its region."""
    config = client.config
    found = provision.Bucket(client).found()
    if found is None:
        return Finding(f"there is no gs://{config.bucket}", SETUP)
    place = found["location"].lower()
    if place != config.region:
        return Finding(
            f"gs://{config.bucket} is in {place}, and the project in {config.region}: copying"
            " between regions is slow and costs money",
            f"CLOUD_BUCKET=ANOTHER-NAME {SETUP}",
        )
    return Finding(f"gs://{config.bucket} in {place}")


def bucket_permissions(client: Client) -> Finding:
    """Asks what the credentials may do in the bucket."""
    name = client.config.bucket
    names = "&".join(f"permissions={each}" for each in PERMISSIONS_OF_BUCKET)
    path = f"storage/v1/b/{name}/iam/testPermissions?{names}"
    found = rest.call(client, "GET", "storage", path)
    missing = sorted(set(PERMISSIONS_OF_BUCKET) - set(found.get("permissions", [])))
    if missing:
        return Finding(
            f"missing: {', '.join(missing)}",
            f"gcloud storage buckets add-iam-policy-binding gs://{name}"
            " --member=user:YOU@EXAMPLE.COM --role=roles/storage.objectAdmin",
        )
    return Finding(f"{len(PERMISSIONS_OF_BUCKET)} granted")


def training_image(client: Client) -> Finding:
    """Asks the registry for the image of the training jobs."""
    return image(client, client.config.training_image)


def serving_image(client: Client) -> Finding:
    """Asks the registry for the image of the model servers."""
    return image(client, client.config.serving_image)


def image(client: Client, name: str) -> Finding:
    """Asks a registry for an image's manifest.

    Source: https://distribution.github.io/distribution/spec/api/#pulling-an-image-manifest.
    """
    uri = client.config.image_uri(name)
    host, _, path = uri.partition("/")
    repository, _, tag = path.rpartition(":")
    response = client.session.head(
        f"{client.registry_url(host)}/v2/{repository}/manifests/{tag}",
        headers={"Accept": "application/vnd.oci.image.index.v1+json, */*"},
    )
    if response.status_code != 200:
        return Finding(f"{uri} answers {response.status_code}", SETUP)
    return Finding(uri)


def machine(client: Client) -> Finding:
    """Looks whether the region has the machine type."""
    name = client.config.machine_type
    try:
        found = prices.machine_of(client, name)
    except UserError as error:
        return Finding(
            str(error),
            f'gcloud compute machine-types list --filter="zone:{client.config.region}"',
        )
    return Finding(f"{name}, {found.cpus} CPUs and {found.memory_gib:g} GiB")


def quota(client: Client) -> Finding:
    """Compares the CPUs of one machine with what training may use in the region."""
    config = client.config
    metric = QUOTA.replace("/", "%2F")
    path = f"v1beta1/projects/{config.project}/services/aiplatform.googleapis.com"
    found = rest.call(client, "GET", "serviceusage", f"{path}/consumerQuotaMetrics/{metric}")
    cpus = prices.machine_of(client, config.machine_type).cpus
    limits = {
        bucket.get("dimensions", {}).get("region", ""): int(bucket.get("effectiveLimit", 0))
        for limit in found.get("consumerQuotaLimits", [])
        for bucket in limit.get("quotaBuckets", [])
    }
    allowed = limits.get(config.region, limits.get("", 0))
    if 0 <= allowed < cpus:  # -1 says that there is no limit
        return Finding(
            f"{config.machine_type} has {cpus} CPUs, and training may use {allowed} in"
            f" {config.region}",
            "https://console.cloud.google.com/iam-admin/quotas?project=" + config.project,
        )
    return Finding("no limit" if allowed < 0 else f"{allowed} CPUs of training at once")
