"""What jobs print, as Cloud Logging's entries: JSON lines, long lines, many lines, last words."""

import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from custom_jobs import entries, run, spec

from vertex_emulator.logs.entry import line_entry
from vertex_emulator.processes.run import Line, Run
from vertex_emulator.state.database import Database
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.discovery import validator

READ = "2026-01-02T03:04:05.000006Z"
COMMON = {"labels": {"ours": "kept"}}


def entry_of(document: Any, stream: str = "stdout") -> dict[str, Any]:
    return line_entry(Line(READ, stream, json.dumps(document)), COMMON)


@pytest.mark.parametrize(
    ("given", "severity"),
    [
        ("WARN", "WARNING"), ("warning", "WARNING"), ("fatal", "CRITICAL"), ("Err", "ERROR"),
        ("E", "ERROR"), ("trace", "DEBUG"), ("SEVERE", "ERROR"), ("emerg", "EMERGENCY"),
        (400, "WARNING"), ("500", "ERROR"), (0, "DEFAULT"), (250, "INFO"), (999, "EMERGENCY"),
        (" notice ", "NOTICE"), ("loud", "DEFAULT"), (None, "DEFAULT"), (True, "DEFAULT"),
        ("²", "DEFAULT"), ("9" * 5000, "EMERGENCY"),
    ],
)  # fmt: skip
def test_words_for_a_severity_are_those_of_googles_agent(given: object, severity: str) -> None:
    entry = entry_of({"severity": given, "message": "m"}, "stderr")
    assert entry["severity"] == severity
    assert entry["jsonPayload"] == {"message": "m"}


def test_without_a_severity_the_stream_tells() -> None:
    assert entry_of({"message": "m"}, "stderr")["severity"] == "ERROR"
    assert entry_of({"message": "m"}, "stdout")["severity"] == "INFO"


