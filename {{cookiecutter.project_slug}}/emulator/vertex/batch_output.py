"""Files of a batch prediction job on their way to the bucket, and how far the job has come.

Results grow in files of the job's own folder, with a checkpoint beside them that says how much of
each counts and where the input goes on. A process killed at any moment leaves a checkpoint that
fits: what the files hold beyond it is cut off before the job goes on. The bucket gets all files
at once, at the end.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from emulator.processes.supervisor import read_json, write_json
from emulator.store.objects import Objects, Ref
from emulator.vertex.batch_predictor import Outcome
from emulator.vertex.batch_rows import Start

SHARD_BYTES = 64 * 1024 * 1024  # of results in one object; the next begins behind that
CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Checkpoint:
    """How far a job has come.

    Attributes:
        source: number of the input file at which it is, from 0.
        end: where to read on in there, as `Start.end`.
        place: as `Start.place`.
        shard: number of the result file that grows, from 0.
        shard_bytes: of that file.
        error_bytes: of the file of errors.
        successful: rows with a prediction.
        failed: rows without.
        reason: of the first row that failed; "" where none did.
    """

    source: int = 0
    end: int = 0
    place: int = 0
    shard: int = 0
    shard_bytes: int = 0
    error_bytes: int = 0
    successful: int = 0
    failed: int = 0
    reason: str = ""

    @property
    def done(self) -> int:
        """Rows with a prediction or an error."""
        return self.successful + self.failed


class BatchOutput:
    """The growing output of one job; use as a context manager.

    Args:
        folder: the job's own; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        saved = read_json(folder / "checkpoint.json")
        self.reached = Checkpoint(**saved) if saved else Checkpoint()
        self._shard = _open(self._shard_path(self.reached.shard), self.reached.shard_bytes)
        self._errors = _open(folder / "errors", self.reached.error_bytes)

    def __enter__(self) -> "BatchOutput":
        return self

    def __exit__(self, *_error: object) -> None:
        self._shard.close()
        self._errors.close()

    def add(self, outcome: Outcome, source: int, start: Start) -> None:
        """Appends what became of a batch; the input goes on at `start` of file `source`."""
        reached = self.reached
        if reached.shard_bytes and reached.shard_bytes + len(outcome.results) > SHARD_BYTES:
            self._shard.close()
            reached = replace(reached, shard=reached.shard + 1, shard_bytes=0)
            self._shard = _open(self._shard_path(reached.shard), 0)
        self._shard.write(outcome.results)
        self._errors.write(outcome.errors)
        self.reached = replace(
            reached,
            source=source,
            end=start.end,
            place=start.place,
            shard_bytes=reached.shard_bytes + len(outcome.results),
            error_bytes=reached.error_bytes + len(outcome.errors),
            successful=reached.successful + outcome.successful,
            failed=reached.failed + len(outcome.reasons),
            reason=reached.reason or (outcome.reasons[0] if outcome.reasons else ""),
        )

    def save(self) -> None:
        """Makes what was added so far survive the process."""
        self._shard.flush()
        self._errors.flush()
        write_json(self._folder / "checkpoint.json", asdict(self.reached))

    def publish(self, objects: Objects, uri: str, alongside: Callable[[], object]) -> None:
        """Makes objects of the files under `uri`, all in one step with `alongside`.

        Raises:
            ApiError: 404 where the bucket is gone, 507 for a full disk.
        """
        self._shard.flush()
        self._errors.flush()
        bucket, _, prefix = uri.removeprefix("gs://").partition("/")
        count = self.reached.shard + 1
        files = {
            f"{prefix}/prediction.results-{number:05d}-of-{count:05d}": self._shard_path(number)
            for number in range(count)
        }
        files[f"{prefix}/prediction.errors_stats-00000-of-00001"] = self._folder / "errors"
        blobs = {}
        for name, path in files.items():
            with objects.new_blob() as writer, path.open("rb") as file:
                writer.write_from(file)
                blobs[name] = writer.finish()
        with objects.database.transaction():
            for name, blob in blobs.items():
                objects.put(Ref(bucket, name), blob, {"contentType": CONTENT_TYPE})
            alongside()

    def _shard_path(self, number: int) -> Path:
        return self._folder / f"results-{number:05d}"


def _open(path: Path, size: int) -> BinaryIO:
    """Opens a file for appending behind its first `size` bytes; cuts off the rest."""
    file = path.open("ab")
    file.truncate(size)
    return file
