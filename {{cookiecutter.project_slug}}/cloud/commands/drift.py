"""drift: compares the rows that came with those that the model learned from."""

import argparse
import webbrowser
from datetime import UTC, datetime
from pathlib import Path

from cloud import lookup
from cloud.client import Client
from cloud.console import Cell, Column, counted, next_commands, out, say, step, table, text
from cloud.errors import UserError
from cloud.monitoring import columns, predictions, report, request_log, since, training_rows
from cloud.monitoring.columns import SHARE, Limits
from cloud.monitoring.distances import THRESHOLD
from cloud.monitoring.report import Drift
from cloud.monitoring.request_log import Logged
from cloud.serving import contract, instances
from cloud.serving.contract import TableContract
from cloud.serving.instances import Instance
from table_schema.columns import Label


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        help="rows as 'predict' and 'batch' take them; default: the requests that were logged",
    )
    parser.add_argument("--allow-missing", action="store_true", help=instances.ALLOW_MISSING)
    since.add_argument(parser)
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        help=f"Jensen-Shannon divergence that is no alarm yet; default: {THRESHOLD}",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=SHARE,
        help="change of the share of gaps, of unknown values or of a predicted class that is no"
        f" alarm yet; default: {SHARE}",
    )
    parser.add_argument("--open", action="store_true", help="open the report in a browser")


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints what has changed and writes the report; exits 1 where anything has.

    Raises:
        UserError: there are no rows, or the model is no table's.
    """
    check(options)
    version = lookup.version(client, "default")
    taken = contract.of_version(client, version)
    if not isinstance(taken, TableContract):
        raise UserError(
            "Expected a model of a table, as drift is measured column by column; this one is none."
        )
    source, came, logged = rows_of(client, taken, options)
    with step("Comparing them with the training rows"):
        before = training_rows.counted(client, taken.table)
        now = columns.of_instances(taken.table, came)
        limits = Limits(options.threshold, options.share)
        found = Drift(
            model=client.config.model,
            version=str(version.version_id),
            made=datetime.now(UTC),
            source=source,
            rows=len(came),
            training_rows=max(each.total() for each in before.columns.values()),
            limits=limits,
            columns=columns.compare(taken.table, before.columns, now, limits),
            periods=predictions.over_time(taken.table.label, logged),
            training=predictions.shares(taken.table.label, before.labels),
            alarms=predictions.alarms(taken.table.label, logged, limits),
        )
    show(found)
    page = write(client, found, taken.table.label, version.artifact_uri)
    if options.open and not webbrowser.open(page.absolute().as_uri()):
        say("There is no browser here; open the file in one.", "dim")
    return int(found.is_found)


def check(options: argparse.Namespace) -> None:
    """Raises UserError where a flag's value makes no sense."""
    for name, value in (("threshold", options.threshold), ("share", options.share)):
        if not 0 <= value <= 1:
            raise UserError(f"--{name}: expected 0 to 1, got {value:g}.")
    since.parse(options.since)
    if options.since is not None and options.file is not None:
        raise UserError("--since: chooses of the logged requests, got --file; give one.")


def rows_of(
    client: Client, taken: TableContract, options: argparse.Namespace
) -> tuple[str, list[Instance], list[Logged]]:
    """Returns where the rows come from, the rows, and what was answered.

    Raises:
        UserError: there are none.
    """
    if options.file is not None:
        found = taken.read(options.file, allow_missing=options.allow_missing)
        return str(options.file), found, []
    endpoint = lookup.serving_endpoint(client)
    logged = request_log.wait_for(client, endpoint, since.parse(options.since))
    place = request_log.place(client, endpoint)
    return place, [each.instance for each in logged], logged


def show(found: Drift) -> None:
    """Prints a row a column, and what has changed."""
    titles = [
        *(Column("column"), Column("distance"), Column("by chance", 3), Column("gaps", 2)),
        *(Column("unknown", 2), Column("changed")),
    ]
    rows: list[list[Cell]] = [
        [
            each.name,
            "" if each.distance is None else f"{each.distance:.3f}",
            "" if each.distance is None else f"{each.chance:.3f}",
            f"{each.gaps[0]:.1%} → {each.gaps[1]:.1%}",
            f"{each.unknown:.1%}",
            text("yes", "red") if each.alarms else "no",
        ]
        for each in found.columns
    ]
    out.print(table(titles, rows))
    say(columns.UNKNOWN_MEANS, "dim")
    say(
        f"\n{counted(found.rows, 'row')} of {found.source}, compared with"
        f" {counted(found.training_rows, 'training row')}."
    )
    for sentence in found.alarms:
        say(f"- {sentence}", "red")
    for each in found.columns:
        for sentence in each.alarms:
            say(f"- {each.name}: {sentence}", "red")
    if not found.is_found:
        say("No drift.", "green")


def write(client: Client, found: Drift, label: Label, folder: str) -> Path:
    """Writes the report to this machine, and beside the model card, where the console shows it."""
    path = client.config.runs_folder / "drift" / f"{found.version}-{found.made:%Y%m%d-%H%M%S}"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {
        report.HTML: (report.as_html(found, label), "text/html; charset=utf-8"),
        report.JSON: (report.as_json(found), "application/json"),
    }
    for name, (content, content_type) in written.items():
        file = path.with_suffix(Path(name).suffix)
        file.write_text(content, encoding="utf-8")
        client.blob(f"{folder.rstrip('/')}/{name}").upload_from_string(content, content_type)
        say(f"Report: {file}")
    say(f"Also in {folder.rstrip('/')}/, beside the model card.", "dim")
    if found.is_found:
        next_commands(
            ("nox -s evaluate", "score the version on the test rows"),
            ("nox -s data && nox -s submit", "train again, on newer rows"),
        )
    return path.with_suffix(".html")
