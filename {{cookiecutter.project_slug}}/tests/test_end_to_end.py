"""Every command as a person runs it: `python -m cloud COMMAND` in a process of its own."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import ROOT
from project import TINY, Project


@dataclass(frozen=True)
class Demo:
    """A project whose demo has run, with what it printed."""

    project: Project
    printed: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo of flights, in a folder as people name them."""
    folder = tmp_path_factory.mktemp("demo") / "größe 100% #1 it's $HOME"
    made = Project(folder, "flights")
    try:
        yield Demo(made, made.run("demo", "--rows", "4000", "--", *TINY))
    finally:
        made.run("emulator", "--stop")


@pytest.fixture
def project(demo: Demo) -> Project:
    """A flights project with data and two deployed versions."""
    return demo.project


def newest_job(project: Project) -> str:
    return project.run("jobs").splitlines()[1].split()[0]


def test_the_demo_runs_twice_and_leaves_nothing_running(demo: Demo) -> None:
    project = demo.project
    assert not (project.folder / "emulator" / "address.json").exists()
    second = project.run("demo", "--rows", "4000", "--", *TINY)
    for version, printed in (("1", demo.printed), ("2", second)):
        assert "succeeded" in printed
        assert f"version {version} (" in printed
        assert re.search(r"Flight \S+ \S+ \S+.* left .* It arrived .*: (not )?late\.", printed)
        assert "nox -s tensorboard" in printed
        assert "Stopped the emulator" in printed
        for noise in ("tensorflow/", "oneDNN", "Warning"):
            assert noise not in printed
    assert not (project.folder / "emulator" / "address.json").exists()
    rows = project.run("versions").splitlines()
    assert [row.split()[0] for row in rows[-2:]] == ["2", "1"]
    assert "default" in rows[-2]
    assert "100 %" in rows[-2]
    assert "not deployed" in rows[-1]


def test_the_job_is_listed_and_shown(project: Project) -> None:
    name = newest_job(project)
    assert name.startswith("test-flights-")
    assert "succeeded" in project.run("jobs", "--filter", 'display_name="test-flights-*"')
    assert "No job matches" in project.run("jobs", "--filter", 'state="JOB_STATE_FAILED"')
    shown = project.run("jobs", name[:-1])  # by the beginning of its name
    assert f"gs://test-bucket/jobs/{name}" in shown
    assert "--config" in shown


def test_a_job_is_a_run_of_the_experiment(project: Project) -> None:
    """As `aiplatform.get_experiment_df("test-flights-training")` of Google's SDK reads it."""
    name = newest_job(project)
    run = experiment_run(project, name)
    assert run["_state"] == "COMPLETE"
    assert (run["_params"]["config"], run["_params"]["table"]) == ("tiny", "flights")
    [job] = run["_custom_jobs"]
    shown = project.run("jobs", name)
    assert job["custom_job_resource_name"] in shown
    assert f"{run['_metrics']['auc']:.4f}" in shown


def experiment_run(project: Project, job: str) -> dict[str, Any]:
    """The metadata of a job's run in the project's experiment."""
    address = json.loads((project.folder / "emulator" / "address.json").read_text())
    store = "projects/test-project/locations/us-central1/metadataStores/default"
    experiment = f"{store}/contexts/test-flights-training"
    condition = f'parent_contexts:"{experiment}" AND display_name="{job}"'
    answer = requests.get(
        f"{address['url']}/v1/{store}/contexts", {"filter": condition}, timeout=60
    )
    [run] = answer.json()["contexts"]
    metadata: dict[str, Any] = run["metadata"]
    return metadata


def test_a_job_has_a_card(project: Project) -> None:
    project.variables = {"BROWSER": "true"}  # a browser that shows nothing
    printed = project.run("jobs", newest_job(project), "--card")
    [path] = re.findall(r"^Model card: (.*)$", printed, re.MULTILINE)
    assert "<html" in Path(path).read_text(encoding="utf-8")


