"""versions: the versions of the model, newest first: aliases, job, scores, share of the traffic."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from cloud import lookup
from cloud.client import Client
from cloud.console import Cell, Column, format_duration, out, say, table
from cloud.serving import evaluations, model_versions, traffic
from table_schema.metrics import NAMES

SHOWN_METRICS = 2  # more make the table too wide for a terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags: none."""


def run(client: Client, _options: argparse.Namespace) -> int:
    versions = lookup.versions(client)
    if not versions:
        say("There is no version yet; 'nox -s deploy' makes the first of a job that succeeded.")
        return 0
    endpoint = lookup.endpoint(client)
    shares = traffic.version_shares(endpoint) if endpoint is not None else {}
    client.storage  # noqa: B018, made before the threads share it
    with ThreadPoolExecutor(8) as pool:
        folders = [version.artifact_uri for version in versions]
        scores = list(pool.map(partial(evaluations.scores, client), folders))
    metrics = evaluations.chief_metrics(scores)[:SHOWN_METRICS]
    titles = [NAMES[name] for name in metrics]
    columns = [
        Column("version"),
        Column("aliases", 1),
        Column("job", 3),
        Column("age", 5),
        *(Column(title, 2 * rank) for rank, title in enumerate(titles, start=1)),
        Column("traffic"),
    ]
    rows: list[list[Cell]] = []
    for version, found in zip(versions, scores, strict=True):
        share = shares.get(version.version_id)
        cells: list[Cell] = [
            version.version_id,
            ", ".join(version.version_aliases),
            model_versions.trained_by(version),
            format_duration(datetime.now(UTC) - version.version_create_time),
            *(f"{found[name]:.4f}" if name in found else "-" for name in metrics),
            "not deployed" if share is None else f"{share} %",
        ]
        rows.append(cells)
    out.print(table(columns, rows))
    return 0
