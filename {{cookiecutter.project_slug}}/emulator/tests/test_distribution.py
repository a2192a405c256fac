"""What a stranger installs: the built distribution alone, in an environment of its own."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    uv = [sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(uv, check=True)
    return folder


def sources() -> set[str]:
    """The package's files as they stand here."""
    folder = ROOT / "src"
    files = (path for path in (folder / "vertex_emulator").rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix() for path in files if "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_whole_package(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        [points] = [name for name in names if name.endswith("entry_points.txt")]
        text = opened.read(points).decode()
    assert {name for name in names if ".dist-info/" not in name} == sources()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "vertex-emulator = vertex_emulator.__main__:main" in text
    assert "[pytest11]" in text


def test_the_sdist_holds_sources_licence_and_readme(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {f"src/{name}" for name in sources()} <= names
    assert {"LICENSE", "README.md", "pyproject.toml"} <= names


def test_the_readmes_test_runs_with_the_distribution_alone(built: Path, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(def test_.*?)```", readme, re.DOTALL)
    (tmp_path / "test_mine.py").write_text(code, encoding="utf-8")
    environment = tmp_path / "environment"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    [wheel] = built.glob("*.whl")
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    wanted = ["--python", str(environment), f"{wheel}[testing]", *constraints]
    subprocess.run([*uv, "pip", "install", "--quiet", *wanted], check=True)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
    listed = subprocess.run(
        [*uv, "pip", "list", "--python", environment], check=True, capture_output=True, text=True
    ).stdout
    assert "tensorflow" not in listed
