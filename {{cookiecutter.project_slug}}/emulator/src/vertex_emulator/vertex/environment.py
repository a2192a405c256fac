"""What a replica of a custom job finds around it: its Python, its variables, its mounted buckets.

Source: https://cloud.google.com/vertex-ai/docs/training/code-requirements (environment variables
and `/gcs/`) and https://cloud.google.com/vertex-ai/docs/training/distributed-training
(`CLUSTER_SPEC`, `TF_CONFIG`).
"""

import json
import os
import re
import socket
import sysconfig
import venv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vertex_emulator.object_store.objects import Objects, Ref

# Variables of the emulator's own process that no container on Google Cloud would see.
NOT_INHERITED = re.compile(
    r"^(AIP_|CLOUD_|CLUSTER_SPEC$|TF_CONFIG$|VIRTUAL_ENV|PYTHONPATH$|PYTHONHOME$|PYTEST_)"
)
MOUNT = re.compile(r"(?<![\w./-])/gcs/(?P<bucket>[a-z0-9][a-z0-9._-]*)(?P<path>/[^\s'\";,]*)?")


def make_python(folder: Path) -> None:
    """Makes a virtual environment that sees the packages of the emulator's own.

    As in a training image, TensorFlow is there already; what a job installs stays its own.
    """
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    shared = sysconfig.get_path("purelib")
    (Path(paths["purelib"]) / "image.pth").write_text(
        f"import site; site.addsitedir({shared!r})\n", encoding="utf-8"
    )


def scripts_folder(python: Path) -> Path:
    """Where a virtual environment keeps its programs."""
    return python / ("Scripts" if os.name == "nt" else "bin")


def variables(python: Path, url: str, job: Mapping[str, Any]) -> dict[str, str]:
    """Returns the environment that every replica of a job shares.

    Args:
        python: the job's virtual environment.
        url: the emulator's address.
        job: the CustomJob.
    """
    environment = {key: value for key, value in os.environ.items() if not NOT_INHERITED.match(key)}
    environment |= {
        "PATH": os.pathsep.join([str(scripts_folder(python)), environment.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": str(python),
        "PYTHONUNBUFFERED": "1",
        "STORAGE_EMULATOR_HOST": url,
        "GOOGLE_CLOUD_PROJECT": job["name"].split("/")[1],
        "CLOUD_ML_PROJECT_ID": job["name"].split("/")[1],
        "CLOUD_ML_JOB_ID": job["name"].rpartition("/")[2],
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


class Mount:
    """`/gcs/BUCKET` of one job: what its command names is copied in, what it writes is copied out.

    On Google Cloud the folder is the bucket itself through Cloud Storage FUSE. Here it is a folder
    on disk that holds the objects a command line names; what the job writes there becomes objects
    when the job ends.

    Args:
        folder: where `/gcs` stands on disk.
        objects: the objects of Cloud Storage.
    """

    def __init__(self, folder: Path, objects: Objects) -> None:
        self._folder = folder
        self._objects = objects

    def expand(self, text: str) -> str:
        """Replaces each `/gcs/BUCKET/…` in a word of a command line by its place on disk."""

        def place(found: re.Match[str]) -> str:
            bucket, path = found["bucket"], (found["path"] or "")
            if not self._objects.buckets.exists(bucket):
                return found[0]
            self._fetch(bucket, path.strip("/"))
            return (self._folder / bucket).as_posix() + path

        return MOUNT.sub(place, text)

    def _fetch(self, bucket: str, path: str) -> None:
        for name in (each.name for each in self._objects.walk(bucket, path)):
            if name == path or not path or name.startswith(path + "/"):
                target = self._place(bucket, name)
                if target is not None and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._objects.copy_to_file(Ref(bucket, name), target)
                    os.utime(target, (0, 0))  # tells what came in from what the job wrote

    def _place(self, bucket: str, name: str) -> Path | None:
        """Where an object stands on disk; None for a name that is no path of a file in there."""
        parts = name.split("/")
        if any(part in ("", ".", "..") or set(part) & set("\\:\0") for part in parts):
            return None
        return (self._folder / bucket).joinpath(*parts)

    def publish(self) -> None:
        """Makes objects of the files that the job has written."""
        for bucket in _folders(self._folder):
            if not self._objects.buckets.exists(bucket.name):
                continue
            for file in sorted(bucket.rglob("*")):
                if file.is_file() and not file.is_symlink() and file.stat().st_mtime > 0:
                    name = file.relative_to(bucket).as_posix()
                    self._objects.write(bucket.name, name, file)


def _folders(folder: Path) -> Iterable[Path]:
    return [each for each in folder.iterdir() if each.is_dir()] if folder.exists() else []
