"""What a SavedModel takes, read from its saved_model.pb without TensorFlow.

TensorFlow's import would take seconds of a command that needs a few fields of one message. The
numbers of the fields are those of tensorflow/core/protobuf/saved_model.proto and meta_graph.proto;
protocol buffers skip the others.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from cloud.errors import UserError
from table_schema.columns import Table

NAME = "serving_default"
# Numbers of tensorflow/core/framework/types.proto, by the kind of a column.
DTYPES = {"number": 1, "integer": 9, "category": 7, "boolean": 10, "timestamp": 7, "text": 7}
DTYPE_NAMES = {1: "float32", 2: "float64", 3: "int32", 7: "string", 9: "int64", 10: "bool"}
KINDS = {7: "text", 10: "boolean", 3: "integer", 9: "integer"}  # of others: number


@dataclass(frozen=True)
class Tensor:
    """An input of a signature.

    Attributes:
        dtype: its number.
        shape: of one row, without sizes for what is no list; a size that is not fixed is 1.
    """

    dtype: int
    shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        """What an instance has for it: a list of numbers, or the kind of a table's column."""
        return "tensor" if self.shape else KINDS.get(self.dtype, "number")

    @property
    def described(self) -> str:
        """Dtype and shape in words, such as `float32 [28, 28]`."""
        name = DTYPE_NAMES.get(self.dtype, f"type {self.dtype}")
        return f"{name} {list(self.shape)}" if self.shape else name


def check(saved_model: bytes, table: Table, place: str) -> None:
    """Checks that a SavedModel takes the features of a table.

    Args:
        saved_model: contents of saved_model.pb.
        table: the features, with their kinds.
        place: where the file is, for the message.

    Raises:
        UserError: it has no such signature, or one that takes other features.
    """
    found = {name: each.dtype for name, each in inputs(saved_model, place).items()}
    expected = {column.name: DTYPES[column.kind] for column in table.columns}
    missing, unknown = sorted(expected.keys() - found), sorted(found.keys() - expected)
    if missing or unknown:
        problems = [f"lacks {', '.join(missing)}"] * bool(missing)
        problems += [f"also has {', '.join(unknown)}"] * bool(unknown)
        raise UserError(
            f"{place}: expected a signature {NAME!r} with the features of the table"
            f" {table.name!r}; it {' and '.join(problems)}. Train a model on this table with"
            " 'nox -s submit'."
        )
    for name, dtype in expected.items():
        if found[name] != dtype:
            raise UserError(
                f"{place}: expected the feature {name!r} as {DTYPE_NAMES[dtype]}, the signature"
                f" has {DTYPE_NAMES.get(found[name], f'type {found[name]}')}. Train a model on"
                f" the table {table.name!r} with 'nox -s submit'."
            )


def inputs(saved_model: bytes, place: str) -> dict[str, Tensor]:
    """Returns the inputs of the default signature by name.

    Raises:
        UserError: it is no SavedModel, or has no default signature.
    """
    try:
        parsed = _saved_model_class().FromString(saved_model)
    except message.DecodeError as error:
        raise UserError(
            f"{place}: expected a SavedModel, got something else ({error}); train again."
        ) from error
    for graph in parsed.meta_graphs:
        for entry in graph.signature_def:
            if entry.key == NAME:
                return {
                    each.key: Tensor(each.value.dtype, _row_shape(each.value.shape))
                    for each in entry.value.inputs
                }
    raise UserError(f"{place}: expected a signature {NAME!r}, found none; export the model again.")


def _row_shape(shape: Any) -> tuple[int, ...]:
    """Returns the shape of one row: the first dimension is the rows'."""
    return tuple(max(1, dimension.size) for dimension in shape.dim[1:])


@cache
def _saved_model_class() -> Any:
    """Describes the few fields that count; a map is a repeated pair of key and value."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="signature.proto", package="signature")
    layout: dict[str, list[tuple[str, int, Any]]] = {
        "SavedModel": [("meta_graphs", 2, "MetaGraph")],
        "MetaGraph": [("signature_def", 5, "NamedSignature")],
        "NamedSignature": [("key", 1, str), ("value", 2, "Signature")],
        "Signature": [("inputs", 1, "NamedTensor")],
        "NamedTensor": [("key", 1, str), ("value", 2, "Tensor")],
        "Tensor": [("dtype", 2, int), ("shape", 3, "Shape")],
        "Shape": [("dim", 2, "Dimension")],
        "Dimension": [("size", 1, int)],
    }
    for name, fields in layout.items():
        described = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = described.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
            if isinstance(kind, str):
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".signature.{kind}"
                if field not in ("value", "shape"):
                    added.label = kinds.LABEL_REPEATED
            else:
                added.type = kinds.TYPE_STRING if kind is str else kinds.TYPE_INT64
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("signature.SavedModel"))
