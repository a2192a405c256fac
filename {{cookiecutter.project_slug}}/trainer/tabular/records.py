"""What the records of every format become: columns of Arrow, and a label that can be learned."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from table_schema import values
from table_schema.columns import Kind, Label

ARROW_TYPES: dict[Kind, Any] = {
    "number": pa.float32(),
    "integer": pa.int64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.string(),
    "text": pa.string(),
}


class BadRecordError(Exception):
    """At least one of the records does not parse; the message says why."""


def with_labels(parsed: Any, label: Label) -> Any:
    """Replaces the label's strings by indices of classes.

    Raises:
        BadRecordError: one is none of the classes, or not a number.
    """
    found = parsed[label.name]
    expected, labels = "a number", found
    if label.classes:
        expected = ", ".join(map(repr, label.classes))
        labels = pc.index_in(found, value_set=pa.array(label.classes))
        good = labels.is_valid()
    else:
        good = pc.is_finite(found).fill_null(False)
    if not pc.all(good).as_py():
        wrong = found.filter(pc.invert(good))[0].as_py()
        raise BadRecordError(f"expected {expected} in column {label.name!r}, got {wrong or ''!r}")
    return parsed.set_column(parsed.schema.get_field_index(label.name), label.name, labels)


def read_texts(name: str, kind: Kind, column: Any) -> Any:
    """Reads a column's texts, each distinct one once.

    Raises:
        BadRecordError: one is not of the kind.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    found = []
    for text in encoded.dictionary.to_pylist():
        try:
            found.append(values.read(kind, text))
        except ValueError as error:
            raise BadRecordError(f"column {name!r}: {error}") from error
    return pa.array(found, ARROW_TYPES[kind]).take(encoded.indices)


def trimmed(column: Any) -> Any:
    """Returns texts without the blanks around them."""
    return pc.utf8_trim_whitespace(column)
