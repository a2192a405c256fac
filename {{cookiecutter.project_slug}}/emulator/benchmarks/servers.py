"""The prediction servers that benchmarks/serving.py compares: how each is started and asked."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as made
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
START_SECONDS = 180.0
LOCATION = "v1/projects/bench/locations/us-central1"


@dataclass
class Running:
    """A server that has given its first answer.

    Attributes:
        process: the first of its processes.
        url: where it takes predictions.
        body: the request, JSON.
        first_answer: seconds from the start of the process to the first right answer.
    """

    process: subprocess.Popen[bytes]
    url: str
    body: bytes
    first_answer: float

    @property
    def memory(self) -> float:
        """Megabytes of all its processes; of what they share, a share each."""
        total = 0
        first = psutil.Process(self.process.pid)
        for each in [first, *first.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                info = each.memory_full_info()
                total += getattr(info, "pss", info.uss)
        return total / 1e6


@dataclass(frozen=True)
class Server:
    """One way to serve a SavedModel.

    Attributes:
        name: of the server.
        command: that starts it; `{port}` stands for the port, `{model}` for the model's folder.
        path: of the URL.
        environment: variables, with the same placeholders.
        field: of the request's body, that holds the instances.
    """

    name: str
    command: list[str]
    path: str
    environment: dict[str, str] = made(default_factory=dict)
    field: str = "instances"

    @contextlib.contextmanager
    def running(self, model: Path, count: int = 1) -> Iterator[Running]:
        """Starts it, waits for its first answer, and ends it with all its processes.

        Args:
            model: folder of the SavedModel.
            count: instances of a request.
        """
        port = free_port()

        def filled(word: str) -> str:
            return word.replace("{port}", str(port)).replace("{model}", str(model))

        body = request_body(model, count, self.field)
        words = [filled(word) for word in self.command]
        extra = {name: filled(value) for name, value in self.environment.items()}
        with tempfile.TemporaryDirectory() as scratch, process(words, extra, scratch) as started:
            url = f"http://127.0.0.1:{port}{self.path}"
            begun = time.monotonic()
            wait_for_answer(started, url, body)
            yield Running(started, url, body, time.monotonic() - begun)


class Endpoint(Server):
    """Ours as Vertex AI serves: an emulator with an endpoint of one or more deployed models.

    Args:
        versions: deployed models that share the traffic.
    """

    def __init__(self, versions: int = 1) -> None:
        super().__init__(
            f"ours, endpoint of {versions}" if versions > 1 else "ours, endpoint", [], ""
        )
        object.__setattr__(self, "versions", versions)

    versions: int

    @contextlib.contextmanager
    def running(self, model: Path, count: int = 1) -> Iterator[Running]:
        """Starts an emulator, deploys the model, and ends the emulator."""
        with tempfile.TemporaryDirectory() as scratch:
            words = [sys.executable, "-m", "vertex_emulator", "--port", "0", "--data-dir", scratch]
            begun = time.monotonic()
            with process(words, {}, str(ROOT), subprocess.PIPE) as started:
                assert started.stdout is not None  # noqa: S101, asked for above
                line = started.stdout.readline().decode()
                if "ready on" not in line:
                    raise SystemExit(f"The emulator does not start: {line!r}.")
                host = line.split()[-1]
                path = deploy(host, model, self.versions)
                body = request_body(model, count, self.field)
                url = f"{host}/v1/{path}:predict"
                wait_for_answer(started, url, body)
                yield Running(started, url, body, time.monotonic() - begun)


def upload(host: str, model: Path) -> tuple[Any, str]:
    """Uploads a model to an emulator; returns the bucket, and the model's name."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client(
        project="bench",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": host},
    )
    bucket = client.create_bucket("bench", location="us-central1")
    for file in (model / "1").rglob("*"):
        if file.is_file():
            name = f"model/{file.relative_to(model).as_posix()}"
            bucket.blob(name).upload_from_filename(file)
    container = {
        "imageUri": "us-docker.pkg.dev/bench/tensorflow/serving:2.19.1",
        "args": [
            "--rest_api_port=8080",
            "--model_name=m",
            "--model_base_path=$(AIP_STORAGE_URI)",
        ],
        "healthRoute": "/v1/models/m",
        "predictRoute": "/v1/models/m:predict",
    }
    described = {
        "displayName": "m",
        "artifactUri": "gs://bench/model",
        "containerSpec": container,
    }
    uploaded = done(host, post(f"{host}/{LOCATION}/models:upload", {"model": described}))
    return bucket, str(uploaded["model"])