def test_values_that_training_never_saw_are_named(project: Project) -> None:
    printed = project.run("predict", "--carrier", "ZZ", "--month", "13", "--dep-delay", "1e6")
    assert "Note: carrier 'ZZ' was not seen in training" in printed
    assert "Note: month 13 was not seen in training" in printed
    assert "Note: dep_delay 1,000,000 is outside the range of the training rows" in printed
    assert "Note:" not in project.run("predict", "--carrier", "UA", "--month", "1")


def test_a_prediction_and_its_equal_curl_command(project: Project) -> None:
    printed = project.run("predict", "--row", "3")
    command = next(line for line in printed.splitlines() if line.startswith("curl "))
    answer = subprocess.run(shlex.split(command), capture_output=True, check=True)
    [prediction] = json.loads(answer.stdout)["predictions"]
    assert json.dumps(prediction) in printed
    assert 0 <= prediction["probability"] <= 1


@pytest.mark.parametrize(
    "client",
    ["sh client.sh", "python client.py", "node client.mjs", "java Client.java", "go run client.go"],
)
def test_a_client_in_another_language_answers_as_predict_does(
    project: Project, client: str
) -> None:
    program, *words = client.split()
    if (found := sys.executable if program == "python" else shutil.which(program)) is None:
        pytest.skip(f"{program} is not installed")
    printed, instance = predicted(project)
    folder = project.folder / "clients"
    if not folder.exists():
        assert f"Wrote {folder / 'openapi.json'}" in project.run("clients")

    def run(*given: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [found, *words, *given],
            cwd=folder,
            env=os.environ | variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    ran = run(*(f"{name}={value}" for name, value in instance.items()))
    assert ran.returncode == 0, ran.stderr
    [prediction] = json.loads(ran.stdout)["predictions"]
    assert json.dumps(prediction) in printed
    refused = run("dep_delay=late")
    assert refused.returncode == 1
    assert "he endpoint answered 400" in refused.stderr
    assert "dep_delay" in refused.stderr
    stopped = run(ENDPOINT_URL="http://127.0.0.1:9/v1")
    assert stopped.returncode == 1
    assert "does not answer" in stopped.stderr


@dataclass(frozen=True)
class Served:
    """The command that serves the page, and the address where it does."""

    process: subprocess.Popen[str]
    url: str


@pytest.fixture(scope="module")
def served(demo: Demo) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cloud", "clients", "--serve", "--port", "0"],
        cwd=ROOT,
        env=demo.project.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            lines = iter(process.stdout.readline, "")
            yield Served(
                process,
                next(
                    found[1] for each in lines if (found := re.search(r"(http:\S+/) until", each))
                ),
            )
    finally:
        process.terminate()
        process.wait(60)


def test_the_page_asks_the_endpoint_by_its_server(project: Project, served: Served) -> None:
    """And another site's page cannot: its requests name another origin, or are no JSON."""
    url, body = served.url, {"instances": [predicted(project)[1]]}
    assert '"name": "dep_delay"' in requests.get(url, timeout=60).text
    assert requests.get(f"{url}client.py", timeout=60).status_code == 404
    answer = requests.post(f"{url}predict", json=body, timeout=60)
    assert 0 <= answer.json()["predictions"][0]["probability"] <= 1
    for headers in ({"Origin": "http://elsewhere"}, {"Content-Type": "text/plain"}):
        refused = requests.post(f"{url}predict", json=body, headers=headers, timeout=60)
        assert refused.status_code == 403
    named = requests.get(url, headers={"Host": "elsewhere"}, timeout=60)
    assert named.status_code == 404


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_a_browser_shows_the_page_alone_and_in_the_console(
    project: Project, served: Served
) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    address = json.loads((project.folder / "emulator" / "address.json").read_text())["url"]
    store = "v1/projects/test-project/locations/us-central1/endpoints"
    [endpoint] = requests.get(f"{address}/{store}", timeout=60).json()["endpoints"]

    def ask(page: Any, delay: str, expected: str) -> None:
        page.get_by_label("dep_delay").fill(delay)
        page.get_by_role("button", name="Predict").click()
        playwright.expect(page.locator("output")).to_contain_text(expected, timeout=60_000)

    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"{address}/-/{endpoint['name']}")
        page.get_by_role("link", name="Application").click()
        ask(page.frame_locator("#application"), "60", "0 to 1: whether it arrives")
        ask(
            page.frame_locator("#application"),
            "1e999",
            "dep_delay: expected a number, got '1e999'.",
        )
        page = browser.new_page()
        page.goto(served.url)
        ask(page, "", "0 to 1: whether it arrives")  # a gap
        ask(page, "late", "dep_delay: expected a number, got 'late'.")
        served.process.terminate()
        served.process.wait(60)
        ask(page, "60", "The endpoint does not answer;")
        browser.close()


