"""What a replica of a custom job finds around it: its Python, its variables, its mounted buckets.

Source: https://cloud.google.com/vertex-ai/docs/training/code-requirements (environment variables
and `/gcs/`) and https://cloud.google.com/vertex-ai/docs/training/distributed-training
(`CLUSTER_SPEC`, `TF_CONFIG`).
"""

import importlib.util
import json
import os
import re
import socket
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vertex_emulator.proxy import onward
from vertex_emulator.proxy.hosts import covers_storage
from vertex_emulator.tuning.measurements import METRIC_FILE

# What a process needs of this machine. All else stays in the person's shell: tokens, AIP_…,
# TF_CONFIG, Python's and pip's settings, which no container on Google Cloud would see.
INHERITED = re.compile(
    r"""(?xi)
      PATH | HOME | USER | LOGNAME | SHELL | LANG | LANGUAGE | LC_\w+ | TZ | TMPDIR | TEMP | TMP
    | SYSTEMROOT | SYSTEMDRIVE | WINDIR | COMSPEC | PATHEXT | USERPROFILE | APPDATA | LOCALAPPDATA
    | NUMBER_OF_PROCESSORS | PROCESSOR_\w+ | LD_LIBRARY_PATH | DYLD_\w+
    # How numbers are computed, and on which processors
    | TF_(?!CONFIG$)\w+ | XLA_\w+ | KERAS_BACKEND | OMP_\w+ | OPENBLAS_\w+ | MKL_\w+ | CUDA_\w+
    # Where packages come from, and through what
    | PIP_(?:INDEX_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|TRUSTED_HOST|CERT|CONFIG_FILE)
    | (?:HTTPS?|ALL|NO)_PROXY | SSL_CERT_\w+ | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE
    | EMULATOR_\w+
    """
)
# Settings of a person's pip that would keep a job from installing its package.
PIP = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
# The version of TensorFlow 2 in an image: Google's for training, or TensorFlow's own.
TENSORFLOW_IMAGE = re.compile(
    r"/tf2?-(?:cpu|gpu|tpu)\.2-(\d+)(?!\d)|(?:^|/)tensorflow/tensorflow:2\.(\d+)(?!\d)"
)
LAST_WITH_KERAS_2 = 15
LOOPBACK = "127.0.0.1,localhost,::1"
TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # where programs make temporary files
# How many threads libraries compute with: OpenMP's, the linear algebra's, TensorFlow's, polars'.
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS", "POLARS_MAX_THREADS",
)  # fmt: skip


def inherited() -> dict[str, str]:
    """Returns the variables of the emulator's own process that others may see.

    Loopback is never reached through a proxy.
    """
    kept = {key: value for key, value in os.environ.items() if INHERITED.fullmatch(key)}
    direct = [kept.pop(name) for name in ("NO_PROXY", "no_proxy") if kept.get(name)]
    both = ",".join([*direct[:1], LOOPBACK])
    return kept | {"NO_PROXY": both, "no_proxy": both}


def make_python(folder: Path) -> None:
    """Makes a virtual environment that sees the packages of the emulator's own.

    As in a training image, TensorFlow is there already; what a job installs stays its own, with
    `--user` too.
    """
    # `pip install --user` is for an environment that sees the system's packages.
    builder = venv.EnvBuilder(
        system_site_packages=True, with_pip=False, symlinks=os.name != "nt", upgrade_deps=False
    )
    builder.create(folder)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    shared = sysconfig.get_path("purelib")
    (Path(paths["purelib"]) / "image.pth").write_text(
        f"import site; site.addsitedir({shared!r})\n", encoding="utf-8"
    )
    if os.name == "posix":  # `pip` and `pip3` are the environment's, not the machine's
        for name in ("pip", "pip3"):
            program = scripts_folder(folder) / name
            program.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n')
            program.chmod(0o755)


def scripts_folder(python: Path) -> Path:
    """Where a virtual environment keeps its programs."""
    return python / ("Scripts" if os.name == "nt" else "bin")


def storage_variables(url: str, roots: Path) -> dict[str, str]:
    """Returns what brings every client of Cloud Storage in a job to the emulator.

    TensorFlow's own has Google's address as a constant, and comes through the proxy that the
    emulator is. There is none where the person's own proxy is of a kind that cannot stand behind
    it (SOCKS), and on Windows, whose TensorFlow has no `gs://`.

    Args:
        url: the emulator's address.
        roots: the certificates that programs are to trust (`proxy.certificate`).
    """
    environment = inherited() | {
        "STORAGE_EMULATOR_HOST": url,
        # gcsfs looks for Google's gRPC service for a minute otherwise.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        # No job acts at Google as the person or the machine that runs the emulator.
        "NO_GCE_CHECK": "true",
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "emulator",
    }
    if os.name == "nt" or not onward.can_pass_on():
        # Google's address is tried for three minutes otherwise.
        return environment | {"GCS_RETRY_CONFIG_MAX_RETRIES": "1"}
    direct = environment["NO_PROXY"].split(",")
    if "*" in direct:  # the person's proxies are for nothing
        for name in [name for name in environment if name.lower().endswith("_proxy")]:
            del environment[name]
    # The emulator heeds the rest of NO_PROXY for what it passes on.
    hosts = ",".join(name for name in direct if not covers_storage(name))
    return environment | {
        **dict.fromkeys(("NO_PROXY", "no_proxy"), hosts),
        **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), url),
        "CURL_CA_BUNDLE": str(roots),
    }


