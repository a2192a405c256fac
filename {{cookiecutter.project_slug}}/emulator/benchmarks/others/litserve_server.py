"""MODEL=FOLDER python litserve_server.py PORT

LitServe with batching, as its documentation shows it.
"""

import os
import sys
from typing import Any

import litserve
from starlette.requests import Request


class Predictor(litserve.LitAPI):
    """Decodes requests, and predicts for a list of them at a time."""

    def setup(self, _device: Any) -> None:
        """Loads the model in the worker's process."""
        import tensorflow as tf

        self.tf = tf
        self.loaded = tf.saved_model.load(os.environ["MODEL"] + "/1")
        self.signature = self.loaded.signatures["serving_default"]

    def decode_request(self, request: Request) -> Any:
        """Takes the one instance of a request, which LitServe has parsed already."""
        body: Any = request
        return body["instances"][0]

    def batch(self, inputs: list[Any]) -> Any:
        """Makes a tensor of each feature."""
        return {
            name: self.tf.constant([each[name] for each in inputs], spec.dtype)
            for name, spec in self.signature.structured_input_signature[1].items()
        }

    def predict(self, x: Any) -> Any:
        return self.signature(**x)["probability"].numpy().tolist()

    def unbatch(self, output: Any) -> Any:
        """Gives each request its prediction."""
        return output

    def encode_response(self, output: Any) -> Any:
        return {"predictions": [output]}


if __name__ == "__main__":
    api = Predictor(max_batch_size=64, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
