"""A training that ends early goes on, and ends as an undisturbed one."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from trainer.errors import StopRequestedError, UserError
from trainer.tabular.checkpoint import POINTER
from trainer.tabular.run import run
from trainer.tabular.settings import Settings

from .conftest import (
    LEARNING,
    MakeSettings,
    Trained,
    stop_after_steps,
    train,
    trained_on,
    weights_of,
    without_speed,
)

KILLS = 20

# Runs one training again and again in children that SIGKILL themselves at random points: at the
# n-th time that a file is opened, renamed or removed, or steps are taken. The parent has imported
# TensorFlow and runs no op of it, so that a fork is cheap and safe. Prints how each child ended,
# and the points that an undisturbed training has.
KILL_AND_GO_ON = """
import json, os, random, signal, sys, threading, time, traceback
import tensorflow as tf
from trainer.tabular import loop, run, settings
from trainer import mirror
tf.config.run_functions_eagerly(True)  # which takes a child half the time: nothing is compiled
mirror.INTERVAL = 0.02
import google.cloud.storage
import matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, matplotlib.figure

kills, uploads = int(sys.argv[1]), sys.argv[2] == "bucket"
undisturbed, first, *rest = sys.argv[3:]
POINTS = {"open", "os.rename", "os.remove"}


def train(arguments, points):
    reached = 0

    def count(event, _arguments=()):
        nonlocal reached
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and event in POINTS:
            reached += 1
            if reached == points:
                os.kill(os.getpid(), signal.SIGKILL)

    fit, check = loop.Loop.fit, loop.Loop._check

    def fit_counting(self, *rest):
        sys.addaudithook(count)
        return fit(self, *rest)

    def check_counting(self, *rest):
        count("open")
        if uploads:
            time.sleep(0.05)  # as steps of more work take, so that uploads keep up
        check(self, *rest)

    loop.Loop.fit, loop.Loop._check = fit_counting, check_counting
    run.run(settings.parse(arguments), threading.Event())
    return reached


