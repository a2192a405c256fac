"""What a training pipeline hands to its job of a managed data set: CSV files of each split.

Source: `InputDataConfig` of
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.trainingPipelines and
https://cloud.google.com/vertex-ai/docs/training/using-managed-datasets. As there, the files of one
split are named by a wildcard; here each split is one file, with the header.
"""

import csv
import io
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TextIO

from vertex_emulator.errors import ApiError, invalid_argument, not_emulated, not_found
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.datasets import source_uris

SPLITS = ("training", "validation", "test")
DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
ROUNDING = 1e-9  # of a sum of fractions
ROWS_AT_ONCE = 10_000  # between two looks whether the rest is wanted
OF = "inputDataConfig"
REFUSED = {
    "bigqueryDestination": "BigQuery is not emulated; use gcsDestination",
    "timestampSplit": "not emulated; use fractionSplit or predefinedSplit",
    "stratifiedSplit": "not emulated; use fractionSplit or predefinedSplit",
}
# Of data sets with items, such as images.
NOT_OF_TABLES = ("filterSplit", "annotationsFilter", "annotationSchemaUri", "savedQueryId")
MAX_CELL = 10_000_000  # characters; a table's rows are at most 10 MB

# Returns the split that a row belongs to, or None.
Choice = Callable[[list[str]], str | None]


class DatasetExports:
    """Writes data sets for jobs.

    Args:
        documents: where the data sets are.
        objects: their files, and the splits'.
    """

    def __init__(self, documents: Documents, objects: Objects) -> None:
        self._documents = documents
        self._objects = objects

    def check(self, location: str, config: Document) -> None:
        """Refuses an InputDataConfig that cannot be followed.

        Raises:
            ApiError: 400 INVALID_ARGUMENT; 404 NOT_FOUND for an unknown data set; 400 UNIMPLEMENTED
                for what is not emulated.
        """
        for field, reason in REFUSED.items():
            if field in config:
                raise not_emulated(f"{OF}.{field}: {reason}.")
        for field in NOT_OF_TABLES:
            if field in config:
                raise invalid_argument(
                    f"{OF}.{field}: does not apply to tables, which have no items; leave it out."
                )
        prefix = config.get("gcsDestination", {}).get("outputUriPrefix", "")
        if not prefix.startswith("gs://") or not self._objects.buckets.exists(split_uri(prefix)[0]):
            raise invalid_argument(
                f"{OF}.gcsDestination.outputUriPrefix: expected gs://BUCKET/… of a bucket here, got"
                f" {prefix!r}."
            )
        _fractions(config.get("fractionSplit", {}))
        header = next(self._rows(self._dataset(location, config)), [])
        _choice(config, header, "")

    def export(
        self, pipeline: Document, is_wanted: Callable[[], bool]
    ) -> list[dict[str, str]] | None:
        """Writes the splits of a pipeline's data set.

        Args:
            pipeline: the TrainingPipeline; the same one gives the same splits again.
            is_wanted: whether to go on.

        Returns:
            The variables that the job finds them by, as of a container; None where it broke off.

        Raises:
            ApiError: the data set or one of its files is gone, or is no table.
        """
        config = pipeline.get("inputDataConfig")
        if config is None:
            return []
        location = "/".join(pipeline["name"].split("/")[:4])
        rows = self._rows(self._dataset(location, config))
        header = next(rows, [])
        choose = _choice(config, header, pipeline["name"])
        prefix = config["gcsDestination"]["outputUriPrefix"].rstrip("/")
        moment = pipeline["createTime"][:23] + "Z"  # milliseconds
        folder = f"{prefix}/dataset-{config['datasetId']}-tables-{moment}"
        bucket, path = split_uri(folder)
        with ExitStack() as stack:
            blobs = {split: stack.enter_context(self._objects.new_blob()) for split in SPLITS}
            for split in SPLITS:
                blobs[split].write(_csv([header]))
            while chunk := list(itertools.islice(rows, ROWS_AT_ONCE)):
                if not is_wanted():
                    return None
                chosen: dict[str, list[list[str]]] = {split: [] for split in SPLITS}
                for row in chunk:
                    place = choose(row)
                    if place is not None:
                        chosen[place].append(row)
                for split, part in chosen.items():
                    blobs[split].write(_csv(part))
            for split in SPLITS:
                name = f"{path}/{split}-00000-of-00001.csv"
                blob = blobs[split].finish()
                self._objects.put(Ref(bucket, name), blob, {"contentType": "text/csv"})
        variables = {"AIP_DATA_FORMAT": "csv"} | {
            f"AIP_{split.upper()}_DATA_URI": f"{folder}/{split}-*.csv" for split in SPLITS
        }
        return [{"name": name, "value": value} for name, value in variables.items()]

    def _dataset(self, location: str, config: Document) -> Document:
        name = f"{location}/datasets/{config.get('datasetId', '')}"
        dataset = self._documents.get(name)
        if dataset is None or not config.get("datasetId"):
            raise not_found(f"{OF}.datasetId: the Dataset does not exist: {name}.")
        return dataset

    def _rows(self, dataset: Document) -> Iterator[list[str]]:
        """Yields the header, and the rows of all files.

        Raises:
            ApiError: 400 INVALID_ARGUMENT where a file is not there, or is no CSV in UTF-8.
        """
        header: list[str] | None = None
        for uri in source_uris(dataset):
            try:
                _stored, file = self._objects.open(Ref(*split_uri(uri)))
            except ApiError as error:
                raise invalid_argument(
                    f"{OF}.datasetId: {dataset['name']} has the file {uri}, which is not there."
                ) from error
            with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
                for number, row in enumerate(_read(text, uri)):
                    # The other files have the same header, or none.
                    if number or row != header:
                        yield row
                    header = header or row


