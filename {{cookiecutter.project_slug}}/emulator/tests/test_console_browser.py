"""The console in a browser: Debian's Chromium, driven by Playwright.

Skipped where there is none: `apt-get install chromium` brings it, or CONSOLE_BROWSER names another
of its kind.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import custom_jobs
import pytest
import tunings
from conftest import HOSTILE
from google.cloud import storage
from times_model import deploy, predict, upload_export

from vertex_emulator.testing.clients import Clients

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = os.environ.get("CONSOLE_BROWSER") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no chromium")
expect: Any = playwright.expect
expect.set_options(timeout=60_000)  # of a machine that other tests keep busy

# What the browser says of answers that are no success, and of a card that wants more than to show.
EXPECTED = re.compile(
    "status of|ERR_CONNECTION_REFUSED|Blocked script|violates the (following|document)"
)
# What is cut off at the right, and no table or text that scrolls holds.
OUT_OF_SIGHT = """() => [...document.body.querySelectorAll("*")].filter((each) => {
    const box = each.getBoundingClientRect();
    if (!box.width || box.right <= innerWidth + 1) return false;
    for (let above = each.parentElement; above; above = above.parentElement) {
        if (["auto", "scroll", "hidden"].includes(getComputedStyle(above).overflowX)) return false;
    }
    return true;
}).map((each) => each.outerHTML.slice(0, 100))"""
SLOW = """
import json, pathlib, sys, time
print("<script>alert(3)</script>", flush=True)
go = pathlib.Path(sys.argv[1])
number = 0
while not (go / "end").exists():
    for _line in range(100):
        number += 1
        print(json.dumps({"severity": "INFO", "message": f"Step {number}", "loss": 1 / number}))
    sys.stdout.flush()
    while not (go / str(number // 100)).exists() and not (go / "end").exists():
        time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Chromium's own sandbox needs rights that root in a container does not have.
        running = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def view(browser: Any, clients: Clients) -> Iterator[Any]:
    """A page; the test fails where a script does, or the policy keeps something back."""
    context = browser.new_context(base_url=clients.url, viewport={"width": 1600, "height": 1000})
    problems: list[str] = []
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))

    def note(message: Any) -> None:
        if message.type == "error" and not EXPECTED.search(message.text):
            problems.append(message.text)

    page.on("console", note)
    yield page
    context.close()
    assert not problems


def test_a_running_job_is_followed_and_cancelled(
    view: Any, clients: Clients, console_bucket: str, tmp_path: Path
) -> None:
    job = custom_jobs.spec(SLOW, str(tmp_path), base=f"gs://{console_bucket}/followed")
    name = custom_jobs.create(clients, job | {"display_name": "followed " + HOSTILE})
    custom_jobs.wait(clients, name, "JOB_STATE_RUNNING")
    view.goto("/")
    view.get_by_role("link", name="Jobs", exact=True).click()
    view.get_by_label("Filter").fill('display_name="followed*"')
    view.get_by_role("button", name="Apply").click()
    view.get_by_role("link", name="followed").click()
    expect(view.locator("#state")).to_contain_text("running")
    log = view.locator("#log")
    expect(log).to_contain_text("<script>alert(3)</script>")
    for number in range(1, 26):  # a log that grows beyond what the page keeps
        (tmp_path / str(number)).touch()
    expect(log).to_contain_text("Step 2600 {")
    expect(log).not_to_contain_text("Step 1 {")
    assert log.locator("li").count() <= 2000
    # The tail stays in sight; who reads further up is not moved.
    assert log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 40")
    log.evaluate("log => { log.scrollTop = 100; }")
    (tmp_path / "26").touch()
    expect(log).to_contain_text("Step 2700 {")
    assert log.evaluate("log => log.scrollTop") < 400
    expect(view.locator("figure[data-title=loss], figure:has-text('loss')").first).to_be_visible()
    view.get_by_role("button", name="Cancel").click()
    expect(view.locator("#state")).to_contain_text("cancelled")
    expect(view.get_by_role("button", name="Cancel")).to_have_count(0)


