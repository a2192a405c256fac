"""A baked project holds exactly its own files, with the answers in the three that take any."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bake import (
    PROJECT,
    ROOT,
    bake,
    files_known_to_git,
    files_without_caches,
    run_cookiecutter,
    template_files,
)

RENDERED = {"LICENSE", "README.md", "pyproject.toml"}
# Jinja that the project itself renders; copied as it is.
OWN_TEMPLATES = (
    "cloud/adoption/report.html",
    "cloud/languages/templates/",
    "cloud/monitoring/report.html",
    "emulator/src/vertex_emulator/console/templates/",
    "trainer/tabular/card.html",
)
EXPECTED = (ROOT / "tests" / "baked_files.txt").read_text(encoding="utf-8").splitlines()


def baked_with(template: Path, output: Path, **answers: str) -> Path:
    """Bake with these answers and return the only project in `output`."""
    typed = [f"{name}={answer}" for name, answer in answers.items()]
    run = run_cookiecutter(template, output, "--no-input", *typed)
    assert run.returncode == 0, run.stdout + run.stderr
    (project,) = output.iterdir()
    return project


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def values(project: Path) -> dict[str, object]:
    """Return the pyproject.toml of a project, as TOML reads it."""
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default project."""
    return baked_with(template, tmp_path_factory.mktemp("default"))


def test_the_baked_files_are_exactly_those_expected(project: Path) -> None:
    """A new file is listed in tests/baked_files.txt, so that none comes in unseen.

    To list anew: git ls-files -co --exclude-standard -- "{{cookiecutter.project_slug}}"
    | sed "s|^[^/]*/||" | LC_ALL=C sort > tests/baked_files.txt
    """
    assert files_of(project) == EXPECTED


def test_every_file_but_three_is_copied_byte_for_byte(template: Path, project: Path) -> None:
    changed = [
        name
        for name in files_of(project)
        if (project / name).read_bytes() != (template / PROJECT / name).read_bytes()
    ]
    assert set(changed) == RENDERED


def test_no_python_file_of_the_template_holds_jinja(template: Path) -> None:
    """So lint, types and tests run in place, inside the template's folder."""
    tags = re.compile(r"\{\{\s*cookiecutter|\{%|\{#")
    python = list((template / PROJECT).rglob("*.py"))
    assert python
    assert [path for path in python if tags.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("data_set", ["flights", "penguins", "own"])
@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"])
def test_every_choice_bakes_and_leaves_no_trace_of_cookiecutter(
    template: Path, project: Path, tmp_path: Path, licence: str, data_set: str
) -> None:
    baked = baked_with(template, tmp_path, licence=licence, data_set=data_set)
    assert files_of(baked) == files_of(project)
    assert values(baked)["tool"]["cloud"]["data_set"] == data_set  # type: ignore[index]
    start = (baked / "README.md").read_text(encoding="utf-8").partition("nox -s demo")[0]
    assert ("nox -s adopt" in start) == (data_set == "own"), "a table comes first"
    for name in files_of(baked):
        text = (baked / name).read_bytes()
        assert b"cookiecutter." not in text, name
        if not name.startswith(OWN_TEMPLATES) and not name.endswith(".png"):
            assert b"{%" not in text, name


@pytest.mark.parametrize(
    ("licence", "begins", "says"),
    [
        ("MIT", "MIT License", "Permission is hereby granted, free of charge"),
        ("Apache-2.0", "Apache License", "END OF TERMS AND CONDITIONS"),
        ("BSD-3-Clause", "BSD 3-Clause License", "Neither the name of the copyright holder"),
        ("Proprietary", "Copyright (c)", "All rights reserved."),
    ],
)
def test_the_licence_is_the_one_chosen_with_year_and_author(
    template: Path, tmp_path: Path, licence: str, begins: str, says: str
) -> None:
    years = {str(datetime.now(UTC).year)}
    baked = baked_with(template, tmp_path, licence=licence, author="Žofia O'Brien")
    years.add(str(datetime.now(UTC).year))
    text = (baked / "LICENSE").read_text(encoding="utf-8")
    assert text.strip().startswith(begins)
    assert says in text
    assert any(re.search(rf"Copyright (\(c\) )?{year},? Žofia O'Brien", text) for year in years)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_emulator_keeps_its_own_licence(template: Path, tmp_path: Path) -> None:
    baked = baked_with(template, tmp_path, licence="Proprietary", author="Acme GmbH")
    assert "Acme GmbH" in (baked / "LICENSE").read_text(encoding="utf-8")
    ours = (baked / "emulator" / "LICENSE").read_bytes()
    assert ours == (template / "LICENSE").read_bytes()
    assert b"MIT License" in ours


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Flight delays", "flight_delays"),
        ("  Two   spaces ", "two_spaces"),
        ("Ada's flights", "ada_s_flights"),
        ("Überflüge {x} 100% #1 [a] = <b>", "uberfluge_x_100_1_a_b"),
        ("航班", "hang_ban"),
    ],
)
def test_names_reach_the_project_as_typed(
    template: Path, tmp_path: Path, name: str, slug: str
) -> None:
    baked = baked_with(template, tmp_path, project_name=name, author=name)
    assert baked.name == slug
    assert values(baked)["project"]["authors"] == [{"name": name}]  # type: ignore[index]
    assert name in (baked / "pyproject.toml").read_text(encoding="utf-8")


