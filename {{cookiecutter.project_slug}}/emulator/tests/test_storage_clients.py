"""Clients that no one here wrote: gcsfs, the gcloud CLI, curl."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from storage_uploading import LARGE


@pytest.fixture
def files(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # With it, gcsfs looks for Google's gRPC service for a minute.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import gcsfs

    files = gcsfs.GCSFileSystem(
        project="test-project",
        token="anon",  # noqa: S106, the name of having none
        endpoint_url=storage_url,
        skip_instance_cache=True,
    )
    yield files
    files.close_session(files.loop, files.session)


def test_gcsfs_reads_and_writes(files: Any, bucket: Any) -> None:
    root = bucket.name
    with files.open(f"{root}/small ü.txt", "w") as small:
        small.write("text")
    with files.open(f"{root}/folder/large.bin", "wb", block_size=256 * 1024) as large:
        for start in range(0, len(LARGE), 300_000):
            large.write(LARGE[start : start + 300_000])
    files.pipe(f"{root}/folder/piped", b"piped")
    assert files.cat(f"{root}/small ü.txt") == b"text"
    assert files.cat(f"{root}/folder/large.bin") == LARGE
    with files.open(f"{root}/folder/large.bin", "rb") as large:
        large.seek(5_000_000)
        assert large.read(1000) == LARGE[5_000_000:5_001_000]
    assert bucket.blob("folder/piped").download_as_bytes() == b"piped"


def test_gcsfs_lists_finds_and_removes(files: Any, bucket: Any) -> None:
    root = bucket.name
    names = ["a", "d/e", "d/f/g", "d/f/h", "x*y"]
    for name in names:
        files.pipe(f"{root}/{name}", name.encode())
    assert files.ls(root) == [f"{root}/a", f"{root}/d", f"{root}/x*y"]
    assert files.find(root) == [f"{root}/{name}" for name in names]
    assert files.find(f"{root}/d") == [f"{root}/{name}" for name in names[1:4]]
    assert files.glob(f"{root}/d/**/g") == [f"{root}/d/f/g"]
    assert files.info(f"{root}/d")["type"] == "directory"
    assert files.info(f"{root}/d/e")["size"] == 3
    assert files.exists(f"{root}/d/f")
    assert not files.exists(f"{root}/absent")
    files.copy(f"{root}/d/e", f"{root}/copy")
    files.mv(f"{root}/copy", f"{root}/moved")
    assert files.cat(f"{root}/moved") == b"d/e"
    files.merge(f"{root}/merged", [f"{root}/a", f"{root}/moved"])
    assert files.cat(f"{root}/merged") == b"ad/e"
    files.rm(f"{root}/d", recursive=True)
    assert [blob.name for blob in bucket.list_blobs()] == ["a", "merged", "moved", "x*y"]
    with pytest.raises(FileNotFoundError):
        files.cat(f"{root}/d/e")


def test_gcsfs_makes_and_removes_buckets(files: Any) -> None:
    files.mkdir("made-by-gcsfs")
    assert "made-by-gcsfs" in [name.strip("/") for name in files.ls("")]
    files.rmdir("made-by-gcsfs")
    assert not files.exists("made-by-gcsfs")


def test_gcsfs_writes_only_what_is_not_there(files: Any, bucket: Any) -> None:
    files.pipe(f"{bucket.name}/once", b"first", mode="create")
    with pytest.raises(FileExistsError):
        files.pipe(f"{bucket.name}/once", b"second", mode="create")
    assert files.cat(f"{bucket.name}/once") == b"first"


Gcloud = Callable[..., str]


@pytest.fixture
def gcloud(storage_url: str, tmp_path: Path) -> Gcloud:
    program = shutil.which("gcloud")
    if program is None:
        pytest.skip("there is no gcloud on this machine")
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{storage_url}/storage/v1/",
        "CLOUDSDK_CORE_PROJECT": "test-project",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_STORAGE_PROCESS_COUNT": "1",
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, "storage", *words],
            check=False,
            env=environment,
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return run


def test_gcloud_copies_lists_and_removes(gcloud: Gcloud, bucket: Any, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "one.txt").write_text("one\n")
    (tree / "sub" / "two ü#.txt").write_text("two\n")
    (tree / "large.bin").write_bytes(LARGE)
    root = f"gs://{bucket.name}"
    gcloud("cp", "--recursive", str(tree), root)
    assert gcloud("ls", f"{root}/**").split("\n")[:-1] == [
        f"{root}/tree/large.bin",
        f"{root}/tree/one.txt",
        f"{root}/tree/sub/two ü#.txt",
    ]
    assert gcloud("cat", f"{root}/tree/one.txt") == "one\n"
    gcloud("cp", f"{root}/tree/large.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == LARGE
    gcloud("cp", "-J", str(tree / "large.bin"), f"{root}/packed-on-the-way.bin")
    packed = bucket.get_blob("packed-on-the-way.bin")
    assert (packed.download_as_bytes(), packed.content_encoding) == (LARGE, None)
    packed.delete()
    gcloud("mv", f"{root}/tree/one.txt", f"{root}/moved.txt")
    assert bucket.get_blob("moved.txt").size == 4
    gcloud("rm", "--recursive", root)
    assert not bucket.exists()


def test_gcloud_keeps_folders_in_step(gcloud: Gcloud, bucket: Any, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "one.txt").write_text("one")
    (tree / "sub" / "two.txt").write_text("two")
    target = f"gs://{bucket.name}/synced"
    gcloud("rsync", "--recursive", str(tree), target)
    first = {blob.name: blob.generation for blob in bucket.list_blobs()}
    assert first.keys() == {"synced/one.txt", "synced/sub/two.txt"}
    (tree / "one.txt").unlink()
    (tree / "three.txt").write_text("three")
    gcloud("rsync", "--recursive", "--delete-unmatched-destination-objects", str(tree), target)
    second = {blob.name: blob.generation for blob in bucket.list_blobs()}
    assert second.keys() == {"synced/sub/two.txt", "synced/three.txt"}
    assert second["synced/sub/two.txt"] == first["synced/sub/two.txt"]  # not sent again


def test_gcloud_lists_restores_and_removes_versions(gcloud: Gcloud, bucket: Any) -> None:
    root = f"gs://{bucket.name}"
    gcloud("buckets", "update", root, "--versioning", "--soft-delete-duration=7d")
    generations = []
    for content in ("first", "second"):
        blob = bucket.blob("name")
        blob.upload_from_string(content)
        generations.append(blob.generation)
    first, second = (f"{root}/name#{generation}" for generation in generations)
    assert gcloud("ls", "--all-versions", root).split() == [first, second]
    assert gcloud("cat", first) == "first"
    gcloud("rm", first)
    assert gcloud("ls", "--all-versions", root).split() == [second]
    assert gcloud("ls", "--soft-deleted", root).split() == [first]
    gcloud("restore", first)
    assert bucket.blob("name").download_as_bytes() == b"first"


def test_gcloud_makes_and_describes_buckets(gcloud: Gcloud) -> None:
    gcloud("buckets", "create", "gs://made-by-gcloud", "--location=us-central1")
    gcloud("buckets", "update", "gs://made-by-gcloud", "--update-labels=stage=test")
    described = gcloud("buckets", "describe", "gs://made-by-gcloud")
    assert "location: US-CENTRAL1" in described
    assert "stage: test" in described
    gcloud("buckets", "delete", "gs://made-by-gcloud")
    assert "made-by-gcloud" not in gcloud("ls")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_curl(bucket: Any, storage_url: str, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)

    def curl(*words: str) -> bytes:
        return subprocess.run(
            ["curl", "--silent", "--show-error", "--fail", *words],
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout

    upload = f"{storage_url}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=a%2Fb"
    curl("-X", "POST", "-H", "Content-Type: image/png", "--data-binary", f"@{path}", upload)
    assert bucket.get_blob("a/b").content_type == "image/png"
    assert curl(f"{storage_url}/{bucket.name}/a/b") == LARGE
    media = f"{storage_url}/storage/v1/b/{bucket.name}/o/a%2Fb?alt=media"
    assert curl("--range", "5-9", media) == LARGE[5:10]
    assert b'"name":"a/b"' in curl(f"{storage_url}/storage/v1/b/{bucket.name}/o")
    curl("-X", "DELETE", f"{storage_url}/storage/v1/b/{bucket.name}/o/a%2Fb")
    assert bucket.get_blob("a/b") is None
