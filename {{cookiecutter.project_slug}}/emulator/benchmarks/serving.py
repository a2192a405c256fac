"""nox -s bench_serving

Compares prediction servers on one SavedModel and one machine, in one run: requests a second,
latency, memory, and the time to the first answer. The session makes an environment for each of the
others first. `--cost` measures ours instead: how the cost grows with instances, features,
connections and versions.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.load import numbers
from benchmarks.servers import Endpoint, Running, Server, others, ours, post, prepare_mlflow

HERE = Path(__file__).resolve().parent
CONNECTIONS = 64
FEATURES = 14
RATE = 100.0  # requests a second that every server here can answer

Figures = dict[str, Any]


def measure(running: Running, seconds: float, *flags: str) -> Figures:
    """Runs the load generator in a process of its own, and returns what it measured."""
    with tempfile.TemporaryDirectory() as scratch:
        body = Path(scratch) / "request.json"
        body.write_bytes(running.body)
        expected = numbers(post(running.url, json.loads(running.body)))
        ran = subprocess.run(
            [
                *(sys.executable, HERE / "load.py", running.url, body, "--json"),
                *("--seconds", str(seconds), "--expect", json.dumps(expected), *flags),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        raise SystemExit(f"{running.url}: {ran.stderr.strip()}")
    return dict(json.loads(ran.stdout))


def compare(servers: Sequence[Server], model: Path, seconds: float) -> list[Figures]:
    """Measures each server alone, and says how it goes."""
    found = []
    for server in servers:
        with server.running(model) as running:
            figures: Figures = {"name": server.name, "first": running.first_answer}
            figures["one"] = measure(running, seconds, "--connections", "1")
            figures["many"] = measure(running, seconds, "--connections", str(CONNECTIONS))
            flags = ("--connections", "1", "--rate", str(RATE))
            figures["open"] = measure(running, seconds, *flags)
            figures["memory"] = running.memory
        found.append(figures)
        print(f"{server.name}: {figures['many']['rate']:,.0f} requests/s", file=sys.stderr)
    return found


def comparison_table(found: list[Figures]) -> list[list[str]]:
    """Returns the table of a comparison, the first row its heads."""
    theirs = [each["many"]["rate"] for each in found if not each["name"].startswith("ours")]
    best = max(theirs, default=0.0)
    rows = [
        [
            "server",
            f"requests/s at {CONNECTIONS} connections",
            "to the best of the others",
            "p50, p99 in ms",
            "at 1 connection",
            "p50, p99 in ms",
            f"p50, p99 in ms at {RATE:.0f} requests/s",
            "errors",
            "memory in MB",
            "first answer in s",
        ]
    ]
    for each in sorted(found, key=lambda figures: -figures["many"]["rate"]):
        runs = [each["one"], each["many"], each["open"]]
        rows.append(
            [
                each["name"],
                f"{each['many']['rate']:,.0f}",
                f"{each['many']['rate'] / best:.1f}" if best else "-",
                latencies(each["many"]),
                f"{each['one']['rate']:,.0f}",
                latencies(each["one"]),
                latencies(each["open"]),
                f"{sum(run['errors'] for run in runs):.0f}",
                f"{each['memory']:,.0f}",
                f"{each['first']:.1f}",
            ]
        )
    return rows


def latencies(figures: Figures) -> str:
    """Writes the median and the 99th percentile of a run."""
    return f"{figures['p50']:.1f}, {figures['p99']:.1f}"


def cost_table(folder: Path, seconds: float) -> list[list[str]]:
    """Measures how the cost of ours grows, one thing at a time; the first row holds the heads."""
    rows = [["what grows", "value", "requests/s", "instances/s", "p50 in ms", "p99 in ms"]]

    def add(what: str, value: int, figures: Figures, count: int) -> None:
        cells = [f"{figures['rate']:,.0f}", f"{figures['rate'] * count:,.0f}"]
        tails = [f"{figures['p50']:.1f}", f"{figures['p99']:.1f}"]
        rows.append([what, f"{value:,}", *cells, *tails])
        print(f"{what} {value}: {cells[0]} requests/s", file=sys.stderr)

    for count in (1, 10, 100, 1000):
        with ours().running(model_of(folder, FEATURES), count) as running:
            found = measure(running, seconds, "--connections", str(CONNECTIONS))
            add("instances of a request", count, found, count)
    for features in (10, 100):
        with ours().running(model_of(folder, features)) as running:
            found = measure(running, seconds, "--connections", str(CONNECTIONS))
            add("features of an instance", features, found, 1)
    with ours().running(model_of(folder, FEATURES)) as running:
        for connections in (1, 8, 64, 512):
            found = measure(running, seconds, "--connections", str(connections))
            add("connections", connections, found, 1)
    for versions in (1, 4):
        with Endpoint(versions=versions).running(model_of(folder, FEATURES)) as running:
            found = measure(running, seconds, "--connections", str(CONNECTIONS))
            add("versions of an endpoint", versions, found, 1)
    return rows


def model_of(folder: Path, features: int) -> Path:
    """Returns the folder of the SavedModel with so many features; makes it where it is missing."""
    model = folder / str(features)
    if not model.exists():
        script = str(HERE / "saved_models.py")
        words = [sys.executable, script, str(model), "--features", str(features)]
        subprocess.run(words, check=True, capture_output=True)
    return model


def as_markdown(rows: list[list[str]]) -> str:
    """Writes a table in Markdown."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def main() -> None:
    """Runs what the command line asks for, and prints a table."""
    parser = argparse.ArgumentParser(description="Compares prediction servers.")
    parser.add_argument("--environments", type=Path, help="folder with those of the others")
    parser.add_argument("--servers", nargs="*", help="only those whose names begin so")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--cost", action="store_true", help="how the cost of ours grows")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if given.cost:
            rows = cost_table(folder, given.seconds)
        else:
            model = model_of(folder, FEATURES)
            servers = [Endpoint(), ours()]
            if given.environments is not None:
                environments = given.environments.absolute()
                prepare_mlflow(environments, model)
                servers += others(environments)
            if given.servers:
                chosen = tuple(given.servers)
                servers = [server for server in servers if server.name.startswith(chosen)]
            rows = comparison_table(compare(servers, model, given.seconds))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
