"""Refuses bad answers, each in one sentence that says what to type instead.

Cookiecutter renders this file and runs it before it generates a project; local_extensions.py
calls `refusals` earlier, as soon as the answers are known.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

# Rendered by Cookiecutter. JSON in a raw string: no answer can end the string or run as code,
# because tojson escapes every quote, backslash and newline inside an answer.
ANSWERS = r"""{{ cookiecutter | tojson }}"""

# The regions of Vertex AI: SUPPORTED_REGIONS in google-cloud-aiplatform 2.7.0,
# google/cloud/aiplatform/constants/base.py, without "global", where no training job can run.
REGIONS = (
    "africa-south1",
    "asia-east1",
    "asia-east2",
    "asia-northeast1",
    "asia-northeast2",
    "asia-northeast3",
    "asia-south1",
    "asia-south2",
    "asia-southeast1",
    "asia-southeast2",
    "australia-southeast1",
    "australia-southeast2",
    "europe-central2",
    "europe-north1",
    "europe-north2",
    "europe-southwest1",
    "europe-west1",
    "europe-west12",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "europe-west6",
    "europe-west8",
    "europe-west9",
    "me-central1",
    "me-central2",
    "me-west1",
    "northamerica-northeast1",
    "northamerica-northeast2",
    "southamerica-east1",
    "southamerica-west1",
    "us-central1",
    "us-east1",
    "us-east4",
    "us-east5",
    "us-east7",
    "us-south1",
    "us-west1",
    "us-west2",
    "us-west3",
    "us-west4",
    "us-west8",
)

# The choices of cookiecutter.json: a replay of stored answers may hold others.
CHOICES = {
    "licence": ("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"),
    "data_set": ("flights", "penguins", "own", "keras"),
}

# Names of devices, which Windows does not take as a folder's.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def text_problem(text: str) -> str | None:
    """Say what keeps `text` out of a quoted TOML string, or None."""
    if not text.strip():
        return "is empty"
    if '"' in text or "\\" in text:
        return "has a double quote or a backslash in it"
    # Controls (a newline among them), halves of broken characters, line and paragraph separators.
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text):
        return "has a line break or another control character in it"
    return None


def slug_problem(slug: str) -> str | None:
    """Say what keeps `slug` from being a plain lowercase identifier, or None."""
    if not slug:
        return "is empty"
    if keyword.iskeyword(slug):
        return "is a keyword of Python"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", slug):
        return "is not lowercase letters, digits and underscores that begin with a letter"
    if DEVICES.fullmatch(slug):
        return "is a device of Windows, where no folder may have its name"
    return None


def choice_problem(name: str, answer: str) -> str | None:
    """Say that `answer` is not among the choices of the question `name`, or None."""
    return None if answer in CHOICES[name] else f"is none of {', '.join(CHOICES[name])}"


def project_id_problem(project_id: str) -> str | None:
    """Say which of Google's rules for project ids is broken, or None.

    https://cloud.google.com/resource-manager/docs/creating-managing-projects
    """
    if not 6 <= len(project_id) <= 30:
        return f"has {len(project_id)} characters where Google Cloud wants 6 to 30"
    if not re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", project_id):
        return (
            "is not lowercase letters, digits and hyphens that begin with a letter"
            " and do not end with a hyphen"
        )
    return None


def region_problem(region: str) -> str | None:
    """Say that `region` is none of Vertex AI's, or None."""
    return None if region in REGIONS else "is no region of Vertex AI"


def bucket_problem(bucket: str) -> str | None:
    """Say which of Google's rules for bucket names is broken, or None.

    https://cloud.google.com/storage/docs/buckets#naming
    """
    if not 3 <= len(bucket) <= 63:
        return f"has {len(bucket)} characters where Cloud Storage wants 3 to 63"
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*[a-z0-9]", bucket):
        return (
            "is not lowercase letters, digits, hyphens, underscores and dots"
            " that begin and end with a letter or a digit"
        )
    if ".." in bucket:
        return "has two dots in a row"
    if is_ip_address(bucket):
        return "is an IP address"
    if bucket.startswith("goog") or re.search("g[o0]{2}gle", bucket):
        return "begins with 'goog' or contains 'google', which Google keeps for itself"
    return None


def is_ip_address(text: str) -> bool:
    """Tell whether `text` is an IPv4 address in dotted decimals."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def nearest_region(region: str) -> str:
    """Return the region of Vertex AI that is spelt most like `region`."""
    return (difflib.get_close_matches(region.lower(), REGIONS, n=1) or ["us-central1"])[0]


def refusals(answers: dict[str, Any]) -> dict[str, str]:
    """Return a sentence for each bad answer: its name, what came, what is wrong, what to type.

    Args:
        answers: By the names of the questions; those that are not asked yet are missing.
    """
    # Answers from a configuration file need not be strings.
    given = {name: str(answer) for name, answer in answers.items()}
    checks: dict[str, tuple[Callable[[str], str | None], str]] = {
        "project_name": (text_problem, "a name such as Flight delays"),
        "project_slug": (slug_problem, "a name such as flight_delays"),
        "author": (text_problem, "a name such as Ada Lovelace"),
        "gcp_project_id": (project_id_problem, "an id such as my-gcp-project"),
        "region": (region_problem, nearest_region(given.get("region", ""))),
        "bucket": (bucket_problem, "a name such as my-gcp-project-flight-delays"),
    } | {name: (partial(choice_problem, name), CHOICES[name][0]) for name in CHOICES}
    return {
        name: f"{name} {given[name]!r} {problem}; type {remedy} instead."
        for name, (problem_of, remedy) in checks.items()
        if name in given and (problem := problem_of(given[name])) is not None
    }


if __name__ == "__main__":
    refused = refusals(json.loads(ANSWERS))
    if refused:
        sys.exit("\n".join(refused.values()))
