"""`evaluate --labels`: prints how good the logged predictions were, and writes it down."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import Cell, Column, counted, next_commands, out, say, step, table
from cloud.errors import UserError
from cloud.monitoring import labels, live_scores, request_log, since
from cloud.monitoring.live_scores import MIN_ROWS, LiveScores, Served, Span, Version
from cloud.monitoring.request_log import Logged
from cloud.serving import contract, deployed_ids, evaluations
from cloud.serving.contract import TableContract
from table_schema import metrics
from table_schema.columns import Label


def run(client: Client, options: argparse.Namespace) -> int:
    """Exits 1 where a version that is deployed is worse than its trainer measured.

    Raises:
        UserError: there are no logged requests, or no labels, or the model is no table's.
    """
    begin = since.parse(options.since)
    default = lookup.version(client, "default")
    wanted = options.version and lookup.version(client, options.version).version_id
    taken = contract.of_version(client, default)
    if not isinstance(taken, TableContract):
        raise UserError(
            "--labels: expected a model of a table, whose rows have a label; this one is none."
        )
    known = labels.read(taken, options.labels, options.rows)
    endpoint = lookup.serving_endpoint(client)
    logged = request_log.wait_for(client, endpoint, begin)
    versions = versions_of(client, endpoint, logged)
    if wanted:
        logged = [each for each in logged if versions[each.deployed_id].number == wanted]
        if not logged:
            raise UserError(f"Version {wanted} answered none of the logged requests.")
    with step(f"Joining {counted(len(logged), 'prediction')} to their labels"):
        found = live_scores.join(taken.table, logged, known, versions)
    for each in found.versions:
        show(each, taken.table.label)
    account(found)
    path = client.config.runs_folder / "evaluate" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(live_scores.as_json(found), encoding="utf-8")
    say(f"Scores: {path}", "dim")
    return judge(found)


def versions_of(client: Client, endpoint: Any, logged: Sequence[Logged]) -> Mapping[str, Version]:
    """Returns who answered, by the ids of the deployed models."""
    deployed = {each.id for each in endpoint.deployed_models}
    folders = {each.version_id: each.artifact_uri for each in lookup.versions(client)}
    found = {}
    for name in {each.deployed_id for each in logged}:
        number = deployed_ids.version_of(client, endpoint, name)
        trained = evaluations.read(client, folders[number]) if number in folders else None
        found[name] = Version(number or f"of deployed model {name}", name in deployed, trained)
    return found


def show(served: Served, label: Label) -> None:
    """Prints the scores of a version by day, and all of them beside the trainer's."""
    names = metrics.reported(label)
    if served.trained is not None:
        first = served.trained.metric
        names = (first, *(each for each in names if each != first))
    say(f"\nVersion {served.version}", "bold")
    titles = [Column("day (UTC)"), Column("predictions"), Column("with label")]
    spans = [*served.days.items(), ("all", served.total)]
    rows: list[list[Cell]] = [
        [day, f"{span.predictions:,}", f"{span.labelled:,}", *_written(span, names)]
        for day, span in spans
    ]
    if served.intervals:
        rows.append(["95 % interval", "", "", *(_interval(served, name) for name in names)])
    if served.trained is not None:
        own = served.trained.scores
        rows.append(["trainer", "", "", *(f"{own[n]:.4f}" if n in own else "" for n in names)])
    titles += [Column(metrics.NAMES.get(name, name)) for name in names]
    out.print(table(titles, rows))


def _written(span: Span, names: Sequence[str]) -> list[str]:
    return [f"{span.scores[name]:.4f}" if name in span.scores else "-" for name in names]


def _interval(served: Served, name: str) -> str:
    low, high = served.intervals.get(name, (0.0, 0.0))
    return f"{low:.3f} to {high:.3f}" if name in served.intervals else "-"


def account(found: LiveScores) -> None:
    """Says what was not scored, and what was drawn by lot."""
    say()
    for why, count in found.left_out.items():
        say(f"{counted(count, 'prediction')} not scored: {why}.")
    if found.ambiguous:
        say(
            f"{counted(found.ambiguous, 'prediction')} with features that rows with different"
            " labels share; each got one of these labels by lot."
        )
    for why, count in found.labels_left_out.items():
        say(f"{counted(count, 'row')} of the labels not used: {why}.")
    if found.unused:
        say(f"{counted(found.unused, 'label')} of rows that were not asked about, or not logged.")


def judge(found: LiveScores) -> int:
    """Says whether the predictions are as good as expected; returns the exit code."""
    verdicts = {each.version: each.verdict for each in found.versions}
    for sentence in filter(None, verdicts.values()):
        say(sentence, "red")
    if any(verdicts[each.version] for each in found.versions if each.is_deployed):
        next_commands(
            ("nox -s drift", "whether the rows are like those that the model learned from"),
            ("nox -s data && nox -s submit", "train again, on newer rows"),
        )
        return 1
    scored = [each for each in found.versions if each.trained and each.total.labelled]
    if any(each.total.labelled >= MIN_ROWS for each in scored) and not any(verdicts.values()):
        say("The predictions are as good as the trainer measured, as far as so many tell.", "green")
    elif not any(each.total.labelled >= MIN_ROWS for each in found.versions):
        say(f"Too few predictions have a label to judge them; {MIN_ROWS} are needed.", "yellow")
    return 0
