"""Vertex AI's resources as JSON documents, found by name or listed by kind and parent."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import orjson

from vertex_emulator.filters.conditions import Comparison, Condition
from vertex_emulator.state import sql
from vertex_emulator.state.database import Database

Document = dict[str, Any]

# Fields of text by which documents are found without reading all.
INDEXED = {
    "displayName": "json_extract(body, '$.displayName')",
    "state": "json_extract(body, '$.state')",
    "jobSpec.baseOutputDirectory.outputUriPrefix": (
        "json_extract(body, '$.jobSpec.baseOutputDirectory.outputUriPrefix')"
    ),
}
# Fields that stand in one index together: other conditions on them are checked there, which takes
# a fortieth of the time of reading the documents.
COLUMNS = {
    "displayName": "display_name",
    "createTime": "create_time",
    "labels": "labels",
    "state": "state",
    "startTime": "start_time",
    "endTime": "end_time",
    "updateTime": "update_time",
}
# Names that begin with a name and a slash, by the index of names: "0" follows "/".
BELOW = "name > ? || '/' AND name < ? || '0'"

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS document (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS document_by_kind ON document (kind, parent, sequence);
CREATE INDEX IF NOT EXISTS document_by_display_name
    ON document (kind, parent, {INDEXED["displayName"]}, sequence);
CREATE INDEX IF NOT EXISTS document_by_state
    ON document (kind, parent, {INDEXED["state"]}, sequence);
CREATE INDEX IF NOT EXISTS document_by_folder
    ON document (kind, parent, {INDEXED["jobSpec.baseOutputDirectory.outputUriPrefix"]}, sequence);
"""


