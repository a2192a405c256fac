"""What the samples of `benchmarks.samples` begin with, and the list of them."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform, storage

from vertex_emulator.testing.clients import PROJECT

BUCKET = "samples-bucket"
TRAINING = "us-docker.pkg.dev/vertex-ai/training"
PREDICTION = "us-docker.pkg.dev/vertex-ai/prediction"
MACHINE = "n1-standard-4"
# A network as the tutorials write it, for TensorFlow 2.8: Keras 2 saves a folder.
TENSORFLOW_SCRIPT = """
import argparse, os
import numpy as np
import tensorflow as tf
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
args = parser.parse_args()
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
model.compile(loss="mse", optimizer=tf.keras.optimizers.SGD(learning_rate=0.01))
board = tf.keras.callbacks.TensorBoard(os.environ.get("AIP_TENSORBOARD_LOG_DIR", "logs"))
model.fit(np.ones((8, 2)), np.ones(8), epochs=args.epochs, verbose=0, callbacks=[board])
model.save(os.environ["AIP_MODEL_DIR"])
"""
SKLEARN_SCRIPT = """
import os
import joblib
from google.cloud import storage
from sklearn.tree import DecisionTreeClassifier
joblib.dump(DecisionTreeClassifier().fit([[0, 0], [1, 1]], ["low", "high"]), "model.joblib")
bucket, _, path = os.environ["AIP_MODEL_DIR"].removeprefix("gs://").partition("/")
storage.Client().bucket(bucket).blob(path + "model.joblib").upload_from_filename("model.joblib")
"""
XGBOOST_SCRIPT = """
import os
import numpy as np
import xgboost
from google.cloud import storage
data = np.array([[0.0, 0.0], [1.0, 1.0]])
xgboost.train({}, xgboost.DMatrix(data, data[:, 0]), 2).save_model("model.bst")
bucket, _, path = os.environ["AIP_MODEL_DIR"].removeprefix("gs://").partition("/")
storage.Client().bucket(bucket).blob(path + "model.bst").upload_from_filename("model.bst")
"""
TABLE_SCRIPT = """
import os
import pandas as pd
import tensorflow as tf
def rows(split):
    files = tf.data.Dataset.list_files([os.environ[f"AIP_{split}_DATA_URI"]])
    table = pd.concat([pd.read_csv(file.numpy().decode()) for file in files])
    return table[["x"]].values, table["y"].values
model = tf.keras.Sequential([tf.keras.layers.Dense(4), tf.keras.layers.Dense(1)])
model.compile(loss="mse", optimizer="adam")
model.fit(*rows("TRAINING"), epochs=1, validation_data=rows("VALIDATION"))
print(model.evaluate(*rows("TEST")))
tf.saved_model.save(model, os.environ["AIP_MODEL_DIR"])
"""
TUNING_SCRIPT = """
import argparse, hypertune
parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float)
parser.add_argument("--units", type=int)
parser.add_argument("--activation")
parser.add_argument("--batch_size", type=float)
args = parser.parse_args()
hypertune.HyperTune().report_hyperparameter_tuning_metric(
    hyperparameter_metric_tag="loss", metric_value=args.learning_rate * args.units, global_step=1)
