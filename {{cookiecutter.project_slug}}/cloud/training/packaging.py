"""The trainer package: built, checked to import, and uploaded under its own checksum."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Literal

from cloud.client import Client
from cloud.config import ROOT
from cloud.console import say, step
from cloud.content_types import content_type
from cloud.errors import UserError

# Archives hold times; with one fixed time (the first that a zip can hold), the same sources give
# the same bytes. See https://reproducible-builds.org/docs/source-date-epoch/.
ZIP_EPOCH = "315532800"

# Imports every module but the one that a job runs: that may be a script which would begin to train,
# so it is compiled, and its import statements are run alone. Of a module that does not import it
# prints what is needed to find the mistake.
IMPORT_ALL = """
import ast, importlib, importlib.util, json, pkgutil, sys, traceback
sys.path.insert(0, sys.argv[1])
started = module = sys.argv[2]
try:
    package = importlib.import_module(started.partition(".")[0])
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__") and found.name != started:
            module = found.name
            importlib.import_module(module)
    module = started
    spec = importlib.util.find_spec(started)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {started!r}", name=started)
    tree = ast.parse(spec.loader.get_source(started), spec.origin)
    tree.body = [each for each in tree.body if isinstance(each, (ast.Import, ast.ImportFrom))]
    exec(compile(tree, spec.origin, "exec"), {"__name__": started, "__package__": spec.parent})
except Exception as error:
    frames = [(frame.filename, frame.lineno, frame.line) for frame in
              traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        frames.append((error.filename, error.lineno, (error.text or "").strip()))
    inside = [frame for frame in frames if frame[0].startswith(sys.argv[1])] or frames
    print(json.dumps({
        "module": module,
        "kind": type(error).__name__,
        "message": getattr(error, "msg", str(error)),
        "missing": getattr(error, "name", None),
        "place": inside[-1],
    }))
    sys.exit(1)
"""


def upload(client: Client) -> str:
    """Builds the package, uploads it where the bucket does not have it, and returns its URI.

    Raises:
        UserError: it does not build, or a module in it does not import.
    """
    with tempfile.TemporaryDirectory() as scratch:
        with step("Building the trainer package"):
            wheel = build(Path(scratch), "wheel")
        name = object_name(wheel)
        blob = client.bucket.blob(name)
        if blob.exists():
            say(f"{name} is in the bucket already.", "dim")
        else:
            with step("Importing every module of it in a clean process"):
                check_imports(wheel, client.config.trainer_module)
            sdist = build(Path(scratch), "sdist")
            source = client.bucket.blob(f"{name.rpartition('/')[0]}/{sdist.name}")
            source.upload_from_filename(sdist, content_type=content_type(sdist.name))
            blob.upload_from_filename(wheel, content_type=content_type(wheel.name))
        return f"gs://{client.config.bucket}/{name}"


def uri(client: Client) -> str:
    """Builds the package and returns where `upload` would put it.

    Raises:
        UserError: it does not build.
    """
    with tempfile.TemporaryDirectory() as scratch, step("Building the trainer package"):
        wheel = build(Path(scratch), "wheel")
        return f"gs://{client.config.bucket}/{object_name(wheel)}"


def object_name(wheel: Path) -> str:
    """Returns the wheel's name in the bucket.

    It holds the wheel's checksum, so a package that a job was submitted with is never overwritten
    by the next.
    """
    return f"packages/{hashlib.sha256(wheel.read_bytes()).hexdigest()[:12]}/{wheel.name}"


def build(scratch: Path, kind: Literal["wheel", "sdist"], root: Path = ROOT) -> Path:
    """Builds the trainer in a scratch folder, leaving nothing in the tree.

    Raises:
        UserError: the build fails; the message holds its last lines.
    """
    source, output = scratch / f"{kind}-source", scratch / kind
    source.mkdir()
    shutil.copy(root / "pyproject.toml", source)
    for package in packages(root):
        shutil.copytree(
            package, source / package.name, ignore=shutil.ignore_patterns("__pycache__")
        )
    built = subprocess.run(
        [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", output, source],
        env=os.environ | {"SOURCE_DATE_EPOCH": ZIP_EPOCH},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        lines = (built.stdout + built.stderr).strip().splitlines()
        raise UserError("The trainer package does not build:\n" + "\n".join(lines[-5:]))
    [package] = output.iterdir()
    return package


def packages(root: Path) -> list[Path]:
    """Returns the folders of the packages that are shipped, as [tool.setuptools] names them."""
    values = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = values["tool"]["setuptools"]["packages"]["find"]["include"]
    found = {folder for each in patterns for folder in root.glob(each)}
    return sorted(folder for folder in found if (folder / "__init__.py").is_file())


def check_imports(wheel: Path, module: str) -> None:
    """Imports all modules of the built package in a process that sees nothing else of the project.

    Args:
        wheel: the built package.
        module: what a job runs of it.

    Raises:
        UserError: one does not import; the message says why.
    """
    ran = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_ALL, wheel, module],
        cwd=wheel.parent,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise UserError(_explain(ran.stdout, ran.stderr, wheel))


def _explain(printed: str, errors: str, wheel: Path) -> str:
    """Says where the package does not import, why, and what to do."""
    try:
        failure = json.loads(printed.strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = errors.strip().splitlines()[-1:] or ["it printed nothing"]
        return f"The trainer package does not import: {last[0]}"
    file, line, source = failure["place"]
    place = (
        f"{Path(file).relative_to(wheel).as_posix()}, line {line}"
        if file.startswith(str(wheel))
        else failure["module"]
    )
    what = f"{place}: {failure['kind']}: {failure['message']}"
    if source:
        what += f"\n    {source.strip()}"
    return f"The trainer package does not import.\n{what}\n{_remedy(failure)}"


def _remedy(failure: dict[str, Any]) -> str:
    missing = failure["missing"] or ""
    if failure["kind"] != "ModuleNotFoundError":
        return "Correct that line; 'nox -s lint' finds such mistakes."
    if not missing.startswith("trainer"):
        return (
            f"Correct the name, or add the package that has {missing!r} to [project] dependencies"
            " in pyproject.toml, so that jobs install it too."
        )
    folder = missing.rpartition(".")[0].replace(".", "/") or "trainer"
    return (
        f"Correct the name; if {missing!r} exists in {folder}/, add its folder to [tool.setuptools]"
        " packages in pyproject.toml."
    )
