"""The OpenAPI document of an endpoint: what it takes and answers, as many tools read it.

Source: https://spec.openapis.org/oas/v3.1.1.html.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from cloud.languages.fields import Field
from cloud.serving.contract import Contract

Schema = dict[str, Any]

TYPES: dict[str, Schema] = {
    "number": {"type": "number", "format": "float"},
    "integer": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "file": {
        "type": "object",
        "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
        "required": ["b64"],
    },
    "json": {"type": "array"},
}
ITEMS = {"string": "string", "bool": "boolean", "int32": "integer", "int64": "integer"}
NUMBERS: Schema = {"type": "array", "items": {"type": "number"}}


def document(
    taken: Contract, fields: Sequence[Field], *, model: str, url: str, is_cloud: bool
) -> Schema:
    """Returns the document.

    Args:
        taken: by the model.
        fields: of an instance.
        model: its name.
        url: where the endpoint takes predictions.
        is_cloud: whether it wants a token of Google's.
    """
    parts = urlsplit(url)
    instance: Schema = {
        "type": "object",
        "properties": {each.name: _property(each) for each in fields},
        "required": [each.name for each in fields],
        "additionalProperties": False,
    }
    operation: Schema = {
        "operationId": "predict",
        "summary": f"Predicts for instances by {model}.",
        "requestBody": {"required": True, "content": _content("PredictRequest")},
        "responses": {
            "200": {
                "description": "A prediction for each instance, in their order.",
                "content": _content("PredictResponse"),
            },
            "default": {"description": "Why there is none.", "content": _content("Error")},
        },
    }
    schemas = {
        "Instance": instance,
        "Prediction": _prediction(taken),
        "PredictRequest": _object({"instances": _list("Instance")}),
        "PredictResponse": _object({"predictions": _list("Prediction")})
        | {"description": "Has other properties, such as modelVersionId, as well."},
        "Error": _object(
            {
                "error": _object(
                    {
                        "code": {"type": "integer"},
                        "message": {"type": "string"},
                        "status": {"type": "string"},
                    }
                )
            }
        ),
    }
    found: Schema = {
        "openapi": "3.1.1",
        "info": {"title": f"Predictions of {model}", "version": "1"},
        "servers": [{"url": f"{parts.scheme}://{parts.netloc}"}],
        "paths": {parts.path: {"post": operation}},
        "components": {"schemas": schemas},
    }
    if is_cloud:
        scheme = {
            "type": "http",
            "scheme": "bearer",
            "description": "gcloud auth print-access-token",
        }
        found["components"]["securitySchemes"] = {"google": scheme}
        found["security"] = [{"google": []}]
    return found


def _property(field: Field) -> Schema:
    schema = TYPES[field.type] | {"description": field.about}
    if field.type == "json":
        schema |= _shaped(field.shape)
    if field.example is not None:
        example = {"b64": field.example} if field.type == "file" else field.example
        schema["examples"] = [example, *(each for each in field.choices if each != example)]
    return schema


def _shaped(shape: str) -> Schema:
    """Returns the schema of a list by its dtype and shape in words, such as `float32 [28, any]`."""
    dtype, _, sizes = shape.partition(" ")
    schema: Schema = {"type": ITEMS.get(dtype, "number")}
    for size in reversed(re.findall(r"\w+", sizes)):
        schema = {"type": "array", "items": schema}
        if size.isdecimal():
            schema |= {"minItems": int(size), "maxItems": int(size)}
    return schema


def _prediction(taken: Contract) -> Schema:
    """Returns the schema of a prediction; of one output the endpoint answers its bare value."""
    if taken.table is None:
        described = [f"{name}: {about}" for name, about in taken.outputs.items()]
        return {"description": "; ".join(described) or "As the model answers."}
    outputs = {name: _output(name, about) for name, about in taken.outputs.items()}
    return _object(outputs) if len(outputs) > 1 else next(iter(outputs.values()), {})


def _output(name: str, about: str) -> Schema:
    kinds: Mapping[str, Schema] = {"label": {"type": "string"}, "probabilities": NUMBERS}
    return kinds.get(name, {"type": "number"}) | {"description": about}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(name: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _content(name: str) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