def test_ticked_jobs_are_compared_and_one_is_submitted_again(view: Any, clients: Clients) -> None:
    code = "import json, sys; [print(json.dumps({'loss': float(sys.argv[1]) / n})) for n in (1, 2)]"
    for name, rate in (("pair-1", "0.1"), ("pair-2", "0.2")):
        job = custom_jobs.spec(code, rate) | {"display_name": name}
        custom_jobs.wait(clients, custom_jobs.create(clients, job))
    view.goto(f"/-/{clients.location}/customJobs?filter=display_name%3D%22pair-*%22")
    view.get_by_label("Compare pair-1").check()
    with view.expect_response("**/customJobs?*"):  # what the page asks for again
        pass
    view.get_by_label("Compare pair-2").check()
    expect(view.get_by_label("Compare pair-1")).to_be_checked()
    view.get_by_role("button", name="Compare").click()
    expect(view.get_by_role("row", name="argument 1")).to_contain_text("0.2")
    expect(view.locator("figure.chart .u-over")).to_be_visible()
    view.get_by_role("link", name="pair-1").click()
    view.get_by_text("Submit again with other arguments").click()
    view.get_by_label("Arguments, one a line").fill("0.7")
    name = view.locator("#again-name")
    name.evaluate("field => { field.required = false; }")
    name.fill("")
    view.get_by_role("button", name="Submit").click()
    expect(view.locator(".problem")).to_contain_text("displayName: expected 1 to 128 characters")
    view.get_by_role("link", name="Back to the page before").click()
    expect(view.get_by_label("Arguments, one a line")).to_have_value("0.7")  # as it was typed
    name.fill("pair-1-again")
    view.get_by_role("button", name="Submit").click()
    expect(view.get_by_role("heading", name="pair-1-again")).to_be_visible()
    expect(view.locator("#state")).to_contain_text("succeeded")
    expect(view.locator("#log")).to_contain_text('{"loss":0.35}')


def test_a_tuning_is_watched_and_cancelled(view: Any, clients: Clients) -> None:
    code = tunings.CODE + (
        "import os, time\n"
        "print('trial', os.environ['CLOUD_ML_TRIAL_ID'])\n"
        "time.sleep(600 if int(os.environ['CLOUD_ML_TRIAL_ID']) > 2 else 0)\n"
    )
    parameters = [
        tunings.X | {"double_value_spec": {"min_value": 0.01, "max_value": 1}}
        | {"scale_type": "UNIT_LOG_SCALE"},
        {"parameter_id": "kind", "categorical_value_spec": {"values": [HOSTILE, "b"]}},
    ]  # fmt: skip
    job = tunings.tuning(code, *parameters, max_trial_count=4, display_name="watched " + HOSTILE)
    name = tunings.create(clients, job)
    view.goto("/")
    view.get_by_role("link", name="Tuning", exact=True).click()
    view.get_by_role("link", name="watched").click()
    while len(output := custom_jobs.output(clients, name)) < 4:
        time.sleep(0.1)
    assert sorted(output) == [f"trial {number}" for number in range(1, 5)]
    expect(view.locator("#table tbody tr")).to_have_count(4)
    expect(view.locator("#table")).to_contain_text("active")
    expect(view.locator("#outcome")).to_contain_text("2 of 4")
    expect(view.locator(".chart .u-over")).to_have_count(3)  # best so far, and each parameter
    expect(view.locator("#log")).to_contain_text("trial 4")
    view.get_by_role("button", name="Cancel").click()
    tunings.wait(clients, name)
    expect(view.locator("#state")).to_contain_text("cancelled")
    expect(view.locator("#outcome")).to_contain_text("The job was cancelled.")
    trial = clients.jobs.get_hyperparameter_tuning_job(name=name).trials[0]
    view.get_by_role("link", name="1", exact=True).click()
    expect(view.locator("h1")).to_contain_text("-trial-1")
    expect(view.locator("pre.words").nth(1)).to_contain_text(f"--x={trial.parameters[0].value}")
    expect(view.locator("#log")).to_contain_text("trial 1")
    expect(view.locator("#log")).not_to_contain_text("trial 2")
    view.get_by_role("link", name="watched").click()
    expect(view.locator("h2").first).to_have_text("Trials, best first")


def test_runs_are_ordered_and_compared(view: Any, experiment: str) -> None:
    view.goto("/")
    view.get_by_role("link", name="Experiments", exact=True).click()
    view.get_by_role("link", name="sweep").click()
    first = view.locator("#list tbody tr").first
    expect(first).to_contain_text("run-1")  # the largest AUC
    view.get_by_role("link", name="log_loss").click()
    expect(first).to_contain_text("run-2")
    view.reload()
    expect(first).to_contain_text("run-2")
    view.get_by_label("Compare run-2").check()
    with view.expect_response("**/contexts/*"):  # what the page asks for again
        pass
    view.get_by_label("Compare run-0").check()
    view.get_by_role("button", name="Compare").click()
    expect(view.get_by_role("row", name="rate")).to_contain_text("0.2")
    view.go_back()
    first.get_by_role("link", name="run-2").click()
    expect(view.locator(".scores")).to_contain_text("0.8")
    assert view.url.endswith(f"/-/{experiment}-run-2")


