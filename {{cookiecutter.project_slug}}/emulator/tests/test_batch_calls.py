"""How many rows of a batch prediction go into a call of the model, and that numbers are the same
as those of requests with these rows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_prediction import counts, job_of, jsonl, output, put, run
from model_server_process import ModelServer, start_model_server

from vertex_emulator.testing.clients import Clients

ROWS = [{"x": number / 16} for number in range(100)]


@pytest.fixture(scope="module")
def online(batch_exports: Path) -> Iterator[ModelServer]:
    server = start_model_server("--model-dir", str(batch_exports / "share"), "--port", "0")
    yield server
    server.stop()


def predictions(clients: Clients, model: str, rows: list[Any], **tuning: int) -> list[Any]:
    source = put(clients, f"calls/{len(rows)}-{tuning}.jsonl", jsonl(rows))
    job = run(clients, job_of(model, [source], manual_batch_tuning_parameters=tuning))
    assert counts(job) == (len(rows), 0, 0), job
    return [line["prediction"] for line in output(clients, job)]


@pytest.mark.parametrize(
    ("rows", "batch_size"),
    [
        (ROWS, None),
        (ROWS, 1),
        (ROWS, 7),
        (ROWS, 1000),
        ([row["x"] for row in ROWS], None),  # a value is read another way than an object
        ([*ROWS[:50], {"x": [1, 2]}, *ROWS[50:]], 1),
    ],
    ids=["default", "1", "7", "1000", "values", "mixed"],
)
def test_a_model_that_mixes_rows_gets_the_rows_of_a_request(
    clients: Clients,
    batch_models: dict[str, str],
    online: ModelServer,
    rows: list[Any],
    batch_size: int | None,
) -> None:
    tuning = {"batch_size": batch_size} if batch_size else {}
    size = batch_size or 64  # Google Cloud's default
    wanted: list[Any] = []
    for begin in range(0, len(rows), size):
        asked = {"instances": rows[begin : begin + size]}
        wanted += online.predict(asked).json()["predictions"]
    assert predictions(clients, batch_models["share"], rows, **tuning) == wanted


def test_a_model_that_is_known_to_treat_rows_apart_gets_them_all(
    clients: Clients, batch_models: dict[str, str], online: ModelServer
) -> None:
    wanted = online.predict({"instances": ROWS}).json()["predictions"]
    assert predictions(clients, batch_models["marked"], ROWS) == wanted
    values = [row["x"] for row in ROWS]
    assert predictions(clients, batch_models["marked"], values) == wanted


def test_rows_of_another_shape_are_not_known_to_stay_apart(
    clients: Clients, batch_models: dict[str, str], online: ModelServer
) -> None:
    rows = [{"x": [row["x"], 1.0]} for row in ROWS]
    wanted = online.predict({"instances": rows[:64]}).json()["predictions"]
    wanted += online.predict({"instances": rows[64:]}).json()["predictions"]
    assert predictions(clients, batch_models["marked"], rows) == wanted


def test_whole_numbers_may_have_a_point(clients: Clients, batch_models: dict[str, str]) -> None:
    """As they have where pandas wrote them beside a gap."""
    counts_given = [1, 2.0, 2**53 + 1, -(2.0**60), 2007.0]
    rows: list[Any] = [{"count": count} for count in counts_given]
    wanted = [2 * int(count) for count in counts_given]
    assert predictions(clients, batch_models["seats"], rows) == wanted


def test_a_fraction_is_refused_for_a_whole_number(
    clients: Clients, batch_models: dict[str, str]
) -> None:
    source = put(clients, "calls/fraction.jsonl", '{"count": 1.0}\n{"count": 2007.5}\n')
    job = run(clients, job_of(batch_models["seats"], [source]))
    assert counts(job) == (1, 1, 0)
    (failed,) = output(clients, job, "errors_stats")
    assert "2007.5 Type: Number is not of expected type: int64" in json.dumps(failed)