def image_variables(image: str) -> dict[str, str]:
    """Returns what makes the job's TensorFlow more like that of its image.

    The `tf.keras` of TensorFlow 2.15 and older is Keras 2, which writes a SavedModel by
    `model.save(FOLDER)`. Source: https://github.com/tensorflow/tensorflow/releases/tag/v2.16.1.

    Args:
        image: the container's, or the package's executor.
    """
    found = TENSORFLOW_IMAGE.search(image)
    is_old = found is not None and int(found[1] or found[2]) <= LAST_WITH_KERAS_2
    installed = importlib.util.find_spec("tf_keras") is not None
    return {"TF_USE_LEGACY_KERAS": "1"} if is_old and installed else {}


def variables(
    python: Path, scratch: Path, url: str, roots: Path, job: Mapping[str, Any]
) -> dict[str, str]:
    """Returns the environment that every replica of a job shares.

    Args:
        python: the job's virtual environment.
        scratch: folder for temporary files.
        url: the emulator's address.
        roots: the certificates that programs are to trust.
        job: the CustomJob.
    """
    environment = storage_variables(url, roots) | PIP | dict.fromkeys(TEMPORARY, str(scratch))
    user = python.with_name("user")
    programs = [str(scripts_folder(python)), str(scripts_folder(user))]
    environment |= {
        "PATH": os.pathsep.join([*programs, environment.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": str(python),
        "PYTHONUSERBASE": str(user),
        "CLOUDSDK_CONFIG": str(python.with_name("gcloud")),  # not the person's credentials
        "PYTHONUNBUFFERED": "1",
        "GOOGLE_CLOUD_PROJECT": job["name"].split("/")[1],
        "CLOUD_ML_PROJECT_ID": job["name"].split("/")[1],
        "CLOUD_ML_JOB_ID": job["name"].rpartition("/")[2],
    }
    names = {"AIP_EXPERIMENT_NAME": "experiment", "AIP_EXPERIMENT_RUN_NAME": "experimentRun"}
    environment |= {
        name: job["jobSpec"][field] for name, field in names.items() if field in job["jobSpec"]
    }
    base = job["jobSpec"].get("baseOutputDirectory", {}).get("outputUriPrefix")
    if base:
        base = base.rstrip("/")
        environment |= {
            "AIP_MODEL_DIR": f"{base}/model/",
            "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
        }
    return environment


def trial_variables(job: Mapping[str, Any], metrics: Path) -> dict[str, str]:
    """Returns what a replica of a tuning's trial finds beside that; nothing for other jobs.

    Trials that run at one time get each its share of the processors, where the person has not
    said otherwise.

    Args:
        job: the CustomJob.
        metrics: file for what the replica reports.
    """
    trial = job.get("trial")
    if trial is None:
        return {}
    metrics.parent.mkdir(exist_ok=True)
    share = max(1, _processors() // trial["beside"])
    threads = dict.fromkeys(THREADS, str(share)) if trial["beside"] > 1 else {}
    return {
        **{name: os.environ.get(name, value) for name, value in threads.items()},
        "CLOUD_ML_TRIAL_ID": trial["id"],
        METRIC_FILE: str(metrics),
    }


def _processors() -> int:
    """Returns how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def cluster_variables(
    addresses: Mapping[str, Sequence[str]], pool: str, index: int, job: Mapping[str, Any]
) -> dict[str, str]:
    """Returns `CLUSTER_SPEC`, and `TF_CONFIG` where there are several replicas.

    Args:
        addresses: `host:port` of each replica by worker pool (`workerpool0`, …).
        pool: the replica's worker pool.
        index: its place there.
        job: the CustomJob.
    """
    spec = {
        "cluster": addresses,
        "environment": "cloud",
        "task": {"type": pool, "index": index},
        "job": json.dumps(job["jobSpec"]),
    }
    values = {"CLUSTER_SPEC": json.dumps(spec)}
    if sum(map(len, addresses.values())) > 1:
        roles = {
            "workerpool0": "chief",
            "workerpool1": "worker",
            "workerpool2": "ps",
            "workerpool3": "evaluator",
        }
        values["TF_CONFIG"] = json.dumps(
            {
                "cluster": {roles[name]: hosts for name, hosts in addresses.items()},
                "environment": "cloud",
                "task": {"type": roles[pool], "index": index},
            }
        )
    return values


def free_ports(count: int) -> list[int]:
    """Returns ports of loopback that were free a moment ago, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
