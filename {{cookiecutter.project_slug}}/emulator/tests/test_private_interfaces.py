"""What other packages do not promise, and this one uses; a new version of them fails here first.

pyproject.toml bounds these packages. To raise a bound, install the new version, run this file and
the tests of what it names, and mend what changed.
"""

import inspect

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server


def test_uvicorn_makes_a_protocol_for_each_connection_as_gateway_front_expects() -> None:
    made = list(inspect.signature(HttpToolsProtocol.__init__).parameters)
    assert made == ["self", "config", "server_state", "app_state", "_loop"]
    assert {"connection_made", "data_received", "eof_received", "connection_lost"} <= set(
        dir(HttpToolsProtocol)
    )
    assert {"shutdown", "pause_writing", "resume_writing"} <= set(dir(HttpToolsProtocol))


def test_uvicorn_leaves_signals_to_who_overrides_capture_signals() -> None:
    assert "capture_signals" in vars(Server)
    assert "http" in inspect.signature(uvicorn.Config.__init__).parameters


def test_tensorflow_has_the_sessions_that_the_model_server_calls() -> None:
    import tensorflow as tf
    from tensorflow.core.protobuf.config_pb2 import CallableOptions

    assert callable(tf.compat.v1.Session._make_callable_from_options)
    assert {"feed", "fetch", "target"} <= {
        field.name for field in CallableOptions.DESCRIPTOR.fields
    }
