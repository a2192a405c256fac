"""A job's model as the next version of a model that is served already, beside what is there.

How a first version is served, by which container and on which machine, only its owner can say; the
next one is served as the newest before it. What a project's own command checks before it deploys,
such as scores, nobody checks here.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vertex_emulator.console import commands
from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import path_of
from vertex_emulator.errors import invalid_argument
from vertex_emulator.state.documents import Document
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.resources import unversioned

THIS = "0"  # in a traffic split: the model that the same request deploys
SHARE = 10  # percent that the form begins with


@dataclass(frozen=True)
class Place:
    """Where a version can be added.

    Attributes:
        endpoint: that serves the model.
        newest: version of the model.
        deployed: newest deployed model of it there; the further one gets the same machines.
    """

    endpoint: Document
    newest: Document
    deployed: Document

    @property
    def key(self) -> str:
        """What the form calls it."""
        return f"{self.endpoint['name']} {self.newest['name']}"

    @property
    def label(self) -> str:
        return f"{self.newest['displayName']} on {self.endpoint['displayName']}"

    @property
    def resources(self) -> Document:
        found: Document = self.deployed["dedicatedResources"]
        return found


@dataclass(frozen=True)
class Offer:
    """What a job's page says of its model.

    Attributes:
        versions: that the model is already, each as a `Model`.
        places: where it can become one.
        commands: the equal commands of the first place, with the share that the form begins with.
        own: the project's own command, or "".
        share: percent of the traffic that the form begins with.
    """

    versions: list[Document]
    places: list[Place]
    commands: str
    own: str
    share: int = SHARE


def offer(console: Console, job: Document) -> Offer | None:
    """Returns what can become of a job's model; None where it has none."""
    folder = model_folder(job)
    bucket, prefix = split_uri(folder)
    has_ended = job["state"] == "JOB_STATE_SUCCEEDED"
    if not folder or not has_ended or not console.objects.buckets.exists(bucket):
        return None
    if next(console.objects.walk(bucket, f"{prefix}/"), None) is None:
        return None
    found = list(_places(console, _location(job)))
    versions = {
        (each["name"], each["versionId"]): each
        for place in found
        for each in console.models.list_versions(place.newest["name"], {})["models"]
        if each.get("artifactUri", "").rstrip("/") == folder
    }
    own = console.commands.get("deploy", "").replace("JOB", shlex.quote(job["displayName"]))
    equal = ""
    if found:
        first, resources = found[0].endpoint, found[0].resources
        split = with_share(first.get("trafficSplit", {}), SHARE)
        equal = commands.upload_and_deploy(first["name"], _upload(job, found[0]), resources, split)
    return Offer(list(versions.values()), found, equal, own)


def deploy(console: Console, name: str, form: Mapping[str, str]) -> str:
    """Uploads a job's model as the next version, and begins to deploy it.

    Args:
        console: what there is.
        name: of the job.
        form: `place`, as `Place.key`; `share`, the percentage of the traffic.

    Returns:
        The address of the endpoint's page.
    """
    job = console.jobs.get(name)
    place = next(
        (each for each in _places(console, _location(job)) if each.key == form.get("place")), None
    )
    if place is None:
        raise invalid_argument("place: expected a model that an endpoint serves; choose one again.")
    text = form.get("share", "").strip()
    if not text.isdecimal() or int(text) > 100:
        raise invalid_argument(f"share: expected a whole percentage up to 100, got {text!r}.")
    uploaded = console.models.upload(_location(job), _upload(job, place))["response"]
    request = {
        "deployedModel": {
            "model": f"{uploaded['model']}@{uploaded['modelVersionId']}",
            "displayName": place.deployed["displayName"],
            "dedicatedResources": place.resources,
        },
        "trafficSplit": with_share(place.endpoint.get("trafficSplit", {}), int(text)),
    }
    api = "v1beta1" if "scaleToZeroSpec" in place.resources else "v1"
    console.endpoints.deploy(place.endpoint["name"], request, api)
    return path_of(place.endpoint["name"])


def model_folder(job: Document) -> str:
    """Returns the URI of the folder that `AIP_MODEL_DIR` names in a job, or ""."""
    base = job["jobSpec"].get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
    return f"{base}/model" if base else ""


def with_share(split: Mapping[str, int], share: int) -> dict[str, int]:
    """Gives what a request deploys a share, and the others what is left, in proportion as before.

    What rounding leaves over goes to the largest of the others.
    """
    whole = sum(split.values())
    if not whole:
        return {THIS: 100}
    new = {key: (100 - share) * part // whole for key, part in split.items()}
    largest = max(split, key=lambda key: split[key])
    new[largest] += 100 - share - sum(new.values())
    return {THIS: share, **new}


def going_on(console: Console, endpoint: Document) -> tuple[list[Document], list[Document]]:
    """Returns an endpoint's deployments that go on, and those that failed after the last success.

    Of the newest operations of the location alone: what lies further back is no news.
    """
    location, prefix = _location(endpoint), f"{endpoint['name']}/operations/"
    newest = console.operations.list_page(location, {"pageSize": "100"})["operations"]
    found = [
        each
        for each in newest
        if each["name"].startswith(prefix)
        and each["metadata"]["@type"].endswith("DeployModelOperationMetadata")
    ]
    succeeded = next((at for at, each in enumerate(found) if "response" in each), len(found))
    recent = found[:succeeded]
    return [each for each in found if "done" not in each], [e for e in recent if "error" in e]


def _places(console: Console, location: str) -> Iterator[Place]:
    for endpoint in console.endpoints.list_page(location, {})["endpoints"]:
        newest = {
            each["model"]: each
            for each in sorted(endpoint.get("deployedModels", []), key=lambda d: d["createTime"])
        }
        for model, deployed in newest.items():
            answer = console.models.list_versions(model, {"pageSize": "1"})
            yield Place(endpoint, answer["models"][0], deployed)


def _upload(job: Document, place: Place) -> dict[str, Any]:
    """Returns the request that makes a job's model the next version of the place's model.

    It gets the labels that the job and the version before have both.
    """
    before = place.newest
    given = job.get("labels", {}).items()
    labels = dict(sorted(given & before.get("labels", {}).items()))
    model = {
        "displayName": before["displayName"],
        "versionDescription": f"Trained by {job['displayName']}",
        "artifactUri": model_folder(job),
        "containerSpec": before["containerSpec"],
    }
    return {
        "parentModel": unversioned(before["name"]),
        "model": model | ({"labels": labels} if labels else {}),
    }


def _location(resource: Document) -> str:
    return "/".join(resource["name"].split("/")[:4])
