"""Models of scikit-learn and XGBoost, called as Google's prebuilt images call them.

Source: https://cloud.google.com/vertex-ai/docs/training/exporting-model-artifacts (the files);
`google.cloud.aiplatform.prediction`, `SklearnPredictor` and `XgboostPredictor` (the calls).
"""

import importlib
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from vertex_emulator.http.errors import RequestError
from vertex_emulator.model_server.errors import StartError, document, invalid

# What each framework's image looks for, the first that is there.
FILES = {
    "sklearn": ("model.joblib", "model.pkl"),
    "xgboost": ("model.bst", "model.joblib", "model.pkl"),
}


@dataclass(frozen=True)
class Estimator:
    """A loaded model.

    Attributes:
        predict: takes the instances of a request, a list; returns an array or a list.
        version: as the routes of TensorFlow Serving name it.
        definition: of its signatures, of which it has none.
    """

    predict: Callable[[list[Any]], Any]
    version: int = 1
    definition: tuple[()] = ()

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Answers a request `{"instances": [...]}`: HTTP status and JSON."""
        try:
            predictions = self.predict(_instances(body))
        except RequestError as error:
            return error.status, document(error)
        except Exception as error:  # whatever the library raises is of this request
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            return 400, document(invalid(f"The model refuses these instances: {reason}"))
        values = predictions.tolist() if hasattr(predictions, "tolist") else list(predictions)
        return 200, json.dumps({"predictions": values}).encode()


def load(folder: Path, base: str, framework: str) -> Estimator:
    """Loads the model in a folder.

    Args:
        folder: on disk.
        base: what the person calls it.
        framework: `sklearn` or `xgboost`.

    Raises:
        StartError: there is none, or it does not load with what is installed.
    """
    names = FILES[framework]
    name = next((each for each in names if (folder / each).is_file()), None)
    if name is None:
        raise StartError(
            f"{base} contains no model of {framework}; expected one of {', '.join(names)}."
        )
    try:
        if framework == "sklearn":
            return _sklearn(folder / name)
        return _xgboost(folder / name)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        raise StartError(
            f"{base}/{name} does not load with what is installed here, {_version(framework)}:"
            f" {reason}"
        ) from error


def _sklearn(file: Path) -> Estimator:
    import numpy as np

    model = _unpickled(file)
    return Estimator(lambda instances: model.predict(np.asarray(instances)))


def _xgboost(file: Path) -> Estimator:
    xgboost = importlib.import_module("xgboost")
    is_own = file.suffix == ".bst"
    booster = xgboost.Booster(model_file=str(file)) if is_own else _unpickled(file)
    if not isinstance(booster, xgboost.Booster):
        raise TypeError(
            f"expected an xgboost.Booster, got {type(booster).__name__}; save its get_booster(), or"
            " its save_model('model.bst')"
        )
    return Estimator(lambda instances: booster.predict(xgboost.DMatrix(instances)))


def _unpickled(file: Path) -> Any:
    if file.suffix == ".joblib":
        return importlib.import_module("joblib").load(file)
    with file.open("rb") as stream:
        return pickle.load(stream)  # noqa: S301, a model of the person's own, as on Google Cloud


def _version(framework: str) -> str:
    return f"{framework} {importlib.import_module(framework).__version__}"


def _instances(body: bytes) -> list[Any]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"Expected a JSON body: {error}") from None
    instances = request.get("instances") if isinstance(request, dict) else None
    if not isinstance(instances, list) or not instances:
        raise invalid('Expected {"instances": [...]} with at least one instance')
    return instances
