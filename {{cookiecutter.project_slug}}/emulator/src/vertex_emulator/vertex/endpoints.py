"""Endpoints: deployed models, the traffic between them, and predictions.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints.
"""

import re
import threading
from typing import Any

from vertex_emulator.errors import (
    ApiError,
    failed_precondition,
    invalid_argument,
    missing,
    not_found,
)
from vertex_emulator.filters.language import Language
from vertex_emulator.gateway.gateway import Gateway
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.vertex import container
from vertex_emulator.vertex.fleet import Fleet
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.request_log import RequestLogs, check_config
from vertex_emulator.vertex.resources import (
    check_display_name,
    check_labels,
    listing,
    mask_fields,
    new_id,
    ordered,
    require,
    taken,
    unversioned,
)
from vertex_emulator.vertex.scaling import Bounds

# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/create
ENDPOINT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
DEPLOYED_ID = re.compile(r"[0-9]{1,19}")  # documented up to 10; those that Vertex AI makes have 19
THIS = "0"  # in a traffic split: the model that the same request deploys
WHOLE = 100  # percent
OUTPUT_ONLY = (
    "name", "deployedModels", "createTime", "updateTime", "modelDeploymentMonitoringJob",
    "dedicatedEndpointDns", "satisfiesPzs", "satisfiesPzi",
)  # fmt: skip
NO_NETWORK = "the emulator has no networks, and serves at one address; leave it out"
REFUSED = {
    "etag": "the emulator has none; leave it out",
    "network": NO_NETWORK,
    "enablePrivateServiceConnect": NO_NETWORK,
    "privateServiceConnectConfig": NO_NETWORK,
    "dedicatedEndpointEnabled": NO_NETWORK,
    "privateModelServerEnabled": NO_NETWORK,
    "clientConnectionConfig": "a request has 60 s here; leave it out",
    "genAiAdvancedFeaturesConfig": "not emulated; leave it out",
}
DEPLOYED_OUTPUT_ONLY = ("modelVersionId", "createTime", "privateEndpoints", "status")
DEPLOYED_REFUSED = {
    "automaticResources": "models have dedicatedResources here",
    "sharedResources": "pools of resources are not emulated; use dedicatedResources",
    "checkpointId": "checkpoints of tuned models are not emulated; leave it out",
    "fasterDeploymentConfig": "not emulated; leave it out",
    "speculativeDecodingSpec": "not emulated; leave it out",
}
CHANGEABLE = (
    "display_name", "description", "labels", "traffic_split",
    "predict_request_response_logging_config",
)  # fmt: skip
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/mutateDeployedModel
MUTABLE = (
    "dedicatedResources.minReplicaCount", "dedicatedResources.maxReplicaCount",
    "dedicatedResources.requiredReplicaCount", "dedicatedResources.autoscalingMetricSpecs",
    "dedicatedResources.scaleToZeroSpec", "disableContainerLogging",
)  # fmt: skip
LANGUAGE = Language(
    fields=frozenset({"displayName", "endpoint", "labels", "createTime", "name"}),
    times=frozenset({"createTime"}),
)
BETA = "v1beta1"
ONLY_IN_BETA = ("initialReplicaCount", "scaleToZeroSpec")  # of dedicatedResources