def test_a_job_deleted_while_shown_is_a_page_that_says_so(view: Any, clients: Clients) -> None:
    name = custom_jobs.create(clients, custom_jobs.spec("import time; time.sleep(600)"))
    custom_jobs.wait(clients, name, "JOB_STATE_RUNNING")
    view.goto(f"/-/{name}")
    clients.jobs.cancel_custom_job(name=name)
    custom_jobs.wait(clients, name)
    clients.jobs.delete_custom_job(name=name).result(timeout=60)
    expect(view.get_by_role("heading", name="Not found")).to_be_visible()
    view.get_by_role("link", name="Back to jobs").click()
    expect(view.get_by_role("heading", name="Jobs")).to_be_visible()


def test_a_card_shows_and_reaches_nothing(view: Any, clients: Clients, console_bucket: str) -> None:
    card = (
        "<h1>The card</h1><script>document.body.textContent = 'ran'</script>"
        "<img src='/v1/nothing'><style>h1 { color: teal }</style>"
    )
    blob = clients.storage.bucket(console_bucket).blob("carded/model/model_card.html")
    blob.upload_from_string(card, content_type="text/html")
    job = custom_jobs.spec("print('done')", base=f"gs://{console_bucket}/carded")
    name = custom_jobs.create(clients, job)
    custom_jobs.wait(clients, name)
    answered: list[str] = []
    view.on("response", lambda response: answered.append(response.url))
    view.goto(f"/-/{name}")
    view.locator("iframe.card").scroll_into_view_if_needed()
    frame = view.frame_locator("iframe.card")
    expect(frame.get_by_role("heading", name="The card")).to_be_visible()
    assert not [url for url in answered if url.endswith("/v1/nothing")]


def test_a_jobs_model_is_deployed_and_compared_with_the_one_before(
    view: Any, clients: Clients, console_bucket: str, trained: str, exports: Path
) -> None:
    model = upload_export(clients, exports / "2", f"gs://{console_bucket}/served").model
    request = {"parent": clients.location, "endpoint": {"display_name": "served"}}
    endpoint = clients.endpoints.create_endpoint(**request).result(timeout=60).name
    deploy(clients, endpoint, f"{model}@1", {"0": 100})
    view.goto(f"/-/{trained}")
    view.get_by_label("As the next version of").select_option(label="times on served")
    view.get_by_label("with a share of").fill("25")
    view.get_by_role("button", name="Deploy").click()
    expect(view.locator("#traffic tbody tr")).to_have_count(2)  # without a reload
    expect(view.locator("#traffic tbody tr").nth(1)).to_contain_text("25 %")
    view.get_by_role("button", name="Log", exact=True).click()
    for _ in range(20):
        predict(clients, endpoint, {"instances": [{"x": 4}]})
    expect(view.locator("#logged tbody tr")).to_have_count(20)
    expect(view.locator("#traffic .bars svg").nth(1)).to_be_visible()  # who answered
    view.locator("#traffic").get_by_role("link", name="times v2").click()
    view.get_by_role("button", name="Compare").click()
    expect(view.get_by_role("row", name="auc")).to_contain_text("0.75")
    expect(view.get_by_role("row", name="--rate")).to_contain_text("0.5")


def test_a_prediction_is_tried_and_traffic_moved(
    view: Any, clients: Clients, console_endpoint: tuple[str, str, str]
) -> None:
    name, one, two = console_endpoint
    view.goto("/")
    view.get_by_role("link", name="Endpoints", exact=True).click()
    view.get_by_role("link", name="alert(1)").click()
    first = view.get_by_role("slider", name="times v1")
    first.focus()
    first.press("Home")  # by the keyboard: nothing for the first
    expect(view.locator("#split-command")).to_contain_text(f"--traffic-split={one}=0,{two}=100")
    view.get_by_role("button", name="Move traffic").click()
    expect(view.locator("#traffic tbody tr").nth(1)).to_contain_text("100 %")
    assert dict(clients.endpoints.get_endpoint(name=name).traffic_split) == {one: 0, two: 100}
    view.get_by_role("link", name="Try it").click()
    view.get_by_label("x float32").fill("5")
    expect(view.locator("details.code pre").first).to_contain_text('{"instances":[{"x":5}]}')
    view.get_by_role("button", name="Predict").click()
    answer = view.locator("#answer")
    expect(answer).to_contain_text("y: 15")
    expect(answer).to_contain_text("Version 2 answered")
    view.get_by_role("button", name="Move it").click()
    expect(view.locator("#varied figcaption")).to_have_text("The answer as x moves")
    expect(view.locator("#varied .u-over")).to_be_visible()


