"""Models, their versions and their aliases.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models and
https://cloud.google.com/vertex-ai/docs/model-registry/model-alias. Each version is one document,
named `…/models/ID@VERSION`; exactly one version of a model carries the alias `default`. A document
of the model's own name counts its versions.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from vertex_emulator.errors import (
    ApiError,
    failed_precondition,
    invalid_argument,
    missing,
    not_found,
)
from vertex_emulator.filters.language import Language
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import (
    Scan,
    check_display_name,
    check_environment,
    check_labels,
    check_texts,
    in_order,
    listing,
    mask_fields,
    new_id,
    newest,
    taken,
    unversioned,
)

DEFAULT = "default"
ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
OUTPUT_ONLY = (
    "name", "versionId", "versionCreateTime", "versionUpdateTime", "supportedExportFormats",
    "trainingPipeline", "supportedDeploymentResourcesTypes", "supportedInputStorageFormats",
    "supportedOutputStorageFormats", "createTime", "updateTime", "deployedModels",
    "modelSourceInfo", "originalModelInfo", "metadataArtifact", "satisfiesPzs", "satisfiesPzi",
    "checkpoints",
)  # fmt: skip
VERSION_ORDERS = {"create_time": "versionCreateTime", "update_time": "versionUpdateTime"}
OF_MODEL = ("displayName", "description")  # the same in all versions
OF_VERSION = ("versionDescription",)
OF_BOTH = ("labels",)  # each level has its own; an answer shows them together
MODEL_LABELS = "modelLabels"  # where a version's document keeps those of the model
HIDDEN = (MODEL_LABELS, "model")  # of what a filter sees, not in an answer
REFUSED = {
    "etag": "the emulator has none; leave it out",
    "defaultCheckpointId": "checkpoints of tuned models are not emulated; leave it out",
}
LANGUAGE = Language(
    fields=frozenset({"displayName", "model", "labels", "createTime", "versionAliases", "name"}),
    times=frozenset({"createTime"}),
)


class Models:
    """The `models` collection."""

    def __init__(
        self, database: Database, documents: Documents, objects: Objects, operations: Operations
    ) -> None:
        self._database = database
        self._documents = documents
        self._objects = objects
        self._operations = operations

    def upload(self, location: str, body: Any) -> Document:
        """Makes a model, or the next version of `parentModel`; returns the operation.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed model, or an `artifactUri` without
                objects; 404 NOT_FOUND for an unknown parent.
        """
        name, number = self.add(location, normalise("UploadModelRequest", body))
        return self._operations.finished(
            name,
            "UploadModelOperationMetadata",
            "UploadModelResponse",
            {"model": name, "modelVersionId": number},
        )

    def add(self, location: str, request: Document, training_pipeline: str = "") -> tuple[str, str]:
        """Makes a model, or the next version of `parentModel`; returns its name and version.

        Args:
            location: where the model is to be.
            request: the UploadModelRequest.
            training_pipeline: that trained the model, where one did.

        Raises:
            ApiError: as `upload`.
        """
        self.check(location, request)
        model = taken(request.get("model", {}), OUTPUT_ONLY, REFUSED)
        self._check_artifact(model.get("artifactUri"))
        if training_pipeline:
            model["trainingPipeline"] = training_pipeline
        aliases = model.get("versionAliases", [])
        with self._database.transaction():
            name = self._name(location, request)
            versions = self._versions(name)
            number = self._next_number(name)
            if not versions:
                aliases = [DEFAULT, *aliases]
            for alias in aliases:
                self._drop_alias(versions, alias)
            moment = now()
            if versions:
                shared = {key: model.get(key, versions[0].get(key)) for key in OF_MODEL}
                model |= {key: value for key, value in shared.items() if value is not None}
                self._change_model(versions, model, OF_MODEL)
            version = model | {
                MODEL_LABELS: versions[0].get(MODEL_LABELS, {}) if versions else {},
                "name": f"{name}@{number}",
                "versionId": str(number),
                "versionAliases": list(dict.fromkeys(aliases)),
                "createTime": versions[-1]["createTime"] if versions else moment,
                "updateTime": moment,
                "versionCreateTime": moment,
                "versionUpdateTime": moment,
                "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
            }
            self._documents.create("modelVersion", name, version)
        return name, str(number)

    def check(self, location: str, request: Document, of: str = "model") -> None:
        """Refuses an UploadModelRequest that is wrong whatever its `artifactUri` holds by then.

        Args:
            location: where the model is to be.
            request: the UploadModelRequest.
            of: path of the Model in what the client sent.

        Raises:
            ApiError: 400 INVALID_ARGUMENT; 404 NOT_FOUND for an unknown parent; 400 UNIMPLEMENTED.
        """
        model = taken(request.get("model", {}), OUTPUT_ONLY, REFUSED, f"{of}.")
        check_display_name(model, f"{of}.")
        check_labels(model, f"{of}.")
        container = model.get("containerSpec", {})
        check_texts(f"{of}.containerSpec", container)
        check_environment(f"{of}.containerSpec.env", container)
        for alias in model.get("versionAliases", []):
            _check_alias(alias)
        self._name(location, request)

    def get(self, name: str) -> Document:
        """Returns a version: `…/models/ID` (the default), `…@NUMBER` or `…@ALIAS`.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        return _public(self.version(name), self._deployments())

    def version(self, name: str) -> Document:
        """Returns the stored document of a version, its name with the number.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        model, _, wanted = name.partition("@")
        for each in self._versions(model):
            if wanted == each["versionId"] or (wanted or DEFAULT) in each["versionAliases"]:
                return each
        raise missing("Model version" if wanted else "Model", name)

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of models, each by its default version, newest first."""
        found = [
            each
            for each in self._documents.list("modelVersion")
            if each["name"].startswith(f"{location}/models/") and DEFAULT in each["versionAliases"]
        ]
        scan = in_order(found, query.get("orderBy") or "create_time desc")
        return self._listing(scan, query)

    def list_versions(self, name: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of a model's versions, newest first. Raises ApiError 404 NOT_FOUND."""
        model = unversioned(name)
        versions = self._versions(model)
        if not versions:
            raise missing("Model", model)
        scan = newest(self._documents, "modelVersion", model, derived=OF_BOTH)
        if query.get("orderBy"):
            scan = in_order(versions, query["orderBy"], VERSION_ORDERS)
        return self._listing(scan, query)

    def merge_version_aliases(self, name: str, body: Any) -> Document:
        """Adds aliases to a version, moving them from others; `-alias` removes one.

        Raises:
            ApiError: 404 NOT_FOUND; 400 INVALID_ARGUMENT for a malformed alias or for removing
                `default`, which can only move.
        """
        aliases = normalise("MergeVersionAliasesRequest", body).get("versionAliases", [])
        if not aliases:
            raise invalid_argument("versionAliases: expected at least one alias, got none.")
        with self._database.transaction():
            version = self.version(name)
            for alias in aliases:
                if alias.startswith("-"):
                    if alias[1:] == DEFAULT:
                        raise invalid_argument(
                            "versionAliases: 'default' cannot be removed; give it to another."
                        )
                    self._drop_alias([version], alias[1:])
                else:
                    _check_alias(alias)
                    self._drop_alias(self._versions(unversioned(version["name"])), alias)
                    self._add_alias(version, alias)
            return self.get(version["name"])

    def patch(self, name: str, mask: str | None, body: Any) -> Document:
        """Changes the fields of `updateMask`; returns the model, or the version that is named.

        `models/ID` and `models/ID@-` name the model, `models/ID@VERSION` a version of it
        (`UpdateModelRequest.model` in Google's reference). Labels are of the one that is named.

        Raises:
            ApiError: 404 NOT_FOUND; 400 INVALID_ARGUMENT for another field, FAILED_PRECONDITION for
                one that is of the other.
        """
        given = taken(normalise("Model", body), OUTPUT_ONLY, REFUSED)
        fields = mask_fields(mask, (*OF_MODEL, *OF_VERSION, *OF_BOTH))
        name, _, version_id = name.partition("@")
        is_version = version_id not in ("", "-")
        theirs = [field for field in fields if field in (OF_MODEL if is_version else OF_VERSION)]
        if theirs:
            raise failed_precondition(
                f"updateMask: {', '.join(theirs)} cannot change with {name}@{version_id}; name the"
                f" model, {name}, in a request of its own."
                if is_version
                else f"updateMask: {', '.join(theirs)} cannot change with {name}; name a version,"
                f" such as {name}@1, in a request of its own."
            )
        check_labels({"labels": given.get("labels", {})} if "labels" in fields else {})
        with self._database.transaction():
            version = self.version(f"{name}@{version_id}" if is_version else name)
            if is_version:
                self._change(version, lambda document: _replace(document, given, fields))
            else:
                if "displayName" in fields:
                    check_display_name(given)
                self._change_model(self._versions(name), given, fields)
            return self.get(version["name"])

    def delete_version(self, name: str) -> Document:
        """Deletes a version; `default` goes to the newest that is left. Returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION for a version that is deployed or the
                only one.
        """
        with self._database.transaction():
            version = self.version(name)
            model = unversioned(version["name"])
            left = [each for each in self._versions(model) if each["name"] != version["name"]]
            if not left:
                raise failed_precondition(f"{name} is the only version; delete the model instead.")
            self._refuse_deployed([version])
            self._documents.delete(version["name"])
            if DEFAULT in version["versionAliases"]:
                self._add_alias(left[0], DEFAULT)
        return self._operations.finished(model, "DeleteOperationMetadata")

    def delete(self, name: str) -> Document:
        """Deletes a model with its versions; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION while a version is deployed.
        """
        with self._database.transaction():
            versions = self._versions(name)
            if not versions:
                raise missing("Model", name)
            self._refuse_deployed(versions)
            for each in (*versions, {"name": name}):
                self._documents.delete(each["name"])
        return self._operations.finished(name, "DeleteOperationMetadata")

    def _listing(self, scan: Scan, query: dict[str, str]) -> dict[str, Any]:
        deployments = self._deployments()
        return listing(
            "models",
            scan,
            query,
            LANGUAGE,
            shown=lambda each: _public(each, deployments),
            seen=_seen,
        )

    def _versions(self, model: str) -> list[Document]:
        return self._documents.list("modelVersion", model)

    def _next_number(self, name: str) -> int:
        """Returns the number of a model's next version; a deleted one's is not given again."""
        model = self._documents.get(name)
        if model is None:
            model = {"name": name, "lastVersion": 0}
            self._documents.create("model", name.rpartition("/")[0], model)
        number: int = model["lastVersion"] + 1
        self._documents.update(name, lambda document: document.update(lastVersion=number))
        return number

    def _name(self, location: str, request: Document) -> str:
        parent = request.get("parentModel")
        if parent:
            try:
                return unversioned(self.version(parent)["name"])
            except ApiError as error:
                raise not_found(f"parentModel: {error.message}") from error
        given = request.get("modelId")
        model_id = given or new_id()
        if given and not MODEL_ID.fullmatch(given):
            raise invalid_argument(
                "modelId: expected up to 63 of a-z, 0-9, _ and -, the first no digit and no -, got"
                f" {model_id!r}."
            )
        name = f"{location}/models/{model_id}"
        if self._versions(name):
            raise invalid_argument(
                f"modelId: {name} exists; name it as parentModel to upload its next version."
            )
        return name

    def _check_artifact(self, uri: str | None) -> None:
        if uri is None:
            return
        bucket, path = split_uri(uri)
        prefix = path.rstrip("/") + "/" if path else ""
        if not uri.startswith("gs://") or not self._objects.buckets.exists(bucket):
            raise invalid_argument(
                f"artifactUri: expected gs://BUCKET/FOLDER of a bucket here, got {uri!r}."
            )
        if next(self._objects.walk(bucket, prefix), None) is None:
            raise invalid_argument(
                f"artifactUri: there are no objects under {uri}; name the folder that the training"
                " job exported to, such as its AIP_MODEL_DIR."
            )

    def _deployments(self) -> list[tuple[str, Document]]:
        """Returns each deployed model with its endpoint's name."""
        return [
            (endpoint["name"], deployed)
            for endpoint in self._documents.list("endpoint")
            for deployed in endpoint.get("deployedModels", [])
        ]

    def _refuse_deployed(self, versions: list[Document]) -> None:
        deployments = self._deployments()
        for version in versions:
            for reference in _public(version, deployments).get("deployedModels", []):
                raise failed_precondition(
                    f"{version['name']} is deployed to {reference['endpoint']}; undeploy"
                    f" {reference['deployedModelId']} there first."
                )

    def _add_alias(self, version: Document, alias: str) -> None:
        self._change(version, lambda each: each["versionAliases"].append(alias))

    def _drop_alias(self, versions: list[Document], alias: str) -> None:
        for each in versions:
            if alias in each["versionAliases"]:
                self._change(each, lambda version: version["versionAliases"].remove(alias))

    def _change_model(
        self, versions: list[Document], given: Document, fields: Iterable[str]
    ) -> None:
        """Gives all versions what is of the model."""
        names = {"labels": MODEL_LABELS}

        def change(document: Document) -> None:
            own = {names.get(field, field): given[field] for field in fields if field in given}
            _replace(document, own, [names.get(field, field) for field in fields])
            document["updateTime"] = now()

        for each in versions:
            self._documents.update(each["name"], change)

    def _change(self, version: Document, change: Callable[[Document], object]) -> None:
        def stamped(document: Document) -> None:
            change(document)
            document["versionUpdateTime"] = document["updateTime"] = now()

        self._documents.update(version["name"], stamped)


def _public(version: Document, deployments: list[tuple[str, Document]]) -> Document:
    name = unversioned(version["name"])
    references = [
        {"endpoint": endpoint, "deployedModelId": deployed["id"]}
        for endpoint, deployed in deployments
        if deployed["model"] == name and deployed["modelVersionId"] == version["versionId"]
    ]
    shown = {key: value for key, value in _seen(version).items() if key not in HIDDEN}
    return shown | ({"deployedModels": references} if references else {})


def _replace(document: Document, given: Document, fields: Iterable[str]) -> None:
    """Gives a document the fields that are given, and takes those that are not."""
    for field in fields:
        document.pop(field, None)
        if field in given:
            document[field] = given[field]


def _seen(version: Document) -> Document:
    """What a filter sees: `model` is the model's ID; the labels are both levels'."""
    name = unversioned(version["name"])
    labels = version.get(MODEL_LABELS, {}) | version.get("labels", {})
    seen = version | {"name": name, "model": name.rpartition("/")[2]}
    return seen | ({"labels": labels} if labels else {})


def _check_alias(alias: str) -> None:
    if not ALIAS.fullmatch(alias):
        raise invalid_argument(
            "versionAliases: expected letters, digits and -, from a small letter to a small letter"
            f" or digit, 2 to 128 characters, got {alias!r}."
        )
