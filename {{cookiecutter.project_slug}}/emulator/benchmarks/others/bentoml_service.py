"""MODEL=FOLDER bentoml serve bentoml_service:Predictor --port PORT

BentoML with adaptive batching, as its documentation shows it.
"""

import os
from typing import Any

import bentoml


@bentoml.service(workers=1, traffic={"timeout": 60})
class Predictor:
    """Predicts for the instances of all requests in a batch."""

    def __init__(self) -> None:
        """Loads the model in the worker's process."""
        import tensorflow as tf

        self.tf = tf
        self.loaded = tf.saved_model.load(os.environ["MODEL"] + "/1")
        self.signature = self.loaded.signatures["serving_default"]

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=10_000)
    def predict(self, instances: list[dict[str, Any]]) -> list[float]:
        """Predicts; BentoML joins the lists of the requests that wait, and parts the answer."""
        inputs = {
            name: self.tf.constant([each[name] for each in instances], spec.dtype)
            for name, spec in self.signature.structured_input_signature[1].items()
        }
        found: list[float] = self.signature(**inputs)["probability"].numpy().tolist()
        return found
