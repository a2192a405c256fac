"""Managed data sets of tables: as the SDK makes them, and what a training pipeline gets of them."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from custom_jobs import output
from google.cloud import aiplatform

from vertex_emulator.errors import ApiError
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents
from vertex_emulator.testing.clients import Clients
from vertex_emulator.vertex.dataset_export import SPLITS, DatasetExports

LOCATION = "projects/p/locations/l"
READ = """
import csv, fnmatch, json, os
from google.cloud import storage
found = {"format": os.environ["AIP_DATA_FORMAT"]}
for split in ("TRAINING", "VALIDATION", "TEST"):
    bucket, _, pattern = os.environ[f"AIP_{split}_DATA_URI"].removeprefix("gs://").partition("/")
    blobs = storage.Client().list_blobs(bucket, match_glob=pattern)
    rows = [row for blob in blobs for row in csv.DictReader(blob.download_as_text().splitlines())]
    found[split] = [row["x"] for row in rows]
print("found " + json.dumps(found))
"""


@pytest.mark.usefixtures("sdk")
def test_a_job_reads_the_splits_of_a_table(clients: Clients) -> None:
    uris = []
    for name, first in (("a", "x,part"), ("b", "x,part"), ("c", None)):
        lines = [f"{name}1,training", f"{name}2,test", f"{name}3,nothing"]
        text = "\n".join([first, *lines] if first else lines)
        clients.storage.bucket("sdk-bucket").blob(f"tables/{name}.csv").upload_from_string(text)
        uris.append(f"gs://sdk-bucket/tables/{name}.csv")
    table = aiplatform.TabularDataset.create(
        display_name="table", gcs_source=list(reversed(uris)), labels={"made": "sdk"}
    )
    one = aiplatform.TabularDataset.create(display_name="one", gcs_source=uris[0])
    assert sorted(one.column_names) == ["part", "x"]
    [found] = aiplatform.TabularDataset.list(filter='labels.made="sdk"')
    assert found.resource_name == table.resource_name
    table.update(display_name="renamed", description="of letters", labels={"made": "again"})
    assert aiplatform.TabularDataset(table.resource_name).to_dict()["labels"] == {"made": "again"}
    job = aiplatform.CustomContainerTrainingJob(
        display_name="splits", container_uri="python:3.12", command=["python", "-c", READ]
    )
    job.run(dataset=table, predefined_split_column_name="part")
    custom = job.to_dict()["trainingTaskMetadata"]["backingCustomJob"]
    line = next(each for each in output(clients, custom) if each.startswith("found "))
    assert json.loads(line.removeprefix("found ")) == {
        "format": "csv",
        "TRAINING": ["a1", "b1", "c1"],
        "VALIDATION": [],
        "TEST": ["a2", "b2", "c2"],
    }
    table.delete()
    assert aiplatform.TabularDataset.list(filter='display_name="renamed"') == []


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., dict[str, list[list[str]]] | None]:
    """Exports a table, of which it takes the text, and returns the rows of each split."""
    database = Database(tmp_path / "emulator.sqlite")
    objects, documents = Objects(database, tmp_path / "blobs"), Documents(database)
    objects.buckets.create("tables", "p", {})

    def rows(name: str) -> list[list[str]]:
        [stored] = objects.walk("tables", f"out/dataset-1-tables-2026-01-01T00:00:00.123Z/{name}-")
        _stored, file = objects.open(Ref("tables", stored.name))
        with io.TextIOWrapper(file, newline="") as text:
            return list(csv.reader(text))

    def call(content: bytes, wanted: bool = True, **config: Any) -> Any:
        objects.write("tables", "table.csv", io.BytesIO(content))
        metadata = {"inputConfig": {"gcsSource": {"uri": ["gs://tables/table.csv"]}}}
        documents.create(
            "dataset", LOCATION, {"name": f"{LOCATION}/datasets/1", "metadata": metadata}
        )
        destination = {"outputUriPrefix": "gs://tables/out/"}
        given = {"datasetId": "1", "gcsDestination": destination, **config}
        exports = DatasetExports(documents, objects)
        exports.check(LOCATION, given)
        pipeline = {
            "name": f"{LOCATION}/trainingPipelines/1",
            "createTime": "2026-01-01T00:00:00.123456Z",
            "inputDataConfig": given,
        }
        if exports.export(pipeline, lambda: wanted) is None:
            return None
        return {split: rows(split) for split in SPLITS}

    return call


def test_fractions_share_all_rows(export: Callable[..., Any]) -> None:
    table = b"id,text\n" + b"".join(b'%d,"a ""b"",\nc"\n' % number for number in range(2000))
    splits = export(table)
    assert export(table) == splits  # the same pipeline after a restart
    assert [rows[0] for rows in splits.values()] == [["id", "text"]] * 3
    data = {split: rows[1:] for split, rows in splits.items()}
    assert sorted(int(row[0]) for rows in data.values() for row in rows) == list(range(2000))
    assert {row[1] for rows in data.values() for row in rows} == {'a "b",\nc'}
    sizes = [len(rows) for rows in data.values()]
    assert [round(size / 2000, 1) for size in sizes] == [0.8, 0.1, 0.1]
    half = export(table, fractionSplit={"trainingFraction": 0.5, "testFraction": 0.5})
    assert [round((len(rows) - 1) / 2000, 1) for rows in half.values()] == [0.5, 0.0, 0.5]
    assert export(table, wanted=False) is None


@pytest.mark.parametrize(
    ("table", "config", "part"),
    [
        (b"a\n\xff\n", {"fractionSplit": {}}, "gs://tables/table.csv: expected CSV in UTF-8"),
        (b"a\n1\n", {"filterSplit": {"trainingFilter": "x"}}, "filterSplit: does not apply to tab"),
        (b"a\n1\n", {"timestampSplit": {"key": "a"}}, "timestampSplit: not emulated; use"),
        (b"a\n1\n", {"gcsDestination": {}}, "gcsDestination.outputUriPrefix: expected gs://BUCKET"),
        (b"a\n1\n", {"fractionSplit": {"testFraction": -0.1}}, "got test -0.1"),
    ],
)
def test_what_is_refused(
    export: Callable[..., Any], table: bytes, config: dict[str, Any], part: str
) -> None:
    with pytest.raises(ApiError) as caught:
        export(table, **config)
    assert part in caught.value.message
