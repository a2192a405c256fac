"""The paths of metadata stores and of what they hold, and the methods that answer them."""

from starlette.routing import BaseRoute

from vertex_emulator.json_routes import Row, json_routes
from vertex_emulator.metadata.contexts import Contexts
from vertex_emulator.metadata.executions import Artifacts, Executions
from vertex_emulator.metadata.nodes import Nodes
from vertex_emulator.metadata.stores import Stores
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.paths import ID, LOCATION

_STORES = f"{LOCATION}/metadataStores"
_STORE = _STORES + "/{store:id}"
_CONTEXT = f"{_STORE}/contexts{ID}"
_EXECUTION = f"{_STORE}/executions{ID}"


def routes(database: Database, documents: Documents, operations: Operations) -> list[BaseRoute]:
    """Returns the routes of metadata stores."""
    stores = Stores(database, documents, operations)
    contexts = Contexts(database, documents, operations)
    executions = Executions(database, documents, operations)
    artifacts = Artifacts(database, documents, operations)
    return json_routes(
        ("GET", _STORES, stores.list_page, "pageSize", "pageToken"),
        ("POST", _STORES, stores.create, "metadataStoreId"),
        ("GET", _STORES + ID, stores.get),
        ("DELETE", _STORES + ID, stores.delete, "force"),
        *_nodes("contexts", contexts),
        ("POST", _CONTEXT + ":addContextChildren", contexts.add_children),
        ("POST", _CONTEXT + ":removeContextChildren", contexts.remove_children),
        ("POST", _CONTEXT + ":addContextArtifactsAndExecutions", contexts.add_members),
        ("GET", _CONTEXT + ":queryContextLineageSubgraph", contexts.lineage),
        *_nodes("executions", executions),
        ("POST", _EXECUTION + ":addExecutionEvents", executions.add_events),
        ("GET", _EXECUTION + ":queryExecutionInputsAndOutputs", executions.inputs_and_outputs),
        *_nodes("artifacts", artifacts),
    )


def _nodes(collection: str, nodes: Nodes) -> list[Row]:
    path = f"{_STORE}/{collection}"
    force = ("force",) if collection == "contexts" else ()  # which means nothing, says Google
    return [
        ("GET", path, nodes.list_page, "filter", "orderBy", "pageSize", "pageToken"),
        ("POST", path, nodes.create, nodes.id_parameter),
        ("GET", path + ID, nodes.get),
        ("PATCH", path + ID, nodes.patch, "allowMissing"),
        ("DELETE", path + ID, nodes.delete, "etag", *force),
    ]