def test_drift_of_logged_requests_and_of_a_file_is_found(project: Project) -> None:
    assert "--log-requests: expected a share" in project.fail("promote", "--log-requests", "2")
    assert "none. Switch logging on" in project.fail("drift")
    project.run("promote", "default", "--log-requests", "1")
    rows = project.folder / "data" / "flights" / "test.csv"
    project.run("predict", "--file", str(rows))
    ran = project.call("drift")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "No drift." in ran.stdout
    [report] = (project.folder / "runs" / "drift").glob("*.json")
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["rows"] == len(rows.read_text().splitlines()) - 1
    assert not document["is_found"]
    assert sum(each["rows"] for each in document["periods"]) == document["rows"]
    assert document["training"].keys() == {"no", "yes"}
    assert "<svg" in report.with_suffix(".html").read_text(encoding="utf-8")

    printed = project.run("evaluate", "--labels", str(rows), "--since", "1d")
    assert "The predictions are as good as the trainer measured" in printed
    [written] = (project.folder / "runs" / "evaluate").glob("*.json")
    [version] = json.loads(written.read_text(encoding="utf-8"))["versions"]
    assert version["total"]["labelled"] == document["rows"]
    for name, score in version["trained"]["scores"].items():
        tolerance = 1e-3 if name == "ece" else 1e-6
        assert version["total"]["scores"][name] == pytest.approx(score, abs=tolerance)

    header, *lines = (line.split(",") for line in rows.read_text().splitlines())
    place = header.index("dep_delay")
    for line in lines:
        line[place] = line[place] and str(float(line[place]) / 60)
    hours = project.folder / "hours.csv"
    hours.write_text("".join(",".join(line) + "\n" for line in [header, *lines]))
    ran = project.call("drift", "--file", str(hours))
    assert ran.returncode == 1
    assert "- dep_delay: The distribution has moved" in ran.stdout
    assert ran.stdout.count("\n- ") == 1
    assert "Requests are no longer logged" in project.run(
        "promote", "default", "--log-requests", "0"
    )


def predicted(project: Project) -> tuple[str, dict[str, Any]]:
    """Returns what predict prints about a row, and the row as it was sent."""
    printed = project.run("predict", "--row", "3")
    command = next(line for line in printed.splitlines() if line.startswith("curl "))
    [instance] = json.loads(shlex.split(command)[-1])["instances"]
    return printed, instance


@pytest.mark.parametrize("program", ["curl", "gcloud"])
def test_a_dry_run_prints_commands_that_submit_the_job(
    project: Project, tmp_path: Path, program: str
) -> None:
    if shutil.which(program) is None or shutil.which("bash") is None:
        pytest.skip(f"{program} is not installed")
    name = f"by-{program}"
    printed = project.run("submit", "--dry-run", "--name", name, "--", *TINY)
    assert "No job matches" in project.run("jobs", "--filter", f'display_name="{name}-*"')
    command = printed.partition(f"The same with {program}:\n")[2].partition("\nJSON\n")[0]
    address = json.loads((project.folder / "emulator" / "address.json").read_text())
    environment = os.environ | {
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{address['url']}/",
    }
    subprocess.run(["bash", "-c", command + "\nJSON\n"], env=environment, check=True)
    [line] = project.run("jobs", "--filter", f'display_name="{name}-*"').splitlines()[1:]
    project.run("cancel", line.split()[0])


def test_the_log_is_read_by_severity(project: Project) -> None:
    listed = project.run("jobs", "--filter", 'display_name="test-flights-*"')
    name = listed.splitlines()[1].split()[0]
    assert "Epoch 2/2" in project.run("logs", name)
    assert "Epoch" not in project.run("logs", name, "--severity", "error")


