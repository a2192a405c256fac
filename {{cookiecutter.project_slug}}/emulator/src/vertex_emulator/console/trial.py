"""Try it: a form of what the model takes, its answer, and the same request in other languages."""

import shlex
from functools import lru_cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import render
from vertex_emulator.console.saved_model import (
    FLOAT32,
    MalformedError,
    Signature,
    shortest,
    signature,
    warm_up_row,
)
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.state.documents import Document
from vertex_emulator.uris import split_uri

SIGNATURE, WARM_UP = "saved_model.pb", "assets.extra/tf_serving_warmup_requests"
STATISTICS, CONTRACT = "statistics.json", "contract.json"
MOST_BYTES = 16 * 1024 * 1024
MOST_CHOICES = 200
EMPTY: dict[str, Any] = {"number": 0.0, "integer": 0, "boolean": False, "text": "", "json": []}

# What a request looks like elsewhere. A JSON text in quotes is a text of all of these languages.
LANGUAGES = {
    "curl": "curl -s -X POST {url} -H 'Content-Type: application/json' -d {shell}",
    "Python": """\
import requests

body = {quoted}
headers = {{"Content-Type": "application/json"}}
answer = requests.post("{url}", body.encode(), headers=headers)
print(answer.json())""",
    "JavaScript": """\
const body = {quoted};
const headers = {{"Content-Type": "application/json"}};
const answer = await fetch("{url}", {{method: "POST", headers, body}});
console.log(await answer.json());""",
    "Java": """\
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Predict {{
    public static void main(String[] args) throws Exception {{
        String body = {quoted};
        HttpRequest request = HttpRequest.newBuilder(URI.create("{url}"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        System.out.println(HttpClient.newHttpClient()
            .send(request, HttpResponse.BodyHandlers.ofString()).body());
    }}
}}""",
    "Go": """\
package main

import (
\t"fmt"
\t"io"
\t"net/http"
\t"strings"
)

func main() {{
\tbody := strings.NewReader({quoted})
\tanswer, err := http.Post("{url}", "application/json", body)
\tif err != nil {{
\t\tpanic(err)
\t}}
\tdefer answer.Body.Close()
\ttext, _ := io.ReadAll(answer.Body)
\tfmt.Println(string(text))
}}""",
}


def show(console: Console, request: Request) -> Response:
    """The form of an endpoint's model."""
    name = f"{request.path_params['location']}/endpoints/{request.path_params['id']}"
    endpoint = console.endpoints.get(name)
    deployed = _most_used(endpoint)
    fields: list[dict[str, Any]] = []
    problem = "No version has traffic here; deploy one to this endpoint first."
    if deployed:
        version = console.models.get(f"{deployed['model']}@{deployed['modelVersionId']}")
        fields, problem = _form(console.objects, version.get("artifactUri", ""))
    body = {"instances": [{each["name"]: each["value"] for each in fields}]}
    url = f"{console.url}/v1/{name}:predict"
    return render(
        console,
        request,
        "trial.html",
        endpoint=endpoint,
        deployed=deployed,
        fields=fields,
        problem=problem,
        body=orjson.dumps(body, option=orjson.OPT_INDENT_2).decode(),
        snippets=snippets(url, body),
        templates=LANGUAGES,
        url=url,
    )


def snippets(url: str, body: Any) -> dict[str, str]:
    """Returns the request in each language."""
    text = orjson.dumps(body).decode()
    quoted = orjson.dumps(text).decode()
    return {
        name: template.format(url=url, quoted=quoted, shell=shlex.quote(text))
        for name, template in LANGUAGES.items()
    }


def _most_used(endpoint: Document) -> Document:
    shares = endpoint.get("trafficSplit", {})
    with_traffic = [each for each in endpoint.get("deployedModels", []) if shares.get(each["id"])]
    return max(with_traffic, key=lambda each: shares[each["id"]], default={})


def _form(objects: Objects, uri: str) -> tuple[list[dict[str, Any]], str]:
    """Returns the fields of the form, and why there are none."""
    bucket, prefix = split_uri(uri.rstrip("/"))
    names = [each.name for each in objects.walk(bucket, f"{prefix}/")] if prefix else []
    versions = [
        int(name.split("/")[-2])
        for name in names
        if name.endswith(f"/{SIGNATURE}") and name.split("/")[-2].isdecimal()
    ]
    if not versions:
        return [], f"There is no SavedModel under {uri}; write the request yourself."
    folder = f"{prefix}/{max(versions)}"
    stored = objects.stat(Ref(bucket, f"{folder}/{SIGNATURE}"))
    found = _signature(objects, Ref(bucket, stored.name, stored.generation))
    if found is None:
        return [], f"The SavedModel under {uri} has no default signature that can be read."
    try:
        row = warm_up_row(_read(objects, bucket, f"{folder}/{WARM_UP}"))
    except MalformedError:
        row = {}
    sample = _sample(_read(objects, bucket, f"{prefix}/{CONTRACT}"))
    row |= {
        each.name: shortest(sample[each.name], "f" if each.dtype == FLOAT32 else "")
        for each in found.inputs
        if each.name in sample
    }
    known = _statistics(_read(objects, bucket, f"{prefix}/{STATISTICS}"))
    fields = [
        {
            "name": tensor.name,
            "kind": tensor.kind,
            "type": tensor.type_name,
            "value": row[tensor.name] if tensor.name in row else EMPTY[tensor.kind],
            "choices": known["vocabulary"].get(tensor.name, [])[:MOST_CHOICES],
            "range": known["ranges"].get(tensor.name),
        }
        for tensor in found.inputs
    ]
    return fields, ""


def _sample(content: bytes) -> dict[str, Any]:
    """Returns an instance that the model was tried with, where its folder has one."""
    try:
        sample = orjson.loads(content or b"{}")["sample"]
    except (KeyError, TypeError, ValueError):
        return {}
    return sample if isinstance(sample, dict) else {}


def _statistics(content: bytes) -> dict[str, dict[str, Any]]:
    """Returns what a model learned from, where its folder says so.

    Read are `vocabulary`, lists of values by column, and `ranges`, pairs of numbers by column.
    """
    empty: dict[str, dict[str, Any]] = {"vocabulary": {}, "ranges": {}}
    try:
        document = orjson.loads(content or b"{}")
        return {
            "vocabulary": {
                name: [each for each in values if isinstance(each, str | int)]
                for name, values in document.get("vocabulary", {}).items()
                if isinstance(values, list)
            },
            "ranges": {
                name: [float(low), float(high)]
                for name, (low, high) in document.get("ranges", {}).items()
            },
        }
    except (AttributeError, TypeError, ValueError):
        return empty


@lru_cache(64)  # an object of a generation does not change
def _signature(objects: Objects, ref: Ref) -> Signature | None:
    _stored, file = objects.open(ref)
    try:
        with file:
            return signature(file.read())
    except MalformedError:
        return None


def _read(objects: Objects, bucket: str, name: str) -> bytes:
    """Returns the bytes of an object; none where there is no such object, or a huge one."""
    stored = objects.find(bucket, name)
    if stored is None or stored.size > MOST_BYTES:
        return b""
    _stored, file = objects.open(Ref(bucket, name, stored.generation))
    with file:
        return file.read()