def _read(text: TextIO, uri: str) -> Iterator[list[str]]:
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(text)
    try:
        for row in reader:
            if row:
                yield row
    except (csv.Error, UnicodeDecodeError) as error:
        raise invalid_argument(
            f"{uri}: expected CSV in UTF-8; line {reader.line_num + 1}: {error}."
        ) from error


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _choice(config: Document, header: list[str], seed: str) -> Choice:
    """Returns what chooses the split of each row.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for a column that is not there.
    """
    if "predefinedSplit" in config:
        key = config["predefinedSplit"].get("key", "")
        if key not in header:
            raise invalid_argument(
                f"{OF}.predefinedSplit.key: expected one of the columns {', '.join(header)[:500]},"
                f" got {key!r}."
            )
        column = header.index(key)
        return lambda row: row[column] if column < len(row) and row[column] in SPLITS else None
    generator = random.Random(seed)  # noqa: S311, no secret
    weights = _fractions(config.get("fractionSplit", {}))
    bounds: Any = list(itertools.accumulate(weights))
    return lambda _row: generator.choices(SPLITS, cum_weights=bounds)[0]


def _fractions(split: Document) -> list[float]:
    """Returns the share of each split; what is left goes to those that are not named.

    Raises:
        ApiError: 400 INVALID_ARGUMENT.
    """
    given = {name: float(split[f"{name}Fraction"]) for name in SPLITS if f"{name}Fraction" in split}
    if not given:
        return list(DEFAULT_FRACTIONS)
    total = sum(given.values())
    if min(given.values()) < 0 or not 0 < total <= 1 + ROUNDING:
        raise invalid_argument(
            f"{OF}.fractionSplit: expected fractions from 0 whose sum is above 0 and at most 1, got"
            f" {', '.join(f'{name} {share:g}' for name, share in given.items())}."
        )
    others = [name for name in SPLITS if name not in given] or ["training"]
    for name in others:
        given[name] = given.get(name, 0.0) + max(0.0, 1 - total) / len(others)
    return [given[name] for name in SPLITS]
