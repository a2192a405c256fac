"""The commands that do what a page shows or does."""

import shlex
from typing import Any

import orjson

from vertex_emulator.vertex.datasets import TABLES
from vertex_emulator.vertex.pipelines import CUSTOM_TASK

Body = dict[str, Any]


BATCH_JOB = {
    "displayName": "NAME",
    "inputConfig": {
        "instancesFormat": "jsonl",
        "gcsSource": {"uris": ["gs://BUCKET/FILE.jsonl"]},
    },
    "outputConfig": {
        "predictionsFormat": "jsonl",
        "gcsDestination": {"outputUriPrefix": "gs://BUCKET/FOLDER"},
    },
    "dedicatedResources": {"machineSpec": {"machineType": "n1-standard-4"}},
}

DATASET = {
    "displayName": "NAME",
    "metadataSchemaUri": TABLES[0],
    "metadata": {"inputConfig": {"gcsSource": {"uri": ["gs://BUCKET/FILE.csv"]}}},
}
PIPELINE = {
    "displayName": "NAME",
    "trainingTaskDefinition": CUSTOM_TASK,
    "trainingTaskInputs": {
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "n1-standard-4"},
                "replicaCount": 1,
                "containerSpec": {"imageUri": "IMAGE", "command": ["python", "-m", "MODULE"]},
            }
        ]
    },
}
# No command of gcloud makes one: Google's SDK does.
EXPERIMENT = """\
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

aiplatform.init(
    project="{project}", location="{region}", experiment="NAME", experiment_tensorboard=False,
    api_endpoint="{url}", api_transport="rest", credentials=AnonymousCredentials(),
)
with aiplatform.start_run("RUN"):
    aiplatform.log_params({{"learning_rate": 0.1}})
    aiplatform.log_metrics({{"auc": 0.9}})"""


def first(url: str, location: str, model: str = "") -> dict[str, str]:
    """Returns Google's own commands that make the first of each kind, by the step's key.

    Args:
        url: the emulator's address.
        location: `projects/P/locations/L`.
        model: resource name of a model that there is, or "".
    """
    project, region = location.split("/")[1], location.split("/")[3]
    place = f"--project={project} --region={region}"
    batch = BATCH_JOB | {"model": model or f"{location}/models/MODEL"}
    return {
        "data": f"gcloud storage buckets create gs://NAME --project={project}",
        "job": f"gcloud ai custom-jobs create {place} --display-name=NAME --config=FILE",
        "tuning": f"gcloud ai hp-tuning-jobs create {place} --display-name=NAME --config=FILE",
        "pipeline": curl(f"{url}/v1/{location}/trainingPipelines", PIPELINE),
        "dataset": curl(f"{url}/v1/{location}/datasets", DATASET),
        "experiment": EXPERIMENT.format(project=project, region=region, url=url),
        "model": f"gcloud ai models upload {place} --display-name=NAME --artifact-uri=gs://…",
        "version": f"gcloud ai models upload {place} --parent-model=MODEL …",
        "endpoint": f"gcloud ai endpoints create {place} --display-name=NAME",
        "prediction": (
            f"gcloud ai endpoints deploy-model ENDPOINT {place} --model=MODEL --display-name=NAME"
        ),
        "batch": curl(f"{url}/v1/{location}/batchPredictionJobs", batch),
    }


def curl(url: str, body: Body | None = None, method: str = "POST") -> str:
    """Returns the shell command that sends a request, its body on lines of its own."""
    words = ["curl", "-s", "-X", method, url]
    if body is None:
        return shlex.join(words)
    words += ["-H", "Content-Type: application/json", "-d", "@-"]
    return f"{shlex.join(words)} {_here('JSON', body)}"


def create_job(name: str, job: Body) -> str:
    """Returns the gcloud command that creates the same custom job once more.

    Args:
        name: of the job, for its project and region.
        job: what the request gave.
    """
    words = ["gcloud", "ai", "custom-jobs", "create", *_place(name)]
    words.append(f"--display-name={job['displayName']}")
    if job.get("labels"):
        labels = ",".join(f"{key}={value}" for key, value in job["labels"].items())
        words.append(f"--labels={labels}")
    words.append("--config=/dev/stdin")
    return f"{shlex.join(words)} {_here('JSON', job['jobSpec'])}"


def cancel_job(name: str) -> str:
    return shlex.join(["gcloud", "ai", "custom-jobs", "cancel", _number(name), *_place(name)])


