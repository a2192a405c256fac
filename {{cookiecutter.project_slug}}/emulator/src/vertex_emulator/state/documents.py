"""Vertex AI's resources as JSON documents, found by name or listed by kind and parent."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson

from vertex_emulator.state.database import Database

Document = dict[str, Any]

# Fields of text by which documents are found without reading all.
INDEXED = {
    "displayName": "json_extract(body, '$.displayName')",
    "state": "json_extract(body, '$.state')",
}

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
"""


class Documents:
    """JSON documents by name; every change is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._database.connection().executescript(SCHEMA)

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
        self, kind: str, parent: str, before: int | None, texts: Mapping[str, str]
    ) -> Iterator[tuple[int, Document]]:
        """Yields documents with their numbers, newest first, reading no more than is taken.

        Args:
            kind: of the documents.
            parent: of the documents.
            before: the number that all are below, for what follows a page; None takes all.
            texts: values that some of the `INDEXED` fields have.
        """
        conditions = "".join(f" AND {INDEXED[name]} = ?" for name in texts)
        matching = f"kind = ? AND parent = ? AND sequence < ?{conditions}"
        rows = self._database.connection().execute(
            f"SELECT sequence, body FROM document WHERE {matching} ORDER BY sequence DESC",  # noqa: S608, words of ours
            (kind, parent, sys.maxsize if before is None else before, *texts.values()),
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


def _dump(document: Document) -> str:
    return orjson.dumps(document).decode()


def _load(body: str) -> Document:
    document: Document = orjson.loads(body)
    return document
