"""nox -s submit: trains a network that tells of which package a docstring is."""

import argparse
import ast
from importlib.resources import files
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from trainer import job

# Each is installed with the trainer, so its sources are there in a job too.
PACKAGES = ("jinja2", "matplotlib", "requests", "rich", "tensorboard")
ROWS_OF_EACH = 600
WORDS = 5_000  # size of the vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains on docstrings.", allow_abbrev=False)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()

    rows = [
        (text, label)
        for label, package in enumerate(PACKAGES)
        for text in sorted(docstrings(package))[:ROWS_OF_EACH]
    ]
    np.random.default_rng(0).shuffle(rows)
    texts = tf.constant([text for text, _label in rows])
    labels = tf.constant([label for _text, label in rows])
    train, test = slice(len(rows) // 5, None), slice(len(rows) // 5)

    words = keras.layers.TextVectorization(WORDS, output_sequence_length=200)
    words.adapt(texts[train])
    network = keras.Sequential(
        [
            keras.Input((200,), dtype="int64"),
            keras.layers.Embedding(WORDS, 32),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(len(PACKAGES), activation="softmax"),
        ]
    )
    network.compile(
        keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    with job.folders() as folders:
        network.fit(
            words(texts[train]),
            labels[train],
            epochs=options.epochs,
            callbacks=[keras.callbacks.TensorBoard(folders.logs)],
            verbose=2,
        )
        _loss, accuracy = network.evaluate(words(texts[test]), labels[test], verbose=0)
        model = keras.Sequential([keras.Input((), dtype="string"), words, network])
        job.save(
            model,
            folders.model,
            sample={"text": "Set the color of the line."},
            about={"text": "a docstring", "label": "the package that it is of"},
            classes=PACKAGES,
            scores={"accuracy": accuracy},
        )


def docstrings(package: str) -> set[str]:
    """Returns the docstrings in the sources of an installed package."""
    described = ast.FunctionDef | ast.ClassDef | ast.Module
    trees = (ast.parse(path.read_bytes()) for path in Path(str(files(package))).rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, described))
    return {ast.get_docstring(node) or "" for node in nodes} - {""}


if __name__ == "__main__":
    main()
