"""What a job's variables take from the image that its request names."""

import pytest

from vertex_emulator.vertex import environment


@pytest.mark.parametrize(
    ("image", "keras"),
    [
        ("us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-8:latest", "1"),
        ("europe-docker.pkg.dev/vertex-ai/training/tf-gpu.2-15.py310:latest", "1"),
        ("gcr.io/cloud-aiplatform/training/tf-cpu.2-1:latest", "1"),
        ("tensorflow/tensorflow:2.15.0-gpu", "1"),
        ("us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest", None),
        ("tensorflow/tensorflow:2.21.0", None),
        ("us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest", None),
        ("", None),
    ],
)
def test_keras_is_that_of_the_image(image: str, keras: str | None) -> None:
    assert environment.image_variables(image).get("TF_USE_LEGACY_KERAS") == keras
