"""The parameters of a query: each method's own, and those that every method of Google's has."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import requests
from raw_requests import ask

from vertex_emulator.field_masks import select
from vertex_emulator.testing.clients import Clients

DOCUMENTS = files("googleapiclient.discovery_cache.documents")
COLLECTIONS = (
    "hyperparameterTuningJobs",
    "customJobs", "batchPredictionJobs", "trainingPipelines", "datasets", "models", "endpoints",
    "operations",
)  # fmt: skip
SERVED = 40  # methods of them at least, operations below each


def described(resource: Any) -> Iterator[tuple[str, str, set[str]]]:
    """Yields HTTP method, path and parameters of the query, as Google's document has them."""
    for method in resource.get("methods", {}).values():
        parameters = method["parameters"].items()
        names = {name for name, each in parameters if each["location"] == "query"}
        yield method["httpMethod"], "/" + re.sub(r"{[^}]*}", "x", method["flatPath"]), names
    for below in resource.get("resources", {}).values():
        yield from described(below)


def test_each_method_has_the_parameters_of_googles(clients: Clients) -> None:
    document = json.loads((DOCUMENTS / "aiplatform.v1.json").read_text())
    locations = document["resources"]["projects"]["resources"]["locations"]["resources"]
    served, differ = 0, set()
    for name in COLLECTIONS:
        for method, path, names in described(locations[name]):
            status, answer = ask(clients, f"{path}?nothing=1", method)
            assert status in (400, 404), answer  # 404 of a prediction, which reads no query
            error = answer["error"]
            if error["status"] == "INVALID_ARGUMENT":
                assert error["message"].startswith("nothing: "), (method, path)
                has = error["message"].partition("; it has ")[2].removesuffix(", and fields.")
                differ |= names ^ (set(has.split(", ")) - {"none"})
                served += 1
    assert served >= SERVED
    assert differ == {"gdcZone"}


@pytest.mark.parametrize(
    "parameter",
    [
        "alt=json",
        "$alt=json;enum-encoding=int",
        "$.xgafv=2",
        "key=k",
        "$prettyPrint=false",
        "quotaUser=u",
        "upload_protocol=raw",
        "uploadType=media",
        "access_token=t",
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/{location}/customJobs", 200),
        ("DELETE", "/v1/{location}/models/1", 404),
        ("POST", "/v1/{location}/endpoints", 400),
        ("POST", "/v2/entries:list", 400),
        ("GET", "/v3/projects/p/timeSeries", 400),
        ("GET", "/storage/v1/b?project=p", 200),
    ],
)
def test_what_every_method_has(
    clients: Clients, method: str, path: str, status: int, parameter: str
) -> None:
    path = path.format(location=clients.location)
    query = ("&" if "?" in path else "?") + parameter
    plain, _ = ask(clients, path, method, b"{}" if method == "POST" else b"")
    found, answer = ask(clients, path + query, method, b"{}" if method == "POST" else b"")
    assert plain == found == status
    assert parameter.partition("=")[0] not in str(answer.get("error", ""))


def test_fields_cut_an_answer_down(clients: Clients) -> None:
    url = f"{clients.url}/v1/{clients.location}/endpoints"
    made = requests.post(f"{url}?fields=done", json={"displayName": "cut"}, timeout=60)
    assert made.json() == {"done": True}
    listed = requests.get(
        f"{url}?fields=endpoints(displayName,labels/a)&filter=display_name=cut", timeout=60
    )
    assert listed.json() == {"endpoints": [{"displayName": "cut"}]}
    by_header = requests.get(
        f"{url}?filter=display_name=cut",
        headers={"X-Goog-FieldMask": "endpoints.displayName"},
        timeout=60,
    )
    assert by_header.json() == listed.json()


@pytest.mark.parametrize(
    ("query", "status", "part"),
    [
        ("fields=endpoints(", "INVALID_ARGUMENT", "fields to be a mask"),
        ("alt=proto", "UNIMPLEMENTED", "answers in JSON"),
        ("alt=", "UNIMPLEMENTED", "answers in JSON"),
        ("callback=f", "UNIMPLEMENTED", "answers in JSON"),
        ("page_sise=3", "INVALID_ARGUMENT", "page_sise: GET /v1/"),
        ("$filter=a", "INVALID_ARGUMENT", "$filter: GET /v1/"),
    ],
)
def test_another_parameter_is_refused(clients: Clients, query: str, status: str, part: str) -> None:
    code, answer = ask(clients, f"/v1/{clients.location}/endpoints?{query}")
    assert (code, answer["error"]["status"]) == (400, status)
    assert part in answer["error"]["message"]


def test_a_body_where_there_is_none_is_refused(clients: Clients) -> None:
    path = f"/v1/{clients.location}/customJobs/1:cancel"
    code, answer = ask(clients, path, "POST", b'{"force": true}')
    assert code == 400
    assert "takes an empty body" in answer["error"]["message"]
    assert ask(clients, path, "POST", b"{}")[0] == 404


def test_a_field_that_is_named_twice_is_whole() -> None:
    document = {"a": {"b": 1, "c": 2}, "d": [{"e": 1, "f": 2}]}
    assert select(document, "a/b,a") == select(document, "a,a(b)") == {"a": document["a"]}
    assert select(document, "d/e,d(f),*/b") == {"a": {"b": 1}, "d": document["d"]}