class Endpoints:
    """The `endpoints` collection."""

    def __init__(
        self,
        documents: Documents,
        models: Models,
        operations: Operations,
        *,
        fleet: Fleet,
        gateway: Gateway,
        request_logs: RequestLogs,
    ) -> None:
        self._documents = documents
        self._models = models
        self._operations = operations
        self._fleet = fleet
        self._gateway = gateway
        self._request_logs = request_logs
        self._publishing = threading.Lock()

    def recover(self) -> None:
        """Starts the replicas of what is deployed, and goes on with deployments left open."""
        for endpoint in self._documents.list("endpoint"):
            for deployed in endpoint.get("deployedModels", []):
                version = self._models.version(f"{deployed['model']}@{deployed['modelVersionId']}")
                self._fleet.deploy(endpoint["name"], deployed, version)
            self._publish(endpoint["name"])
        for operation in self._operations.unfinished():
            self._carry_out(operation)

    def create(self, location: str, query: dict[str, str], body: Any) -> Document:
        """Makes an endpoint; returns the operation.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed endpoint or an `endpointId` in use.
        """
        endpoint = taken(normalise("Endpoint", body), OUTPUT_ONLY, REFUSED)
        check_display_name(endpoint)
        check_labels(endpoint)
        _check_split(endpoint.get("trafficSplit", {}), [])
        check_config(endpoint)
        given = query.get("endpointId")
        if given and not ENDPOINT_ID.fullmatch(given):
            raise invalid_argument(
                "endpointId: expected up to 63 of a-z, 0-9 and -, beginning with a letter and not"
                f" ending with -, or a number of up to 9 digits, got {given!r}."
            )
        moment = now()
        document = endpoint | {
            "name": f"{location}/endpoints/{given or new_id()}",
            "createTime": moment,
            "updateTime": moment,
        }
        if not self._documents.create("endpoint", location, document):
            raise invalid_argument(f"endpointId: {document['name']} exists; choose another.")
        self._publish(document["name"])
        return self._operations.finished(
            document["name"], "CreateEndpointOperationMetadata", "Endpoint", document
        )

    def get(self, name: str, api: str = BETA) -> Document:
        """Returns an endpoint. Raises ApiError 404 NOT_FOUND."""
        return _as_in(api, require(self._documents, "Endpoint", name))

    def list_page(self, location: str, query: dict[str, str], api: str = BETA) -> dict[str, Any]:
        """Returns a page of endpoints, newest first. Raises ApiError 400 for a bad query."""
        scan = ordered(self._documents, "endpoint", location, query.get("orderBy"))
        page = listing("endpoints", scan, query, LANGUAGE, seen=_seen)
        return page | {"endpoints": [_as_in(api, each) for each in page["endpoints"]]}

    def patch(self, name: str, mask: str | None, body: Any, api: str = BETA) -> Document:
        """Changes the fields of `updateMask`, the traffic split among them.

        Raises:
            ApiError: 404 NOT_FOUND; 400 INVALID_ARGUMENT for a bad field or split.
        """
        given = taken(normalise("Endpoint", body), OUTPUT_ONLY, REFUSED)
        fields = mask_fields(mask, CHANGEABLE)

        def change(endpoint: Document) -> None:
            for field in fields:
                endpoint.pop(field, None)
                if field in given:
                    endpoint[field] = given[field]
            check_display_name(endpoint)
            check_labels({"labels": given.get("labels", {}) if "labels" in fields else {}})
            check_config(endpoint)
            if "trafficSplit" in fields:
                _check_split(endpoint.get("trafficSplit", {}), _deployed_ids(endpoint))

        return _as_in(api, self._update(name, change))

    def delete(self, name: str) -> Document:
        """Deletes an endpoint; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION while a model is deployed there.
        """
        deployed = _deployed_ids(self.get(name))
        if deployed:
            raise failed_precondition(
                f"{name} has deployed models ({', '.join(deployed)}); undeploy them first."
            )
        self._documents.delete(name)
        self._publish(name)
        return self._operations.finished(name, "DeleteOperationMetadata")

    def deploy(self, name: str, body: Any, api: str) -> Document:
        """Begins to serve a model version; returns the operation, done once the server answers.

        Raises:
            ApiError: 404 NOT_FOUND for the endpoint or the model; 400 INVALID_ARGUMENT for a
                malformed request or split, FAILED_PRECONDITION for a container that Vertex AI
                would not reach; 400 UNIMPLEMENTED for an image that is not emulated.
        """
        request = _normalise_deployment("DeployModelRequest", body, api)
        endpoint = self.get(name)
        deployed = taken(
            request.get("deployedModel", {}),
            DEPLOYED_OUTPUT_ONLY,
            DEPLOYED_REFUSED,
            "deployedModel.",
        )
        if not DEPLOYED_ID.fullmatch(deployed.get("id", "1")) or deployed.get("id") == THIS:
            raise invalid_argument(
                f"deployedModel.id: expected digits that are not 0, got {deployed['id']!r}."
            )
        version = self._models.version(deployed.get("model", ""))
        Bounds.of(deployed.get("dedicatedResources", {}))
        container.of(version)
        deployed |= {
            "id": deployed.get("id") or new_id(),
            "model": unversioned(version["name"]),
            "modelVersionId": version["versionId"],
            "displayName": deployed.get("displayName") or version["displayName"],
            "createTime": now(),
        }
        if deployed["id"] in _deployed_ids(endpoint):
            raise invalid_argument(f"deployedModel.id: {deployed['id']} is deployed already.")
        split = request.get("trafficSplit", {})
        if split:
            _check_split(split, [THIS, *_deployed_ids(endpoint)])
        operation = self._operations.begun(
            name,
            "DeployModelOperationMetadata",
            {"endpoint": name, "deployedModel": deployed, "trafficSplit": split},
        )
        self._carry_out(operation)
        return self._operations.get(operation["name"])

    def undeploy(self, name: str, body: Any) -> Document:
        """Stops serving a deployed model that gets no traffic; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION while it gets traffic.
        """
        request = normalise("UndeployModelRequest", body)
        wanted = request.get("deployedModelId", "")

        def change(endpoint: Document) -> None:
            _deployed(endpoint, wanted)
            left = [each for each in _deployed_ids(endpoint) if each != wanted]
            split = request.get("trafficSplit") or endpoint.get("trafficSplit", {})
            if left and split.get(wanted):
                raise failed_precondition(
                    f"deployedModelId: {wanted} gets {split[wanted]} % of the traffic; give that to"
                    " another with trafficSplit."
                )
            if request.get("trafficSplit"):
                _check_split(request["trafficSplit"], left)
            endpoint["deployedModels"] = [
                each for each in endpoint["deployedModels"] if each["id"] != wanted
            ]
            endpoint["trafficSplit"] = {key: share for key, share in split.items() if key in left}

        self._update(name, change)
        self._fleet.undeploy(wanted)
        return self._operations.finished(
            name, "UndeployModelOperationMetadata", "UndeployModelResponse"
        )

    def mutate(self, name: str, body: Any, api: str) -> Document:
        """Changes the bounds of a deployed model's replicas; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 INVALID_ARGUMENT for a field that cannot change.
        """
        request = _normalise_deployment("MutateDeployedModelRequest", body, api)
        given = request.get("deployedModel", {})
        paths = mask_fields(request.get("updateMask"), MUTABLE)
        changed: Document = {}

        def change(endpoint: Document) -> None:
            deployed = _deployed(endpoint, given.get("id", ""))
            for path in paths:
                _copy(path, given, deployed)
            Bounds.of(deployed["dedicatedResources"])
            changed.update(deployed)

        self._update(name, change)
        self._fleet.resize(changed)
        return self._operations.finished(
            name,
            "MutateDeployedModelOperationMetadata",
            "MutateDeployedModelResponse",
            {"deployedModel": changed},
        )

    def _carry_out(self, operation: Document) -> None:
        request = operation["request"]
        deployed, split = request["deployedModel"], request["trafficSplit"]

        def work() -> Document:
            version = self._models.version(f"{deployed['model']}@{deployed['modelVersionId']}")
            self._fleet.deploy(request["endpoint"], deployed, version)
            try:
                self._fleet.wait(deployed["id"])
                self._update(request["endpoint"], change)
            except ApiError:
                self._fleet.undeploy(deployed["id"])
                raise
            return {"deployedModel": deployed}

        def change(endpoint: Document) -> None:
            endpoint.setdefault("deployedModels", []).append(deployed)
            if split:
                known = _deployed_ids(endpoint)
                shares = {
                    deployed["id"] if key == THIS else key: share for key, share in split.items()
                }
                _check_split(shares, known)
                endpoint["trafficSplit"] = shares

        self._operations.carry_out(operation, "DeployModelResponse", work)

    def _update(self, name: str, change: Any) -> Document:
        def stamped(endpoint: Document) -> None:
            change(endpoint)
            endpoint["updateTime"] = now()

        endpoint = self._documents.update(name, stamped)
        if endpoint is None:
            raise missing("Endpoint", name)
        self._publish(name)
        return endpoint

    def _publish(self, name: str) -> None:
        """Tells the gateway of an endpoint's split, or that it is gone: always the newest."""
        with self._publishing:
            endpoint = self._documents.get(name)
            if endpoint is None:
                self._gateway.withdraw(name)
                return
            for deployed in endpoint.get("deployedModels", []):
                pool = self._gateway.pool(deployed["id"])
                if pool is not None:
                    version = f"{deployed['model']}@{deployed['modelVersionId']}"
                    uri = self._models.version(version).get("artifactUri", "")
                    self._request_logs.switch(endpoint, pool, uri)
            self._gateway.publish(name, endpoint.get("trafficSplit", {}))


