"""What a model takes and answers, written beside its SavedModel for whoever asks it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer import files

FILE = "contract.json"


def write(
    folder: Path,
    *,
    inputs: Sequence[Mapping[str, Any]],
    outputs: Mapping[str, str],
    sample: Mapping[str, Any],
    rows_joined: bool,
    table: Mapping[str, Any] | None = None,
) -> None:
    """Writes the contract; the file appears when it is whole.

    Args:
        folder: the one that holds the SavedModel's numbered folder.
        inputs: of the default signature, each with its `name`, `kind`, `heading`, `about` and
            `example`. A kind is that of a table's column, or `image` for the bytes of a PNG or JPEG
            file, `bytes` for others, or `tensor` for a list of numbers.
        outputs: what each output means, by its name.
        sample: an instance, as JSON carries it.
        rows_joined: whether a server may answer the rows of several requests with one call.
        table: the description of the table that the model was trained on; None where there is none.
    """
    document = {
        "inputs": list(inputs),
        "outputs": dict(outputs),
        "sample": dict(sample),
        "rows_joined": rows_joined,
        "table": table,
    }
    with files.whole(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