def test_the_answers_are_the_values_of_pyproject(template: Path, tmp_path: Path) -> None:
    baked = baked_with(
        template,
        tmp_path,
        project_slug="late",
        gcp_project_id="acme-ml-1",
        region="europe-west4",
        bucket="acme.late",
        data_set="penguins",
    )
    cloud = values(baked)["tool"]["cloud"]  # type: ignore[index]
    assert cloud["project"] == "acme-ml-1"
    assert cloud["region"] == "europe-west4"
    assert cloud["bucket"] == "acme.late"
    assert cloud["model"] == "late"
    assert cloud["data_set"] == "penguins"


def test_the_bucket_follows_from_project_and_slug(template: Path, tmp_path: Path) -> None:
    baked = baked_with(template, tmp_path, project_slug="late_flights", gcp_project_id="acme-ml-1")
    assert values(baked)["tool"]["cloud"]["bucket"] == "acme-ml-1-late-flights"  # type: ignore[index]


def test_pyproject_is_toml_before_it_is_rendered(template: Path, project: Path) -> None:
    before, after = values(template / PROJECT), values(project)
    assert before["dependency-groups"] == after["dependency-groups"]
    assert before["tool"]["ruff"] == after["tool"]["ruff"]  # type: ignore[index]


def test_there_are_at_most_eight_questions_each_in_words(template: Path) -> None:
    asked = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    questions = {name: default for name, default in asked.items() if not name.startswith("_")}
    assert len(questions) <= 8
    assert asked["__prompts__"].keys() == questions.keys()
    for name, default in questions.items():
        if isinstance(default, list):
            assert asked["__prompts__"][name].keys() == {"__prompt__", *default}


