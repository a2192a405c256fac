"""The pinned versions are those that the dependencies ask for, and name no place of their own."""

import tomllib
from pathlib import Path

import pytest
from bake import PROJECT, ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EMULATOR = ROOT / PROJECT / "emulator"


def pinned(constraints: Path) -> dict[str, str]:
    """Return the version of each package that `constraints` pins."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    assert [str(pin) for pin in pins if pin.url] == []
    versions: dict[str, str] = {}
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "==", pin
        versions[canonicalize_name(pin.name)] = exact.version
    return versions


def dependencies(folder: Path, *groups: str) -> list[Requirement]:
    """Return what the groups and extras of a pyproject.toml ask for; "" is the package itself."""
    values = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    project = values.get("project", {})
    found = values["dependency-groups"] | project.get("optional-dependencies", {})
    found[""] = project.get("dependencies", [])
    wanted = [entry for group in groups for entry in found[group]]
    return [Requirement(entry) for entry in wanted if isinstance(entry, str)]


@pytest.mark.parametrize(
    ("folder", "constraints", "groups"),
    [
        (ROOT, "constraints.txt", ["bake", "dev"]),
        (ROOT / PROJECT, "constraints.txt", ["", "cloud", "dev"]),
        (EMULATOR, "constraints.txt", ["", "serving", "testing", "dev"]),
        (ROOT / PROJECT, "constraints-tensorboard.txt", ["tensorboard"]),
    ],
)
def test_every_dependency_is_pinned_within_its_range(
    folder: Path, constraints: str, groups: list[str]
) -> None:
    """When this fails, run the command at the top of the constraints again."""
    versions = pinned(folder / constraints)
    unmet = [
        str(wanted)
        for wanted in dependencies(folder, *groups)
        if (version := versions.get(canonicalize_name(wanted.name))) is None
        or version not in wanted.specifier
    ]
    assert unmet == []


def test_the_template_and_the_project_are_checked_by_the_same_tools() -> None:
    template, project = pinned(ROOT / "constraints.txt"), pinned(ROOT / PROJECT / "constraints.txt")
    for tool in ("mypy", "nox", "pytest", "ruff"):
        assert template[tool] == project[tool]


def test_the_project_pins_what_the_emulator_pins() -> None:
    """Both are installed into one environment."""
    emulator = pinned(EMULATOR / "constraints.txt")
    assert emulator.items() <= pinned(ROOT / PROJECT / "constraints.txt").items()


def test_one_policy_holds_for_the_project_and_the_emulator() -> None:
    """The emulator is a distribution of its own, and therefore repeats it."""
    policies = [
        tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
        for folder in (ROOT / PROJECT, EMULATOR)
    ]
    for policy in policies:
        del policy["ruff"]["lint"]["isort"]  # each names its own packages
        del policy["ruff"]["extend-exclude"]  # and the folders that it writes
        policy["ruff"]["lint"]["per-file-ignores"] = policy["ruff"]["lint"]["per-file-ignores"][
            "tests/**"
        ]
        for key in ("files", "mypy_path", "exclude", "overrides"):
            policy["mypy"].pop(key, None)
    project, emulator = policies
    for tool in ("ruff", "mypy"):
        assert project[tool] == emulator[tool]
    assert project["pytest"] == emulator["pytest"]
