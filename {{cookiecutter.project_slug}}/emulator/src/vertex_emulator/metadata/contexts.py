"""Contexts: groups of executions and artifacts, such as an experiment's run, and of contexts.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.metadataStores.contexts.
"""

from collections.abc import Iterable
from typing import Any

from vertex_emulator.errors import failed_precondition, invalid_argument
from vertex_emulator.metadata.nodes import (
    ARTIFACT,
    CHANGEABLE,
    CONTEXT,
    EXECUTION,
    Nodes,
    shown,
)
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import require

MAX_PARENTS = 10
MAX_EARLIER = 20  # states of a context that a change may have begun from
MAX_LINEAGE = 1_000  # nodes of one kind, or events


class Contexts(Nodes):
    """The `contexts` of metadata stores."""

    def __init__(self, database: Database, documents: Documents, operations: Operations) -> None:
        super().__init__(CONTEXT, database, documents, operations)

    def add_children(self, name: str, body: Any) -> Document:
        """Makes contexts children of another.

        Raises:
            ApiError: 404 NOT_FOUND for an unknown context; 400 INVALID_ARGUMENT for a child that is
                the context itself, one above it, or has ten parents already.
        """
        children = normalise("AddContextChildrenRequest", body).get("childContexts", [])
        with self._database.transaction():
            self.stored(name)
            above = self._above(name)
            for index, child in enumerate(children):
                parents = self.stored(child).get("parentContexts", [])
                if child in above:
                    raise invalid_argument(
                        f"childContexts[{index}]: {child} is {name} itself or above it."
                    )
                if len({*parents, name}) > MAX_PARENTS:
                    raise invalid_argument(
                        f"childContexts[{index}]: {child} has {len(parents)} parents; expected at"
                        f" most {MAX_PARENTS}."
                    )
                self._connect(child, "parentContexts", [name])
            self._connect(name, "childContexts", children)
        return {}

    def remove_children(self, name: str, body: Any) -> Document:
        """Undoes `add_children`; what is no child stays as it is. Raises ApiError 404 NOT_FOUND."""
        children = normalise("RemoveContextChildrenRequest", body).get("childContexts", [])
        with self._database.transaction():
            self.stored(name)
            for child in children:
                self.stored(child)
                self._drop(child, "parentContexts", name)
                self._drop(name, "childContexts", child)
        return {}

    def add_members(self, name: str, body: Any) -> Document:
        """Associates artifacts and executions with a context.

        Raises:
            ApiError: 404 NOT_FOUND for one that does not exist.
        """
        request = normalise("AddContextArtifactsAndExecutionsRequest", body)
        with self._database.transaction():
            self.stored(name)
            for kind in (ARTIFACT, EXECUTION):
                for member in request.get(kind.collection, []):
                    require(self._documents, kind.message, member)
                    self._connect(member, "contexts", [name])
        return {}

    def lineage(self, name: str) -> Document:
        """Returns a context's artifacts and executions, and the events between them.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION where they are more than 1,000.
        """
        self.stored(name)
        store = name.rpartition("/contexts/")[0]
        members = {
            kind.collection: [
                node
                for node in self._documents.list(kind.message, store)
                if name in node.get("contexts", ())
            ]
            for kind in (ARTIFACT, EXECUTION)
        }
        artifacts = {node["name"] for node in members["artifacts"]}
        events = [
            event
            for execution in members["executions"]
            for event in execution.get("events", [])
            if event["artifact"] in artifacts
        ]
        for key, found in (members | {"events": events}).items():
            if len(found) > MAX_LINEAGE:
                raise failed_precondition(
                    f"{name} has {len(found)} {key}; expected at most {MAX_LINEAGE}."
                )
        return {
            "artifacts": [shown(node) for node in members["artifacts"]],
            "executions": [shown(node) for node in members["executions"]],
            "events": events,
        }

    def _reconcile(self, given: Document, stored: Document) -> Document:
        """Merges a change of a recent state with what has changed since.

        The SDK's `Context.update` does this itself where it is told ABORTED; but it knows that
        status from gRPC alone, and its tutorials change a run from two places.
        """
        base = next((e for e in stored.get("earlier", []) if e["etag"] == given.get("etag")), None)
        if base is None:
            return super()._reconcile(given, stored)
        merged = {
            field: _merged(base.get(field), given[field], stored.get(field))
            for field in CHANGEABLE
            if field in given
        }
        kept = {key: value for key, value in given.items() if key not in CHANGEABLE}
        return kept | {field: value for field, value in merged.items() if value is not None}

    def _remember(self, node: Document) -> None:
        state = {field: node[field] for field in (*CHANGEABLE, "etag") if field in node}
        node["earlier"] = [state, *node.get("earlier", [])][:MAX_EARLIER]

    def _above(self, name: str) -> set[str]:
        """Returns a context's name with those of its parents, their parents, and so on."""
        found, open_ = {name}, [name]
        while open_:
            parents = self.stored(open_.pop()).get("parentContexts", [])
            open_ += [parent for parent in parents if parent not in found]
            found.update(parents)
        return found

    def _connect(self, name: str, field: str, others: Iterable[str]) -> None:
        def change(node: Document) -> None:
            node[field] = list(dict.fromkeys([*node.get(field, []), *others]))

        self._documents.update(name, change)

    def _drop(self, name: str, field: str, other: str) -> None:
        def change(node: Document) -> None:
            node[field] = [each for each in node.get(field, []) if each != other]

        self._documents.update(name, change)

    def _disconnect(self, node: Document) -> None:
        name = node["name"]
        for parent in node.get("parentContexts", []):
            self._drop(parent, "childContexts", name)
        for child in node.get("childContexts", []):
            self._drop(child, "parentContexts", name)
        store = name.rpartition("/contexts/")[0]
        for kind in (ARTIFACT, EXECUTION):
            for member in self._documents.list(kind.message, store):
                if name in member.get("contexts", ()):
                    self._drop(member["name"], "contexts", name)


def _merged(base: Any, mine: Any, theirs: Any) -> Any:
    """Returns a value with the changes from `base` to `mine`, and those to `theirs` elsewhere."""
    if mine == base:
        return theirs
    if not (isinstance(mine, dict) and isinstance(theirs, dict)):
        return mine
    before = base if isinstance(base, dict) else {}
    kept = {key: value for key, value in theirs.items() if key in mine or key not in before}
    return kept | {
        key: _merged(before.get(key), value, theirs[key]) if key in theirs else value
        for key, value in mine.items()
        if key in theirs or before.get(key) != value
    }
