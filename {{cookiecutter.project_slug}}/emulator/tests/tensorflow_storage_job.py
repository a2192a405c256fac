"""A job of `test_tensorflow_storage.py`: all ways of TensorFlow and Keras to read and write gs://.

Prints a line of JSON for each way: what it found.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

ROOT = sys.argv[1]  # gs://BUCKET
FILES = tf.io.gfile


def gfile() -> list[Any]:
    path = f"{ROOT}/größe/a b+c%25#?.txt"
    with FILES.GFile(path, "w") as file:
        file.write("one\n")
    with FILES.GFile(path, "a") as file:
        file.write("two\n")
    FILES.makedirs(f"{ROOT}/made/deep")
    FILES.copy(path, f"{ROOT}/made/copy.txt")
    FILES.rename(f"{ROOT}/made/copy.txt", f"{ROOT}/made/moved.txt")
    with FILES.GFile(f"{ROOT}/made/moved.txt", "rb") as file:
        file.seek(4)
        end = file.read().decode()
    found = [
        end,
        FILES.exists(path),
        FILES.exists(f"{ROOT}/none"),
        FILES.isdir(f"{ROOT}/made"),
        FILES.stat(path).length,
        sorted(FILES.listdir(f"{ROOT}/made")),
        [name.removeprefix(ROOT) for name in FILES.glob(f"{ROOT}/gr*/*.txt")],
        [[name.removeprefix(ROOT), *rest] for name, *rest in FILES.walk(f"{ROOT}/made")],
    ]
    FILES.rmtree(f"{ROOT}/made")
    return [*found, FILES.exists(f"{ROOT}/made/moved.txt")]


def large() -> list[Any]:
    data = np.random.default_rng(0).bytes(20_000_000)
    tf.io.write_file(f"{ROOT}/large.bin", data)
    return [len(data), tf.io.read_file(f"{ROOT}/large.bin").numpy() == data]


def records() -> list[Any]:
    """TFRecord files, compressed too, as a data set."""
    paths = [f"{ROOT}/data/{number}.tfrecord.gz" for number in range(3)]
    for number, path in enumerate(paths):
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for row in range(10):
                writer.write(f"{number}{row}".encode())
    files = tf.data.Dataset.list_files(f"{ROOT}/data/*.tfrecord.gz", shuffle=False)
    rows = tf.data.TFRecordDataset(files, "GZIP", num_parallel_reads=2)
    return sorted(row.decode() for row in rows.as_numpy_iterator())


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    made.compile("sgd", "mse")
    return made


ROWS = np.ones((4, 3), "float32")


def fitted() -> list[Any]:
    """Callbacks that write while training goes."""
    made = model()
    calls = [
        keras.callbacks.TensorBoard(f"{ROOT}/logs/fit"),
        keras.callbacks.ModelCheckpoint(f"{ROOT}/best.keras"),
        keras.callbacks.BackupAndRestore(f"{ROOT}/backup"),
    ]
    made.fit(ROWS, ROWS[:, :2], epochs=2, verbose=0, callbacks=calls)
    again = keras.saving.load_model(f"{ROOT}/best.keras")
    return [bool(np.allclose(again(ROWS), made(ROWS)))]


def saved() -> list[Any]:
    made = model()
    expected = made(ROWS).numpy()
    made.save(f"{ROOT}/m.keras")
    made.save_weights(f"{ROOT}/m.weights.h5")
    made.export(f"{ROOT}/export/1", verbose=False)
    module = tf.Module()
    module.number = tf.Variable(7)
    tf.saved_model.save(module, f"{ROOT}/saved")
    other = model()
    other.load_weights(f"{ROOT}/m.weights.h5")
    exported = tf.saved_model.load(f"{ROOT}/export/1")
    found = [
        keras.saving.load_model(f"{ROOT}/m.keras")(ROWS),
        other(ROWS),
        exported.serve(ROWS),
    ]
    same = [bool(np.allclose(each, expected)) for each in found]
    return [*same, int(tf.saved_model.load(f"{ROOT}/saved").number)]


def checkpoints() -> list[Any]:
    number = tf.Variable(1)
    checkpoint = tf.train.Checkpoint(number=number)
    manager = tf.train.CheckpointManager(checkpoint, f"{ROOT}/checkpoints", max_to_keep=2)
    for step in range(4):
        number.assign(step)
        manager.save()
    number.assign(-1)
    checkpoint.restore(tf.train.latest_checkpoint(f"{ROOT}/checkpoints"))
    return [int(number), len(manager.checkpoints)]


def summaries() -> list[Any]:
    with tf.summary.create_file_writer(f"{ROOT}/logs/own").as_default():
        for step in range(3):
            tf.summary.scalar("loss", 1 / (step + 1), step)
            tf.summary.flush()
    [path] = FILES.glob(f"{ROOT}/logs/own/*")
    events = list(tf.compat.v1.train.summary_iterator(path))
    return [len(events)]


def missing() -> list[Any]:
    """Errors, by their class."""
    other = "gs://no-such-bucket-here"
    calls: list[Callable[[], Any]] = [
        lambda: tf.io.read_file(f"{ROOT}/none"),
        lambda: tf.io.read_file(f"{other}/none"),
        lambda: written(f"{other}/new"),
        lambda: FILES.listdir(f"{ROOT}/none"),
        lambda: FILES.remove(f"{ROOT}/none"),
        lambda: list(tf.data.TFRecordDataset(f"{ROOT}/none")),
        lambda: tf.saved_model.load(f"{ROOT}/none"),
        lambda: keras.saving.load_model(f"{ROOT}/none.keras"),
        lambda: FILES.exists(f"{other}/none"),
        lambda: tf.io.read_file("gs://"),
    ]
    return [name_of(call) for call in calls]


def written(path: str) -> None:
    # Not tf.io.write_file, model.export and the like, which look for the folder of a bucket that
    # is not there for ever: file_system.cc takes "gs://b" for a folder of itself.
    with FILES.GFile(path, "w") as file:
        file.write("text")


def name_of(call: Callable[[], Any]) -> str:
    try:
        return repr(call())
    except (tf.errors.OpError, OSError, ValueError) as error:
        return type(error).__name__


if __name__ == "__main__":
    for way in (gfile, large, records, fitted, saved, checkpoints, summaries, missing):
        print(json.dumps({way.__name__: way()}), flush=True)
