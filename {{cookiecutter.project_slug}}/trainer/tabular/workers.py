"""Who trains: the workers of a cluster, and the devices of this machine."""

import json
import os
from typing import Any

import tensorflow as tf

from trainer import console

DEVICE_TYPES = "GPU", "TPU", "CPU"  # the first of them that this machine has, computes
# Vertex AI's name of machines without an accelerator. Source: AcceleratorType in
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/MachineSpec.
NO_ACCELERATOR = "ACCELERATOR_TYPE_UNSPECIFIED"


def choose_strategy() -> Any:
    """Returns the strategy for the workers of `TF_CONFIG` and the GPUs of this machine.

    Must come before any other use of TensorFlow.
    """
    if count_workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def count_workers() -> int:
    """Returns the number of workers that `TF_CONFIG` names, 1 without it."""
    cluster = _variable("TF_CONFIG").get("cluster", {})
    return sum(len(cluster.get(role, [])) for role in ("chief", "worker")) or 1


def report_devices() -> None:
    """Says what this process trains on, and warns where the job asked for an accelerator."""
    found = {kind: tf.config.list_physical_devices(kind) for kind in DEVICE_TYPES}
    kind = next((kind for kind, devices in found.items() if devices), "CPU")
    count, others = len(found[kind]), count_workers()
    names = sorted({_name(device) for device in found[kind]} - {""})
    model = f" ({', '.join(names)})" if names else ""
    workers = f", as one of {others} workers" if others > 1 else ""
    console.say(f"Training on {count} {kind}{'s' if count > 1 else ''}{model}{workers}.")
    asked = requested_accelerator()
    if asked and kind == "CPU":
        console.say(
            f"The job asked for {asked}, and TensorFlow sees no accelerator: it trains on the CPU,"
            " and on Google Cloud the accelerator is paid for. Use an image with GPU support, such"
            f" as tensorflow/tensorflow:{tf.__version__}-gpu.",
            severity="WARNING",
        )


def requested_accelerator() -> str:
    """Returns the accelerator that the job asked for in this worker's pool, such as `NVIDIA_L4`.

    It is '' where there is none, outside a job, and where the job's specification is not there.

    Source: `job` in https://cloud.google.com/vertex-ai/docs/training/distributed-training
    (CLUSTER_SPEC), which holds the CustomJobSpec.
    """
    cluster = _variable("CLUSTER_SPEC")
    job = cluster.get("job") or {}
    job = json.loads(job) if isinstance(job, str) else job
    pools = _either(job, "workerPoolSpecs", "worker_pool_specs") or []
    pool_name = str(cluster.get("task", {}).get("type", "workerpool0"))
    place = pool_name.removeprefix("workerpool")
    if not place.isdecimal() or int(place) >= len(pools):
        return ""
    machine = _either(pools[int(place)], "machineSpec", "machine_spec") or {}
    accelerator = _either(machine, "acceleratorType", "accelerator_type") or ""
    return "" if accelerator == NO_ACCELERATOR else str(accelerator)


def _either(message: dict[str, Any], camel: str, snake: str) -> Any:
    """Returns a field of a message; the page shows the one spelling, jobs have had the other."""
    return message.get(camel, message.get(snake))


def _variable(name: str) -> dict[str, Any]:
    return dict(json.loads(os.environ.get(name) or "{}"))


def _name(device: Any) -> str:
    """Returns a GPU's product name, '' where TensorFlow does not know it."""
    return str(tf.config.experimental.get_device_details(device).get("device_name", ""))
