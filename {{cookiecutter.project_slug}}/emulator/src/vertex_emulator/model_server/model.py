"""A SavedModel that is loaded, warmed up and ready to be called with numpy arrays."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from vertex_emulator.http.errors import RequestError
from vertex_emulator.model_server.errors import StartError, invalid
from vertex_emulator.model_server.tensors import Array, TensorSpec

DEFAULT_SIGNATURE = "serving_default"

_WARM_UP_ROWS = (1, 2, 32)
_BATCHING_FILE = "batching_params.pbtxt"
_JSON_KINDS = {
    "float32": "float",
    "float64": "float",
    **dict.fromkeys(["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"], "integer"),
    "bool": "boolean",
    "string": "string",
}


@dataclass(eq=False)
class Signature:
    """One way of calling the model.

    Attributes:
        name: its key in the SavedModel.
        inputs: in the order in which `call` takes them.
        outputs: names, in the order in which `call` returns them.
        joinable: whether rows of several requests may go through one call, as a row's outputs
            are known to depend on that row alone; ends where a call does not return a row for
            each row.
    """

    name: str
    inputs: list[TensorSpec]
    outputs: list[str]
    joinable: bool
    run: Callable[..., list[Any]] = field(repr=False)

    def __post_init__(self) -> None:
        self.names = [spec.name for spec in self.inputs]
        # Takes the values of an instance in C; with one name it returns the bare value.
        self.values_of = itemgetter(*self.names)

    def call(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """Runs the signature.

        Args:
            arrays: one for each of `inputs`, with its dtype; of any shape, as an op may take more
                than the signature declares.

        Raises:
            RequestError: 400 where the model refuses the values, 500 where it fails.
        """
        try:
            results = self.run(*arrays)
        except Exception as error:  # whatever an op raises is the answer to this call alone
            raise _refusal(error, self._undeclared(arrays)) from error
        return dict(zip(self.outputs, map(_standard, results), strict=True))

    def declares(self, arrays: Sequence[Array]) -> bool:
        """Whether the shapes of these inputs are such as the signature declares."""
        pairs = zip(self.inputs, arrays, strict=True)
        return all(spec.admits(array.shape) for spec, array in pairs)

    def _undeclared(self, arrays: Sequence[Array]) -> str:
        """Names the inputs with other shapes than the signature declares, for a message."""
        return "".join(
            f"; {spec.name} has shape {list(array.shape)}, the signature takes {spec.describe()}"
            for spec, array in zip(self.inputs, arrays, strict=True)
            if not spec.admits(array.shape)
        )


@dataclass(frozen=True)
class Model:
    """The served version.

    Attributes:
        version: the number of its folder.
        signatures: those that a JSON request can call, by name.
        definition: all `SignatureDef`s, as TensorFlow Serving's metadata route writes them.
    """

    version: int
    signatures: dict[str, Signature]
    definition: dict[str, Any]


def load(
    folder: Path, intra_op_threads: int = 0, *, batching: bool = False, version: int | None = None
) -> Model:
    """Loads the SavedModel in a version's folder and warms it up.

    A graph session, not `tf.saved_model.load`: it is what TensorFlow Serving runs, takes the
    SavedModels of TensorFlow 1 as well, loads in a tenth of the time, and its callable takes and
    returns numpy arrays in a fifth of the time of an eager call.

    Rows of several requests go through one call only where somebody says that the model treats
    them apart: whoever starts the server, or whoever wrote the model, with a file
    `batching_params.pbtxt` beside saved_model.pb. It is the file that TensorFlow Serving reads
    with `--enable_batching --enable_per_model_batching_parameters`; what it holds has no effect
    here. Source: GetPerModelBatchingParams in tensorflow_serving/servables/tensorflow.

    Args:
        folder: of the version.
        intra_op_threads: that an op may use, 0 for as many as there are processors.
        batching: whether the model is known to treat rows apart.
        version: where the folder's name is no number.

    Raises:
        StartError: the folder's content does not load.
    """
    batching = batching or (folder / _BATCHING_FILE).is_file()
    tf = _import_tensorflow()
    from google.protobuf import json_format

    graph = tf.Graph()
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=intra_op_threads)
    session = tf.compat.v1.Session(graph=graph, config=config)
    try:
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise StartError(f"{folder} does not load as a SavedModel: {_reason(error)}") from None
    signatures = {}
    for name, definition in meta_graph.signature_def.items():
        if _is_dense(definition):
            signatures[name] = _signature(tf, session, name, definition, batching=batching)
            _warm_up(signatures[name])
    return Model(
        version=int(folder.name) if version is None else version,
        signatures=signatures,
        definition={
            name: json_format.MessageToDict(
                definition,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            for name, definition in meta_graph.signature_def.items()
        },
    )


def _import_tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")  # the loader of sessions warns that it is not the eager one
    return tf


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Holds back what libraries print to file descriptor 2; shows it after all if they fail.

    TensorFlow logs "Could not find cuda drivers" before it reads any setting of its log level.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        shown = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            with open(shown, "wb", closefd=False) as stderr:
                shutil.copyfileobj(held, stderr)
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def _is_dense(definition: Any) -> bool:
    """Whether there are inputs, and all of them and the outputs are dense tensors."""
    tensors = [*definition.inputs.values(), *definition.outputs.values()]
    return bool(definition.inputs) and all(
        tensor.WhichOneof("encoding") == "name" for tensor in tensors
    )


def _signature(tf: Any, session: Any, name: str, definition: Any, *, batching: bool) -> Signature:
    from tensorflow.core.protobuf.config_pb2 import CallableOptions

    inputs = [_spec(tf, key, definition.inputs[key]) for key in sorted(definition.inputs)]
    outputs = [_spec(tf, key, definition.outputs[key]) for key in sorted(definition.outputs)]
    options = CallableOptions()
    options.feed.extend(definition.inputs[spec.name].name for spec in inputs)
    options.fetch.extend(definition.outputs[spec.name].name for spec in outputs)
    return Signature(
        name=name,
        inputs=inputs,
        outputs=[spec.name for spec in outputs],
        joinable=batching and all(spec.batched for spec in [*inputs, *outputs]),
        run=session._make_callable_from_options(options),
    )


def _spec(tf: Any, name: str, info: Any) -> TensorSpec:
    dtype = tf.dtypes.as_dtype(info.dtype)
    shape = tf.TensorShape(info.tensor_shape)
    return TensorSpec(
        name=name,
        dtype=np.dtype(dtype.as_numpy_dtype),
        kind=_JSON_KINDS.get(dtype.name, ""),
        shape=None if shape.rank is None else tuple(shape.as_list()),
    )


def _warm_up(signature: Signature) -> None:
    """Makes the first real request as quick as the later ones: the session plans on first use."""
    if any(spec.shape is None or not spec.kind for spec in signature.inputs):
        return
    is_batched = all(spec.batched for spec in signature.inputs)
    for rows in _WARM_UP_ROWS if is_batched else (1,):
        arrays = []
        for spec in signature.inputs:
            sizes = [1 if size is None else size for size in spec.shape or ()]
            if spec.batched:
                sizes[0] = rows
            arrays.append(np.full(sizes, b"" if spec.kind == "string" else 0, spec.dtype))
        with contextlib.suppress(RequestError):  # a model may refuse an empty string or a zero
            signature.call(arrays)


def _standard(result: Any) -> Array:
    """Returns an output as an array that the JSON writer knows."""
    if isinstance(result, bytes):
        return np.array(result, dtype=object)
    return np.asarray(result)


def _refusal(error: Exception, hint: str) -> RequestError:
    import tensorflow as tf

    if isinstance(error, UnicodeDecodeError):  # an op's message quotes bytes that are no text
        text = error.object.decode(errors="replace")
        return invalid(f"The model refuses these inputs: {text}{hint}")
    if isinstance(error, tf.errors.InvalidArgumentError):
        return invalid(f"The model refuses these inputs: {_reason(error)}{hint}")
    return RequestError(500, f"The model failed: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Returns the first line of TensorFlow's message that says something of this graph."""
    message = str(getattr(error, "message", None) or error)
    return message.removeprefix("Graph execution error:").strip().partition("\n")[0][:500]
