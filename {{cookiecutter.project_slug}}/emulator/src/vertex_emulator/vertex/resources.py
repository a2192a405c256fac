"""What custom jobs, models and endpoints have in common: names, numbers, masks, lists."""

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from vertex_emulator.errors import invalid_argument, missing, not_emulated
from vertex_emulator.field_masks import keep
from vertex_emulator.filters.conditions import Condition, without
from vertex_emulator.filters.language import Language
from vertex_emulator.filters.parsing import parse
from vertex_emulator.names import camel
from vertex_emulator.pages import Position, page, window
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.vertex.messages import read_mask

Items = Iterable[tuple[Position, Document]]
# What follows a position of a list; of that, at least what every match of a filter needs.
Scan = Callable[[Position | None, Sequence[Condition]], Items]

MAX_A_PAGE = 100
ORDERS = {
    "display_name": "displayName",
    "create_time": "createTime",
    "update_time": "updateTime",
}
MESSAGES = {
    "batchPredictionJobs": "BatchPredictionJob",
    "customJobs": "CustomJob",
    "datasets": "Dataset",
    "endpoints": "Endpoint",
    "hyperparameterTuningJobs": "HyperparameterTuningJob",
    "models": "Model",
    "tensorboardExperiments": "TensorboardExperiment",
    "tensorboardRuns": "TensorboardRun",
    "tensorboardTimeSeries": "TensorboardTimeSeries",
    "tensorboards": "Tensorboard",
    "trainingPipelines": "TrainingPipeline",
}
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_NAME_CHARACTERS = 128
MAX_LABELS = 64
LABEL = re.compile(r"[\w-]{1,63}")  # letters of every language
LABEL_RULE = "up to 63 small letters, digits, _ and -, a key's first a letter"


def unversioned(name: str) -> str:
    """Returns a model's resource name without `@VERSION` or `@ALIAS`."""
    return name.partition("@")[0]


def new_id() -> str:
    """A number of 19 digits, as Vertex AI gives its resources."""
    return str(10**18 + secrets.randbelow(9 * 10**18))


def require(documents: Documents, kind: str, name: str) -> Document:
    """Returns a document.

    Raises:
        ApiError: 404 NOT_FOUND.
    """
    document = documents.get(name)
    if document is None:
        raise missing(kind, name)
    return document


def check_display_name(document: Document, path: str = "") -> None:
    """Refuses a resource without a display name of 1 to 128 characters.

    Args:
        document: the resource.
        path: of the resource in the request, with a dot behind it.

    Raises:
        ApiError: 400 INVALID_ARGUMENT.
    """
    length = len(document.get("displayName", ""))
    if not 1 <= length <= MAX_NAME_CHARACTERS:
        raise invalid_argument(
            f"{path}displayName: expected 1 to {MAX_NAME_CHARACTERS} characters, got {length}."
        )


def check_labels(document: Document, path: str = "") -> None:
    """Refuses labels that Google Cloud does not take.

    Source: https://cloud.google.com/resource-manager/docs/labels-overview#requirements.

    Args:
        document: the resource.
        path: of the resource in the request, with a dot behind it.

    Raises:
        ApiError: 400 INVALID_ARGUMENT.
    """
    labels = document.get("labels", {})
    if len(labels) > MAX_LABELS:
        raise invalid_argument(f"{path}labels: expected at most {MAX_LABELS}, got {len(labels)}.")
    for key, value in labels.items():
        if not LABEL.fullmatch(key) or not key[0].isalpha() or key != key.lower():
            raise invalid_argument(f"{path}labels: expected a key of {LABEL_RULE}, got {key!r}.")
        if value and (not LABEL.fullmatch(value) or value != value.lower()):
            raise invalid_argument(f"{path}labels.{key}: expected {LABEL_RULE}, got {value!r}.")


def taken(
    document: Document, output_only: Iterable[str], refused: Mapping[str, str], path: str = ""
) -> Document:
    """Returns all that a request gives of a resource, so that nothing vanishes in silence.

    Args:
        document: the resource in the request.
        output_only: fields that Google's reference says so of: what a request gives there does not
            count.
        refused: by field that is not emulated, why, and what to do instead.
        path: of the resource in the request, with a dot behind it.

    Raises:
        ApiError: 400 UNIMPLEMENTED.
    """
    for field, reason in refused.items():
        if document.get(field):
            raise not_emulated(f"{path}{field}: {reason}.")
    return {key: value for key, value in document.items() if key not in output_only}


