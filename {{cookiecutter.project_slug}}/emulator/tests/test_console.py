"""The console's pages by HTTP: what they show of what clients made, and what they refuse."""

import html
import json
import re
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import custom_jobs
import pytest
import requests
from conftest import HOSTILE
from console_pages import BROWSER, page, token
from google.api_core import exceptions
from times_model import deploy, predict, upload_export

from vertex_emulator.console.charts import COLOURS
from vertex_emulator.console.deployment import with_share
from vertex_emulator.console.rendering import FOLDER
from vertex_emulator.console.routes import prefers_html
from vertex_emulator.console.saved_model import MalformedError, signature, warm_up_row
from vertex_emulator.console.texts import printable, span
from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import start

SCORES = {"metric": "auc", "test": {"auc": 0.7312, "log_loss": 0.43}}
NOISY = r"""
import json, sys
print("\x1b[31mred\x1b[0m <b>bold</b> \x07")
print("x" * 1_000_000)
sys.stdout.buffer.write(bytes(range(128, 256)) + b"\n")
for epoch in (1, 2, 3):
    print(json.dumps({"severity": "INFO", "message": f"Epoch {epoch}", "loss": 1 / epoch}))
print(json.dumps({"severity": "WARNING", "message": "careful <i>now</i>"}), flush=True)
"""


def put(clients: Clients, bucket: str, name: str, content: bytes | str, kind: str) -> None:
    clients.storage.bucket(bucket).blob(name).upload_from_string(content, content_type=kind)


@pytest.fixture(scope="module")
def noisy(clients: Clients, console_bucket: str) -> str:
    """A job with a hostile name that has printed all kinds of things."""
    put(
        clients,
        console_bucket,
        "noisy/model/evaluation.json",
        json.dumps(SCORES),
        "application/json",
    )
    put(clients, console_bucket, "noisy/model/model_card.html", "<h1>The card</h1>", "text/plain")
    job = custom_jobs.spec(NOISY, HOSTILE, base=f"gs://{console_bucket}/noisy")
    job |= {"display_name": HOSTILE, "labels": {"console": "noisy"}}
    name = custom_jobs.create(clients, job)
    assert custom_jobs.wait(clients, name).state.name == "JOB_STATE_SUCCEEDED"
    return name


