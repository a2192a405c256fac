"""Checkpoints: each a new file, and a pointer that commits it by being replaced."""

import contextlib
import dataclasses
import json
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trainer import console, files
from trainer.errors import UserError

POINTER = "checkpoint.json"
KEPT = 2  # the newest, and the one before for when the newest turns out to be damaged


@dataclass
class Progress:
    """How far a training is; with the variables, all that the next step depends on.

    Attributes:
        epoch: epochs done.
        step: steps done of the next one.
        loss_sum: sum of the losses of these steps.
        best_epoch: the epoch of the best evaluation so far, from 1; 0 is none.
        best: what its metric was, the watched one; None before the first.
        history: the metrics of each epoch.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_epoch: int = 0
    best: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)


class Checkpoints:
    """The checkpoints of one training in one folder."""

    def __init__(self, folder: Path, variables: Sequence[Any], run: Mapping[str, Any]) -> None:
        """Takes what to save.

        Args:
            folder: where to; it is made.
            variables: Keras' or TensorFlow's, always in the same order.
            run: what a run must agree on with a checkpoint to go on from it, as JSON values.
        """
        self.folder = folder
        self.variables = variables
        self.run = dict(run)
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, progress: Progress) -> None:
        """Writes a checkpoint, commits it, and removes those that are no longer needed."""
        name = f"epoch-{progress.epoch:04}-step-{progress.step:06}-{secrets.token_hex(3)}.npz"
        arrays: dict[str, Any] = {
            str(i): np.asarray(variable) for i, variable in enumerate(self.variables)
        }
        state = json.dumps({"run": self.run, "progress": dataclasses.asdict(progress)})
        with files.whole(self.folder / name) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **arrays, state=np.array(state))

        kept = [name, *self._committed()][:KEPT]
        with files.whole(self.folder / POINTER) as unfinished:
            unfinished.write_text(json.dumps({"newest_first": kept}), encoding="utf-8")
        for path in self.folder.glob("epoch-*.npz"):
            if path.name not in kept:
                # Windows does not remove a file that is being uploaded; the next save does.
                with contextlib.suppress(PermissionError):
                    path.unlink()

    def restore(self) -> Progress:
        """Puts the variables where the newest whole checkpoint has them.

        Returns:
            How far it was; nothing done where there is no checkpoint.

        Raises:
            UserError: the checkpoint is of a run with other settings or data.
        """
        for name in self._committed():
            try:
                state, arrays = self._load(self.folder / name)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                console.say(f"Skipped the damaged checkpoint {name}: {error}", severity="WARNING")
                continue
            self._check_run(state["run"])
            self._check_shapes(arrays)
            for variable, array in zip(self.variables, arrays, strict=True):
                variable.assign(array)
            progress = Progress(**state["progress"])
            console.say(f"Continuing after epoch {progress.epoch}, step {progress.step} ({name}).")
            return progress
        return Progress()

    def _committed(self) -> list[str]:
        """Returns the names of the committed checkpoints, the newest first."""
        try:
            content = (self.folder / POINTER).read_text(encoding="utf-8")
            return list(json.loads(content)["newest_first"])
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):
            console.say(
                f"Skipped the damaged {POINTER}; the names of the checkpoints give their order.",
                severity="WARNING",
            )
            return sorted((path.name for path in self.folder.glob("epoch-*.npz")), reverse=True)

    def _load(self, path: Path) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
        """Reads a whole file; zip's checksums find what is damaged."""
        with path.open("rb") as file, np.load(file) as arrays:
            state = json.loads(str(arrays["state"]))
            return state, [arrays[str(i)] for i in range(len(arrays.files) - 1)]

    def _check_run(self, saved: Mapping[str, Any]) -> None:
        for name, value in json.loads(json.dumps(self.run)).items():
            if saved.get(name) != value:
                raise UserError(
                    f"{self.folder}: expected checkpoints of a run with {name} {value!r}, got one"
                    f" with {saved.get(name)!r}; use another --checkpoint-dir or the same {name}."
                )

    def _check_shapes(self, arrays: Sequence[np.ndarray[Any, Any]]) -> None:
        expected = [tuple(np.shape(variable)) for variable in self.variables]
        found = [array.shape for array in arrays]
        if found != expected:
            differ = [pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]]
            wanted, got = differ[0] if differ else (len(expected), len(found))
            raise UserError(
                f"{self.folder}: expected a checkpoint of this network, got one of another: a"
                f" variable has shape {got} instead of {wanted}; use another --checkpoint-dir, or"
                " the trainer/tabular/model.py that it was written with."
            )
