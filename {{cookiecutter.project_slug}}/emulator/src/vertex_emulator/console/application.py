"""An application that lies beside a deployed model: a page of its owner's that asks the endpoint.

Its scripts run in a frame without an origin, which may ask nobody. The console's page around it
sends what the frame asks for to this one endpoint, and the answer back, so that the application
reaches nothing else: neither other methods nor the token of the console's forms.
"""

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console.buckets import PAGE_BYTES
from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import HEADERS, path_of, render
from vertex_emulator.errors import not_found, too_large
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.object_store.objects import Ref
from vertex_emulator.state.documents import Document
from vertex_emulator.uris import split_uri

FILE = "app.html"  # in the folder of the model
POLICY = (
    "sandbox allow-scripts allow-forms; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'"
)


def path(console: Console, endpoint: Document) -> str:
    """Returns the address of an endpoint's application; empty where no deployed model has one."""
    return path_of(f"{endpoint['name']}/application") if _find(console, endpoint) else ""


def show(console: Console, request: Request) -> Response:
    """The page around the application."""
    endpoint = _endpoint(console, request)
    _found(console, endpoint)
    return render(
        console,
        request,
        "application.html",
        endpoint=endpoint,
        page=path_of(f"{endpoint['name']}/application/page"),
        predict=f"/v1/{endpoint['name']}:predict",
    )


def show_page(console: Console, request: Request) -> Response:
    """The application itself, for the frame."""
    stored = _found(console, _endpoint(console, request))
    if stored.size > PAGE_BYTES:
        raise too_large(f"{stored.name} is larger than {PAGE_BYTES} bytes.")
    _stored, file = console.objects.open(Ref(stored.bucket, stored.name, stored.generation))
    with file:
        content = file.read()
    headers = {**HEADERS, "content-security-policy": POLICY}
    return Response(content, headers=headers, media_type="text/html; charset=utf-8")


def _endpoint(console: Console, request: Request) -> Document:
    name = f"{request.path_params['location']}/endpoints/{request.path_params['id']}"
    return console.endpoints.get(name)


def _found(console: Console, endpoint: Document) -> StoredObject:
    found = _find(console, endpoint)
    if found is None:
        raise not_found(f"No model that is deployed to {endpoint['name']} has {FILE} beside it.")
    return found


def _find(console: Console, endpoint: Document) -> StoredObject | None:
    """Returns the application of the model with the most traffic that has one."""
    shares = endpoint.get("trafficSplit", {})
    deployed = endpoint.get("deployedModels", [])
    for each in sorted(deployed, key=lambda each: -shares.get(each["id"], 0)):
        version = console.models.get(f"{each['model']}@{each['modelVersionId']}")
        if uri := version.get("artifactUri", ""):
            bucket, prefix = split_uri(uri.rstrip("/"))
            if found := console.objects.find(bucket, f"{prefix}/{FILE}"):
                return found
    return None
