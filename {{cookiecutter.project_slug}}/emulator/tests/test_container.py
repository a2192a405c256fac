"""What fails on Google Cloud because Vertex AI would not reach TensorFlow Serving fails here."""

from typing import Any

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.vertex import container

PREBUILT = "us-docker.pkg.dev/vertex-ai/prediction"
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
        ({"imageUri": "gcr.io/p/own:1"}, "UNIMPLEMENTED", "no containers; it stands for"),
        ({"imageUri": f"{PREBUILT}/pytorch-cpu.2-1"}, "UNIMPLEMENTED", "of TensorFlow, scikit-le"),
        (
            {"imageUri": f"{PREBUILT}/sklearn-cpu.1-3:latest", "args": ["--x"]},
            "UNIMPLEMENTED",
            "containerSpec.args: the emulator runs Google's prebuilt images as they are",
        ),
    ],
)
def test_what_vertex_ai_would_not_reach(spec: dict[str, Any], status: str, part: str) -> None:
    with pytest.raises(ApiError) as caught:
        container.of(model(**spec))
    assert caught.value.status == status
    assert part in caught.value.message


@pytest.mark.parametrize(
    "image",
    [
        f"{PREBUILT}/tf2-cpu.2-15:latest",
        "europe-docker.pkg.dev/vertex-ai/prediction/tf2-gpu.2-12@sha256:0",
        "gcr.io/cloud-aiplatform/prediction/tf2-cpu.2-1:latest",
        f"{PREBUILT}/tf-cpu.1-15",
    ],
)
def test_a_prebuilt_image_needs_no_more(image: str) -> None:
    found = container.of(model(imageUri=image))
    assert (found.framework, found.arguments) == ("tensorflow", ["--prebuilt=tensorflow"])
    assert (found.health_route, found.predict_route) == ("/health", "/predict")
    assert container.of(model(imageUri=image, predictRoute="/p")).predict_route == "/p"


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ApiError, match=r"is not installed beside the emulator; .*install xgboost"):
        container.of(model(imageUri=f"{PREBUILT}/xgboost-cpu.2-1:latest"))
