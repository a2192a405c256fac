"""What a model's container would run on Google Cloud.

Its image is TensorFlow Serving's, or one of Google's prebuilt images (`prebuilt`).

Sources: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/ModelContainerSpec (the routes
and their defaults); TensorFlow Serving's `tensorflow_serving/tools/docker/Dockerfile` (the image's
own flags); TensorFlow's `core/util/command_line_flags.cc` (how it reads them).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vertex_emulator.errors import failed_precondition, not_emulated
from vertex_emulator.state.documents import Document
from vertex_emulator.vertex import prebuilt

EMULATED_IMAGE = re.compile(r"(^|/)tensorflow/serving(:|@|$)")
SERVER = "tensorflow_model_server"
HTTP_PORT = 8080  # where Vertex AI asks, unless the container's first port is another
REST_PORT = "8501"  # of the image
FLAG = re.compile(r"--(\w+)(?:=(.*))?", re.DOTALL)
REFERENCE = re.compile(r"\$\((\w+)\)")


@dataclass(frozen=True)
class Container:
    """What stands for a container.

    Attributes:
        arguments: flags of the model server, those of the image among them.
        health_route: path that answers 200 once the model is loaded.
        predict_route: path that takes predictions.
        framework: of a prebuilt image, whose server is told its routes; otherwise "".
    """

    arguments: list[str]
    health_route: str
    predict_route: str
    framework: str = ""


def variables(version: Document) -> dict[str, str]:
    """Returns the container's variables that the Model alone decides."""
    container = version.get("containerSpec", {})
    own = {each["name"]: each.get("value", "") for each in container.get("env", [])}
    ports = container.get("ports", [])
    return own | {
        "AIP_HTTP_PORT": str(ports[0].get("containerPort", HTTP_PORT) if ports else HTTP_PORT),
        "AIP_MODE": "PREDICTION",
        "AIP_MODEL_NAME": version["name"].rpartition("/")[2].partition("@")[0],
        "AIP_STORAGE_URI": version.get("artifactUri", ""),
        "AIP_VERSION_NAME": version.get("versionId", ""),
    }


def expand(words: list[str], environment: Mapping[str, str]) -> list[str]:
    """Puts variables in the place of `$(NAME)`; what names none stays as it is."""
    return [
        REFERENCE.sub(lambda found: environment.get(found[1], found[0]), word) for word in words
    ]


def of(version: Document) -> Container:
    """Reads a Model's `containerSpec`.

    Args:
        version: the Model.

    Raises:
        ApiError: 400 UNIMPLEMENTED for another image or command; 400 FAILED_PRECONDITION for what
            TensorFlow Serving would not start with, or would not be reached at by Vertex AI, and
            for a library that is not installed.
    """
    container = version.get("containerSpec", {})
    framework = prebuilt.framework(container)
    if framework:
        prebuilt.check(container, framework)
        return Container(
            [f"--prebuilt={framework}"],
            container.get("healthRoute", prebuilt.HEALTH_ROUTE),
            container.get("predictRoute", prebuilt.PREDICT_ROUTE),
            framework,
        )
    image = container.get("imageUri", "")
    if not EMULATED_IMAGE.search(image):
        raise not_emulated(
            f"containerSpec.imageUri: the emulator has no containers; it stands for TensorFlow"
            " Serving's image (…/tensorflow/serving:TAG) and for Google's prebuilt images of"
            " TensorFlow, scikit-learn and XGBoost (such as us-docker.pkg.dev/vertex-ai/prediction/"
            f"tf2-cpu.2-15:latest), got {image!r}. Upload the model with one of these to serve it"
            " here."
        )
    environment = variables(version)
    arguments = [*_image_arguments(container, environment), *container.get("args", [])]
    flags = _flags(expand(arguments, environment))
    _check_port(flags.get("rest_api_port", "0"), environment["AIP_HTTP_PORT"])
    name = flags.get("model_name", "default")
    return Container(
        arguments,
        _route(container, "healthRoute", name, "(/metadata)?", ""),
        _route(container, "predictRoute", name, ":predict", ":predict"),
    )


def _image_arguments(container: Document, environment: Mapping[str, str]) -> list[str]:
    """Returns what comes before the container's own `args`: from its command, or from the image."""
    command: list[str] = container.get("command", [])
    if command:
        if command[0].rpartition("/")[2] != SERVER:
            raise not_emulated(
                f"containerSpec.command: the emulator runs {SERVER} only, got {command[0]!r}; leave"
                " the command out."
            )
        return command[1:]
    name = environment.get("MODEL_NAME", "model")
    return [
        f"--rest_api_port={REST_PORT}",
        f"--model_name={name}",
        f"--model_base_path={environment.get('MODEL_BASE_PATH', '/models')}/{name}",
    ]


def _flags(arguments: list[str]) -> dict[str, str]:
    """Returns the flags by name; of equal ones the last counts."""
    found = {}
    for argument in arguments:
        flag = FLAG.fullmatch(argument)
        if flag is None:
            raise failed_precondition(
                "containerSpec.args: expected --FLAG=VALUE in one word, as TensorFlow Serving reads"
                f" no other, got {argument!r}."
            )
        found[flag[1]] = flag[2] or ""
    return found


def _check_port(served: str, asked: str) -> None:
    if served != asked:
        raise failed_precondition(
            f"containerSpec: Vertex AI asks port {asked}, and TensorFlow Serving listens for REST"
            f" on {served}; give it --rest_api_port=$(AIP_HTTP_PORT) in args."
        )


def _route(container: Document, field: str, name: str, ends: str, right: str) -> str:
    """Returns a route that TensorFlow Serving answers."""
    own = f"/v1/models/{name}"
    given: str = container.get(field, "")
    if re.fullmatch(rf"{re.escape(own)}(/versions/[0-9]+)?{ends}", given):
        return given
    got = repr(given) if given else "none, which means /v1/endpoints/…/deployedModels/… there"
    raise failed_precondition(
        f"containerSpec.{field}: expected {own}{right}, as TensorFlow Serving with"
        f" --model_name={name} answers on healthRoute {own} and predictRoute {own}:predict, got"
        f" {got}. Upload the model again with both."
    )
