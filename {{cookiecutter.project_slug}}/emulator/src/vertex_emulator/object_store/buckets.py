"""Buckets: names and the settings that clients gave them."""

import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from vertex_emulator import errors
from vertex_emulator.disk import reporting_full_disk
from vertex_emulator.object_store.conditions import ALWAYS, Conditions
from vertex_emulator.state.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    metageneration INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    attributes TEXT NOT NULL
) WITHOUT ROWID
"""

# Makes new attributes of the present ones, within the transaction that stores them.
Change = Callable[[dict[str, Any]], dict[str, Any]]

# Source: https://cloud.google.com/storage/docs/buckets#naming
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket.

    Attributes:
        name: unique over all projects.
        project: id of the project that it was created in.
        metageneration: 1 at first, one more with each change of the attributes.
        created: microseconds since the epoch.
        updated: microseconds since the epoch, of the last change of the attributes.
        attributes: the settable fields of the JSON API's Bucket resource.
    """

    name: str
    project: str
    metageneration: int
    created: int
    updated: int
    attributes: dict[str, Any]


def microseconds() -> int:
    """The present moment in microseconds since the epoch, the unit of generations."""
    return time.time_ns() // 1000


def valid_bucket_name(name: str) -> bool:
    """Whether Google's naming rules allow the name."""
    return (
        _NAME.fullmatch(name) is not None
        and all(len(part) <= 63 for part in name.split("."))
        and ".." not in name
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith("goog")
    )


class Buckets:
    """All buckets.

    Args:
        database: where their rows are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction() as connection:
            connection.execute(_SCHEMA)

    def get(self, name: str, conditions: Conditions = ALWAYS) -> Bucket:
        """Returns a bucket.

        Raises:
            ApiError: 404 when there is none; 412 or 304 when the conditions do not hold.
        """
        bucket = self._get(name)
        conditions.check(1, bucket.metageneration, reading=True)
        return bucket

    def exists(self, name: str) -> bool:
        """Whether there is such a bucket."""
        return self._find(name) is not None

    def in_project(self, project: str, prefix: str = "") -> list[Bucket]:
        """Returns the buckets of a project whose names begin so, by name."""
        rows = self._database.connection().execute(
            "SELECT * FROM buckets WHERE project = ? ORDER BY name", (project,)
        )
        return [_bucket(row) for row in rows if row["name"].startswith(prefix)]

    def projects(self) -> list[str]:
        """Returns the projects that have buckets, by id."""
        rows = self._database.connection().execute(
            "SELECT DISTINCT project FROM buckets ORDER BY project"
        )
        return [row["project"] for row in rows.fetchall()]

    def create(self, name: str, project: str, attributes: dict[str, Any]) -> Bucket:
        """Makes a bucket.

        Raises:
            ApiError: 400 for a name against the rules; 409 when the name is taken.
        """
        if not valid_bucket_name(name):
            raise errors.invalid_argument(
                f"Invalid bucket name {name!r}: expected 3 to 63 lower-case letters, digits, "
                "dashes, underscores and dots, with a letter or digit at both ends."
            )
        now = microseconds()
        bucket = Bucket(name, project, 1, now, now, attributes)
        with reporting_full_disk(), self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone():
                raise errors.already_exists(f"The bucket {name} exists already; choose another.")
            connection.execute(
                "INSERT INTO buckets VALUES (?, ?, ?, ?, ?, ?)",
                (name, project, 1, now, now, orjson.dumps(attributes).decode()),
            )
        return bucket

    def ensure(self, name: str, project: str) -> Bucket:
        """Returns the bucket, made with default settings when missing."""
        try:
            return self.create(name, project, {})
        except errors.ApiError as error:
            if error.code != 409:
                raise
            return self.get(name)

    def update(self, name: str, change: Change, conditions: Conditions = ALWAYS) -> Bucket:
        """Puts what `change` makes of a bucket's attributes in their place.

        Raises:
            ApiError: 404 when there is no such bucket; 412 when the conditions do not hold.
        """
        with reporting_full_disk(), self._database.transaction() as connection:
            bucket = self._get(name)
            conditions.check(1, bucket.metageneration)
            changed = replace(
                bucket,
                metageneration=bucket.metageneration + 1,
                updated=microseconds(),
                attributes=change(bucket.attributes),
            )
            connection.execute(
                "UPDATE buckets SET metageneration = ?, updated = ?, attributes = ? WHERE name = ?",
                (
                    changed.metageneration,
                    changed.updated,
                    orjson.dumps(changed.attributes).decode(),
                    name,
                ),
            )
        return changed

    def delete(
        self, name: str, conditions: Conditions = ALWAYS, *alongside: Callable[[], object]
    ) -> None:
        """Removes an empty bucket, and does what is to happen `alongside` in the same step.

        Raises:
            ApiError: 404 when there is none; 409 when it holds objects; 412 when the conditions
                do not hold.
        """
        with reporting_full_disk(), self._database.transaction() as connection:
            bucket = self._get(name)
            conditions.check(1, bucket.metageneration)
            if connection.execute(
                "SELECT 1 FROM objects WHERE bucket = ?1 UNION ALL"
                " SELECT 1 FROM past_objects WHERE bucket = ?1 AND soft_deleted IS NULL",
                (name,),
            ).fetchone():
                raise errors.conflict(
                    f"The bucket {name} is not empty; delete its objects, and their noncurrent"
                    " versions, before deleting it."
                )
            connection.execute("DELETE FROM buckets WHERE name = ?", (name,))
            for clear in alongside:
                clear()

    def _get(self, name: str) -> Bucket:
        bucket = self._find(name)
        if bucket is None:
            raise errors.not_found(f"The specified bucket does not exist: {name}.", "NoSuchBucket")
        return bucket

    def _find(self, name: str) -> Bucket | None:
        row = (
            self._database.connection()
            .execute("SELECT * FROM buckets WHERE name = ?", (name,))
            .fetchone()
        )
        return None if row is None else _bucket(row)


def merged(attributes: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Applies a patch: objects within objects merge, null removes a field, arrays are replaced.

    Source: https://cloud.google.com/storage/docs/json_api#patch

    Args:
        attributes: what is there.
        changes: what the client sent.
    """
    result = dict(attributes)
    for field, value in changes.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, dict):
            present = result.get(field)
            result[field] = merged(present if isinstance(present, dict) else {}, value)
        else:
            result[field] = without_nulls(value)
    return result


def without_nulls(value: Any) -> Any:
    """Returns the fields of a new resource, at every depth: a null leaves one away."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return merged({}, value) if isinstance(value, dict) else value


def _bucket(row: sqlite3.Row) -> Bucket:
    return Bucket(
        row["name"],
        row["project"],
        row["metageneration"],
        row["created"],
        row["updated"],
        orjson.loads(row["attributes"]),
    )