def create_tuning(name: str, job: Body) -> str:
    """Returns the gcloud command that creates the same tuning once more."""
    words = ["gcloud", "ai", "hp-tuning-jobs", "create", *_place(name)]
    words.append(f"--display-name={job['displayName']}")
    words.append(f"--max-trial-count={job['maxTrialCount']}")
    words.append(f"--parallel-trial-count={job['parallelTrialCount']}")
    if job.get("labels"):
        labels = ",".join(f"{key}={value}" for key, value in job["labels"].items())
        words.append(f"--labels={labels}")
    words.append("--config=/dev/stdin")
    known = ("studySpec", "trialJobSpec", "maxFailedTrialCount")
    config = {field: job[field] for field in known if field in job}
    return f"{shlex.join(words)} {_here('JSON', config)}"


def cancel_tuning(name: str) -> str:
    return shlex.join(["gcloud", "ai", "hp-tuning-jobs", "cancel", _number(name), *_place(name)])


def move_traffic(name: str, shares: dict[str, int]) -> str:
    """Returns the gcloud command that gives an endpoint's deployed models these shares."""
    split = ",".join(f"{key}={share}" for key, share in shares.items())
    words = ["gcloud", "ai", "endpoints", "update", _number(name), *_place(name)]
    return shlex.join([*words, f"--traffic-split={split}"])


def _place(name: str) -> list[str]:
    _projects, project, _locations, region, *_rest = name.split("/")
    return [f"--project={project}", f"--region={region}"]


def _number(name: str) -> str:
    return name.rpartition("/")[2]


def _here(mark: str, body: Body) -> str:
    """Returns a body for a command's standard input; JSON has no line of a word alone."""
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    return f"<<'{mark}'\n{text}\n{mark}"


def add_alias(name: str, version: str, alias: str) -> str:
    """Returns the command that gives a model's version an alias; gcloud has none for it."""
    return f'POST /v1/{name}@{version}:mergeVersionAliases {{"versionAliases": ["{alias}"]}}'


def upload_and_deploy(endpoint: str, upload: Body, resources: Body, split: dict[str, int]) -> str:
    """Returns the gcloud commands that upload a model's next version and deploy it.

    Args:
        endpoint: resource name.
        upload: an UploadModelRequest with a parent.
        resources: the `dedicatedResources`.
        split: the traffic's; "0" is what is deployed.
    """
    model, container = upload["model"], upload["model"]["containerSpec"]
    number = _number(upload["parentModel"])
    flags = {
        "parent-model": upload["parentModel"],
        "display-name": model["displayName"],
        "version-description": model["versionDescription"],
        "artifact-uri": model["artifactUri"],
        "labels": ",".join(f"{key}={value}" for key, value in model.get("labels", {}).items()),
        "container-image-uri": container["imageUri"],
        "container-command": ",".join(container.get("command", [])),
        "container-args": ",".join(container.get("args", [])),
        "container-env-vars": ",".join(
            f"{each['name']}={each.get('value', '')}" for each in container.get("env", [])
        ),
        "container-ports": ",".join(
            str(each["containerPort"]) for each in container.get("ports", [])
        ),
        "container-health-route": container.get("healthRoute", ""),
        "container-predict-route": container.get("predictRoute", ""),
    }
    made = ["gcloud", "ai", "models", "upload", *_place(endpoint), *_flags(flags)]
    scale_to_zero = "scaleToZeroSpec" in resources
    flags = {
        "model": f"{number}@VERSION",
        "display-name": model["displayName"],
        "machine-type": resources["machineSpec"].get("machineType", ""),
        "min-replica-count": "0" if scale_to_zero else str(resources.get("minReplicaCount", 1)),
        "max-replica-count": str(resources.get("maxReplicaCount", "")),
        "traffic-split": ",".join(f"{key}={share}" for key, share in split.items()),
    }
    track = ["beta"] if scale_to_zero else []
    served = ["gcloud", *track, "ai", "endpoints", "deploy-model", _number(endpoint)]
    served += [*_place(endpoint), *_flags(flags)]
    return f"{shlex.join(made)}\n{shlex.join(served)}"


def log_requests(url: str, name: str, body: Body) -> str:
    """Returns the command that has an endpoint log its requests; gcloud has none for it."""
    words = ["curl", "-s", "-X", "PATCH"]
    words.append(f"{url}/v1/{name}?updateMask=predictRequestResponseLoggingConfig")
    words += ["-H", "Content-Type: application/json", "-d", orjson.dumps(body).decode()]
    return shlex.join(words)


def _flags(given: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in given.items() if value]