class Documents:
    """JSON documents by name; every change is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._database.connection().executescript(SCHEMA)
        with database.transaction() as connection:
            known = {row["name"] for row in connection.execute("PRAGMA table_xinfo(document)")}
            for field, column in COLUMNS.items():
                if column not in known:
                    connection.execute(
                        f"ALTER TABLE document ADD COLUMN {column} TEXT"
                        f" GENERATED ALWAYS AS (json_extract(body, '$.{field}')) VIRTUAL"
                    )
            connection.execute("DROP INDEX IF EXISTS document_by_columns")  # of fewer columns
            connection.execute(
                "CREATE INDEX IF NOT EXISTS document_by_fields"
                f" ON document (kind, parent, sequence, {', '.join(COLUMNS.values())})"
            )

    def create(self, kind: str, parent: str, document: Document) -> bool:
        """Stores a new document under its `name`; returns whether the name was free."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO document (name, kind, parent, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO NOTHING",
                (document["name"], kind, parent, _dump(document)),
            )
            return cursor.rowcount == 1

    def get(self, name: str) -> Document | None:
        """Returns the document of that name, or None."""
        row = (
            self._database.connection()
            .execute("SELECT body FROM document WHERE name = ?", (name,))
            .fetchone()
        )
        return None if row is None else _load(row["body"])

    def ending(self, kind: str, parent: str, end: str) -> Document | None:
        """Returns the document of a kind and parent whose name ends so, or None."""
        row = (
            self._database.connection()
            .execute(
                "SELECT body FROM document WHERE kind = ? AND parent = ?"
                " AND substr(name, -length(?)) = ?",
                (kind, parent, end, end),
            )
            .fetchone()
        )
        return None if row is None else _load(row["body"])

    def list(self, kind: str, parent: str | None = None) -> list[Document]:
        """Returns the documents of a kind, newest first; of all parents when none is named."""
        rows = self._database.connection().execute(
            "SELECT body FROM document WHERE kind = ? AND (? IS NULL OR parent = ?)"
            " ORDER BY sequence DESC",
            (kind, parent, parent),
        )
        return [_load(row["body"]) for row in rows.fetchall()]

    def parents(self, kinds: Collection[str]) -> Sequence[str]:
        """Returns what some document of these kinds is in, that of the newest document first."""
        rows = self._database.connection().execute(
            "SELECT parent FROM document WHERE kind IN (SELECT value FROM json_each(?))"
            " GROUP BY parent ORDER BY max(sequence) DESC",
            (orjson.dumps(list(kinds)).decode(),),
        )
        return [row["parent"] for row in rows.fetchall()]

    def states(self, kind: str, parent: str) -> dict[str, int]:
        """Returns how many documents of a kind and parent are in each state."""
        field = INDEXED["state"]
        rows = self._database.connection().execute(
            f"SELECT {field} AS state, count(*) AS number FROM document"  # noqa: S608, words of ours
            f" WHERE kind = ? AND parent = ? GROUP BY {field}",
            (kind, parent),
        )
        return {row["state"]: row["number"] for row in rows.fetchall()}

    def scan(
        self, kind: str, parent: str, before: int | None, needed: Sequence[Condition]
    ) -> Iterator[tuple[int, Document]]:
        """Yields documents with their numbers, newest first, reading no more than is taken.

        Args:
            kind: of the documents.
            parent: of the documents.
            before: the number that all are below, for what follows a page; None takes all.
            needed: what of every wanted document is so; others may be among what is yielded.
        """
        equal = {
            each.path: each.value
            for each in needed
            if isinstance(each, Comparison) and each.path in INDEXED and each.operator == "="
        }
        conditions = [sql.Part(f"{INDEXED[path]} = ?", (value,)) for path, value in equal.items()]
        index = ""
        others = None if equal and len(equal) == len(needed) else sql.where(needed, COLUMNS)
        if others is not None:
            conditions.append(others)
            index = "" if equal else " INDEXED BY document_by_fields"
        matching = " AND ".join(
            ["kind = ?", "parent = ?", "sequence < ?", *(each.text for each in conditions)]
        )
        rows = self._database.connection().execute(
            f"SELECT sequence, body FROM document{index} WHERE {matching} ORDER BY sequence DESC",  # noqa: S608, words of ours
            (
                *(kind, parent, sys.maxsize if before is None else before),
                *(value for each in conditions for value in each.values),
            ),
        )
        for row in rows:
            yield row["sequence"], _load(row["body"])

    def update(self, name: str, change: Callable[[Document], object]) -> Document | None:
        """Lets `change` edit the document in place and stores it; None where there is none.

        When `change` raises, the document stays as it was.
        """
        with self._database.transaction() as connection:
            document = self.get(name)
            if document is None:
                return None
            change(document)
            connection.execute(
                "UPDATE document SET body = ? WHERE name = ?", (_dump(document), name)
            )
            return document

    def delete(self, name: str) -> bool:
        """Removes the document; returns whether there was one."""
        with self._database.transaction() as connection:
            cursor = connection.execute("DELETE FROM document WHERE name = ?", (name,))
            return cursor.rowcount == 1

    def delete_below(self, name: str, kinds: Collection[str]) -> None:
        """Removes the documents of these kinds whose names begin with `name` and a slash."""
        with self._database.transaction() as connection:
            connection.execute(
                f"DELETE FROM document WHERE {BELOW} AND kind IN (SELECT value FROM json_each(?))",  # noqa: S608, words of ours
                (name, name, orjson.dumps(list(kinds)).decode()),
            )

    def count_below(self, name: str, kind: str) -> int:
        """Returns how many documents of a kind have names that begin with `name` and a slash."""
        rows = self._database.connection().execute(
            f"SELECT count(*) AS number FROM document WHERE {BELOW} AND kind = ?",  # noqa: S608, words of ours
            (name, name, kind),
        )
        number: int = rows.fetchone()["number"]
        return number


def _dump(document: Document | str) -> str:
    return orjson.dumps(document).decode()


def _load(body: str) -> Document:
    document: Document = orjson.loads(body)
    return document
