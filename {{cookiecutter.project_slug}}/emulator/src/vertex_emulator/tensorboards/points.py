"""The points of time series, by step."""

from collections.abc import Iterable
from typing import Any

import orjson

from vertex_emulator.state.database import Database

Point = dict[str, Any]  # a `TimeSeriesDataPoint` in JSON

SCHEMA = """
CREATE TABLE IF NOT EXISTS tensorboard_point (
    series TEXT NOT NULL,
    step INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (series, step)
) WITHOUT ROWID
"""


class Points:
    """Points by the resource name of their time series."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.connection().execute(SCHEMA)

    def write(self, series: str, points: Iterable[Point]) -> None:
        """Stores points; one takes the place of an earlier one of its step."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO tensorboard_point (series, step, body) VALUES (?, ?, ?)",
                (
                    (series, int(each.get("step", 0)), orjson.dumps(each).decode())
                    for each in points
                ),
            )

    def read(self, series: str, limit: int | None) -> list[Point]:
        """Returns points by step: all, or `limit` of them at equal distances, the last among them.

        Google Cloud picks them at random.
        """
        rows = (
            self._database.connection()
            .execute("SELECT body FROM tensorboard_point WHERE series = ? ORDER BY step", (series,))
            .fetchall()
        )
        if limit is not None and len(rows) > limit:
            rows = [rows[(index + 1) * len(rows) // limit - 1] for index in range(limit)]
        return [orjson.loads(row["body"]) for row in rows]

    def following(self, series: str, step: int | None) -> Iterable[Point]:
        """Yields a series' points by step, those after `step` where one is given."""
        rows = self._database.connection().execute(
            "SELECT body FROM tensorboard_point WHERE series = ? AND (? IS NULL OR step > ?)"
            " ORDER BY step",
            (series, step, step),
        )
        return (orjson.loads(row["body"]) for row in rows)

    def delete_below(self, name: str) -> None:
        """Forgets the points of a time series, or of all that lie below a resource."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM tensorboard_point"
                " WHERE series = ? OR (series > ? || '/' AND series < ? || '0')",
                (name, name, name),
            )
