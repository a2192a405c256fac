"""Models in Google's prebuilt images, trained, deployed and asked by the SDK."""

from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform

from vertex_emulator.model_server import estimators
from vertex_emulator.model_server.errors import StartError
from vertex_emulator.testing.clients import Clients

pytestmark = pytest.mark.usefixtures("sdk")
IMAGES = "us-docker.pkg.dev/vertex-ai/prediction"
TRAIN = """
import os
import joblib
from google.cloud import storage
from sklearn.tree import DecisionTreeClassifier
model = DecisionTreeClassifier().fit([[0, 0], [1, 1], [2, 0]], ["low", "high", "low"])
joblib.dump(model, "model.joblib")
bucket, _, path = os.environ["AIP_MODEL_DIR"].removeprefix("gs://").partition("/")
storage.Client().bucket(bucket).blob(path + "model.joblib").upload_from_filename("model.joblib")
"""


def deployed(model: Any) -> Any:
    endpoint = model.deploy(machine_type="n1-standard-2")
    assert endpoint.gca_resource.traffic_split
    return endpoint


def batch(clients: Clients, model: Any, rows: str) -> list[str]:
    """Returns the lines of the results and of the errors, sorted."""
    clients.storage.bucket("sdk-bucket").blob("prebuilt.jsonl").upload_from_string(rows)
    job = model.batch_predict(
        job_display_name="prebuilt",
        gcs_source="gs://sdk-bucket/prebuilt.jsonl",
        gcs_destination_prefix="gs://sdk-bucket/prebuilt",
        machine_type="n1-standard-2",
    )
    texts = [blob.download_as_text() for blob in job.iter_outputs()]
    return sorted(line for text in texts for line in text.splitlines())


def test_scikit_learn_from_training_to_prediction(clients: Clients) -> None:
    model = aiplatform.CustomContainerTrainingJob(
        display_name="sklearn",
        container_uri="us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest",
        command=["python", "-c", TRAIN],
        model_serving_container_image_uri=f"{IMAGES}/sklearn-cpu.1-6:latest",
    ).run(base_output_dir="gs://sdk-bucket/sklearn")
    endpoint = deployed(model)
    assert endpoint.predict([[0, 0], [1, 1]]).predictions == ["low", "high"]
    for instances in ([[0]], [["a", 1]], [[1], [1, 2]]):
        with pytest.raises(Exception, match="The model refuses these instances: ValueError"):
            endpoint.predict(instances)
    assert batch(clients, model, "[0,0]\n[1]\n[1,1]\n") == [
        '{"instance":[0,0],"prediction":"low"}',
        '{"instance":[1,1],"prediction":"high"}',
        '{"instance":[1],"error":{"code":3,"message":"gs://sdk-bucket/prebuilt.jsonl, row 2: '
        "The model refuses these instances: ValueError: X has 1 features, but"
        ' DecisionTreeClassifier is expecting 2 features as input."}}',
    ]
    endpoint.delete(force=True)


def test_tensorflow_serves_the_savedmodel_itself(clients: Clients, exports: Path) -> None:
    for file in (exports / "2" / "1").rglob("*"):
        if file.is_file():
            name = f"prebuilt-tf/{file.relative_to(exports / '2' / '1').as_posix()}"
            clients.storage.bucket("sdk-bucket").blob(name).upload_from_filename(file)
    model, above = (
        aiplatform.Model.upload(
            display_name="tf",
            artifact_uri=uri,
            serving_container_image_uri=f"{IMAGES}/tf2-cpu.2-15:latest",
        )
        for uri in ("gs://sdk-bucket/prebuilt-tf", "gs://sdk-bucket")
    )
    endpoint = deployed(model)
    assert endpoint.predict([{"x": 3.0}]).predictions == [{"y": 6.0, "twice": 6.0}]
    assert batch(clients, model, '{"x":1.0}\n') == [
        '{"instance":{"x":1.0},"prediction":{"twice":2.0,"y":2.0}}'
    ]
    with pytest.raises(Exception, match=r"contains no saved_model.pb; a prebuilt image of Tensor"):
        above.deploy(endpoint=endpoint, machine_type="n1-standard-2")
    endpoint.delete(force=True)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"instances": []}', b'{"instances": {"a": 1}}'])
def test_a_request_without_instances_is_refused(body: bytes) -> None:
    status, answer = estimators.Estimator(lambda instances: instances).answer(body)
    assert (status, b"instance" in answer or b"JSON" in answer) == (400, True)


def test_what_does_not_load_says_why(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"gs://b/m contains no model of sklearn; expected one of"):
        estimators.load(tmp_path, "gs://b/m", "sklearn")
    (tmp_path / "model.pkl").write_bytes(b"no pickle")
    with pytest.raises(StartError, match=r"gs://b/m/model.pkl does not load with .* sklearn 1\."):
        estimators.load(tmp_path, "gs://b/m", "sklearn")