def test_the_next_three_commands_are_printed(template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    run = run_cookiecutter(template, folder, "--no-input", "project_name=Žofia's flights")
    assert run.returncode == 0, run.stderr
    head, go, install, demo = run.stdout.strip().splitlines()
    assert head == "Žofia's flights is ready. Next:"
    assert go.startswith("    cd ")
    # The folder has a space in it: the shell must find it all the same.
    there = subprocess.run(  # noqa: S602  # a shell is what reads the commands
        f'{go.strip()} && "{sys.executable}" -c "import os; print(os.getcwd())"',
        shell=True,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()
    assert Path(there).resolve() == (folder / "zofia_s_flights").resolve()
    assert install.strip() == 'python -m pip install "nox[uv]"'
    assert demo.strip() == "nox -s demo"


def test_a_project_without_flights_is_not_called_after_them(template: Path, tmp_path: Path) -> None:
    for data_set, slug in (("flights", "flight_delays"), ("own", "my_project")):
        folder = tmp_path / data_set
        folder.mkdir()
        assert baked_with(template, folder, data_set=data_set).name == slug


def test_who_brings_a_table_is_told_how(template: Path, tmp_path: Path) -> None:
    run = run_cookiecutter(template, tmp_path, "--no-input", "data_set=own")
    assert run.returncode == 0, run.stderr
    assert [line.strip() for line in run.stdout.splitlines()[-2:]] == [
        "nox -s adopt -- FILE.csv --label COLUMN",
        "nox -s demo",
    ]


def test_a_second_bake_renews_the_files_and_keeps_what_runs_have_made(tmp_path: Path) -> None:
    first = bake(tmp_path, [])
    made = [first / ".emulator" / "state.db", first / ".venv" / "pyvenv.cfg", first / "mine.txt"]
    for path in made:
        path.parent.mkdir(exist_ok=True)
        path.write_text("kept", encoding="utf-8")
    (first / "pyproject.toml").write_text("broken", encoding="utf-8")
    (first / "trainer" / "removed_since.py").write_text("old", encoding="utf-8")

    assert bake(tmp_path, ["data_set=penguins", "project_name=Flight delays"]) == first
    assert [path.read_text(encoding="utf-8") for path in made] == ["kept"] * len(made)
    assert values(first)["tool"]["cloud"]["data_set"] == "penguins"  # type: ignore[index]
    assert not (first / "trainer" / "removed_since.py").exists()


OWN_FILES = [Path("keep.py"), Path("sub/keep.txt")]


@pytest.fixture
def littered(tmp_path: Path) -> Path:
    """A folder with two files of its own among what tools leave behind."""
    left = ["sub/__pycache__/keep.cpython-311.pyc", "x.egg-info/PKG-INFO", ".venv/pyvenv.cfg"]
    caches = [f"{tool}/file" for tool in (".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache")]
    for path in (tmp_path / name for name in [*map(str, OWN_FILES), *left, *caches]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_without_git_caches_are_never_baked(littered: Path) -> None:
    assert sorted(files_without_caches(littered)) == OWN_FILES
    assert template_files(littered) == OWN_FILES


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_with_git_caches_are_never_baked(littered: Path) -> None:
    (littered / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    subprocess.run(["git", "init", "-q"], cwd=littered, check=True)
    subprocess.run(["git", "add", "keep.py"], cwd=littered, check=True)
    assert files_known_to_git(littered)
    assert template_files(littered) == [Path(".gitignore"), *OWN_FILES]


def test_both_ways_of_listing_the_template_agree() -> None:
    listed = {path for path in template_files() if path.parts[0] == PROJECT}
    walked = {path for path in files_without_caches(ROOT) if path.parts[0] == PROJECT}
    assert listed == walked


def test_a_project_of_ones_own_keras_script_has_no_trainer_of_tables(
    template: Path, project: Path, tmp_path: Path
) -> None:
    baked = baked_with(template, tmp_path, data_set="keras")
    gone = set(EXPECTED) - set(files_of(baked))
    page = (baked / "docs" / "own-trainer.md").read_text(encoding="utf-8")
    can_go = page.partition("## What can go")[2]
    kept = ("tests/conftest.py", "tests/test_own_model.py")
    named = [name for name in re.findall(r"`([\w./-]+)`", can_go) if "/" in name]
    belongs = {
        name
        for name in EXPECTED
        if name not in kept and any(name == each or name.startswith(each) for each in named)
    }
    assert gone == belongs
    assert set(files_of(baked)) <= set(EXPECTED)

    script = (baked / "trainer" / "task.py").read_bytes()
    assert script == (project / "docs" / "examples" / "digits.py").read_bytes()
    cloud = values(baked)["tool"]["cloud"]  # type: ignore[index]
    assert (cloud["data_set"], cloud["job_arguments"], cloud["argument_check"]) == ("", [], "")
    for workflow in (baked / ".github" / "workflows").iterdir():
        assert "nox -s evaluate" not in workflow.read_text(encoding="utf-8")
    readme = (baked / "README.md").read_text(encoding="utf-8")
    assert "nox -s predict\n" in readme
    for link in re.findall(r"\]\(([\w./-]+)\)", readme):
        assert (baked / link).exists(), link
