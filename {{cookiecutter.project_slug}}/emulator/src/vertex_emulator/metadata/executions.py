"""Executions: steps of a workflow, and the events that join them to what they read and wrote.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.metadataStores.executions.
"""

from typing import Any

from vertex_emulator.errors import invalid_argument
from vertex_emulator.metadata.nodes import ARTIFACT, EXECUTION, Nodes, shown
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import check_labels, require


class Executions(Nodes):
    """The `executions` of metadata stores."""

    def __init__(self, database: Database, documents: Documents, operations: Operations) -> None:
        super().__init__(EXECUTION, database, documents, operations)

    def add_events(self, name: str, body: Any) -> Document:
        """Records that artifacts are inputs or outputs of an execution; what is known is kept.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for an event without artifact or type; 404 NOT_FOUND for
                an unknown execution or artifact.
        """
        events = normalise("AddExecutionEventsRequest", body).get("events", [])
        with self._database.transaction():
            self.stored(name)
            for index, event in enumerate(events):
                path = f"events[{index}]"
                if not event.get("artifact"):
                    raise invalid_argument(f"{path}.artifact: expected a resource name, got none.")
                if event.get("type", "TYPE_UNSPECIFIED") == "TYPE_UNSPECIFIED":
                    raise invalid_argument(f"{path}.type: expected INPUT or OUTPUT, got none.")
                check_labels(event)
                require(self._documents, ARTIFACT.message, event["artifact"])
                event |= {"execution": name, "eventTime": now()}

            def change(execution: Document) -> None:
                known = execution.setdefault("events", [])
                edges = {(event["artifact"], event["type"]) for event in known}
                known += [each for each in events if (each["artifact"], each["type"]) not in edges]

            self._documents.update(name, change)
        return {}

    def inputs_and_outputs(self, name: str) -> Document:
        """Returns an execution, its events and their artifacts. Raises ApiError 404 NOT_FOUND."""
        execution = self.stored(name)
        events = execution.get("events", [])
        artifacts = dict.fromkeys(event["artifact"] for event in events)
        found = [self._documents.get(artifact) for artifact in artifacts]
        return {
            "artifacts": [shown(artifact) for artifact in found if artifact is not None],
            "executions": [shown(execution)],
            "events": events,
        }


class Artifacts(Nodes):
    """The `artifacts` of metadata stores: what executions read and write."""

    def __init__(self, database: Database, documents: Documents, operations: Operations) -> None:
        super().__init__(ARTIFACT, database, documents, operations)

    def _disconnect(self, node: Document) -> None:
        name = node["name"]
        store = name.rpartition("/artifacts/")[0]

        def change(execution: Document) -> None:
            execution["events"] = [
                event for event in execution["events"] if event["artifact"] != name
            ]

        for execution in self._documents.list(EXECUTION.message, store):
            if any(event["artifact"] == name for event in execution.get("events", [])):
                self._documents.update(execution["name"], change)
