"""A stand-in for the APIs of Google Cloud that the emulator has none of.

It holds every request and every answer against Google's discovery documents. It keeps what it is
told to make, and forgets what it is told to remove.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from google.auth.credentials import AnonymousCredentials

from cloud.client import Client
from cloud.config import Config
from vertex_emulator.testing.discovery import validator

# The document of a service, by the version in the path where it has several.
DOCUMENTS = {
    "aiplatform": "aiplatform.v1",
    "artifactregistry": "artifactregistry.v1",
    "bigquery": "bigquery.v2",
    "cloudbilling": "cloudbilling.v1",
    "cloudresourcemanager": "cloudresourcemanager.v1",
    "compute": "compute.v1",
    "iam": "iam.v1",
    "serviceusage": "serviceusage.v1",
    "storage": "storage.v1",
}
MANIFEST = "registry"
Answer = tuple[int, dict[str, Any]]


class Cloud:
    """What Google Cloud has, and what it was asked.

    Attributes:
        apis: the enabled ones.
        things: buckets, repositories and accounts by path.
        policies: of IAM, by what they rule.
        skus: of the billing catalog.
        running: what Vertex AI has, by the kinds' names in the API, such as `endpoints`.
        cpus: what training may use at once.
        permissions: what the caller has; None stands for all.
        images: paths of manifests that the registry has; None stands for all.
        rows: of a table of BigQuery, each the values of its columns; None where there is none.
        problems: requests and answers that Google's description does not allow.
        asked: method and path of every request.
    """

    def __init__(self) -> None:
        self.apis: set[str] = set()
        self.things: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.skus: list[dict[str, Any]] = []
        self.running: dict[str, list[dict[str, Any]]] = {}
        self.cpus = 20
        self.permissions: set[str] | None = None
        self.images: set[str] | None = None
        self.rows: list[list[Any]] | None = None
        self.problems: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    def answer(self, method: str, url: str, body: Any) -> Answer:
        """Answers a request to `/SERVICE/PATH`, and checks both against the contract."""
        split = urlsplit(url)
        _, service, path = split.path.split("/", 2)
        query = parse_qs(split.query)
        self.asked.append((method, f"{service}/{path}"))
        if service == MANIFEST:
            known = self.images is None or path in self.images
            return (200 if known else 404), {}
        document = DOCUMENTS[service]
        if path.startswith("v1beta1/"):
            document = document.removesuffix(".v1") + ".v1beta1"
        api = validator(document)
        try:
            api.check_request(method, f"/{path}", query, body)
            handle = getattr(self, service)
            status, answer = handle(method, unquote(path), query, body)
            schema = api.response_schema(method, f"/{path}")
            if status == 200 and schema is not None:
                api.check(schema, answer)
        except (AssertionError, KeyError) as problem:
            self.problems.append(f"{method} {url}: {problem}")
            return 400, {"error": {"code": 400, "message": str(problem)}}
        return status, answer

    def serviceusage(self, _method: str, path: str, query: Any, body: Any) -> Answer:
        """APIs and quotas."""
        if path.endswith(":batchGet"):
            services = [
                {"name": name, "state": state}
                for name in query["names"]
                for state in ["ENABLED" if name.rpartition("/")[2] in self.apis else "DISABLED"]
            ]
            return 200, {"services": services}
        if path.endswith(":batchEnable"):
            self.apis |= set(body["serviceIds"])
            return 200, {"name": "operations/acf.1", "done": False}
        if path == "v1/operations/acf.1":
            return 200, {"name": "operations/acf.1", "done": True, "response": {}}
        bucket = {"effectiveLimit": str(self.cpus), "dimensions": {"region": "us-central1"}}
        return 200, {
            "metric": "aiplatform.googleapis.com/custom_model_training_cpus",
            "consumerQuotaLimits": [{"quotaBuckets": [bucket]}],
        }

    def storage(self, method: str, path: str, query: Any, body: Any) -> Answer:
        """Buckets and their policies."""
        if path.endswith("/iam"):
            return self._policy(path, method == "PUT", body)
        if path.endswith("/testPermissions"):
            return 200, {"permissions": self._granted(query["permissions"])}
        if path.endswith("/o"):
            return 200, {"kind": "storage#objects"}
        if method == "POST":
            assert query["project"] == ["p-roject"]
            return self._make(f"storage/v1/b/{body['name']}", body | {"kind": "storage#bucket"})
        return self._thing(method, path)

    def artifactregistry(self, method: str, path: str, query: Any, body: Any) -> Answer:
        """Repositories and their policies."""
        if "IamPolicy" in path:
            return self._policy(path.partition(":")[0], "set" in path, body and body.get("policy"))
        if path.startswith("v1/operations/"):
            return 200, {"name": "operations/1", "done": True}
        if method == "POST":
            self._make(f"{path}/{query['repositoryId'][0]}", body)
        if method == "DELETE":
            self._thing(method, path)
        if method == "GET":
            return self._thing(method, path)
        return 200, {"name": "operations/1", "done": True}

    def iam(self, method: str, path: str, query: Any, body: Any) -> Answer:
        """Service accounts and their policies; pools of identities, which take a while."""
        if path.endswith("IamPolicy"):
            return self._policy(path.partition(":")[0], "set" in path, body and body.get("policy"))
        if "workloadIdentityPools" in path:
            return self._pool(method, path, query, body)
        if method == "POST":
            email = f"{body['accountId']}@p-roject.iam.gserviceaccount.com"
            return self._make(f"{path}/{email}", body["serviceAccount"] | {"email": email})
        return self._thing(method, path)

    def _pool(self, method: str, path: str, query: Any, body: Any) -> Answer:
        """A pool or a provider; a removed one is kept, as Google does for 30 days."""
        done = {"name": f"{path.partition('/')[2].partition(':')[0]}/operations/1", "done": True}
        if method == "GET":
            return self._thing(method, path)
        if method == "DELETE":
            self.things[path]["state"] = "DELETED"
        elif path.endswith(":undelete"):
            self.things[path.removesuffix(":undelete")]["state"] = "ACTIVE"
        elif method == "PATCH":
            self.things[path] |= body
        else:
            kind = "workloadIdentityPoolId"
            [name] = query.get(kind) or query["workloadIdentityPoolProviderId"]
            self._make(f"{path}/{name}", body | {"state": "ACTIVE"})
        return 200, done

    def cloudresourcemanager(self, _method: str, path: str, _query: Any, body: Any) -> Answer:
        """The project and its policy."""
        if path.endswith(":testIamPermissions"):
            return 200, {"permissions": self._granted(body["permissions"])}
        if ":" not in path:
            return 200, {"projectId": "p-roject", "projectNumber": "123456789"}
        return self._policy(path.partition(":")[0], "set" in path, body.get("policy"))

    def bigquery(self, method: str, path: str, query: Any, body: Any) -> Answer:
        """Data sets; and one table, whose query takes a while and whose rows come one a page."""
        if path.endswith("/datasets") and method == "POST":
            return self._make(f"{path}/{body['datasetReference']['datasetId']}", body)
        if path.endswith("/datasets"):
            found = [
                {"datasetReference": {"datasetId": name.rpartition("/")[2]}}
                for name, each in self.things.items()
                if "/datasets/" in name and each.get("labels") == {"model": "flight-delays"}
            ]
            assert query["filter"] == ["labels.model:flight-delays"]
            return 200, {"datasets": found}
        if "/datasets/" in path:
            if method == "DELETE":
                assert query == {"deleteContents": ["true"]}
            return self._thing(method, path)
        if self.rows is None:
            return 404, {"error": {"code": 404, "message": "no table", "status": "NOT_FOUND"}}
        job = {"projectId": "p-roject", "jobId": "job_1", "location": "us-central1"}
        if method == "POST":
            assert "logging_time" in body["query"]
            return 200, {"jobReference": job, "jobComplete": False}
        assert query["location"] == ["us-central1"]
        number = int(query.get("pageToken", ["0"])[0])
        cells = [
            {"v": [{"v": each} for each in value] if isinstance(value, list) else value}
            for row in self.rows[number : number + 1]
            for value in row
        ]
        page = {"rows": [{"f": cells}]} if cells else {}
        more = {"pageToken": str(number + 1)} if number + 1 < len(self.rows) else {}
        return 200, {"jobReference": job, "jobComplete": True, **page, **more}

    def compute(self, _method: str, _path: str, query: Any, _body: Any) -> Answer:
        """One machine type."""
        machine = {"name": "n1-standard-4", "guestCpus": 4, "memoryMb": 15360}
        found = [machine] if query["filter"] == ['name="n1-standard-4"'] else []
        zones = {
            "zones/europe-west1-b": {"machineTypes": []},
            "zones/us-central1-a": {"machineTypes": found},
        }
        return 200, {"items": zones}

    def cloudbilling(self, _method: str, path: str, query: Any, _body: Any) -> Answer:
        """The catalog, a service and a SKU a page."""
        if path == "v1/services":
            if "pageToken" not in query:
                other = {"name": "services/1", "displayName": "Compute Engine"}
                return 200, {"services": [other], "nextPageToken": "more"}
            return 200, {"services": [{"name": "services/2", "displayName": "Vertex AI"}]}
        assert path == "v1/services/2/skus"
        number = int(query.get("pageToken", ["0"])[0])
        more = {"nextPageToken": str(number + 1)} if number + 1 < len(self.skus) else {}
        return 200, {"skus": self.skus[number : number + 1], **more}

    def aiplatform(self, _method: str, path: str, _query: Any, _body: Any) -> Answer:
        """Lists of what runs."""
        kind = path.rpartition("/")[2]
        return 200, {kind: self.running[kind]} if kind in self.running else {}

    def _granted(self, asked: list[str]) -> list[str]:
        return [each for each in asked if self.permissions is None or each in self.permissions]

    def _make(self, path: str, thing: dict[str, Any]) -> Answer:
        assert path not in self.things, f"{path} is made twice"
        self.things[path] = thing
        return 200, thing

    def _thing(self, method: str, path: str) -> Answer:
        if path not in self.things:
            return 404, {"error": {"code": 404, "message": f"no {path}", "status": "NOT_FOUND"}}
        if method == "DELETE":
            del self.things[path]
            return 200, {}
        return 200, self.things[path]

    def _policy(self, path: str, is_set: bool, policy: Any) -> Answer:
        if is_set:
            assert policy.get("etag") == self.policies.get(path, {}).get("etag", "ACAB")
            self.policies[path] = policy
        return 200, self.policies.get(path, {"etag": "ACAB"})


class CloudClient(Client):
    """The client of Google Cloud, with the addresses of the stand-in and no account."""

    def __init__(self, config: Config, url: str) -> None:
        self.config = config
        self.is_emulator = False
        self.credentials = AnonymousCredentials()
        self._url = url

    @property
    def vertex_url(self) -> str:
        return f"{self._url}/aiplatform"

    def api_url(self, service: str) -> str:
        return f"{self._url}/{service}"

    def registry_url(self, host: str) -> str:
        assert host == "us-central1-docker.pkg.dev"
        return f"{self._url}/{MANIFEST}"

    @property
    def poll_seconds(self) -> float:
        return 0.01

    @property
    def _api_endpoint(self) -> str:
        return self.vertex_url

    @property
    def storage(self) -> Any:
        from google.cloud import storage

        return storage.Client(
            project=self.config.project,
            credentials=self.credentials,
            client_options={"api_endpoint": self.api_url("storage")},
        )


@contextmanager
def serving(cloud: Cloud) -> Iterator[str]:
    """Serves the stand-in on loopback, and yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            with cloud.lock:
                status, answer = cloud.answer(self.command, self.path, body)
            contents = b"" if self.command == "HEAD" else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(contents)))
            self.end_headers()
            self.wfile.write(contents)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