@pytest.mark.parametrize(
    ("accept", "is_browser"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/plain, */*", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
    ],
)
def test_only_what_prefers_html_gets_it(accept: str, is_browser: bool) -> None:
    assert prefers_html(accept) == is_browser


def test_clients_see_the_line_of_json(clients: Clients) -> None:
    answer = requests.get(clients.url, timeout=60)
    assert answer.json().keys() == {"emulator", "identity"}
    assert answer.headers["content-type"] == "application/json"


def test_the_overview_shows_what_exists_and_what_is_next(clients: Clients, noisy: str) -> None:
    for path in ("/", f"/-/{clients.location}"):
        text = page(clients, path)
        assert "From data to predictions" in text
        assert f"/-/{noisy}" in text
    # Elsewhere there is nothing yet, and the first missing part names its command.
    text = page(clients, "/-/projects/elsewhere/locations/europe-west4")
    assert "The next step: data" in text
    assert "gcloud storage buckets create gs://NAME --project=elsewhere" in text


def test_the_overview_names_the_commands_of_a_project(tmp_path: Path) -> None:
    file = tmp_path / "commands.toml"
    file.write_text('data = "make <data>"\n')
    running = start(tmp_path / "emulator", "--commands", str(file))
    try:
        path = f"{running.url}/-/projects/p/locations/l"
        text = requests.get(path, headers={"accept": BROWSER}, timeout=60).text
        assert "make &lt;data&gt;" in text
        assert (
            "Nothing here yet"
            in requests.get(running.url, headers={"accept": BROWSER}, timeout=60).text
        )
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("content", "words"),
    [('sea = "x"', "expected texts named data, job"), ("data = 1", "got 'data'"), ("=", "as TOML")],
)
def test_a_file_of_commands_is_checked(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "commands.toml"
    file.write_text(content)
    command = [sys.executable, "-m", "vertex_emulator", "--commands", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert words in " ".join(ended.stderr.split())


def test_names_are_text_and_never_markup(
    clients: Clients, console_bucket: str, noisy: str, console_endpoint: tuple[str, str, str]
) -> None:
    put(
        clients,
        console_bucket,
        f"{HOSTILE}/{HOSTILE}.csv",
        f"a,{HOSTILE}\n1,{HOSTILE}\n",
        "text/csv",
    )
    location = f"/-/{clients.location}"
    folder = quote(f"{HOSTILE}/")
    for path in (
        f"{location}/customJobs",
        f"{location}/customJobs?filter={quote(HOSTILE)}",
        f"/-/{noisy}",
        f"/-/{noisy}?q={quote(HOSTILE)}&severity={quote(HOSTILE)}&replica={quote(HOSTILE)}",
        f"{location}/endpoints",
        f"/-/{console_endpoint[0]}",
        f"/-/{console_endpoint[0]}/predict",
        f"{location}/buckets/{console_bucket}",
        f"{location}/buckets/{console_bucket}?prefix={folder}",
        f"{location}/buckets/{console_bucket}?object={folder}{quote(HOSTILE)}.csv",
        f"/-/projects/{quote(HOSTILE, safe='')}/locations/x/customJobs",
    ):
        answer = requests.get(clients.url + path, headers={"accept": BROWSER}, timeout=60)
        assert answer.status_code in (200, 400, 404), path
        for form in ("<script>alert", "<img src=x", "<b>bold", "<i>now"):
            assert form not in answer.text, path
        assert "&lt;script&gt;" in answer.text, path


def test_a_page_of_jobs_has_the_lists_own_filter_and_its_errors(
    clients: Clients, noisy: str
) -> None:
    path = f"/-/{clients.location}/customJobs?filter="
    found = page(clients, path + quote('labels.console="noisy"'))
    assert found.count("<tr>") == 2
    assert "0.7312" in found
    assert "No job matches." in page(clients, path + quote('labels.console="none"'))
    wrong = requests.get(
        f"{clients.url}/v1/{clients.location}/customJobs", {"filter": "state="}, timeout=60
    ).json()["error"]["message"]
    shown = page(clients, path + quote("state="), 400)
    assert 'role="search"' in shown
    assert wrong.split("'")[0] in shown


def test_a_job_shows_how_it_was_called(clients: Clients, noisy: str) -> None:
    text = page(clients, f"/-/{noisy}")
    for part in (noisy, "n1-standard-4", "tensorflow/tensorflow:2.21.0", "0.7312", "succeeded"):
        assert part in text
    assert "gcloud ai custom-jobs create" in text
    assert f"curl -s -X POST {clients.url}/v1/{clients.location}/customJobs" in text
    shown = re.search(r"The request as JSON</summary>.*?<pre[^>]*>(.*?)</pre>", text, re.DOTALL)
    assert shown is not None
    body = json.loads(html.unescape(shown[1]))
    assert body["displayName"] == HOSTILE
    assert "state" not in body
    again = requests.post(f"{clients.url}/v1/{clients.location}/customJobs", json=body, timeout=60)
    assert again.status_code == 200, again.text
    custom_jobs.wait(clients, again.json()["name"])


def test_jobs_are_compared_by_what_differs(clients: Clients, noisy: str) -> None:
    def job(rate: str) -> dict[str, Any]:
        code = "import json; [print(json.dumps({'loss': 1 / n})) for n in (1, 2, 4)]"
        return custom_jobs.spec(code, f"--rate={rate}", "--epochs", "3", "data.csv")

    names = [custom_jobs.create(clients, job(rate)) for rate in ("0.1", "0.2")]
    for name in names:
        custom_jobs.wait(clients, name)
    ids = "&".join(f"job={name.rpartition('/')[2]}" for name in [*names, noisy])
    path = f"/-/{clients.location}/customJobs:compare"
    pair = page(clients, f"{path}?{ids.rpartition('&')[0]}")
    assert '<th scope="row">--rate</th>' in pair
    assert '<th scope="row">--epochs</th>' not in pair
    assert "5 other settings are the same." in pair
    three = page(clients, f"{path}?{ids}")
    assert '<th scope="row">--epochs</th>' in three
    assert "0.7312" in three
    [loss] = requests.get(f"{clients.url}{path}Charts?{ids}", timeout=60).json()
    assert loss["moments"] == [1, 2, 3]
    assert [line["values"] for line in loss["lines"]][:2] == [[1.0, 0.5, 0.25]] * 2
    assert "Expected 2 to 6 jobs" in page(clients, path, 400)
    assert "Not found" in page(clients, f"{path}?job=1&job=2", 404)


def test_a_job_is_submitted_again_with_other_arguments(
    clients: Clients, console_bucket: str
) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['AIP_MODEL_DIR'])"
    job = custom_jobs.spec(code, "--rate=0.1", "--words", "a b", base=f"gs://{console_bucket}/one")
    first = custom_jobs.create(clients, job | {"display_name": "one", "labels": {"kept": "yes"}})
    text = page(clients, f"/-/{first}")
    assert 'value="one-again"' in text
    assert f'value="gs://{console_bucket}/one-again"' in text
    form = {
        "token": token(text),
        "displayName": "two",
        "folder": f"gs://{console_bucket}/two",
        "args": "--rate=0.5\r\n--words\r\na b\r\n",
    }
    url = f"{clients.url}/-/{first}:again"
    answer = requests.post(url, form, allow_redirects=False, timeout=60)
    assert answer.status_code == 303
    second = answer.headers["location"].removeprefix("/-/")
    custom_jobs.wait(clients, second)
    made = clients.jobs.get_custom_job(name=second)
    assert (made.display_name, dict(made.labels)) == ("two", {"kept": "yes"})
    assert custom_jobs.output(clients, second) == [
        f"['--rate=0.5', '--words', 'a b'] gs://{console_bucket}/two/model/"
    ]
    refused = requests.post(url, form | {"displayName": ""}, timeout=60)
    assert refused.status_code == 400
    assert "displayName: expected 1 to 128 characters" in refused.text


def test_a_log_is_legible_whatever_was_printed(clients: Clients, noisy: str) -> None:
    text = page(clients, f"/-/{noisy}")
    assert "red &lt;b&gt;bold&lt;/b&gt; \u2407" in text
    assert "\x1b" not in text
    assert "more characters" in text
    assert len(text) < 400_000
    warned = page(clients, f"/-/{noisy}?severity=WARNING")
    assert "careful" in warned
    assert "Epoch 1" not in warned.partition('id="log"')[2]
    searched = page(clients, f"/-/{noisy}?q={quote('jsonPayload.loss<0.4')}").partition('id="log"')
    assert "Epoch 3" in searched[2]
    assert "Epoch 2" not in searched[2]
    assert 'id="log-problem"' in page(clients, f"/-/{noisy}?q={quote('severity>=')}")


def test_a_log_is_followed_from_where_a_page_ended(clients: Clients, noisy: str) -> None:
    url = f"{clients.url}/-/{noisy}/log"
    lines: list[dict[str, str]] = []
    after = "0"
    while True:
        answer = requests.get(url, {"after": after}, timeout=60).json()
        lines += answer["lines"]
        if answer["over"]:
            break
        after = str(answer["after"])
    own = [line for line in lines if line["replica"] == "workerpool0-0"]
    assert [line["text"][:7] for line in own if line["text"].startswith("Epoch")] == [
        "Epoch 1",
        "Epoch 2",
        "Epoch 3",
    ]
    assert len({line["id"] for line in lines}) == len(lines)
    assert max(len(line["text"]) for line in lines) <= 4000
    wrong = requests.get(url, {"after": "x"}, headers={"accept": BROWSER}, timeout=60)
    assert wrong.status_code == 400
    assert "after: expected a number" in wrong.text


def test_numbers_of_a_log_are_charts(clients: Clients, noisy: str) -> None:
    found = requests.get(f"{clients.url}/-/{noisy}/charts", timeout=60).json()
    [loss] = [chart for chart in found if chart["title"] == "loss"]
    assert loss["lines"] == [{"label": "loss", "values": [1.0, 0.5, 1 / 3], "colour": 0, "dash": 0}]
    assert loss["moments"] == sorted(loss["moments"])


def test_the_card_is_framed_without_an_origin(clients: Clients, noisy: str) -> None:
    text = page(clients, f"/-/{noisy}")
    found = re.search(r'<iframe class="card" sandbox src="([^"]+)"', text)
    assert found is not None
    answer = requests.get(clients.url + found[1].replace("&amp;", "&"), timeout=60)
    assert answer.text == "<h1>The card</h1>"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["content-type"].startswith("text/html")


def test_a_job_is_cancelled_by_a_form_of_this_emulators_own_page(clients: Clients) -> None:
    code = "import time; time.sleep(600)"
    name = custom_jobs.create(clients, custom_jobs.spec(code))
    custom_jobs.wait(clients, name, "JOB_STATE_RUNNING")
    url = f"{clients.url}/-/{name}:cancel"
    for form in ({}, {"token": "guessed"}):
        refused = requests.post(url, form, timeout=60)
        assert refused.status_code == 403
        assert "open the page again" in refused.text
    strange = {"origin": "http://evil.example"}
    held = {"token": token(page(clients, f"/-/{name}"))}
    assert requests.post(url, held, headers=strange, timeout=60).status_code == 403
    assert clients.jobs.get_custom_job(name=name).state.name == "JOB_STATE_RUNNING"
    answer = requests.post(url, held, allow_redirects=False, timeout=60)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/-/{name}"
    assert custom_jobs.wait(clients, name).state.name == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize(
    "path",
    [
        "/-/projects/p/locations/l/customJobs/1",
        "/-/projects/p/locations/l/models/1",
        "/-/projects/p/locations/l/endpoints/1",
        "/-/projects/p/locations/l/endpoints/1/predict",
        "/-/projects/p/locations/l/batchPredictionJobs/1",
        "/-/projects/p/locations/l/buckets/no-such-bucket",
        "/-/projects/p/locations/l/buckets/no-such-bucket?object=x",
        "/-/nonsense",
        "/-/",
    ],
)
def test_what_does_not_exist_is_a_page_with_a_way_back(clients: Clients, path: str) -> None:
    text = page(clients, path, 404)
    assert "Not found" in text
    [(back, name)] = re.findall(r'<a href="([^"]+)">Back to ([a-z ]+)</a>', text)
    if path.count("/") > 6:  # in a list
        assert path.startswith(f"{back}/")
        assert name in ("jobs", "models", "endpoints", "batch jobs", "buckets")
        assert page(clients, back)
    else:
        assert (back, name) == ("/", "the overview")


def test_traffic_is_moved(clients: Clients, console_endpoint: tuple[str, str, str]) -> None:
    name, one, two = console_endpoint
    text = page(clients, f"/-/{name}")
    assert f"--traffic-split={one}=80,{two}=20" in text
    assert "times v1" in text
    url, held = f"{clients.url}/-/{name}:split", {"token": token(text)}
    wrong = requests.post(url, held | {f"share.{one}": "60", f"share.{two}": "50"}, timeout=60)
    assert wrong.status_code == 400
    assert "add up to 100" in wrong.text
    assert requests.post(url, held | {f"share.{one}": "x"}, timeout=60).status_code == 400
    moved = requests.post(url, held | {f"share.{one}": "30", f"share.{two}": "70"}, timeout=60)
    assert moved.status_code == 200
    assert dict(clients.endpoints.get_endpoint(name=name).traffic_split) == {one: 30, two: 70}


def test_the_form_is_that_of_the_models_signature(
    clients: Clients, console_endpoint: tuple[str, str, str]
) -> None:
    text = page(clients, f"/-/{console_endpoint[0]}/predict")
    assert 'data-name="x" data-kind="number"' in text
    assert "float32" in text
    for language in ("curl", "Python", "JavaScript", "Java", "Go"):
        assert f"<summary>{language}</summary>" in text
    assert f"{clients.url}/v1/{console_endpoint[0]}:predict" in text


def test_a_version_is_given_an_alias(
    clients: Clients, console_endpoint: tuple[str, str, str]
) -> None:
    deployed = clients.endpoints.get_endpoint(name=console_endpoint[0]).deployed_models
    model = deployed[0].model.partition("@")[0]
    text = page(clients, f"/-/{model}")
    assert f"/-/{console_endpoint[0]}" in text
    form = {"token": token(text), "version": "2", "alias": "default"}
    url = f"{clients.url}/-/{model}:mergeVersionAliases"
    assert requests.post(url, form, timeout=60).status_code == 200
    assert clients.models.get_model(name=model).version_id == "2"
    refused = requests.post(url, form | {"alias": "Not An Alias"}, timeout=60)
    assert refused.status_code == 400
    assert "versionAliases" in refused.text
    assert "times" in page(clients, f"/-/{clients.location}/models")


@pytest.mark.parametrize(
    ("named", "content", "shown"),
    [
        (("t.csv", "text/csv"), "a,b\n1,two\n", "<th>a</th><th>b</th>"),
        (("quoted.csv", "application/octet-stream"), 'a,b\n"1\n2",x\n', "<th>a</th>"),
        (("d.json", "application/json"), '{"z":[1]}', "&#34;z&#34;: ["),
        (("broken.json", "application/json"), '{"z":', "{&#34;z&#34;:"),
        (("p.html", "text/html"), "<p>x", '<iframe class="card" sandbox'),
        (("i.png", "image/png"), b"\x89PNG", '<img class="picture"'),
        (("raw.bin", "application/octet-stream"), bytes(range(256)), "no text, picture or page"),
        (("empty.txt", "text/plain"), "", '<pre class="body"'),
    ],
)
def test_objects_show_as_what_they_are(
    clients: Clients, console_bucket: str, named: tuple[str, str], content: bytes | str, shown: str
) -> None:
    name, kind = named
    put(clients, console_bucket, f"kinds/{name}", content, kind)
    path = f"/-/{clients.location}/buckets/{console_bucket}"
    assert f"?object=kinds/{name}" in page(clients, f"{path}?prefix=kinds/")
    assert shown in page(clients, f"{path}?object=kinds/{name}")


def test_a_jobs_model_is_deployed_beside_what_is_served(
    clients: Clients, console_bucket: str, trained: str, exports: Path
) -> None:
    uri = f"gs://{console_bucket}/grown"
    model = upload_export(clients, exports / "2", uri).model
    put(clients, console_bucket, "grown/metrics.json", '{"auc": 0.5}', "application/json")
    label = {"name": f"{model}@1", "labels": {"team": "a", "kind": "version"}}
    clients.models.update_model(model=label, update_mask={"paths": ["labels"]})
    request = {"parent": clients.location, "endpoint": {"display_name": "grows"}}
    endpoint = clients.endpoints.create_endpoint(**request).result(timeout=60).name
    first = deploy(clients, endpoint, f"{model}@1", {"0": 100})
    text = page(clients, f"/-/{trained}")
    assert "times on grows" in text
    command = html.unescape(text)
    assert "gcloud ai models upload --project=test-project --region=us-central1" in command
    assert f"--artifact-uri=gs://{console_bucket}/trained/model --labels=team=a" in command
    url = f"{clients.url}/-/{trained}:deploy"
    form = {"token": token(text), "place": f"{endpoint} {model}", "share": "30"}
    for wrong in ({"share": "101"}, {"place": "elsewhere"}, {"token": ""}):
        refused = requests.post(url, form | wrong, timeout=60)
        assert refused.status_code == (403 if "token" in wrong else 400)
        assert f'<a href="/-/{trained}">Back to the page before</a>' in refused.text
    answer = requests.post(url, form, allow_redirects=False, timeout=60)
    assert answer.headers["location"] == f"/-/{endpoint}"
    while "A version is being deployed" in (text := page(clients, f"/-/{endpoint}")):
        time.sleep(0.1)
    assert "times v2" in text
    split = dict(clients.endpoints.get_endpoint(name=endpoint).traffic_split)
    assert split.pop(first) == 70
    assert list(split.values()) == [30]
    version = clients.models.get_model(name=f"{model}@2")
    assert dict(version.labels) == {"team": "a"}
    assert list(version.version_aliases) == []
    assert "times version 2" in page(clients, f"/-/{trained}")
    # The two versions beside each other: scores, and what the job was called with.
    compared = page(clients, f"/-/{model}:compare?version=1&version=2")
    assert "<strong>0.75</strong> <small>+0.25</small>" in compared
    for name in ("job", "--rate", "folder", "label kind"):
        assert f'<th scope="row">{name}</th>' in compared
    assert '<th scope="row">serving --model_name</th>' not in compared
    # A report of drift beside a version's model is framed as its card is.
    put(clients, console_bucket, "grown/drift.html", "<h1>Drift</h1>", "text/html")
    text = page(clients, f"/-/{model}")
    assert "Drift of version 1</h2>" in text
    assert re.search(r'sandbox src="[^"]*drift\.html"', text)
    assert "Expected 2 to 6 versions" in page(clients, f"/-/{model}:compare?version=1", 400)
    assert "Not found" in page(clients, f"/-/{model}:compare?version=1&version=9", 404)


def test_a_deployment_that_fails_is_said(clients: Clients, exports: Path) -> None:
    clients.storage.create_bucket("console-broken", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://console-broken/m").model
    for blob in clients.storage.list_blobs("console-broken"):
        blob.upload_from_string(b"no model")
    request = {"parent": clients.location, "endpoint": {"display_name": "breaks"}}
    endpoint = clients.endpoints.create_endpoint(**request).result(timeout=60).name
    with pytest.raises(exceptions.GoogleAPICallError):
        deploy(clients, endpoint, f"{model}@1", {"0": 100})
    assert "A deployment failed" in page(clients, f"/-/{endpoint}")


def test_the_last_requests_show_once_they_are_logged(
    clients: Clients, console_endpoint: tuple[str, str, str]
) -> None:
    name, *_deployed = console_endpoint
    text = page(clients, f"/-/{name}")
    assert "Requests are not logged." in text
    url, held = f"{clients.url}/-/{name}:log", {"token": token(text)}
    assert requests.post(url, held | {"percent": "x"}, timeout=60).status_code == 400
    assert requests.post(url, held | {"percent": "100"}, timeout=60).status_code == 200
    for x in range(30):
        predict(clients, name, {"instances": [{"x": x}]})
    while "{&#34;x&#34;:29}" not in (text := page(clients, f"/-/{name}")):
        time.sleep(0.2)
    assert "100 % of the requests are logged." in text
    assert text.count("<td>times v") == 20  # the last ones, newest first
    assert "{&#34;x&#34;:9}" not in text
    assert text.index("{&#34;x&#34;:29}") < text.index("{&#34;x&#34;:28}")
    assert requests.post(url, held | {"percent": "0"}, timeout=60).status_code == 200
    assert "Requests are not logged." in page(clients, f"/-/{name}")


def test_shares_are_given_in_proportion() -> None:
    assert with_share({}, 10) == {"0": 100}
    assert with_share({"a": 0}, 10) == {"0": 100}
    assert with_share({"a": 70, "b": 30}, 10) == {"0": 10, "a": 63, "b": 27}
    assert with_share({"a": 34, "b": 33, "c": 33}, 1) == {"0": 1, "a": 35, "b": 32, "c": 32}
    assert with_share({"a": 100}, 100) == {"0": 100, "a": 0}


def test_a_batch_job_shows_its_rows(
    clients: Clients, console_bucket: str, console_endpoint: tuple[str, str, str]
) -> None:
    put(clients, console_bucket, "in.jsonl", '{"x": 1}\n{"x": "no"}\n', "application/jsonl")
    model = clients.endpoints.get_endpoint(name=console_endpoint[0]).deployed_models[0].model
    job: dict[str, Any] = {
        "display_name": HOSTILE,
        "model": model.partition("@")[0],
        "input_config": {
            "instances_format": "jsonl",
            "gcs_source": {"uris": [f"gs://{console_bucket}/in.jsonl"]},
        },
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": f"gs://{console_bucket}/out"},
        },
        "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-2"}},
    }
    made = clients.jobs.create_batch_prediction_job(
        parent=clients.location, batch_prediction_job=job
    )
    while clients.jobs.get_batch_prediction_job(name=made.name).state.name not in custom_jobs.ENDED:
        assert "Batch prediction jobs" in page(
            clients, f"/-/{clients.location}/batchPredictionJobs"
        )
    text = page(clients, f"/-/{made.name}")
    assert "rows done" in text
    assert "<span>failed</span> <strong>1</strong>" in text
    assert "First errors" in text
    assert f"gs://{console_bucket}/out/prediction-" in text
    assert "<script>alert" not in text


def test_a_signature_is_read_without_tensorflow(exports: Path) -> None:
    found = signature((exports / "2" / "1" / "saved_model.pb").read_bytes())
    assert found is not None
    assert [(each.name, each.kind, each.type_name) for each in found.inputs] == [
        ("x", "number", "float32")
    ]
    assert {each.name for each in found.outputs} == {"y", "twice"}
    assert signature(b"") is None
    for wrong in (b"\xff" * 40, b"\x12\x50", b"no model at all, only words"):
        with pytest.raises(MalformedError):
            signature(wrong)
    assert warm_up_row(b"") == {}


def test_a_warm_up_request_gives_a_row() -> None:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    number = field(1, b"f") + field(2, b"\x08\x01" + field(5, struct.pack("<f", 18.1)))
    text = field(1, b"t") + field(2, b"\x08\x07" + field(8, b"AA") + field(8, b"BB"))
    whole = field(1, b"i") + field(2, b"\x08\x09" + field(10, b"\x05"))
    log = field(6, field(1, field(2, number) + field(2, text) + field(2, whole)))
    record = len(log).to_bytes(8, "little") + b"????" + log + b"????"
    assert warm_up_row(record) == {"f": 18.1, "t": "AA", "i": 5}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("tab\tnul\0", "tab\tnul\u2400"),
        ("right\u202eleft", "right\ufffdleft"),
        ("naïve 日本", "naïve 日本"),
    ],
)
def test_text_is_printable(text: str, shown: str) -> None:
    assert printable(text, 100) == (shown, 0)


def test_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * 120, 100) == ("x" * 100, 20)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (86_400 * 3 + 60, "3 d")],
)
def test_spans_have_two_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


def luminance(colour: str) -> float:
    """Source: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    digits = colour if len(colour) == 6 else "".join(each * 2 for each in colour)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(scheme: str) -> None:
    """WCAG 2.2, level AA: 4.5 of text, 3 of what else has to be seen."""
    roots = re.findall(
        r":root \{(.*?)\}", (FOLDER / "static" / "console.css").read_text(), re.DOTALL
    )
    light, dark = (dict(re.findall(r"--([\w-]+): #(\w+);", root)) for root in roots)
    colours = light | (dark if scheme == "dark" else {})
    grounds = ("page", "card", "field")
    lines = [f"c{number}" for number in range(COLOURS)]
    texts = [(ink, ground) for ink in ("ink", "quiet", "link", "bad", "wait") for ground in grounds]
    texts += [(state, f"{state}-ground") for state in ("good", "bad", "busy", "wait")]
    texts += [("on-accent", "accent"), *((line, "card") for line in lines)]
    seen = [(mark, ground) for mark in ("accent", "frame") for ground in grounds]
    for pairs, least in ((texts, 4.5), (seen, 3.0)):
        for one, other in pairs:
            assert contrast(colours[one], colours[other]) >= least, (one, other)
