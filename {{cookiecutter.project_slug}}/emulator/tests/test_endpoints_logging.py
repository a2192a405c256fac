"""Request-response logging: rows of Google's table, as JSON lines in the model's bucket."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from model_server_process import eventually
from times_model import deploy, predict, undeploy, upload_export

from vertex_emulator.testing.clients import Clients

LOGGING = "predict_request_response_logging_config"


def rows(clients: Clients, endpoint: str) -> list[dict[str, Any]]:
    prefix = f"logging_asked_{endpoint.rpartition('/')[2]}/request_response_logging/"
    found = clients.storage.list_blobs("logged-bucket", prefix=prefix)
    lines = [line for blob in found for line in blob.download_as_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_answers_are_logged_while_it_is_switched_on(clients: Clients, exports: Path) -> None:
    clients.storage.create_bucket("logged-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://logged-bucket/2").model
    destination = {"output_uri": "bq://test-project.logging.table"}
    endpoint = clients.endpoints.create_endpoint(
        parent=clients.location,
        endpoint={
            "display_name": "asked",
            LOGGING: {
                "enabled": True,
                "sampling_rate": 1.0,
                "bigquery_destination": destination,
            },
        },
    ).result(timeout=60)
    deployed = deploy(clients, endpoint.name, model, {"0": 100})
    predict(clients, endpoint.name, {"instances": [{"x": 1.0}, {"x": 2.0}]})
    predict(clients, endpoint.name, {"instances": [{"z": 1.0}]})  # refused, so not logged
    predict(clients, endpoint.name, {"instances": [{"x": 3.0}]})
    eventually(lambda: len(rows(clients, endpoint.name)) == 2)
    first, second = rows(clients, endpoint.name)
    assert first["request_payload"] == ['{"x":1.0}', '{"x":2.0}']
    answered = [json.loads(each) for each in first["response_payload"]]
    assert answered == [{"y": 2.0, "twice": 2.0}, {"y": 4.0, "twice": 4.0}]
    assert (first["endpoint"], first["deployed_model_id"]) == (
        endpoint.name.rpartition("/")[2],
        deployed,
    )
    assert second["logging_time"] > first["logging_time"]
    assert second["request_id"] != first["request_id"]

    def switch(**config: Any) -> None:
        clients.endpoints.update_endpoint(
            endpoint={"name": endpoint.name, LOGGING: config}, update_mask={"paths": [LOGGING]}
        )

    with pytest.raises(exceptions.BadRequest, match="above 0 and up to 1"):
        switch(enabled=True, sampling_rate=1.5)
    switch(enabled=False)
    predict(clients, endpoint.name, {"instances": [{"x": 4.0}]})
    switch(enabled=True, sampling_rate=1.0)
    predict(clients, endpoint.name, {"instances": [{"x": 5.0}]})
    eventually(lambda: len(rows(clients, endpoint.name)) == 3)
    assert rows(clients, endpoint.name)[2]["request_payload"] == ['{"x":5.0}']
    undeploy(clients, endpoint.name, deployed)