@pytest.mark.skipif(
    "TENSORBOARD_PYTHON" not in os.environ,
    reason="TENSORBOARD_PYTHON names no environment without TensorFlow; nox -s tests makes one",
)
def test_tensorboard_shows_every_job_as_runs(project: Project) -> None:
    listed = project.run("jobs", "--filter", 'state="JOB_STATE_SUCCEEDED"').splitlines()[1:]
    names = [line.split()[0] for line in listed]
    assert len(names) == 2
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *("-m", "cloud", "tensorboard", "--port", str(port))],
        cwd=ROOT,
        env=project.environment,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/data"
    wanted = {f"{name}/logs/{part}" for name in names for part in ("train", "eval")}
    try:
        while not wanted <= set(runs := get(f"{url}/runs", process)):
            time.sleep(0.2)
        run = next(run for run in runs if run.startswith(names[0]) and run.endswith("/eval"))
        while not (tags := get(f"{url}/plugin/scalars/tags", process).get(run)):
            time.sleep(0.2)
        assert {"epoch_auc", "epoch_loss"} <= tags.keys()
        points = get(f"{url}/plugin/scalars/scalars?run={run}&tag=epoch_auc", process)
        assert [point[1] for point in points] == [1, 2]  # a point an epoch: time, step, value
        assert all(0 < point[2] <= 1 for point in points)
    finally:
        process.terminate()
        process.wait(60)


def get(url: str, process: subprocess.Popen[bytes]) -> Any:
    """Asks a server that may not listen yet; nothing where it does not answer."""
    assert process.poll() is None, "TensorBoard ended"
    try:
        answer = requests.get(url, timeout=60)
    except requests.ConnectionError:
        return {}
    return answer.json() if answer.status_code == 200 else {}


def test_a_tuning_ends_with_its_best_trial_beside_the_defaults(project: Project) -> None:
    printed = project.run("tune", "--trials", "3", "--search", "learning-rate", "--", *TINY)
    found = re.findall(r"^Trial (\d): log loss (\S+) with (--learning-rate=\S+)", printed, re.M)
    assert sorted(number for number, _, _ in found) == ["1", "2", "3"]
    number, loss, flag = min(found, key=lambda each: float(each[1]))
    flag = flag.rstrip(",")
    assert f"Best: trial {number} of 3, with log loss {loss}: {flag}" in printed
    assert re.search(r"On the test rows it has log loss 0\.\d+, the defaults have 0\.\d+", printed)
    assert f"nox -s submit -- -- --config tiny {flag} " in printed

    [name] = re.findall(r"^(test-flights-tuning-[\d-]+): succeeded", printed, re.M)
    listed = project.run("jobs", "--filter", f'display_name="{name}*"').splitlines()[1:]
    assert [line.split()[0] for line in listed] == [f"{name}-defaults", name]
    rows = project.run("jobs", name).partition("\ntrial ")[2].splitlines()[1:4]
    assert rows[0].split()[:3] == [number, "succeeded", loss]
    assert "Epoch 2/2" in project.run("logs", f"{name}/{number}")
    assert "There is no trial 4 of" in project.fail("logs", f"{name}/4")
    project.variables = {"BROWSER": "true"}  # a browser that shows nothing
    assert re.search(rf"cards.{name}.{number}\.html", project.run("jobs", "--card", name))
    assert f"{name} has already ended: succeeded" in project.run("cancel", "test-flights-tuning")


