"""load: sends predictions at a fixed rate for some time, and shows how they were answered."""

import argparse
import itertools
import math
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import Cell, Column, counted, next_commands, out, say, step, table
from cloud.datasets import files
from cloud.errors import UserError
from cloud.serving import contract, deployments, instances, load, prediction
from cloud.serving.contract import Contract
from cloud.serving.instances import Instance
from cloud.serving.load import Load, Measured

MOST_REQUESTS = 100_000  # a slip of the keyboard costs no more than that
MOST_RATE = 1000.0
ROWS = 1000  # of the test file, at the most
SHOWN_PROBLEMS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate",
        type=float,
        default=20.0,
        help=f"requests a second, up to {MOST_RATE:g}; default: 20",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long; default: 60")
    parser.add_argument("--rows", type=int, default=1, help="rows in each request; default: 1")


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints latencies, errors and who answered; exits 1 where a request failed.

    Raises:
        UserError: a flag is wrong, or nothing is deployed.
    """
    check(options)
    url = prediction.endpoint_url(client)
    endpoint = lookup.serving_endpoint(client)
    wanted = Load(options.rate, options.seconds, bodies(client, options.rows))
    say(f"Target: {client.target}")
    say(
        f"{counted(wanted.count, 'request')} of {counted(options.rows, 'row')}, {options.rate:g} a"
        f" second for {options.seconds:g} s, whether earlier ones are answered or not."
    )
    say(f"See the replicas at {client.console_url(endpoint.name)}")
    if not client.is_emulator:
        say(cost(endpoint), "yellow")
    measured = Measured()
    try:
        with step("Sending"):
            load.run(client, url, wanted, measured)
    except KeyboardInterrupt:
        say(f"\nEnded after {counted(len(measured.outcomes), 'answer')}.")
    show(measured, wanted)
    next_commands(("nox -s versions", "the versions and their shares of the traffic"))
    return 1 if measured.problems else 0


def check(options: argparse.Namespace) -> None:
    """Raises UserError where a flag is wrong."""
    if not 0 < options.rate <= MOST_RATE:
        raise UserError(
            f"--rate: expected more than 0 and up to {MOST_RATE:g} requests a second, got"
            f" {options.rate:g}."
        )
    if not 0 < options.seconds < math.inf:
        raise UserError(f"--seconds: expected more than 0, got {options.seconds:g}.")
    if options.rate * options.seconds > MOST_REQUESTS:
        raise UserError(
            f"--rate and --seconds: expected at most {MOST_REQUESTS:,} requests in all, got"
            f" {options.rate * options.seconds:,.0f}."
        )
    if options.rows < 1:
        raise UserError(f"--rows: expected at least 1, got {options.rows}.")


def cost(endpoint: Any) -> str:
    """Says what a load may cost on Google Cloud."""
    most = sum(
        max(each.dedicated_resources.max_replica_count, 1) for each in endpoint.deployed_models
    )
    return (
        "Requests cost nothing by themselves; the replicas that they call up cost node hours, up to"
        f" {counted(most, 'replica')} of this endpoint, and stay for some minutes after the load."
    )


def bodies(client: Client, rows: int) -> list[dict[str, Any]]:
    """Returns bodies of requests: of rows of the test file, or of the model's own sample.

    Raises:
        UserError: there is no row, or so many fit into no request.
    """
    taken = contract.of_default(client)
    found = _instances(client, taken)
    cycle = itertools.cycle(found)
    made = [
        taken.body(list(itertools.islice(cycle, rows))) for _ in range(math.ceil(len(found) / rows))
    ]
    if any(len(list(instances.in_requests(each["instances"]))) > 1 for each in made):
        raise UserError(f"--rows: {rows} rows are more than a request may have; give fewer.")
    return made


def _instances(client: Client, taken: Contract) -> list[Instance]:
    described = taken.table
    is_own = described is not None and described.name == client.config.data_set
    if described is not None and is_own and files.path(client.config, "test").exists():
        rows = itertools.islice(instances.test_rows(client.config), ROWS)
        found = [instances.of_row(described, row) for row in rows]
        if found:
            return found
    return [deployments.sample_instance(client, taken)]


def show(measured: Measured, wanted: Load) -> None:
    """Prints the latencies by version, and what went wrong."""
    columns = [
        Column("version"),
        Column("answers"),
        Column("share"),
        *(Column(name) for name in load.QUANTILES),
        Column("slowest"),
    ]
    answered = [each for each in measured.outcomes if not each.problem]
    groups = list(measured.versions().items())
    rows: list[list[Cell]] = []
    for name, found in [*groups, ("all", answered)] if len(groups) > 1 else groups:
        latencies = [each.seconds for each in found]
        rows.append(
            [
                name,
                f"{len(found):,}",
                f"{100 * len(found) / len(answered):.0f} %",
                *(
                    _milliseconds(load.quantile(latencies, each))
                    for each in load.QUANTILES.values()
                ),
                _milliseconds(max(latencies)),
            ]
        )
    if rows:
        out.print(table(columns, rows))
    problems = measured.problems
    say(
        f"{counted(len(answered), 'answer')}, {counted(problems.total(), 'error')}.",
        "red" if problems else "green",
    )
    for problem, count in problems.most_common(SHOWN_PROBLEMS):
        say(f"  {count:,} x {problem}")
    if measured.late > max(0.05, 2 / wanted.rate):
        say(
            f"This machine was up to {measured.late:.2f} s late in sending: it is too slow for"
            " this rate, and a part of the latencies is its own.",
            "yellow",
        )


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"
