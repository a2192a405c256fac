"""Custom jobs, through Google's own client: they really run, and end as they should."""

import json
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from custom_jobs import ENDED, create, entries, output, run, spec, wait
from google.api_core import exceptions

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator, start


def test_a_job_runs_with_the_documented_environment(clients: Clients) -> None:
    code = "import json, os; print(' ' + json.dumps(dict(os.environ)))"
    job = run(clients, spec(code, base="gs://test-bucket/jobs/one"))
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert job.create_time <= job.start_time <= job.end_time
    [line] = output(clients, job.name)
    environment = json.loads(line)
    assert environment["AIP_MODEL_DIR"] == "gs://test-bucket/jobs/one/model/"
    assert environment["AIP_CHECKPOINT_DIR"] == "gs://test-bucket/jobs/one/checkpoints/"
    assert environment["AIP_TENSORBOARD_LOG_DIR"] == "gs://test-bucket/jobs/one/logs/"
    cluster = json.loads(environment["CLUSTER_SPEC"])
    assert cluster["task"] == {"type": "workerpool0", "index": 0}
    assert list(cluster["cluster"]) == ["workerpool0"]
    assert environment["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] == "false"
    assert "TF_CONFIG" not in environment


def test_several_replicas_know_each_other(clients: Clients) -> None:
    code = "import os, time; print(os.environ['TF_CONFIG']); time.sleep(0.5)"
    job = spec(code)
    [pool] = job["job_spec"]["worker_pool_specs"]
    job["job_spec"]["worker_pool_specs"] = [pool, pool | {"replica_count": 2}]
    name = run(clients, job).name
    configs = {
        task: json.loads(
            next(
                json.dumps(each["jsonPayload"])
                for each in entries(clients, name)
                if each["resource"]["labels"]["task_name"] == task
            )
        )
        for task in ("workerpool0-0", "workerpool1-0", "workerpool1-1")
    }
    [cluster] = {json.dumps(config["cluster"], sort_keys=True) for config in configs.values()}
    hosts = json.loads(cluster)
    assert len({*hosts["chief"], *hosts["worker"]}) == 3
    assert configs["workerpool1-1"]["task"] == {"type": "worker", "index": 1}


def test_a_failure_shows_its_traceback_and_its_reason(clients: Clients) -> None:
    job = run(clients, spec("raise ValueError('no such column: dep_delay')"))
    assert job.state.name == "JOB_STATE_FAILED"
    assert "workerpool0-0 exited with a non-zero status of 1" in job.error.message
    assert "ValueError: no such column: dep_delay" in job.error.message
    printed = entries(clients, job.name)
    traceback = [each for each in printed if each.get("textPayload", "").startswith("Traceback")]
    assert [each["severity"] for each in traceback] == ["ERROR"]


def test_json_lines_become_payloads_with_their_severity(clients: Clients) -> None:
    code = 'print(\'{"severity": "WARNING", "message": "slow", "epoch": 3}\')'
    job = run(clients, spec(code))
    [entry] = [each for each in entries(clients, job.name) if "jsonPayload" in each]
    assert entry["severity"] == "WARNING"
    assert entry["jsonPayload"] == {"message": "slow", "epoch": 3}


def test_entries_arrive_while_the_job_runs(clients: Clients) -> None:
    name = create(clients, spec("import time; print('begun'); time.sleep(600)"))
    while "begun" not in output(clients, name):
        assert clients.jobs.get_custom_job(name=name).state.name not in ENDED
        time.sleep(0.05)
    clients.jobs.cancel_custom_job(name=name)
    assert wait(clients, name, *ENDED).state.name == "JOB_STATE_CANCELLED"


def test_cancelling_ends_the_whole_process_tree_gently_first(
    clients: Clients, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    code = (
        "import os, pathlib, signal, subprocess, sys, time\n"
        "marks = pathlib.Path(sys.argv[1])\n"
        "def gently(*_):\n"
        "    (marks / 'gently').touch(); sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, gently)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "(marks / 'child').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    name = create(clients, spec(code, str(marks)))
    while not (marks / "child").exists() or not (marks / "child").read_text():
        assert clients.jobs.get_custom_job(name=name).state.name not in ENDED
        time.sleep(0.05)
    clients.jobs.cancel_custom_job(name=name)
    assert wait(clients, name, *ENDED).state.name == "JOB_STATE_CANCELLED"
    assert (marks / "gently").exists() or sys.platform == "win32"
    import psutil

    pid = int((marks / "child").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


def test_gcs_is_the_bucket_as_a_folder(clients: Clients) -> None:
    bucket = clients.storage.create_bucket("mounted-bucket", location="us-central1")
    bucket.blob("in/data.txt").upload_from_string("from the bucket")
    generation = bucket.get_blob("in/data.txt").generation
    code = (
        "import pathlib, sys\n"
        "source, target = map(pathlib.Path, sys.argv[1:])\n"
        "target.parent.mkdir(parents=True, exist_ok=True)\n"
        "target.write_text(source.read_text() + ' and back')\n"
    )
    arguments = ["/gcs/mounted-bucket/in/data.txt", "/gcs/mounted-bucket/out/result.txt"]
    job = run(clients, spec(code, *arguments))
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    assert bucket.blob("out/result.txt").download_as_text() == "from the bucket and back"
    assert bucket.get_blob("in/data.txt").generation == generation


def test_a_python_package_is_installed_and_its_module_run(clients: Clients, tmp_path: Path) -> None:
    wheel = tmp_path / "greeter-1.0-py3-none-any.whl"
    info = "greeter-1.0.dist-info"
    files = {
        "greeter/__init__.py": "",
        "greeter/task.py": "import sys; print('hello', *sys.argv[1:])",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    bucket = clients.storage.create_bucket("package-bucket", location="us-central1")
    bucket.blob("greeter.d/" + wheel.name).upload_from_filename(wheel)
    job = spec("")
    [pool] = job["job_spec"]["worker_pool_specs"]
    del pool["container_spec"]
    pool["python_package_spec"] = {
        "executor_image_uri": "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest",
        "package_uris": [f"gs://package-bucket/greeter.d/{wheel.name}"],
        "python_module": "greeter.task",
        "args": ["--to", "world"],
    }
    done = run(clients, job)
    assert done.state.name == "JOB_STATE_SUCCEEDED", done
    assert output(clients, done.name) == ["hello --to world"]

    pool["python_package_spec"]["package_uris"] = ["gs://package-bucket/missing.whl"]
    missing = run(clients, job)
    assert missing.state.name == "JOB_STATE_FAILED"
    assert "there is no object gs://package-bucket/missing.whl" in missing.error.message


def test_a_timeout_ends_the_job(clients: Clients) -> None:
    job = run(clients, spec("import time; time.sleep(600)", timeout={"seconds": 1}))
    assert job.state.name == "JOB_STATE_CANCELLED"
    assert "longer than its timeout, 1 s" in job.error.message


def test_a_machine_failure_restarts_the_replica(clients: Clients, tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "mark = pathlib.Path(sys.argv[1])\n"
        "first = not mark.exists(); mark.touch()\n"
        "os._exit(139 if first else 0)\n"
    )
    assert run(clients, spec(code, str(tmp_path / "a"))).state.name == "JOB_STATE_SUCCEEDED"
    never = spec(code, str(tmp_path / "b"), disable_retries=True)
    assert run(clients, never).state.name == "JOB_STATE_FAILED"


def test_lists_filter_and_page(clients: Clients) -> None:
    names = []
    for number in range(3):
        job = spec("") | {"display_name": f"listed-{number}", "labels": {"kind": "listed"}}
        names.append(run(clients, job).name)

    def listed(condition: str, **request: Any) -> list[str]:
        found = clients.jobs.list_custom_jobs(
            request={"parent": clients.location, "filter": condition, **request}
        )
        return [each.name for each in found]

    assert listed('labels.kind="listed"') == names[::-1]
    assert listed('labels.kind="listed"', page_size=1) == names[::-1]
    assert listed('display_name="listed-1"') == [names[1]]
    assert listed('display_name="listed-*" AND NOT display_name="listed-1"') == names[::-2]
    both = 'display_name="listed-0" OR display_name="listed-2"'
    assert listed(both) == names[::-2]
    assert listed('labels.kind="listed" AND state="JOB_STATE_FAILED"') == []
    created = clients.jobs.get_custom_job(name=names[1]).create_time
    since = f'labels.kind="listed" AND create_time>="{created.isoformat()}"'
    assert listed(since) == names[:0:-1]
    with pytest.raises(exceptions.BadRequest, match="unknown field 'colour'"):
        listed('colour="red"')
    with pytest.raises(exceptions.BadRequest, match="nextPageToken"):
        listed("", page_token="!")  # noqa: S106, no password


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"display_name": ""}, "displayName: expected 1 to 128 characters"),
        ({"job_spec": {}}, "workerPoolSpecs: expected 1 to 4 worker pools, got 0"),
        (
            {"job_spec": {"worker_pool_specs": [{"machine_spec": {"machine_type": "a"}}]}},
            "expected either containerSpec or pythonPackageSpec",
        ),
    ],
)
def test_a_malformed_job_is_refused(clients: Clients, change: dict[str, Any], message: str) -> None:
    with pytest.raises(exceptions.BadRequest, match=message):
        create(clients, spec("") | change)


def test_an_unknown_field_is_refused_by_its_name(clients: Clients) -> None:
    url = f"{clients.url}/v1/{clients.location}/customJobs"
    answer = requests.post(url, json={"displayName": "x", "jobSpek": {}}, timeout=60)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert 'no field named "jobSpek"' in error["message"]
    broken = requests.post(url, data="{", timeout=60)
    assert broken.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_what_is_not_there_is_not_found(clients: Clients) -> None:
    with pytest.raises(exceptions.NotFound, match="CustomJob does not exist"):
        clients.jobs.get_custom_job(name=f"{clients.location}/customJobs/12345")
    with pytest.raises(exceptions.NotFound):
        clients.jobs.cancel_custom_job(name=f"{clients.location}/customJobs/12345")


def test_deleting_forgets_the_job(clients: Clients) -> None:
    name = run(clients, spec("print(1)")).name
    clients.jobs.delete_custom_job(name=name).result(timeout=60)
    with pytest.raises(exceptions.NotFound):
        clients.jobs.get_custom_job(name=name)
    assert entries(clients, name) == []


def test_jobs_survive_the_emulator(tmp_path: Path) -> None:
    """Killed with -9, it finds its running job again, and every line of its output once."""
    code = "import time\nfor i in range(40): print(i, flush=True); time.sleep(0.1)"
    first = start(tmp_path / "data")
    clients = Clients(first.url)
    name = create(clients, spec(code))
    while len(output(clients, name)) < 5:
        time.sleep(0.05)
    first.process.kill()
    first.process.wait()
    second: RunningEmulator = start(tmp_path / "data")
    try:
        clients = Clients(second.url)
        job = wait(clients, name, *ENDED)
        assert job.state.name == "JOB_STATE_SUCCEEDED", job
        assert output(clients, name) == [str(i) for i in range(40)]
    finally:
        second.stop()
