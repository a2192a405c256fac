import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.errors import UserError
from trainer.tabular.checkpoint import KEPT, POINTER, Checkpoints, Progress


class Number:
    """A variable, as far as a checkpoint sees one."""

    def __init__(self, value: float) -> None:
        self.value = np.float32(value)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray[Any, Any]:
        return np.array(self.value)

    def assign(self, value: np.float32) -> None:
        self.value = value


def save_three(folder: Path) -> list[str]:
    """Saves after epochs 1, 2 and 3, the variable being the epoch; returns the newest first."""
    number = Number(0)
    checkpoints = Checkpoints(folder, [number], {"seed": 1})
    for epoch in (1, 2, 3):
        number.assign(np.float32(epoch))
        checkpoints.save(Progress(epoch=epoch, history=[{"loss": 0.1}]))
    return list(json.loads((folder / POINTER).read_text())["newest_first"])


def restore(folder: Path, **run: int) -> tuple[Progress, float]:
    number = Number(-1)
    progress = Checkpoints(folder, [number], run or {"seed": 1}).restore()
    return progress, float(number.value)


def test_nothing_is_restored_from_an_empty_folder(tmp_path: Path) -> None:
    assert restore(tmp_path) == (Progress(), -1)


def test_the_newest_is_restored_and_old_ones_are_removed(tmp_path: Path) -> None:
    kept = save_three(tmp_path)
    assert restore(tmp_path) == (Progress(epoch=3, history=[{"loss": 0.1}]), 3)
    assert {path.name for path in tmp_path.iterdir()} == {POINTER, *kept}
    assert len(kept) == KEPT


@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_one_is_passed_over_and_said(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    newest, before = save_three(tmp_path)
    path = tmp_path / newest
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[content.index(b"NUMPY") + 130] ^= 1  # in the data, behind the array's header
        path.write_bytes(content)
    else:
        path.unlink()
    assert restore(tmp_path) == (Progress(epoch=2, history=[{"loss": 0.1}]), 2)
    said = capsys.readouterr().out
    assert f"Skipped the damaged checkpoint {newest}" in said
    assert before in said


def test_the_variables_stay_as_they_are_if_all_are_damaged(tmp_path: Path) -> None:
    for name in save_three(tmp_path):
        (tmp_path / name).write_bytes(b"")
    assert restore(tmp_path) == (Progress(), -1)


def test_a_file_that_no_pointer_names_does_not_count(tmp_path: Path) -> None:
    _newest, before = save_three(tmp_path)
    (tmp_path / POINTER).write_text(json.dumps({"newest_first": [before]}))
    assert restore(tmp_path)[1] == 2


def test_a_damaged_pointer_is_passed_over(tmp_path: Path) -> None:
    save_three(tmp_path)
    (tmp_path / POINTER).write_text("{")
    assert restore(tmp_path)[1] == 3


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    save_three(tmp_path)
    with pytest.raises(UserError, match=r"a run with seed 2, got one with 1; .*--checkpoint-dir"):
        restore(tmp_path, seed=2)


def test_another_architectures_checkpoint_is_refused(tmp_path: Path) -> None:
    save_three(tmp_path)
    wide = Number(0)
    wide.value = np.zeros([2], np.float32)  # type: ignore[assignment]
    for variables in ([wide], [Number(0), Number(0)]):
        with pytest.raises(UserError, match=r"a checkpoint of this network, got one of another"):
            Checkpoints(tmp_path, variables, {"seed": 1}).restore()
