"""The database: its connections, and a full disk."""

import threading
from pathlib import Path

from vertex_emulator.state.database import Database


def test_connections_of_ended_threads_are_closed(tmp_path: Path) -> None:
    database = Database(tmp_path / "sqlite")

    def burst() -> None:
        together = threading.Barrier(8)

        def read() -> None:
            database.connection().execute("SELECT 1")
            together.wait()

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for _ in range(20):
        burst()
    assert len(database._connections) <= 1 + 8 + 8  # the newest burst, perhaps the one before
    database.close()