def _normalise_deployment(message: str, body: Any, api: str) -> Document:
    """Reads a request with a `deployedModel`; in v1beta1 that may scale to zero."""
    try:
        given = body["deployedModel"]["dedicatedResources"]
        to_zero = "scaleToZeroSpec" in given or given.get("minReplicaCount") == 0
    except (TypeError, KeyError, AttributeError):
        to_zero = False
    if not to_zero or api != BETA:
        return normalise(message, body)
    request = normalise(message, body, api)
    request["deployedModel"]["dedicatedResources"].setdefault("scaleToZeroSpec", {})
    return request


def _as_in(api: str, endpoint: Document) -> Document:
    """Returns an endpoint with the fields that the version of the API has."""
    if api == BETA or "deployedModels" not in endpoint:
        return endpoint
    deployed = [dict(each) for each in endpoint["deployedModels"]]
    for each in deployed:
        if "dedicatedResources" in each:  # a readMask may leave it out
            each["dedicatedResources"] = {
                field: value
                for field, value in each["dedicatedResources"].items()
                if field not in ONLY_IN_BETA
            }
    return endpoint | {"deployedModels": deployed}


def _seen(endpoint: Document) -> Document:
    """What a filter sees: `endpoint` is the endpoint's ID."""
    return endpoint | {"endpoint": endpoint["name"].rpartition("/")[2]}


