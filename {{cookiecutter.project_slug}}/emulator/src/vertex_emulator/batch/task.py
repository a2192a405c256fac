"""What goes with a block of rows to a replica, and what comes back when it is done."""

from dataclasses import dataclass
from typing import Any, Self

import orjson

# Of `manualBatchTuningParameters.batchSize`, as documented in the message
# ManualBatchTuningParameters of google/cloud/aiplatform/v1/manual_batch_tuning_parameters.proto.
BATCH_SIZE = 64
ROUTE = "/rows"  # that a replica takes blocks at


@dataclass(frozen=True)
class Task:
    """How a replica is to read a block, and where to put the output.

    Attributes:
        uri: of the file, for messages.
        file_format: one of `rows.FORMATS`.
        config: the job's `instanceConfig`.
        results: path of a file for lines `{"instance":…,"prediction":…}`, in the order of the rows.
        errors: that for lines `{"instance":…,"error":{"code":…,"message":…}}`.
        before: records of the input file before the block.
        header: of a csv file, its line; each character stands for a byte.
        problem: why the file ends with the block, in place of a row.
        batch_size: rows of a call of the model, where it may not treat rows apart.
    """

    uri: str
    file_format: str
    config: dict[str, Any]
    results: str
    errors: str
    before: int = 0
    header: str = ""
    problem: str = ""
    batch_size: int = BATCH_SIZE

    def encode(self, data: bytes) -> bytes:
        """Returns a line of JSON and the block."""
        return orjson.dumps(self) + b"\n" + data

    @classmethod
    def decode(cls, content: bytes) -> tuple[Self, bytes]:
        """Takes apart what `encode` has put together."""
        head, _, data = content.partition(b"\n")
        return cls(**orjson.loads(head)), data


@dataclass(frozen=True)
class Done:
    """How many rows of a block there are in the files.

    Attributes:
        successful: in the file of the results.
        failed: in that of the errors.
        reason: the message of the first that failed; "" where none did.
    """

    successful: int
    failed: int = 0
    reason: str = ""
