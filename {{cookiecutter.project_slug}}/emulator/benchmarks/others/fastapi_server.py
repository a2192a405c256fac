"""MODEL=FOLDER python fastapi_server.py PORT

The server that most people write: FastAPI, and a call of the signature for each request.
"""

import os
import sys
from typing import Any

import tensorflow as tf
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

loaded = tf.saved_model.load(os.environ["MODEL"] + "/1")
signature = loaded.signatures["serving_default"]
app = FastAPI()


class Body(BaseModel):
    """The request: instances, each an object of features."""

    instances: list[dict[str, Any]]


@app.post("/predict")
def predict(body: Body) -> dict[str, list[float]]:
    """Predicts in a thread of the server's pool, as FastAPI runs functions that are not async."""
    inputs = {
        name: tf.constant([each[name] for each in body.instances], spec.dtype)
        for name, spec in signature.structured_input_signature[1].items()
    }
    return {"predictions": signature(**inputs)["probability"].numpy().tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
