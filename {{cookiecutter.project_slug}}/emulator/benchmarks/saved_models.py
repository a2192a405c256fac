"""python benchmarks/saved_models.py FOLDER --features 14

Writes a SavedModel with untrained weights to FOLDER/1, and to FOLDER/instance.json an instance of
it: what a prediction costs does not depend on what the model has learned. Of 14 features, five are
strings with a vocabulary, as in the table of flights; of other numbers, all are numbers.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

CATEGORIES = {"carrier": 16, "origin": 3, "dest": 105, "tail": 500, "kind": 8}
EMBEDDING = 8
HIDDEN = (64, 32)


def specs(features: int) -> dict[str, str]:
    """Returns the dtype of each feature by its name."""
    names = dict.fromkeys(CATEGORIES, "string") if features == 14 else {}
    numbers = {f"x{number}": "float32" for number in range(features - len(names))}
    return names | numbers


def instance(features: int) -> dict[str, Any]:
    """Returns one instance, as JSON carries it."""
    return {
        name: f"{name}-1" if dtype == "string" else round(0.37 * index, 2)
        for index, (name, dtype) in enumerate(specs(features).items())
    }


def save(folder: Path, features: int) -> None:
    """Writes the SavedModel and the instance."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    random = tf.random.Generator.from_seed(1)
    module = tf.Module()
    module.tables, module.embeddings, module.layers = {}, {}, []
    width = 0
    for name, dtype in specs(features).items():
        width += EMBEDDING if dtype == "string" else 1
        if dtype == "string":
            words = [f"{name}-{number}" for number in range(CATEGORIES[name])]
            values = tf.lookup.KeyValueTensorInitializer(words, tf.range(1, len(words) + 1))
            module.tables[name] = tf.lookup.StaticHashTable(values, 0)
            module.embeddings[name] = tf.Variable(random.normal([len(words) + 1, EMBEDDING]))
    for units in (*HIDDEN, 1):
        module.layers.append(tf.Variable(random.normal([width, units], stddev=width**-0.5)))
        width = units

    def predict(**inputs: Any) -> dict[str, Any]:
        parts = [
            tf.gather(module.embeddings[name], module.tables[name].lookup(values))
            if name in module.tables
            else values[:, None]
            for name, values in inputs.items()
        ]
        values = tf.concat(parts, axis=1)
        for layer in module.layers[:-1]:
            values = tf.nn.relu(values @ layer)
        return {"probability": tf.sigmoid(values @ module.layers[-1])[:, 0]}

    signature = tf.function(predict).get_concrete_function(
        **{name: tf.TensorSpec([None], dtype, name) for name, dtype in specs(features).items()}
    )
    tf.saved_model.save(module, str(folder / "1"), {"serving_default": signature})
    # Says that rows stay apart, so that requests may share a call of the model.
    (folder / "1" / "batching_params.pbtxt").write_text("", encoding="utf-8")
    (folder / "instance.json").write_text(json.dumps(instance(features)), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--features", type=int, default=14)
    given = parser.parse_args()
    save(given.folder, given.features)