def forked(arguments, points):
    reader, writer = os.pipe()
    if not (child := os.fork()):
        code = 1
        try:
            os.write(writer, str(train(arguments, points)).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as file:
        return os.waitstatus_to_exitcode(status), file.read()


code, found = forked(json.loads(undisturbed), 0)
assert code == 0, code
points, ended, folders = int(found), [], iter([first, *rest])
chance = random.Random(7)
arguments = json.loads(next(folders))
while ended.count(-signal.SIGKILL) < kills or ended[-1] != 0:
    if ended and ended[-1] == 0:
        arguments = json.loads(next(folders))
    enough = ended.count(-signal.SIGKILL) >= kills
    code, _ = forked(arguments, 0 if enough else chance.randint(1, points // 4))
    ended.append(code)
    assert code in (0, -signal.SIGKILL), code
print(json.dumps({"ended": ended, "points": points}))
"""


@pytest.mark.parametrize("place", ["disk", "bucket"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not fork what has threads")
def test_killed_at_random_points_it_ends_with_the_same_bits(
    place: str, bucket: Any, make_settings: MakeSettings, tmp_path: Path
) -> None:
    """With windows on scratch disk and dropout: the data's order and the random state count.

    In a bucket each attempt begins with an empty scratch folder, as on another machine, and the
    kills fall into uploads too.
    """
    values: dict[str, Any] = {
        "table": "penguins", "dropout": 0.2, "window_rows": 100, "checkpoint_seconds": 0.0,
        "steps_per_execution": 2,
    }  # fmt: skip
    base = str(tmp_path) if place == "disk" else f"gs://{bucket.name}"
    undisturbed = make_settings(**values)
    folders = [make_settings(at=f"{base}/{n}", **values) for n in range(KILLS)]
    done = subprocess.run(
        [
            *(sys.executable, "-c", KILL_AND_GO_ON, str(KILLS), place),
            *(json.dumps(settings.arguments()) for settings in (undisturbed, *folders)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])["ended"]
    assert ended.count(-9) == KILLS
    assert "Skipped" not in done.stdout
    assert done.stdout.count("Continuing after") >= KILLS / 2
    expected = json.loads(Path(undisturbed.model_dir, "evaluation.json").read_text())
    finished = folders[: ended.count(0)]
    assert finished
    if place == "bucket":
        finished = [downloaded(settings, bucket, tmp_path) for settings in finished]
    for settings in finished:
        found = json.loads(Path(settings.model_dir, "evaluation.json").read_text())
        assert without_speed(found) == without_speed(expected)
        assert weights_of(settings) == weights_of(undisturbed)


def downloaded(settings: Settings, bucket: Any, folder: Path) -> Settings:
    """Returns the settings with a local copy of the model's folder in the bucket."""
    prefix = settings.model_dir.removeprefix(f"gs://{bucket.name}/")
    for blob in bucket.list_blobs(prefix=prefix):
        path = folder / blob.name
        path.parent.mkdir(parents=True, exist_ok=True)
        blob.download_to_filename(path)
    return dataclasses.replace(settings, model_dir=str(folder / prefix))


@trained_on("penguins")
def test_stopped_within_an_epoch_it_ends_with_the_same_weights(
    trained: Trained, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that XLA compiles; the test of random points has the others."""
    settings = make_settings("penguins", **LEARNING)
    with monkeypatch.context() as patch, pytest.raises(StopRequestedError):
        run(settings, stop_after_steps(patch, 3))
    assert without_speed(train(settings)) == without_speed(trained.document)
    assert weights_of(settings) == weights_of(trained.settings)


def test_stopped_within_a_window_on_disk_it_ends_with_the_same_weights(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    undisturbed = make_settings("penguins", window_rows=100)
    expected = train(undisturbed)
    stopped = make_settings("penguins", at=str(tmp_path / "stopped"), window_rows=100)
    with monkeypatch.context() as patch, pytest.raises(StopRequestedError):
        run(stopped, stop_after_steps(patch, 4))
    assert without_speed(train(stopped)) == without_speed(expected)
    assert weights_of(stopped) == weights_of(undisturbed)


@trained_on("penguins")
def test_going_on_before_a_damaged_checkpoint_ends_the_same(
    trained: Trained, make_settings: MakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, expected = make_settings("penguins", **LEARNING), trained.document
    folder = Path(settings.checkpoint_dir)
    shutil.copytree(trained.settings.checkpoint_dir, folder)
    newest = folder / json.loads((folder / POINTER).read_text())["newest_first"][0]
    newest.write_bytes(newest.read_bytes()[:2_000])
    assert without_speed(train(settings)) == without_speed(expected)
    said = capsys.readouterr().out
    assert f"Skipped the damaged checkpoint {newest.name}" in said
    assert "Continuing after epoch 2, step 0" in said
    # A finished run has no steps left: it is evaluated and exported again.
    assert without_speed(train(settings)) == without_speed(expected)


@trained_on("penguins")
def test_another_network_does_not_go_on_from_a_checkpoint(trained: Trained, tmp_path: Path) -> None:
    logs = str(tmp_path)  # those of the trained one are for other tests to read
    other = dataclasses.replace(trained.settings, hidden_units=(16,), log_dir=logs)
    with pytest.raises(UserError, match=r"hidden_units \[16\], got one with \[8\]"):
        train(other)


@trained_on("penguins")
def test_as_many_weights_of_another_network_are_no_checkpoint_of_this_one(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Renamed(keras.layers.Dense):  # type: ignore[misc]
        def __init__(self, units: int, *arguments: Any, name: str, **options: Any) -> None:
            super().__init__(units, *arguments, name=f"new_{name}", **options)

    monkeypatch.setattr(keras.layers, "Dense", Renamed)
    other = dataclasses.replace(trained.settings, log_dir=str(tmp_path))
    with pytest.raises(
        UserError, match=r"the weight new_wide_numbers/kernel \[\d+, \d\], got .* None"
    ):
        train(other)