def test_a_cancelled_job_says_so(project: Project) -> None:
    project.run("submit", "--name", "long", "--", "--config", "tiny", "--epochs", "100000")
    name = newest_job(project)
    while "running" not in project.run("jobs", name):
        time.sleep(0.1)
    while not (epochs := re.findall(r"Epoch (\d+)/", project.run("logs", name))):
        time.sleep(0.1)
    assert re.search(rf"{name} +running \d+/100000", project.run("jobs"))
    assert "cannot write into" in project.fail("submit", "--resume", name)
    cancelled = project.run("cancel", "long")  # by the beginning of its name
    assert f"{name}: cancelled" in cancelled
    assert f"nox -s submit -- --resume {name}" in cancelled
    assert "has already ended" in project.run("cancel", name)
    assert "no SavedModel" in project.fail("deploy", name)

    epochs = re.findall(r"Epoch (\d+)/", project.run("logs", name))
    last = max(map(int, epochs)) + 3
    project.run("submit", "--resume", name, "--", "--epochs", str(last))
    assert "succeeded" in project.run("logs", "--follow")
    epochs = re.findall(rf"Epoch (\d+)/{last}", project.run("logs", "--limit", "500"))
    assert 1 <= len(epochs) <= 4, "it began from a checkpoint"
    assert newest_job(project) != name
    run = experiment_run(project, name)
    assert (run["_state"], run["_params"]["epochs"], run["_metrics"]) == ("CANCELLED", 100_000, {})
    assert f"gs://test-bucket/jobs/{name}" in project.run("jobs", newest_job(project))


def test_a_job_that_raises_shows_its_reason(project: Project) -> None:
    """The data in the bucket lose a column: the trainer says which, and the job fails with it."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    address = json.loads((project.folder / "emulator" / "address.json").read_text())
    client = storage.Client(
        project="test-project",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": address["url"]},
    )
    blob = client.bucket("test-bucket").blob("data/flights/eval.csv")
    whole = blob.download_as_text()
    blob.upload_from_string(whole.replace("dep_delay", "delay"), content_type="text/csv")
    try:
        project.run("submit", "--name", "broken", "--", *TINY)
        ran = project.call("logs", "--follow")
    finally:
        blob.upload_from_string(whole, content_type="text/csv")
    assert ran.returncode == 1
    assert "expected one column 'dep_delay'" in ran.stdout
    assert "failed" in ran.stdout
    assert "exited with a non-zero status of 1" in ran.stderr
    assert "dep_delay" in ran.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("jobs", "nope"), "There is no job 'nope'; 'nox -s jobs' lists"),
        (("logs", "123"), "There is no job '123'"),
        (("logs", '"'), "There is no job '\"'"),
        (("jobs", "--filter", "colour=red"), "unknown field 'colour'"),
        (("deploy", "nope"), "There is no job 'nope'"),
        (("submit", "--name", "Not Good"), "--name: expected up to 42 of a-z"),
        (("submit", "--replicas", "0"), "--replicas: expected at least 1, got 0"),
        (("submit", "--", "--epochs", "many"), "--epochs"),
        (("tune", "--search", "epoch=1..3"), "--search: expected a flag of the trainer"),
        (("tune", "--search", "epochs=0..3"), "--epochs: expected at least 1"),
        (("tune", "--metric", "loss"), "--metric: expected a metric that the trainer reports"),
        (("submit", "--", "--epochs", "0"), "--epochs: expected at least 1"),
        (("submit", "--", "--no-such-flag"), "--no-such-flag"),
        (("predict", "--row", "1000000"), "--row: expected 0 to"),
        (("predict", "--instance", "{"), "--instance: expected a JSON object"),
        (("predict", "--instance", '{"dep_dealy": 3}'), "dep_dealy"),
        (("predict", "--instance", '{"dep_delay": "late"}'), "dep_delay"),
    ],
)
def test_a_mistake_gets_one_sentence(
    project: Project, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in project.fail(*words)


def test_local_training_needs_no_server(tmp_path: Path) -> None:
    project = Project(tmp_path, "penguins")
    assert "Epoch 2/2" in project.run("train", "--", *TINY)
    [exported] = (tmp_path / "runs").glob("*/model/1/saved_model.pb")
    assert exported.stat().st_size > 0
    assert not (tmp_path / "emulator").exists()


def test_commands_that_start_at_once_share_one_emulator(tmp_path: Path) -> None:
    project = Project(tmp_path, "penguins")
    command = [sys.executable, "-m", "cloud", "target"]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, env=project.environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    try:
        targets = {process.communicate()[0].splitlines()[-1] for process in processes}
        assert len(targets) == 1, targets
        assert [process.returncode for process in processes] == [0, 0, 0]
    finally:
        project.run("emulator", "--stop")
