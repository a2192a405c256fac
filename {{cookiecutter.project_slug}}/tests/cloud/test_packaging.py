"""A mistake in the trainer is found before a job is submitted, and shown with its place."""

from pathlib import Path

import pytest
from conftest import ROOT

from cloud.errors import UserError
from cloud.training import packaging


def wheel_of(folder: Path, **modules: str) -> Path:
    """Builds a package `trainer` of these modules."""
    (folder / "trainer").mkdir()
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for name, text in {"__init__": '"""A trainer."""\n', "task": "", **modules}.items():
        (folder / "trainer" / f"{name}.py").write_text(text)
    (folder / "scratch").mkdir()
    return packaging.build(folder / "scratch", "wheel", root=folder)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "x = 1\ny = (\n",
            ["trainer/model.py, line 2: SyntaxError: '(' was never closed", "    y = ("],
        ),
        (
            "import no_such_module\n",
            [
                "trainer/model.py, line 1: ModuleNotFoundError: No module named 'no_such_module'",
                "add the package that has 'no_such_module' to [project] dependencies",
            ],
        ),
        (
            "import json\nfrom trainer import colums\n",
            ["trainer/model.py, line 2: ImportError: cannot import name 'colums' from 'trainer'"],
        ),
        (
            "from trainer.colums import TABLES\n",
            [
                "line 1: ModuleNotFoundError: No module named 'trainer.colums'",
                "Correct the name; if 'trainer.colums' exists in trainer/",
            ],
        ),
        (
            "def f():\n    return 1 / 0\n\n\nf()\n",
            [
                "trainer/model.py, line 2: ZeroDivisionError: division by zero",
                "    return 1 / 0",
            ],
        ),
    ],
)
def test_a_mistake_is_shown_with_its_file_and_line(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    wheel = wheel_of(tmp_path, model=text)
    with pytest.raises(UserError) as raised:
        packaging.check_imports(wheel, "trainer.task")
    for line in lines:
        assert line in str(raised.value)


def test_the_same_sources_make_the_same_package(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        contents.append(packaging.build(tmp_path / name, "wheel").read_bytes())
    assert contents[0] == contents[1]
