"""Measures the console: pages with many jobs, filters, open pages, a browser that follows a log.

python benchmarks/console.py pages --jobs 100000
python benchmarks/console.py open --pages 10 --seconds 30
python benchmarks/console.py log --lines 1000000

The last two need Chromium and Playwright.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import requests

from vertex_emulator.data_folder import DATABASE
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents
from vertex_emulator.testing.running import RunningEmulator, start
from vertex_emulator.times import now

LOCATION = "projects/bench/locations/us-central1"
TIMES = 9  # each page is asked for so often; shown is the median
FILTERS = (
    "",
    'display_name="job-77*"',
    'NOT display_name="job-1*"',
    'state="JOB_STATE_FAILED" OR display_name="job-77*"',
    'NOT (state="JOB_STATE_SUCCEEDED" OR labels.team="a")',
    'labels.team="none" OR end_time<"2020-01-01T00:00:00Z"',
    'display_name=~"^nothing"',
    'display_name=~"[A-Z]$"',  # contains no text that could be looked for
)
LINES = "import sys\nfor n in range(int(sys.argv[1])): print(f'Step {n}: loss {1 / (n + 1):.6f}')"


def main() -> None:
    """Prints the figures of a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("pages").add_argument("--jobs", type=int, default=100_000)
    opened = parts.add_parser("open")
    opened.add_argument("--pages", type=int, default=10)
    opened.add_argument("--seconds", type=float, default=30.0)
    parts.add_parser("log").add_argument("--lines", type=int, default=1_000_000)
    options = parser.parse_args()
    measure = {"pages": pages, "open": open_pages, "log": log}[options.part]
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options)


def pages(folder: Path, options: argparse.Namespace) -> None:
    """Prints how long the list of jobs takes to serve."""
    with emulator(folder, options.jobs) as running:
        process = psutil.Process(running.process.pid)
        for condition in FILTERS:
            path = f"{running.url}/-/{LOCATION}/customJobs?filter={quote(condition)}"
            seconds = []
            requests.get(path, headers={"accept": "text/html"}, timeout=600)  # fills the caches
            before = processor_seconds(process)
            for _ in range(TIMES):
                begun = time.perf_counter()
                answer = requests.get(path, headers={"accept": "text/html"}, timeout=600)
                seconds.append(time.perf_counter() - begun)
                answer.raise_for_status()
            median = 1000 * statistics.median(seconds)
            busy = 1000 * (processor_seconds(process) - before) / TIMES
            print(
                f"{options.jobs:,} jobs, filter {condition or 'none'}: {median:.0f} ms,"
                f" of processor {busy:.0f} ms"
            )


def processor_seconds(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def open_pages(folder: Path, options: argparse.Namespace) -> None:
    """Prints what open pages cost the emulator: half of them the list, half a job that runs."""
    with emulator(folder, 1000) as running, browser() as chromium:
        job = submit(running, "import time; time.sleep(3600)", "0")
        asked: list[float] = []
        for number in range(options.pages):
            page = chromium.new_page()
            page.on("request", lambda _request: asked.append(time.monotonic()))
            page.goto(
                f"{running.url}/-/{LOCATION}/customJobs" if number % 2 else job_url(job, running)
            )
        page.wait_for_timeout(5_000)
        process = psutil.Process(running.process.pid)
        before, begun = processor_seconds(process), time.monotonic()
        page.wait_for_timeout(1000 * options.seconds)
        spent, elapsed = processor_seconds(process) - before, time.monotonic() - begun
        count = sum(moment >= begun for moment in asked)
        print(
            f"{options.pages} open pages: {100 * spent / elapsed:.1f} % of a core in"
            f" {elapsed:.0f} s, {count / elapsed:.1f} requests a second,"
            f" {1000 * spent / max(1, count):.1f} ms each"
        )


def log(folder: Path, options: argparse.Namespace) -> None:
    """Prints the memory of a page that follows a log from its first line to its last."""
    with emulator(folder, 0) as running, browser() as chromium:
        page = chromium.new_page()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        job = submit(running, LINES, str(options.lines))
        page.goto(job_url(job, running))
        begun = time.monotonic()
        most = 0.0
        while "has ended" not in page.locator("#following").inner_text():
            time.sleep(1)
            session.send("HeapProfiler.collectGarbage")
            found = session.send("Performance.getMetrics")["metrics"]
            metrics = {each["name"]: each["value"] for each in found}
            most = max(most, metrics["JSHeapUsedSize"])
        lines = page.locator("#log li").count()
        print(
            f"{options.lines:,} lines followed in {time.monotonic() - begun:.0f} s: at most"
            f" {most / 1e6:.1f} MB of the page's heap, {lines:,} lines kept,"
            f" {metrics['Nodes']:,.0f} nodes at the end"
        )


@contextmanager
def emulator(folder: Path, jobs: int) -> Iterator[RunningEmulator]:
    """An emulator with so many jobs that have ended."""
    start(folder).stop()  # makes the folder
    database = Database(folder / DATABASE)
    documents = Documents(database)
    moment = now()
    with database.transaction():
        for number in range(jobs):
            documents.create("customJob", LOCATION, ended_job(number, moment))
    database.close()
    running = start(folder)
    try:
        yield running
    finally:
        running.stop()


def ended_job(number: int, moment: str) -> dict[str, Any]:
    """Returns a job as a trainer's is, of some 1,500 bytes."""
    container = {
        "imageUri": "us-docker.pkg.dev/bench/images/tensorflow:2.21.0",
        "command": ["python", "-m", "trainer.task"],
        "args": [f"--setting-{each}=value-{each}-of-job-{number}" for each in range(20)],
        "env": [{"name": "LEVEL", "value": "info"}],
    }
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "containerSpec": container}
    return {
        "name": f"{LOCATION}/customJobs/{number + 1}",
        "displayName": f"job-{number}",
        "state": "JOB_STATE_FAILED" if number % 50 == 0 else "JOB_STATE_SUCCEEDED",
        "labels": {"team": "ab"[number % 2], "model": "flights"},
        "jobSpec": {"workerPoolSpecs": [pool]},
        **dict.fromkeys(("createTime", "startTime", "endTime", "updateTime"), moment),
    }


def submit(running: RunningEmulator, code: str, argument: str) -> str:
    """Submits a job that runs Python code, waits until it runs, and returns its name."""
    container = {"imageUri": "python:3.11", "command": ["python", "-c", code], "args": [argument]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "containerSpec": container}
    body = {"displayName": "bench", "jobSpec": {"workerPoolSpecs": [pool | {"replicaCount": "1"}]}}
    answer = requests.post(f"{running.url}/v1/{LOCATION}/customJobs", json=body, timeout=60)
    answer.raise_for_status()
    name: str = answer.json()["name"]
    while requests.get(f"{running.url}/v1/{name}", timeout=60).json()["state"] in (
        "JOB_STATE_QUEUED",
        "JOB_STATE_PENDING",
    ):
        time.sleep(0.1)
    return name


def job_url(name: str, running: RunningEmulator) -> str:
    return f"{running.url}/-/{name}"


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, as the tests drive it."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CONSOLE_BROWSER") or shutil.which("chromium")
    with sync_playwright() as driver:
        # Chromium's own sandbox needs rights that root in a container does not have.
        running = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running.new_context()
        running.close()


if __name__ == "__main__":
    main()
