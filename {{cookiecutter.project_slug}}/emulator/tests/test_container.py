"""What fails on Google Cloud because Vertex AI would not reach TensorFlow Serving fails here."""

from typing import Any

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.vertex import container

ROUTES = {"healthRoute": "/v1/models/m", "predictRoute": "/v1/models/m:predict"}
ARGS = ["--rest_api_port=8080", "--model_name=m", "--model_base_path=$(AIP_STORAGE_URI)"]


def model(**spec: Any) -> dict[str, Any]:
    return {
        "name": "projects/p/locations/l/models/flights@2",
        "versionId": "2",
        "artifactUri": "gs://bucket/model",
        "containerSpec": {"imageUri": "us-docker.pkg.dev/p/tensorflow/serving:2.19.1"} | spec,
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"args": ARGS},
        {"args": ["--rest_api_port=$(AIP_HTTP_PORT)", *ARGS[1:]], "ports": [{"containerPort": 80}]},
        {"args": ARGS[1:], "ports": [{"containerPort": 8501}]},
        {"args": ARGS[:1], "env": [{"name": "MODEL_NAME", "value": "m"}]},
        {"args": ARGS, "command": ["/usr/bin/tensorflow_model_server"]},
        {"args": ["--model_name=other", *ARGS, "--enable_batching"]},
    ],
)
def test_what_vertex_ai_reaches(spec: dict[str, Any]) -> None:
    found = container.of(model(**spec, **ROUTES))
    assert (found.health_route, found.predict_route) == tuple(ROUTES.values())


def test_the_images_own_flags_come_first() -> None:
    env = [{"name": "MODEL_BASE_PATH", "value": "gs://b"}, {"name": "MODEL_NAME", "value": "m"}]
    found = container.of(model(args=["--rest_api_port=8080"], env=env, **ROUTES))
    assert found.arguments == [
        "--rest_api_port=8501",
        "--model_name=m",
        "--model_base_path=gs://b/m",
        "--rest_api_port=8080",
    ]


def test_variables_of_the_model_name_it() -> None:
    routes = {
        "healthRoute": "/v1/models/flights/versions/1",
        "predictRoute": "/v1/models/flights/versions/1:predict",
    }
    found = container.of(model(args=[*ARGS, "--model_name=$(AIP_MODEL_NAME)"], **routes))
    assert found.health_route == "/v1/models/flights/versions/1"
    assert container.expand(["$(AIP_STORAGE_URI)", "$(NONE)"], container.variables(model())) == [
        "gs://bucket/model",
        "$(NONE)",
    ]


@pytest.mark.parametrize(
    ("spec", "status", "part"),
    [
        (
            {"args": ARGS},
            "FAILED_PRECONDITION",
            "containerSpec.healthRoute: expected /v1/models/m, as TensorFlow Serving with"
            " --model_name=m answers on healthRoute /v1/models/m and predictRoute"
            " /v1/models/m:predict, got none",
        ),
        (
            {"args": ARGS, "healthRoute": "/v1/models/m"},
            "FAILED_PRECONDITION",
            "containerSpec.predictRoute: expected /v1/models/m:predict",
        ),
        ({"args": ARGS, **ROUTES, "healthRoute": "/health"}, "FAILED_PRECONDITION", "'/health'"),
        (
            {"args": ARGS, **ROUTES, "predictRoute": "/v1/models/other:predict"},
            "FAILED_PRECONDITION",
            "containerSpec.predictRoute: expected /v1/models/m:predict",
        ),
        ({"args": ARGS[:1], **ROUTES}, "FAILED_PRECONDITION", "expected /v1/models/model,"),
        ({"args": ARGS[1:], **ROUTES}, "FAILED_PRECONDITION", "asks port 8080, and"),
        (
            {"args": ARGS, "ports": [{"containerPort": 80}], **ROUTES},
            "FAILED_PRECONDITION",
            "asks port 80, and TensorFlow Serving listens for REST on 8080",
        ),
        ({"args": [*ARGS, "--model_name", "m"], **ROUTES}, "FAILED_PRECONDITION", "in one word"),
        ({"args": ARGS, "command": ["/bin/sh"], **ROUTES}, "UNIMPLEMENTED", "'/bin/sh'"),
        (
            {"imageUri": "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"},
            "UNIMPLEMENTED",
            "TensorFlow Serving's image",
        ),
    ],
)
def test_what_vertex_ai_would_not_reach(spec: dict[str, Any], status: str, part: str) -> None:
    with pytest.raises(ApiError) as caught:
        container.of(model(**spec))
    assert caught.value.status == status
    assert part in caught.value.message