def _deployed_ids(endpoint: Document) -> list[str]:
    return [each["id"] for each in endpoint.get("deployedModels", [])]


def _deployed(endpoint: Document, wanted: str) -> Document:
    for each in endpoint.get("deployedModels", []):
        if each["id"] == wanted:
            found: Document = each
            return found
    raise not_found(
        f"{endpoint['name']} has no deployed model {wanted!r}; it has"
        f" {', '.join(_deployed_ids(endpoint)) or 'none'}."
    )


def _copy(path: str, source: Document, target: Document) -> None:
    """Gives a field of `target` the value it has in `source`, or none where it has none there."""
    field, _, rest = path.partition(".")
    if rest:
        _copy(rest, source.get(field, {}), target.setdefault(field, {}))
    elif field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)


def _check_split(split: dict[str, int], known: list[str]) -> None:
    for key, share in split.items():
        if key not in known:
            raise invalid_argument(
                f"trafficSplit: {key!r} is not deployed here; expected some of"
                f" {', '.join(known) or 'none'}."
            )
        if not 0 <= share <= WHOLE:
            raise invalid_argument(
                f"trafficSplit[{key!r}]: expected 0 to 100 percent, got {share}."
            )
    if (split or known) and sum(split.values()) != WHOLE:
        raise invalid_argument(
            f"trafficSplit: the shares must add up to 100, got {sum(split.values())}."
        )