"""
DISTRIBUTED_SCRIPT = """
import json, os
print(json.loads(os.environ["TF_CONFIG"])["task"], json.loads(os.environ["CLUSTER_SPEC"])["task"])
"""


class DiffersError(Exception):
    """The sample runs with a change, which the message names."""


class World:
    """What the samples begin with: files in a bucket, a model, an endpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        client = storage.Client(project=PROJECT, credentials=AnonymousCredentials())
        self.bucket = client.create_bucket(BUCKET)
        self._number = 0

    def name(self, prefix: str = "sample") -> str:
        """Returns a name that nothing else has."""
        self._number += 1
        return f"{prefix}-{self._number}"

    def script(self, code: str) -> str:
        file = self.folder / f"{self.name()}.py"
        file.write_text(code)
        return str(file)

    def put(self, name: str, text: str) -> str:
        self.bucket.blob(name).upload_from_string(text)
        return f"gs://{BUCKET}/{name}"

    @cached_property
    def artifact(self) -> str:
        """The folder of a model of scikit-learn."""
        self.model  # noqa: B018, it trains it
        return str(self.model.uri)

    @cached_property
    def model(self) -> Any:
        job = aiplatform.CustomTrainingJob(
            display_name="first",
            script_path=self.script(SKLEARN_SCRIPT),
            container_uri=f"{TRAINING}/sklearn-cpu.1-6:latest",
            model_serving_container_image_uri=f"{PREDICTION}/sklearn-cpu.1-6:latest",
        )
        return job.run(model_display_name="first")

    def upload(self, **options: Any) -> Any:
        return aiplatform.Model.upload(
            display_name=self.name("model"),
            artifact_uri=self.artifact,
            serving_container_image_uri=f"{PREDICTION}/sklearn-cpu.1-6:latest",
            **options,
        )

    @cached_property
    def package(self) -> str:
        """An sdist of the script that trains with scikit-learn."""
        pools = aiplatform.CustomJob.get(
            self.model.to_dict() and _backing_job(self.model)
        ).to_dict()["jobSpec"]["workerPoolSpecs"]
        uri: str = pools[0]["pythonPackageSpec"]["packageUris"][0]
        return uri

    @cached_property
    def tensorflow_export(self) -> str:
        """The folder above a SavedModel's version, which a job with TensorFlow 2.8 writes."""
        script = TENSORFLOW_SCRIPT.replace('"AIP_MODEL_DIR"]', '"AIP_MODEL_DIR"] + "1"')
        job = aiplatform.CustomTrainingJob(
            display_name="tensorflow",
            script_path=self.script(script),
            container_uri=f"{TRAINING}/tf-cpu.2-8:latest",
        )
        job.run(base_output_dir=f"gs://{BUCKET}/tensorflow")
        return f"gs://{BUCKET}/tensorflow/model"

    @cached_property
    def event_files(self) -> Path:
        """A folder with the curves of `tensorflow_export`."""
        self.tensorflow_export  # noqa: B018, it writes them
        for blob in self.bucket.list_blobs(prefix="tensorflow/logs/"):
            if blob.name.endswith("/"):  # TensorFlow's own mark of a folder
                continue
            file = self.folder / "curves" / blob.name.removeprefix("tensorflow/logs/")
            file.parent.mkdir(parents=True, exist_ok=True)
            blob.download_to_filename(file)
        return self.folder / "curves"

    @cached_property
    def rows(self) -> str:
        return self.put("rows.jsonl", "[0, 0]\n[1, 1]\n")

    @cached_property
    def table(self) -> str:
        lines = "".join(f"{number / 2},{number % 2}\n" for number in range(1, 50))
        return self.put("table.csv", f"x,y\n{lines}")

    def experiment(self, **options: Any) -> str:
        name = self.name("experiment")
        aiplatform.init(experiment=name, **options)
        return name

    def run_of(self, experiment: str) -> Any:
        return aiplatform.ExperimentRun.create(self.name("run"), experiment=experiment)


def _backing_job(model: Any) -> str:
    pipeline = aiplatform.CustomTrainingJob.get(model.to_dict()["trainingPipeline"])
    name: str = pipeline.to_dict()["trainingTaskMetadata"]["backingCustomJob"]
    return name


Sample = Callable[[World], Any]
SAMPLES: list[tuple[str, Sample]] = []


def sample(*names: str) -> Callable[[Sample], Sample]:
    """Registers what makes the calls of some samples."""

    def register(call: Sample) -> Sample:
        SAMPLES.extend((name, call) for name in names)
        return call

    return register