def check_environment(path: str, container: Document) -> None:
    """Refuses variables that no process can have.

    Raises:
        ApiError: 400 INVALID_ARGUMENT.
    """
    for index, variable in enumerate(container.get("env", [])):
        name = variable.get("name", "")
        if not VARIABLE.fullmatch(name):
            raise invalid_argument(
                f"{path}[{index}].name: expected letters, digits and _, got {name!r}."
            )


def check_texts(path: str, value: Any) -> None:
    """Refuses text with a zero character, which no command line or file name can hold.

    Raises:
        ApiError: 400 INVALID_ARGUMENT.
    """
    if isinstance(value, dict):
        for name, each in value.items():
            check_texts(f"{path}.{name}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            check_texts(f"{path}[{index}]", each)
    elif isinstance(value, str) and "\0" in value:
        raise invalid_argument(f"{path}: expected text without a zero character, got {value!r}.")


def mask_fields(mask: str | None, allowed: Iterable[str]) -> list[str]:
    """Reads an `updateMask`, in camel or snake case.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where it is empty or names another field.
    """
    known = {camel(name) for name in allowed}
    fields = [camel(each.strip()) for each in (mask or "").split(",")]
    for each in fields:
        if each not in known:
            raise invalid_argument(
                f"updateMask: expected some of {', '.join(sorted(known))},"
                f" got {each or 'nothing'!r}."
            )
    return fields


def listing(
    key: str,
    scan: Scan,
    query: dict[str, str],
    language: Language,
    *,
    shown: Callable[[Document], Document] = lambda document: document,
    seen: Callable[[Document], Document] = lambda document: document,
) -> dict[str, Any]:
    """Answers a list method: `filter`, `pageSize`, `pageToken` and `readMask` of the query.

    Args:
        key: the field of the answer that holds the items.
        scan: `newest`, `in_order` or `ordered`.
        query: the request's.
        language: of the filter.
        shown: makes of a stored document what the answer shows.
        seen: makes of a stored document what the filter sees.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for a bad filter, size, token or mask.
    """
    mask = query.get("readMask")
    paths = read_mask(MESSAGES[key], mask) if mask else [["*"]]
    wanted = parse(query.get("filter", ""), language)
    part = window(query.get("pageSize", 0), query.get("pageToken"), MAX_A_PAGE)
    found = scan(part.after, wanted.needed)
    kept = (item for item in found if wanted.matches(seen(item[1])))
    answer = page(key, kept, part)
    answer[key] = [keep(shown(each), paths) for each in answer[key]]
    return answer


def newest(documents: Documents, kind: str, location: str, derived: Collection[str] = ()) -> Scan:
    """A list of a location's documents, newest first, that reads no more than a page takes.

    Args:
        documents: what there is.
        kind: of the documents.
        location: what they are in.
        derived: fields of which a filter sees another value than the stored one.
    """

    def scan(after: Position | None, needed: Sequence[Condition]) -> Items:
        stored = without(needed, derived)
        for number, document in documents.scan(kind, location, after and after[1], stored):
            yield ("", number), document

    return scan


def ordered(
    documents: Documents,
    kind: str,
    parent: str,
    order: str | None,
    fields: Mapping[str, str] = ORDERS,
    *,
    derived: Collection[str] = (),
) -> Scan:
    """A list in the order that a query names, newest first where it names none.

    The arguments are those of `newest` and `in_order`.

    Raises:
        ApiError: 400 UNIMPLEMENTED for an order that is not among the fields.
    """
    if order:
        return in_order(documents.list(kind, parent), order, fields)
    return newest(documents, kind, parent, derived)


def in_order(found: Iterable[Document], order: str, fields: Mapping[str, str] = ORDERS) -> Scan:
    """A list ordered by a field, read whole.

    Args:
        found: the documents.
        order: a name of `fields`, with ` desc` after it for the descending order.
        fields: the document's field for each name that may be asked for.

    Raises:
        ApiError: 400 UNIMPLEMENTED for another order.
    """
    name, _, direction = order.strip().partition(" ")
    if name not in fields or direction not in ("", "asc", "desc"):
        raise not_emulated(
            f"orderBy: the emulator orders by one of {', '.join(fields)}, with 'desc' after it or"
            f" without; got {order!r}."
        )
    descending = direction == "desc"
    placed = [((f"{each.get(fields[name], '')}\0{each['name']}", 0), each) for each in found]
    placed.sort(key=lambda item: item[0], reverse=descending)
    return lambda after, _needed: (
        item
        for item in placed
        if after is None or (item[0] < after if descending else item[0] > after)
    )
