"""The trainer package: built, checked to import, and uploaded under its own checksum."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cloud.client import Client
from cloud.config import ROOT
from cloud.console import say, step
from cloud.errors import UserError

# Archives hold times; with one fixed time (the first that a zip can hold), the same sources give
# the same bytes. See https://reproducible-builds.org/docs/source-date-epoch/.
ZIP_EPOCH = "315532800"

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import trainer
for module in pkgutil.walk_packages(trainer.__path__, "trainer."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import trainer.task
"""


def upload(client: Client) -> str:
    """Builds the package, uploads it where the bucket does not have it, and returns its URI.

    Raises:
        UserError: it does not build, or a module in it does not import.
    """
    with tempfile.TemporaryDirectory() as scratch:
        with step("Building the trainer package"):
            sdist, wheel = build(Path(scratch))
        name = object_name(wheel)
        blob = client.bucket.blob(name)
        if blob.exists():
            say(f"{name} is in the bucket already.", "dim")
        else:
            with step("Importing every module of it in a clean process"):
                check_imports(wheel)
            client.bucket.blob(f"{name.rpartition('/')[0]}/{sdist.name}").upload_from_filename(
                sdist
            )
            blob.upload_from_filename(wheel)
        return f"gs://{client.config.bucket}/{name}"


def uri(client: Client) -> str:
    """Builds the package and returns where `upload` would put it.

    Raises:
        UserError: it does not build.
    """
    with tempfile.TemporaryDirectory() as scratch, step("Building the trainer package"):
        _sdist, wheel = build(Path(scratch))
        return f"gs://{client.config.bucket}/{object_name(wheel)}"


def object_name(wheel: Path) -> str:
    """Returns the wheel's name in the bucket.

    It holds the wheel's checksum, so a package that a job was submitted with is never overwritten
    by the next.
    """
    return f"packages/{hashlib.sha256(wheel.read_bytes()).hexdigest()[:12]}/{wheel.name}"


def build(scratch: Path, root: Path = ROOT) -> tuple[Path, Path]:
    """Builds the sdist and the wheel of `trainer/` in a scratch folder, leaving none in the tree.

    Raises:
        UserError: the build fails; the message holds its last lines.
    """
    source = scratch / "source"
    source.mkdir()
    shutil.copy(root / "pyproject.toml", source)
    shutil.copytree(
        root / "trainer", source / "trainer", ignore=shutil.ignore_patterns("__pycache__")
    )
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", scratch / "dist", source],
        env=os.environ | {"SOURCE_DATE_EPOCH": ZIP_EPOCH},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        lines = (built.stdout + built.stderr).strip().splitlines()
        raise UserError("The trainer package does not build:\n" + "\n".join(lines[-5:]))
    [sdist] = (scratch / "dist").glob("*.tar.gz")
    [wheel] = (scratch / "dist").glob("*.whl")
    return sdist, wheel


def check_imports(wheel: Path) -> None:
    """Imports all modules of the built package in a process that sees nothing else of the project.

    Raises:
        UserError: one does not import; the message says why.
    """
    ran = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_ALL, wheel],
        cwd=wheel.parent,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        reason = ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else "it printed nothing"
        raise UserError(
            f"The built package does not import: {reason}. List its modules' packages under"
            " [tool.setuptools] packages and their requirements under [project] dependencies in"
            " pyproject.toml."
        )
