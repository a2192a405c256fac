"""What a job may see and leave behind: its own variables, Python and processes, and its buckets."""

import json
import os
import shutil
import signal
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from custom_jobs import create, entries, output, run, spec, wait
from model_server_process import eventually

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator, start

SECRETS = {
    "GITHUB_TOKEN": "token-of-a-person",
    "AIP_MODEL_DIR": "gs://elsewhere",
    "TF_CONFIG": '{"cluster": {}}',
    "PIP_USER": "1",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PYTHONSTARTUP": "/nowhere",
    "NO_PROXY": "example.com",
    "HTTP_PROXY": "http://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningEmulator, Clients]]:
    """An emulator that was started from a shell with settings, in a folder with a blank."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        patch.delenv("PIP_REQUIRE_VIRTUALENV")  # of this test's own installation
        patch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
        emulator = start(tmp_path_factory.mktemp("isolated") / "data of $mine")
    yield emulator, Clients(emulator.url)
    emulator.stop()


def shell(script: str, *args: str) -> dict[str, Any]:
    job = spec("", *args)
    job["job_spec"]["worker_pool_specs"][0]["container_spec"]["command"] = ["sh", "-c", script]
    return job


def succeeded(clients: Clients, job: dict[str, Any]) -> str:
    done = run(clients, job)
    assert done.state.name == "JOB_STATE_SUCCEEDED", (done.error, entries(clients, done.name))
    name: str = done.name
    return name


def test_variables_of_the_shell_stay_there(isolated: tuple[RunningEmulator, Clients]) -> None:
    emulator, clients = isolated
    name = succeeded(clients, spec("import json, os; print(' ' + json.dumps(dict(os.environ)))"))
    seen = json.loads(output(clients, name)[0])
    assert SECRETS["GITHUB_TOKEN"] not in seen.values()
    assert not {"GITHUB_TOKEN", "AIP_MODEL_DIR", "TF_CONFIG", "PYTHONSTARTUP"} & seen.keys()
    assert seen["NO_PROXY"] == "example.com,127.0.0.1,localhost,::1"
    assert seen["HTTP_PROXY"] == SECRETS["HTTP_PROXY"]
    assert seen["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] == "false"
    kept = [path for path in emulator.data_dir.rglob("*.json") if path.is_file()]
    assert not [path for path in kept if SECRETS["GITHUB_TOKEN"] in path.read_text()]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_data_folder_is_for_its_owner_alone(isolated: tuple[RunningEmulator, Clients]) -> None:
    emulator, _clients = isolated
    assert stat.S_IMODE(emulator.data_dir.stat().st_mode) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="sh")
@pytest.mark.parametrize("flags", ["", "--user"])
def test_pip_installs_for_the_job_alone(
    isolated: tuple[RunningEmulator, Clients], tmp_path: Path, flags: str
) -> None:
    """As the SDK's from_local_script has it: pip, then pip3 install --user."""
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    package = tmp_path / "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(package, "w") as wheel:
        wheel.writestr("greeting.py", "print('hello from the package')")
        info = "greeting-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    _emulator, clients = isolated
    bucket = clients.storage.bucket(f"pip-{len(flags)}")
    bucket.create(location="us-central1")
    bucket.blob(f"a b/{package.name}").upload_from_filename(package)
    uri = f"'/gcs/{bucket.name}/a b/{package.name}'"
    script = (
        f"command -v pip; command -v pip3; pip3 install -q {flags} {uri} && python3 -m greeting"
    )
    printed = output(clients, succeeded(clients, shell(script)))
    assert "hello from the package" in printed
    assert all("/python/bin/pip" in line for line in printed[:2])


def test_children_end_with_the_job(isolated: tuple[RunningEmulator, Clients]) -> None:
    _emulator, clients = isolated
    code = (
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "print(subprocess.Popen(sleep).pid)\n"
        "print(subprocess.Popen(sleep, start_new_session=True, env={}).pid)\n"
        "again = 'import subprocess as s, sys;'\n"
        "again += 'print(s.Popen(sys.argv[1:], start_new_session=True).pid)'\n"
        "subprocess.run([sys.executable, '-c', again, *sleep])\n"
    )
    pids = [int(line) for line in output(clients, succeeded(clients, spec(code)))]
    assert len(pids) == 3
    eventually(lambda: not any(map(alive, pids)))
    name = create(clients, spec(code + "time.sleep(600)"))
    eventually(lambda: len(output(clients, name)) == 3)
    pids = [int(line) for line in output(clients, name)]
    clients.jobs.cancel_custom_job(name=name)
    assert wait(clients, name, "JOB_STATE_CANCELLED").state.name == "JOB_STATE_CANCELLED"
    assert not any(map(alive, pids))


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_nothing_goes_on_beside_a_second_attempt(
    isolated: tuple[RunningEmulator, Clients],
) -> None:
    """A supervisor that is killed is a lost machine: its job starts again, alone."""
    emulator, clients = isolated
    name = create(clients, spec("import os, time; print(os.getpid()); time.sleep(600)"))
    eventually(lambda: len(output(clients, name)) == 1)
    [first] = map(int, output(clients, name))
    folder = emulator.data_dir / "jobs" / name.rpartition("/")[2] / "workerpool0-0" / "attempt-1"
    os.kill(json.loads((folder / "supervisor.json").read_text())["pid"], signal.SIGKILL)
    eventually(lambda: len(output(clients, name)) == 2)
    assert not alive(first)
    second = int(output(clients, name)[1])
    clients.jobs.cancel_custom_job(name=name)
    wait(clients, name, "JOB_STATE_CANCELLED")
    assert not alive(second)


@pytest.fixture
def mounted(isolated: tuple[RunningEmulator, Clients]) -> Iterator[tuple[Clients, Any]]:
    """A bucket with a few objects, as a job finds it below /gcs."""
    _emulator, clients = isolated
    bucket = clients.storage.create_bucket("mounted", location="us-central1")
    for name in ("in/a.csv", "in/b.csv", "in/with blank;'.txt", "other/c.csv", "folder/"):
        bucket.blob(name).upload_from_string(name)
    yield clients, bucket
    bucket.delete(force=True)


def names(bucket: Any) -> list[str]:
    return [blob.name for blob in bucket.list_blobs()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/gcs/mounted/in/*.csv"], ["in/a.csv", "in/b.csv"]),
        (["/gcs/mounted/in/"], ["in/a.csv", "in/b.csv", "in/with blank;'.txt"]),
        (["/gcs/mounted/in/with blank;'.txt"], ["in/with blank;'.txt"]),
        (["--data=/gcs/mounted/in/a.csv,/gcs/mounted/other/c.csv"], ["in/a.csv", "other/c.csv"]),
        (["/gcs/mounted/in/a*"], ["in/a.csv"]),
        (["/gcs/mounted"], ["in/a.csv", "in/b.csv", "in/with blank;'.txt", "other/c.csv"]),
        (["/gcs/absent/x"], []),
    ],
)
def test_what_a_word_names_is_there(
    mounted: tuple[Clients, Any], words: list[str], expected: list[str]
) -> None:
    clients, _bucket = mounted
    code = (
        "import pathlib, sys\n"
        "for word in sys.argv[1].removeprefix('--data=').split(','):\n"
        "    path = pathlib.Path(word)\n"
        "    below = path.rglob('*') if path.is_dir() else path.parent.glob(path.name)\n"
        "    files = [path] if path.is_file() else sorted(p for p in below if p.is_file())\n"
        "    for file in files: print(file.read_text())\n"
    )
    assert output(clients, succeeded(clients, spec(code, *words))) == expected


def test_files_are_objects_however_they_came(mounted: tuple[Clients, Any]) -> None:
    clients, bucket = mounted
    generation = bucket.get_blob("in/a.csv").generation
    code = (
        "import os, pathlib, shutil, sys\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "shutil.copytree(root / 'in', root / 'copy')\n"  # with the modification times of `in`
        "shutil.copy2(root / 'in/b.csv', root / 'folder/b.csv')\n"
        "shutil.move(root / 'other/c.csv', root / 'moved.csv')\n"
        "(root / 'in/b.csv').write_text('new')\n"
        'os.remove(root / "in/with blank;\'.txt")\n'
    )
    succeeded(clients, spec(code, "/gcs/mounted"))
    assert names(bucket) == [
        "copy/a.csv",
        "copy/b.csv",
        "copy/with blank;'.txt",
        "folder/",
        "folder/b.csv",
        "in/a.csv",
        "in/b.csv",
        "moved.csv",
    ]
    assert bucket.blob("moved.csv").download_as_text() == "other/c.csv"
    assert bucket.blob("in/b.csv").download_as_text() == "new"
    assert bucket.get_blob("in/a.csv").generation == generation


@pytest.mark.skipif(os.name == "nt", reason="sh")
@pytest.mark.parametrize(
    "script",
    [
        "cat /gcs/mounted/in/*.csv > /gcs/mounted/folder/new.csv",
        'cat "/gcs/mounted/in/a.csv" /gcs/mounted/in/b.csv > "/gcs/mounted/folder/new.csv"',
        "cat '/gcs/mounted/in/a.csv' '/gcs/mounted/in/b.csv' > '/gcs/mounted/folder/new.csv'",
        "cd /gcs/mounted/in && cat a.csv b.csv > ../folder/new.csv",
    ],
)
def test_a_shell_script_finds_its_bucket(mounted: tuple[Clients, Any], script: str) -> None:
    clients, bucket = mounted
    succeeded(clients, shell(script))
    assert bucket.blob("folder/new.csv").download_as_text() == "in/a.csvin/b.csv"


@pytest.mark.skipif(os.name == "nt", reason="Windows names files in UTF-16")
@pytest.mark.parametrize(("name", "why"), [(b"a\xff", "UTF-8"), (b"a\nb", "a line break")])
def test_a_file_that_no_object_can_be_fails_the_job(
    mounted: tuple[Clients, Any], name: bytes, why: str
) -> None:
    clients, bucket = mounted
    before = names(bucket)
    code = (
        "import os, sys\n"
        "root = os.fsencode(sys.argv[1])\n"
        f"open(root + b'/0', 'w').close(); open(root + b'/' + {name!r}, 'w').close()\n"
    )
    job = run(clients, spec(code, "/gcs/mounted"))
    assert job.state.name == "JOB_STATE_FAILED"
    assert why in job.error.message
    assert names(bucket) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can write to /gcs")
def test_a_job_that_writes_to_the_machines_own_gcs_fails(mounted: tuple[Clients, Any]) -> None:
    clients, _bucket = mounted
    existed = Path("/gcs").exists()
    code = (
        "import pathlib\n"
        "path = pathlib.Path('/' + 'gcs') / 'mounted' / 'x'\n"
        "path.parent.mkdir(parents=True, exist_ok=True)\n"
        "path.write_text('lost')\n"
    )
    try:
        job = run(clients, spec(code))
        assert job.state.name == "JOB_STATE_FAILED"
        assert "--out=/gcs/BUCKET/out" in job.error.message
    finally:
        shutil.rmtree("/gcs/mounted", ignore_errors=True)
        if not existed and Path("/gcs").exists():
            Path("/gcs").rmdir()
