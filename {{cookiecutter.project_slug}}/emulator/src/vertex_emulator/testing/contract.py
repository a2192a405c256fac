"""Each request of Google's clients, and each answer, held against Google's discovery documents."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from vertex_emulator.testing.discovery import validator

# The API of a path, by the beginning that no other has.
APIS = {
    "/v1/": "aiplatform.v1",
    "/v1beta1/": "aiplatform.v1beta1",
    "/v2/": "logging.v2",
    "/v3/": "monitoring.v3",
    "/storage/v1/": "storage.v1",
    "/upload/storage/v1/": "storage.v1",
    "/download/storage/v1/": "storage.v1",
}
JSON = "application/json"
send = requests.Session.send


def checked_send(
    session: requests.Session, request: requests.PreparedRequest, **options: Any
) -> requests.Response:
    """Sends a request as `requests.Session.send` does, between two checks."""
    url = urlsplit(request.url or "")
    path, query_text = str(url.path), str(url.query)
    if path.startswith("/ui/"):  # where Google's clients poll operations; no document names it
        path = path.replace("/ui/", "/v1/", 1)
    api = validator(next(name for start, name in APIS.items() if path.startswith(start)))
    method = request.method or ""
    # The body of an upload is the object itself, that of a raw prediction is the container's.
    is_upload, is_raw = path.startswith("/upload/"), path.endswith(":rawPredict")
    is_json = not (is_upload or is_raw) and request.headers.get("Content-Type") == JSON
    body = json.loads(request.body) if request.body and is_json else None
    query = set(parse_qs(query_text, keep_blank_values=True)) - {"upload_id"}
    if is_upload:
        query -= {"uploadType"}
        api.method(method, path)
    else:
        api.check_request(method, path, query, body)
    response = send(session, request, **options)
    schema = api.response_schema(method, path)
    is_json = response.headers.get("Content-Type", "").startswith(JSON)
    is_media = is_raw or "alt=media" in query_text
    if schema is not None and response.status_code == 200 and is_json and not is_media:
        api.check(schema, response.json())
    return response
