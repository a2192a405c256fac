"""Files of a batch prediction job on their way to the bucket, and how far the job has come.

Each block of the input has its results and its errors in files of their own, in the job's folder; a
checkpoint beside them says how many blocks count and where the input goes on. A process killed at
any moment leaves a checkpoint that fits: the files of later blocks are written again. The bucket
gets all objects at once, at the end.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vertex_emulator.batch.blocks import Place
from vertex_emulator.batch.task import Done
from vertex_emulator.object_store.blobs import Blob
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.processes.supervisor import read_json, write_json
from vertex_emulator.uris import split_uri

SHARD_BYTES = 64 * 1024 * 1024  # of results in one object, about
HASHED_AT_ONCE = 2  # objects
CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Checkpoint:
    """How far a job has come.

    Attributes:
        source: number of the input file at which it is, from 0.
        offset: where to read on in there, as `Place.offset`.
        records: as `Place.records`.
        blocks: that are done.
        successful: rows with a prediction.
        failed: rows without.
        reason: of the first row that failed; "" where none did.
    """

    source: int = 0
    offset: int = 0
    records: int = 0
    blocks: int = 0
    successful: int = 0
    failed: int = 0
    reason: str = ""

    @property
    def done(self) -> int:
        """Rows with a prediction or an error."""
        return self.successful + self.failed


class BatchOutput:
    """The growing output of one job.

    Args:
        folder: the job's own; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        saved = read_json(folder / "checkpoint.json")
        self.reached = Checkpoint(**saved) if saved else Checkpoint()

    def results(self, block: int) -> Path:
        """Returns the file for the results of a block, by its number from 0."""
        return self._folder / f"{block:08d}.results"

    def errors(self, block: int) -> Path:
        """Returns the file for its errors."""
        return self._folder / f"{block:08d}.errors"

    def add(self, done: Done, source: int, place: Place) -> None:
        """Counts the next block; the input goes on at `place` of file `source`."""
        reached = self.reached
        self.reached = replace(
            reached,
            source=source,
            offset=place.offset,
            records=place.records,
            blocks=reached.blocks + 1,
            successful=reached.successful + done.successful,
            failed=reached.failed + done.failed,
            reason=reached.reason or done.reason,
        )

    def save(self) -> None:
        """Makes what was added so far survive the process."""
        write_json(self._folder / "checkpoint.json", asdict(self.reached))

    def publish(self, objects: Objects, uri: str, alongside: Callable[[], object]) -> None:
        """Makes objects of the files under `uri`, all in one step with `alongside`.

        Raises:
            ApiError: 404 where the bucket is gone, 507 for a full disk.
        """
        bucket, prefix = split_uri(uri)
        shards = list(self._shards()) or [[]]
        files = {
            f"{prefix}/prediction.results-{number:05d}-of-{len(shards):05d}": paths
            for number, paths in enumerate(shards)
        }
        errors = map(self.errors, range(self.reached.blocks))
        files[f"{prefix}/prediction.errors_stats-00000-of-00001"] = list(errors)

        def joined(paths: Iterable[Path]) -> Blob:
            with objects.new_blob() as writer:
                for path in paths:
                    with path.open("rb") as file:
                        writer.write_from(file)
                return writer.finish()

        with ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="publish") as threads:
            blobs = dict(zip(files, threads.map(joined, files.values()), strict=True))
        with objects.database.transaction():
            for name, blob in blobs.items():
                objects.put(Ref(bucket, name), blob, {"contentType": CONTENT_TYPE})
            alongside()

    def _shards(self) -> Iterator[list[Path]]:
        """Yields the files of the results that each object holds."""
        paths: list[Path] = []
        size = 0
        for path in map(self.results, range(self.reached.blocks)):
            paths.append(path)
            size += path.stat().st_size
            if size >= SHARD_BYTES:
                yield paths
                paths, size = [], 0
        if paths:
            yield paths
