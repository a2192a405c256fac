"""A SavedModel made for the tests, and model servers of the tests' own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[1]


def save_model(folder: Path) -> None:
    """Saves a model with a signature for each thing that the server must get right."""
    import tensorflow as tf

    def price(hours: Any, seats: Any, carrier: Any) -> dict[str, Any]:
        discount = tf.where(carrier == "UA", 0.5, 1.0)
        return {"price": hours * tf.cast(seats, tf.float32) * discount}

    def parse(text: Any) -> dict[str, Any]:
        return {"number": tf.strings.to_number(text), "echo": text, "batch": batch_of(text)}

    def same(data: Any) -> dict[str, Any]:
        return {"text": data, "data_bytes": data}

    two = tf.constant([2.0])

    def scaled(x: Any, factor: Any = two) -> dict[str, Any]:
        return {"y": x * factor}

    def wait(gate: Any) -> dict[str, Any]:
        """Runs until the file that the first row names exists; an empty name does not wait."""

        def is_closed(_turns: Any) -> Any:
            return (gate[0] != "") & (tf.size(tf.io.matching_files(gate[0])) == 0)

        turns = tf.while_loop(is_closed, lambda n: (n + 1,), (tf.constant(0),))
        with tf.control_dependencies(turns):
            return {"batch": batch_of(gate)}

    def norm(vector: Any) -> dict[str, Any]:
        return {"norm": tf.norm(vector, axis=1)}

    def total(values: Any, offset: Any) -> dict[str, Any]:
        return {"sum": tf.reduce_sum(values) + offset}

    def crossed(x: Any) -> dict[str, Any]:
        """Promises a row for each row, and returns one less."""
        return {"difference": x[1:] - x[:-1]}

    def softmax(x: Any) -> dict[str, Any]:
        """Mixes the rows of a call."""
        return {"share": tf.nn.softmax(x, axis=0)}

    def doubled(x: Any) -> dict[str, Any]:
        return {"y": x * 2}

    def matrix(x: Any) -> dict[str, Any]:
        return {"y": x @ tf.constant([[1.0], [10.0]])}

    def top(scores: Any) -> dict[str, Any]:
        """Returns two rows, or as many as there are, for all."""
        found = tf.math.top_k(scores, tf.minimum(tf.size(scores), 2))
        return {"score": found.values, "place": found.indices}

    def uneven(x: Any) -> dict[str, Any]:
        return {"all": x, "last": x[-1]}

    def uneven_rows(x: Any) -> dict[str, Any]:
        return {"all": x, "rest": x[1:]}

    def narrowed(x: Any) -> dict[str, Any]:
        return {"y": tf.cast(x, tf.float16)}

    def batch_of(like: Any) -> Any:
        """For each row, the number of rows in its call."""
        return tf.zeros_like(like, tf.int64) + tf.size(like, tf.int64)

    def column(dtype: Any) -> Any:
        return tf.TensorSpec([None], dtype)

    inputs: dict[Callable[..., dict[str, Any]], list[Any]] = {
        price: [column(tf.float32), column(tf.int64), column(tf.string)],
        parse: [column(tf.string)],
        same: [column(tf.string)],
        scaled: [column(tf.float32), column(tf.float32)],
        wait: [column(tf.string)],
        norm: [tf.TensorSpec([None, 2], tf.float32)],
        total: [column(tf.float64), tf.TensorSpec([], tf.float64)],
        crossed: [column(tf.float32)],
        softmax: [column(tf.float32)],
        doubled: [tf.TensorSpec([None, 1], tf.float32)],
        matrix: [tf.TensorSpec([None, 2], tf.float32)],
        top: [column(tf.float32)],
        uneven: [column(tf.float32)],
        uneven_rows: [column(tf.float32)],
        narrowed: [column(tf.float32)],
    }
    signatures = {f.__name__: tf.function(f, input_signature=specs) for f, specs in inputs.items()}
    signatures["free"] = tf.function(doubled, input_signature=[tf.TensorSpec(None, tf.float64)])
    for dtype in (tf.float16, tf.bfloat16, tf.uint16):
        signatures[dtype.name] = tf.function(doubled, input_signature=[column(dtype)])
    signatures["serving_default"] = signatures.pop("price")
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)


@dataclass
class ModelServer:
    """A running `python -m vertex_emulator.model_server`."""

    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.url.rpartition(":")[2])

    def predict(self, document: Any, path: str = "/v1/models/default:predict") -> requests.Response:
        return requests.post(self.url + path, json=document, timeout=60)

    def metric(self, name: str) -> int:
        text = requests.get(self.url + "/monitoring/prometheus/metrics", timeout=60).text
        return int(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])

    def stop(self) -> tuple[int, str, str]:
        """Returns exit code, and what was printed to stdout (after the first line) and stderr."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def run_model_server(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Starts the command; it need not become ready."""
    return subprocess.Popen(
        [sys.executable, "-m", "vertex_emulator.model_server", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_model_server(*arguments: str, environment: dict[str, str] | None = None) -> ModelServer:
    """Starts the command and waits until it says that it is ready."""
    process = run_model_server(*arguments, environment=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("Model server ready on http://127.0.0.1:"):
        raise AssertionError((line, *process.communicate(timeout=60)))
    return ModelServer(process, line.split()[-1])


def eventually(condition: Callable[[], bool]) -> None:
    """Waits; the limit only keeps a broken server from hanging the tests."""
    limit = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


class Gate:
    """Keeps the model busy with one request until it is opened."""

    def __init__(self, server: ModelServer, path: Path) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(64)
        calls = server.metric("model_server_batch_requests_count")
        self.first = self._threads.submit(
            server.predict, {"signature_name": "wait", "instances": [str(path)]}, "/predict"
        )
        eventually(lambda: server.metric("model_server_batch_requests_count") == calls + 1)
        self._server = server

    def send(self, documents: list[object]) -> "list[requests.Response]":
        """Sends all while the model is busy, then opens, and returns the answers in order."""
        futures = [self._threads.submit(self._server.predict, d, "/predict") for d in documents]
        eventually(lambda: self._server.metric("model_server_waiting") == len(documents))
        self.open()
        return [future.result() for future in futures]

    def open(self) -> None:
        self._path.touch()
        self._threads.shutdown(wait=False)