def deploy(host: str, model: Path, versions: int) -> str:
    """Uploads the model to an emulator and deploys it; returns the endpoint's name."""
    _bucket, name = upload(host, model)
    made = done(host, post(f"{host}/{LOCATION}/endpoints", {"displayName": "m"}))
    endpoint = str(made["name"])
    ids: list[str] = []
    for _ in range(versions):
        split = dict.fromkeys(ids, 100 // versions)
        request = {
            "deployedModel": {
                "model": name,
                "dedicatedResources": {
                    "machineSpec": {"machineType": "n1-standard-2"},
                    "minReplicaCount": 1,
                    "maxReplicaCount": 1,
                },
            },
            "trafficSplit": split | {"0": 100 - sum(split.values())},
        }
        answer = done(host, post(f"{host}/v1/{endpoint}:deployModel", request))
        ids.append(answer["deployedModel"]["id"])
    return endpoint


def post(url: str, body: Any) -> Any:
    """Posts JSON and returns the JSON of the answer."""
    request = urllib.request.Request(  # noqa: S310, loopback
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310, loopback
        return json.load(answer)


def done(host: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Waits for a long-running operation and returns its response."""
    while not operation.get("done"):
        time.sleep(0.1)
        url = f"{host}/v1/{operation['name']}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310, loopback
            operation = json.load(answer)
    if "error" in operation:
        raise SystemExit(f"The emulator refuses: {operation['error']['message']}")
    return dict(operation["response"])


def request_body(model: Path, count: int, field: str) -> bytes:
    """Returns a request of so many instances."""
    instance = json.loads((model / "instance.json").read_text(encoding="utf-8"))
    return json.dumps({field: [instance] * count}).encode()


@contextlib.contextmanager
def process(
    words: list[str], extra: dict[str, str], folder: str, stdout: int | None = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server, and ends it with every process that it started."""
    variables = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)} | extra
    started = subprocess.Popen(
        words, cwd=folder, env=variables, stdout=stdout, stderr=subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            below = psutil.Process(started.pid).children(recursive=True)
            started.send_signal(signal.SIGTERM)
            _gone, alive = psutil.wait_procs([psutil.Process(started.pid), *below], timeout=15)
            for each in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        started.wait()
        if started.stdout is not None:
            started.stdout.close()


def wait_for_answer(started: subprocess.Popen[bytes], url: str, body: bytes) -> None:
    """Asks until the server answers 200."""
    deadline = time.monotonic() + START_SECONDS
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10):  # noqa: S310
            return
        if started.poll() is not None:
            raise SystemExit(f"{url}: the server ended with {started.returncode}.")
        if time.monotonic() > deadline:
            raise SystemExit(f"{url}: no answer within {START_SECONDS:.0f} s.")
        time.sleep(0.02)


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def ours() -> Server:
    """Returns the emulator's model server alone."""
    words = [sys.executable, "-m", "vertex_emulator.model_server", "--model-dir", "{model}"]
    return Server("ours, model server", [*words, "--port", "{port}"], "/v1/models/default:predict")


def others(environments: Path) -> list[Server]:
    """Returns what people use instead, as far as it is installed.

    Args:
        environments: folder with a virtual environment for each, named for it.
    """
    scripts = HERE / "others"
    model = f"{environments / 'mlflow-model'}"
    bento = ["serve", "bentoml_service:Predictor", "--working-dir", str(scripts)]
    mlflow = ["models", "serve", "--model-uri", model, "--env-manager", "local"]
    found = []
    for name, program, words, path, instances in (
        ("FastAPI", "fastapi/python", [f"{scripts}/fastapi_server.py"], "/predict", ""),
        ("LitServe", "litserve/python", [f"{scripts}/litserve_server.py"], "/predict", ""),
        ("BentoML", "bentoml/bentoml", [*bento, "--port"], "/predict", ""),
        ("MLflow", "mlflow/mlflow", [*mlflow, "--port"], "/invocations", "dataframe_records"),
    ):
        executable = program_of(environments, program)
        if executable.exists():
            variables = {
                "MODEL": "{model}",
                # MLflow starts its server by name.
                "PATH": f"{executable.parent}{os.pathsep}{os.environ['PATH']}",
            }
            command = [str(executable), *words, "{port}"]
            found.append(Server(name, command, path, variables, instances or "instances"))
    binary = shutil.which("tensorflow_model_server")
    if binary is not None:
        words = [binary, "--rest_api_port={port}", "--model_name=m", "--model_base_path={model}"]
        found.append(Server("TensorFlow Serving", words, "/v1/models/m:predict"))
    return found


def program_of(environments: Path, program: str) -> Path:
    """Returns where a program of an environment is: `mlflow/python` of the one named mlflow."""
    environment, _, name = program.partition("/")
    if os.name == "nt":
        return environments / environment / "Scripts" / f"{name}.exe"
    return environments / environment / "bin" / name


def prepare_mlflow(environments: Path, model: Path) -> None:
    """Saves the model in MLflow's own format, where MLflow is installed."""
    python = program_of(environments, "mlflow/python")
    folder = environments / "mlflow-model"
    if python.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(
            [python, HERE / "others" / "mlflow_model.py", folder],
            env=os.environ | {"MODEL": str(model), "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=True,
            capture_output=True,
        )
