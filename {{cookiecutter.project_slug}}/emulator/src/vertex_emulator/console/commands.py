"""The commands that do what a page shows or does."""

import shlex
from typing import Any

import orjson

Body = dict[str, Any]


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
