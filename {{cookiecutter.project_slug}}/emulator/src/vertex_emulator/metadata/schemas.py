"""The schemas that a metadata store knows without having been told.

Sources: https://cloud.google.com/vertex-ai/docs/ml-metadata/system-schemas (a schema's fields are
optional, and metadata may have others), the artifact types of Google Cloud Pipeline Components
(https://cloud.google.com/vertex-ai/docs/pipelines/artifact-types) and of the KFP SDK, and
`google.cloud.aiplatform.metadata`.
"""

import re

from vertex_emulator.errors import invalid_argument, not_found
from vertex_emulator.state.documents import Document

VERSION = "0.0.1"
# As Vertex AI's own error quotes it.
TITLE = re.compile(r"[a-z][a-z0-9-_]{2,20}[.][A-Z][a-zA-Z0-9-_]{2,49}")
TITLES = {
    "contexts": frozenset(
        {"system.Experiment", "system.ExperimentRun", "system.Pipeline", "system.PipelineRun"}
    ),
    "executions": frozenset(
        {
            "system.ContainerExecution",
            "system.CustomJobExecution",
            "system.DagExecution",
            "system.ImporterExecution",
            "system.ResolverExecution",
            "system.Run",
        }
    ),
    "artifacts": frozenset(
        {
            "google.BQMLModel",
            "google.BQTable",
            "google.ClassificationMetrics",
            "google.ExperimentModel",
            "google.ForecastingMetrics",
            "google.RegressionMetrics",
            "google.UnmanagedContainerModel",
            "google.VertexBatchPredictionJob",
            "google.VertexDataset",
            "google.VertexEndpoint",
            "google.VertexModel",
            "google.VertexTensorboardRun",
            "system.Artifact",
            "system.ClassificationMetrics",
            "system.Dataset",
            "system.HTML",
            "system.Markdown",
            "system.Metrics",
            "system.Model",
            "system.SlicedClassificationMetrics",
        }
    ),
}


def check_schema(collection: str, node: Document) -> None:
    """Refuses a node whose schema its store does not have.

    Args:
        collection: that the node is to be in, such as `artifacts`.
        node: with `schemaTitle`, and `schemaVersion` or none.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for a title or version that is none, or is of another
            collection; 404 NOT_FOUND for a schema that does not exist.
    """
    title, version = node.get("schemaTitle", ""), node.get("schemaVersion", VERSION)
    if not TITLE.fullmatch(title):
        raise invalid_argument(
            f"schemaTitle: expected one such as system.Artifact, of the form {TITLE.pattern}, got"
            f" {title!r}."
        )
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version):
        raise invalid_argument(
            f"schemaVersion: expected three numbers such as {VERSION}, got {version!r}."
        )
    if title in TITLES[collection] and version == VERSION:
        return
    for other, titles in TITLES.items():
        if title in titles and other != collection:
            raise invalid_argument(f"schemaTitle: {title} is of {other}, not of {collection}.")
    known = ", ".join(sorted(TITLES[collection]))
    raise not_found(
        f"schemaTitle: the MetadataSchema {title} {version} does not exist; the emulator has"
        f" {known}, each of version {VERSION}."
    )