@pytest.mark.parametrize("form", ["time", "zone", "dict", "numbers"])
def test_a_line_may_name_its_moment(form: str) -> None:
    moment = datetime.now(UTC).replace(microsecond=250_000) - timedelta(minutes=3)
    seconds = int(moment.timestamp())
    forms: dict[str, dict[str, Any]] = {
        "time": {"time": moment.isoformat().replace("+00:00", "Z")},
        "zone": {"time": (moment + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")},
        "dict": {"timestamp": {"seconds": seconds, "nanos": 250_000_000}},
        "numbers": {"timestampSeconds": str(seconds), "timestampNanos": 250_000_000},
    }
    entry = entry_of({"message": "m"} | forms[form])
    assert datetime.fromisoformat(entry["timestamp"]) == moment
    assert entry["receiveTimestamp"] == READ
    assert entry["jsonPayload"] == {"message": "m"}


@pytest.mark.parametrize(
    "fields",
    [
        {"time": "yesterday"}, {"time": 7}, {"time": "2013-01-01T00:00:00Z"}, {"time": None},
        {"time": "2026-01-01T00:00:00"}, {"timestamp": "later"}, {"timestamp": {"seconds": "x"}},
        {"timestampSeconds": 1e300}, {"timestampSeconds": [1]}, {"timestamp": {"nanos": 5}},
        {"time": "9999-12-31T23:59:59-23:59"},
    ],
)  # fmt: skip
def test_a_moment_that_logging_would_not_take_stays_in_the_payload(fields: dict[str, Any]) -> None:
    entry = entry_of({"message": "m"} | fields)
    assert entry["timestamp"] == READ
    assert entry["jsonPayload"] == {"message": "m"} | fields


def test_special_fields_become_the_entrys() -> None:
    special = {
        "logging.googleapis.com/labels": {"step": "7"},
        "logging.googleapis.com/trace": "projects/p/traces/1",
        "logging.googleapis.com/spanId": "00f0",
        "logging.googleapis.com/trace_sampled": True,
        "logging.googleapis.com/sourceLocation": {"file": "task.py", "line": "7"},
        "httpRequest": {"status": 200},
    }
    entry = entry_of(special | {"loss": 0.5})
    assert entry["jsonPayload"] == {"loss": 0.5}
    assert entry["labels"] == {"ours": "kept", "step": "7"}
    assert entry["trace"] == "projects/p/traces/1"
    assert entry["spanId"] == "00f0"
    assert entry["traceSampled"] is True
    assert entry["sourceLocation"] == {"file": "task.py", "line": "7"}
    assert entry["httpRequest"] == {"status": 200}
    wrong = {"logging.googleapis.com/labels": {"step": 7}, "logging.googleapis.com/trace": 1}
    assert entry_of(wrong)["jsonPayload"] == wrong


def test_long_lines_are_whole_or_split_with_every_byte(clients: Clients) -> None:
    code = """
import json
print(json.dumps({"severity": "NOTICE", "message": "m", "rest": "x" * 100_000}))
print("\u00e4" * 300_000)
print("end")
"""
    found = entries(clients, run(clients, spec(code)).name)
    validator("logging.v2").check("ListLogEntriesResponse", {"entries": found})
    [whole] = [each for each in found if "jsonPayload" in each]
    assert whole["severity"] == "NOTICE"
    assert len(whole["jsonPayload"]["rest"]) == 100_000
    pieces = [each for each in found if "split" in each]
    assert len(pieces) > 1
    assert len({each["split"]["uid"] for each in pieces}) == 1
    assert [each["split"]["index"] for each in pieces] == list(range(len(pieces)))
    assert "".join(each["textPayload"] for each in pieces) == "\u00e4" * 300_000
    assert found[-2]["textPayload"] == "end"  # before the service's own


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_a_killed_replica_says_so(clients: Clients) -> None:
    own = "import os; os.kill(os.getpid(), {})"
    message = run(clients, spec(own.format(int(signal.SIGKILL)))).error.message
    assert "was ended by the signal SIGKILL" in message
    assert "out of memory" in message
    message = run(clients, spec(own.format(int(signal.SIGTERM)))).error.message
    assert "SIGTERM" in message
    assert "memory" not in message
    message = run(clients, spec("import sys; sys.exit(137)")).error.message
    assert "SIGKILL" in message
    message = run(clients, spec("import sys; sys.exit(255)")).error.message
    assert "exited with a non-zero status of 255" in message


def test_a_long_log_takes_little_memory_and_about_its_own_room(tmp_path: Path) -> None:
    """A hundred thousand lines of 43 bytes, read as `JobRunner` does, in pieces."""
    lines, size = 100_000, 43
    folder = tmp_path / "attempt-1"
    folder.mkdir()
    with (folder / "output.jsonl").open("w") as file:
        for number in range(lines):
            text = f"{number:0{size}d}"
            file.write(json.dumps({"time": READ, "stream": "stdout", "text": text}) + "\n")
    database = Database(tmp_path / "sqlite")
    log = Entries(database)
    before = psutil.Process().memory_info().rss
    batch, end = [], 0
    for end, line in Run(folder).lines():
        batch.append(line_entry(line, COMMON))
        if len(batch) == 5000:
            log.consume("1/task/attempt-1", end, "1", COMMON, batch)
            batch = []
    database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "sqlite").stat().st_size < 4 * lines * size
    texts = (each["textPayload"] for _position, each in log.scan("1", None, None, descending=False))
    assert sum(int(text) == number for number, text in enumerate(texts)) == lines
    assert psutil.Process().memory_info().rss - before < 60 << 20
    assert log.consumed("1/task/attempt-1") == end
    log.delete("1")
    assert not list(log.scan(None, None, None, descending=False))
    rows = database.connection().execute("SELECT count(*) FROM log_source").fetchone()
    assert rows[0] == 0
    database.close()


def test_an_ended_jobs_folder_goes_and_its_log_stays(clients: Clients) -> None:
    job = run(clients, spec("import os; print(os.getcwd())"))
    [folder] = [each for each in entries(clients, job.name) if "work" in each["textPayload"]]
    job_folder = Path(folder["textPayload"]).parents[1]
    assert job_folder.name == job.name.rpartition("/")[2]
    for _ in range(200):
        if not job_folder.exists():
            break
        clients.jobs.get_custom_job(name=job.name)
    assert not job_folder.exists()
