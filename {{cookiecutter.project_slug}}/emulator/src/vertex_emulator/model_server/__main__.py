"""Serves a SavedModel with TensorFlow Serving's REST API.

python -m vertex_emulator.model_server --model-dir models/late --port 8501

TensorFlow Serving's own flags are spellings of the same options, so that the arguments of its
container work unchanged: `--model_base_path`, `--model_name` and `--rest_api_port`. There `--port`
is that of gRPC, which is not served here: where `--rest_api_port` is given too, it wins. Of Vertex
AI's environment, `AIP_HTTP_PORT` wins over any flag, because replicas that have a machine each on
Google Cloud share one here; `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE` are answered besides
TensorFlow Serving's own routes; `AIP_STORAGE_URI` is the model's place where no flag names one.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

from vertex_emulator.model_server.errors import StartError
from vertex_emulator.model_server.server import Options, serve

FRAMEWORKS = ("tensorflow", "sklearn", "xgboost")
MAX_BODY = 1_572_864  # 1.5 MB, as Vertex AI counts

# TensorFlow Serving's flags that change nothing of what is served here.
_IGNORED_FLAGS = (
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_model_warmup",
    "file_system_poll_wait_seconds",
    "flush_filesystem_caches",
    "grpc_channel_arguments",
    "grpc_max_threads",
    "load_retry_interval_micros",
    "max_num_load_retries",
    "monitoring_config_file",
    "num_load_threads",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "prefer_tflite_model",
    "rest_api_enable_cors_support",
    "rest_api_num_threads",
    "rest_api_timeout_in_ms",
    "saved_model_tags",
    "tensorflow_inter_op_parallelism",
    "tensorflow_session_parallelism",
    "xla_cpu_compilation_enabled",
)


def parse_options(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Reads the command line and Vertex AI's environment of a serving container."""
    parser = argparse.ArgumentParser(
        prog="python -m vertex_emulator.model_server",
        description="Serves a SavedModel with TensorFlow Serving's REST API.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model-dir",
        "--model_base_path",
        default=environ.get("AIP_STORAGE_URI"),
        metavar="DIR",
        help="folder or gs:// URI with a numbered folder a version, such as DIR/1/saved_model.pb; "
        "the highest is served (default: $AIP_STORAGE_URI)",
    )
    parser.add_argument(
        "--model-name",
        "--model_name",
        default="default",
        metavar="NAME",
        help="the name in /v1/models/NAME:predict (default: default)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8501,
        help="TCP port, 0 for a free one; $AIP_HTTP_PORT wins (default: 8501)",
    )
    parser.add_argument(
        "--rest_api_port", type=_port, metavar="PORT", help="the same; wins over --port"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--enable_batching",
        type=_truth,
        nargs="?",
        const=True,
        default=False,
        metavar="true|false",
        help="let requests that wait share a call of the model; for models in which a row's answer "
        "depends on that row alone (default: where the model brings a batching_params.pbtxt)",
    )
    parser.add_argument(
        "--enable_per_model_batching_parameters",
        type=_truth,
        nargs="?",
        const=True,
        default=False,
        metavar="true|false",
        help="with --enable_batching: only for models that bring the file",
    )
    parser.add_argument(
        "--prebuilt",
        choices=FRAMEWORKS,
        default="",
        metavar="FRAMEWORK",
        help="serve as Google's prebuilt image of tensorflow, sklearn or xgboost does: the model "
        "itself lies in --model-dir, as saved_model.pb, model.joblib, model.pkl or model.bst",
    )
    parser.add_argument(
        "--max-batch-size",
        type=_positive,
        default=1024,
        metavar="ROWS",
        help="rows at which requests that wait are split into batches (default: 1024)",
    )
    parser.add_argument(
        "--max-body-bytes",
        type=_positive,
        default=MAX_BODY,
        metavar="BYTES",
        help=f"largest body of a request (default: {MAX_BODY}, Vertex AI's limit)",
    )
    parser.add_argument(
        "--max-waiting-bytes",
        type=_positive,
        default=64_000_000,
        metavar="BYTES",
        help="bodies that may wait for the model; more are refused with 503 (default: 64000000)",
    )
    parser.add_argument(
        "--tensorflow_intra_op_parallelism",
        type=_natural,
        default=0,
        metavar="THREADS",
        help="threads that an op may use (default: 0, as many as there are processors)",
    )
    for flag in _IGNORED_FLAGS:
        parser.add_argument(f"--{flag}", nargs="?", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not args.model_dir:
        parser.error("expected --model-dir, the folder above 1/saved_model.pb")
    port = args.port if args.rest_api_port is None else args.rest_api_port
    try:
        port = _port(environ.get("AIP_HTTP_PORT") or str(port))
    except argparse.ArgumentTypeError as error:
        parser.error(f"environment variable AIP_HTTP_PORT: {error}")
    return Options(
        model_dir=args.model_dir,
        model_name=args.model_name,
        host=args.host,
        port=port,
        health_route=environ.get("AIP_HEALTH_ROUTE", ""),
        predict_route=environ.get("AIP_PREDICT_ROUTE", ""),
        max_batch_size=args.max_batch_size,
        max_body=args.max_body_bytes,
        max_waiting=args.max_waiting_bytes,
        intra_op_threads=args.tensorflow_intra_op_parallelism,
        batching=args.enable_batching and not args.enable_per_model_batching_parameters,
        prebuilt=args.prebuilt,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a TCP port from 0 to 65535, got {text!r}")
    return int(text)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return text.lower() in ("true", "1")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def warm_up() -> None:
    """Imports what serving needs, and runs nothing of it, for the forker."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import google.cloud.storage
    import google.protobuf.json_format
    import requests
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    del google, requests, config_pb2
    getattr(tf.compat.v1, "Session")  # noqa: B009, TensorFlow imports some of itself at first use


def main() -> None:
    try:
        asyncio.run(serve(parse_options(sys.argv[1:], os.environ)))
    except StartError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
