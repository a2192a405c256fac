"""A job is named by what a person remembers of its name."""

import re
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

import pytest

from cloud import lookup
from cloud.errors import UserError

NAMES = [  # newest first, as Vertex AI lists them
    "first-20270103-000000",
    "first-20270102-000000-2",
    "first-20270102-000000",
    "first-try-20270101-000000",
    "second-20270101-000000",
    "by hand",
]


class Jobs:
    """Lists jobs by the filters that the commands send."""

    def list_custom_jobs(self, request: dict[str, str]) -> list[Any]:
        found = re.fullmatch(r'display_name="(.*)"', request["filter"])
        assert found is not None
        return [
            SimpleNamespace(display_name=name, create_time=-place)
            for place, name in enumerate(NAMES)
            if fnmatchcase(name, found[1])
        ]

    def list_hyperparameter_tuning_jobs(self, request: dict[str, str]) -> list[Any]:
        """Lists one that was made between the others."""
        name = "tuned-20270102-000000"
        is_listed = fnmatchcase(name, request["filter"].split('"')[1])
        return [SimpleNamespace(display_name=name, create_time=-1.5)] if is_listed else []


CLIENT: Any = SimpleNamespace(jobs=Jobs(), config=SimpleNamespace(location="projects/p"))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("first-20270102-000000", "first-20270102-000000"),  # the whole name, though others go on
        ("first", "first-20270103-000000"),  # the newest that was submitted with this --name
        ("first-try", "first-try-20270101-000000"),
        ("first-t", "first-try-20270101-000000"),
        ("sec", "second-20270101-000000"),
        ("by hand", "by hand"),
        ("by", "by hand"),
        ("tuned", "tuned-20270102-000000"),
    ],
)
def test_a_job_is_found_by_the_beginning_of_its_name(typed: str, found: str) -> None:
    assert lookup.job(CLIENT, typed).display_name == found


def test_a_beginning_of_several_names_is_refused_with_them() -> None:
    with pytest.raises(UserError, match=r"4 jobs have names that begin with 'fir': first-.*, …"):
        lookup.job(CLIENT, "fir")


@pytest.mark.parametrize("typed", ["nope", "*", 'x" OR "', "[/x]", "first*"])
def test_what_names_no_job_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match=r"There is no job .*; 'nox -s jobs' lists"):
        lookup.job(CLIENT, typed)
