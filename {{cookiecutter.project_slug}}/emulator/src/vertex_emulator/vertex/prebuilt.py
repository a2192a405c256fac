"""Google's prebuilt images for prediction, of which a Model needs to give nothing but the name.

Source: https://cloud.google.com/vertex-ai/docs/predictions/pre-built-containers and
https://cloud.google.com/vertex-ai/docs/training/exporting-model-artifacts (what lies at
`artifactUri`).
"""

import importlib.util
import re

from vertex_emulator.errors import failed_precondition, not_emulated
from vertex_emulator.state.documents import Document

IMAGE = re.compile(
    r"((us|europe|asia)-docker\.pkg\.dev/vertex-ai(-restricted)?|gcr\.io/cloud-aiplatform)"
    r"/prediction/(?P<framework>[a-z0-9_]+)-(cpu|gpu)\..+"
)
FRAMEWORKS = {"tf": "tensorflow", "tf2": "tensorflow", "sklearn": "sklearn", "xgboost": "xgboost"}
PACKAGES = {"sklearn": "scikit-learn", "xgboost": "xgboost"}
# Where the server answers; Vertex AI tells it so by AIP_HEALTH_ROUTE and AIP_PREDICT_ROUTE.
HEALTH_ROUTE, PREDICT_ROUTE = "/health", "/predict"


def framework(container: Document) -> str:
    """Returns the framework of a prebuilt image, or "" where it is another image.

    Raises:
        ApiError: 400 UNIMPLEMENTED for a prebuilt image that nothing here stands for.
    """
    image = container.get("imageUri", "")
    found = IMAGE.fullmatch(image)
    if found is None:
        return ""
    name = FRAMEWORKS.get(found["framework"])
    if name is None:
        raise not_emulated(
            f"containerSpec.imageUri: of Google's prebuilt images the emulator stands for those of"
            f" TensorFlow, scikit-learn and XGBoost, got {image!r}. Deploy the model on Google"
            " Cloud, or export it as a SavedModel."
        )
    return name


def check(container: Document, name: str) -> None:
    """Refuses what the framework's image would not serve here.

    Args:
        container: the Model's containerSpec.
        name: the framework.

    Raises:
        ApiError: 400 UNIMPLEMENTED; 400 FAILED_PRECONDITION where the library is not installed.
    """
    for field in ("command", "args"):
        if container.get(field):
            raise not_emulated(
                f"containerSpec.{field}: the emulator runs Google's prebuilt images as they are;"
                " leave it out."
            )
    package = PACKAGES.get(name)
    if package and importlib.util.find_spec(name) is None:
        raise failed_precondition(
            f"containerSpec.imageUri: {container['imageUri']} serves with {package}, which is not"
            f" installed beside the emulator; install it there (pip install {package}) and start"
            " the emulator again."
        )
