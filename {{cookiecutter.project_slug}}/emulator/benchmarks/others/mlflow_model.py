"""MODEL=FOLDER python mlflow_model.py OUT

Saves the model as MLflow does one that it has no flavour for; `mlflow models serve -m OUT` serves
it.
"""

import os
import sys
from typing import Any

import mlflow


class Predictor(mlflow.pyfunc.PythonModel):
    """Predicts for the rows of a data frame."""

    def load_context(self, context: Any) -> None:  # noqa: ARG002, called by name
        """Loads the model in the server's process."""
        import tensorflow as tf

        self.tf = tf
        self.loaded = tf.saved_model.load(os.environ["MODEL"] + "/1")
        self.signature = self.loaded.signatures["serving_default"]

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
        """Makes a tensor of each column, and predicts."""
        inputs = {
            name: self.tf.constant(model_input[name].tolist(), spec.dtype)
            for name, spec in self.signature.structured_input_signature[1].items()
        }
        return self.signature(**inputs)["probability"].numpy()


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=Predictor())