APPLICATION = """<!doctype html><button>Ask</button><output></output><script>
  const say = (text) => { document.querySelector("output").textContent += `${text}; `; };
  document.querySelector("button").onclick = async () => {
    try { say(parent.document.title); } catch { say("no parent"); }
    await fetch("/v1/nothing").then(() => say("reached"), () => say("no request"));
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event) => say(event.data);
    parent.postMessage('{"instances": [{"x": 4}]}', "*", [port2]);
  };
</script>"""


def test_an_application_beside_a_model_asks_its_endpoint_alone(
    view: Any, clients: Clients, console_endpoint: tuple[str, str, str]
) -> None:
    endpoint = clients.endpoints.get_endpoint(name=console_endpoint[0])
    model = clients.models.get_model(name=f"{endpoint.deployed_models[0].model}@1")
    view.goto(f"/-/{endpoint.name}")
    assert view.get_by_role("link", name="Application").count() == 0
    blob = storage.Blob.from_uri(f"{model.artifact_uri}/app.html", client=clients.storage)
    blob.upload_from_string(APPLICATION, content_type="text/html")
    view.reload()
    view.get_by_role("link", name="Application").click()
    frame = view.frame_locator("#application")
    frame.get_by_role("button", name="Ask").click()
    output = frame.locator("output")
    expect(output).to_contain_text("no parent; no request; ")
    expect(output).to_contain_text(re.compile(r'"y":(8|12)\.0'))
    view.route("**/*:predict", lambda route: route.abort("connectionrefused"))
    frame.get_by_role("button", name="Ask").click()
    expect(output).to_contain_text("null; ")  # and the console says that the emulator has gone
    expect(view.locator("#gone")).to_be_visible()


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_and_read_in_both_schemes(
    browser: Any,
    clients: Clients,
    console_endpoint: tuple[str, str, str],
    scheme: str,
    width: int,
) -> None:
    context = browser.new_context(
        base_url=clients.url, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    location = f"/-/{clients.location}"
    for path in (
        "/",
        f"{location}/customJobs",
        f"{location}/hyperparameterTuningJobs",
        f"{location}/trainingPipelines",
        f"{location}/datasets",
        f"{location}/metadataStores/default/contexts",
        f"{location}/metadataStores/default/contexts/console-sweep",
        f"{location}/metadataStores/default/contexts/console-sweep-run-1",
        f"{location}/models",
        f"{location}/endpoints",
        f"/-/{console_endpoint[0]}",
        f"/-/{console_endpoint[0]}/predict",
        f"/-/{console_endpoint[0]}/application",
        f"{location}/batchPredictionJobs",
        f"{location}/buckets",
        f"{location}/buckets/console-bucket",
    ):
        page.goto(path)
        page.locator("h1").wait_for()
        assert page.evaluate(OUT_OF_SIGHT) == [], path
        ground, ink = page.evaluate(
            "() => { const style = getComputedStyle(document.body);"
            " return [style.backgroundColor, style.color]; }"
        )
        brightness = [sum(map(int, each[4:-1].split(","))) / 3 for each in (ground, ink)]
        assert (brightness[0] > brightness[1]) == (scheme == "light"), path
        assert abs(brightness[0] - brightness[1]) > 150, path
    context.close()


def test_what_only_shows_needs_no_script(
    browser: Any, clients: Clients, console_endpoint: tuple[str, str, str]
) -> None:
    context = browser.new_context(base_url=clients.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/-/{console_endpoint[0]}")
    expect(page.locator("svg.traffic").first).to_be_visible()
    page.goto(f"/-/{clients.location}/customJobs")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    context.close()


def test_a_page_says_when_the_emulator_has_gone(view: Any, clients: Clients) -> None:
    view.goto("/")
    expect(view.locator("#gone")).to_be_hidden()
    view.route("**/*", lambda route: route.abort("connectionrefused"))
    expect(view.locator("#gone")).to_be_visible()
    view.unroute("**/*")
    expect(view.locator("#gone")).to_be_hidden()
