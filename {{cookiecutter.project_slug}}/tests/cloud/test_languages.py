"""Clients in other languages: whatever the fields are called and hold, it arrives as it is."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from conftest import ROOT
from openapi_spec_validator import validate

from cloud.languages import fields, openapi, page, writing
from cloud.languages.fields import Field
from cloud.languages.writing import LANGUAGES, Language
from cloud.serving.contract import PlainContract, TableContract
from cloud.serving.plain_instances import Input
from cloud.serving.training_values import TrainingValues
from table_schema import tables
from table_schema.columns import Column, Label, Table

PROGRAMS = {
    "client.sh": ("sh",),
    "client.py": (sys.executable,),
    "client.mjs": ("node",),
    "Client.java": ("java",),
    "client.go": ("go", "run"),
}
NASTY = """it's "quoted" \\ \\u0041 ${HOME} `id` $(id) %s */ // <b> größe 😀\ttab
line"""
FIELDS = [
    Field("class", "text", f"a keyword; {NASTY}\u2028{NASTY}", NASTY),
    Field("int", "integer", "another \\u000a", -(2**53) + 1),
    Field("import", "number", "", 0.1),
    Field("Größe in %", "boolean", "a name with blanks", True),
    Field("a_b", "text", "", ""),
    Field("aB", "text", "", "null"),
    Field("__proto__", "integer", "", 7),
    Field("picture", "file", "a file", "AP8="),
    Field("list", "json", "float32 [2]", [[0.5, 1.0]], (), "float32 [1, 2]"),
    Field("long_list", "json", "float32 [2]", None, (), "float32 [any]"),
]
INSTANCE = {each.name: each.example for each in FIELDS} | {
    "picture": {"b64": "AP8="},
    "long_list": [1, 2],
}


FLIGHTS = ROOT / "trainer" / "tables" / "flights.toml"
CLOUD = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/1:predict"
OUTPUTS = {"probability": "of 'yes'", "label": "the likeliest: no, yes"}


REFUSING = "/refuse"


class Recorder(ThreadingHTTPServer):
    """Answers each request with what it was sent, and refuses it so under one address."""

    received: list[Any]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.received = []


class RecordingHandler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != REFUSING:
            self.server.received.append(json.loads(body))
        self.send_response(400 if self.path == REFUSING else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_nasty_names_and_values_arrive_as_they_are(
    recorder: Recorder, language: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = PROGRAMS[language.file]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    url = f"http://127.0.0.1:{recorder.server_port}/it's $a"
    url = url.replace("'", "%27").replace(" ", "%20")
    written = writing.write(tmp_path, FIELDS, model=NASTY, url=url, gaps=False)
    path = tmp_path / language.file
    assert path in written

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*program, str(path), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)

    (tmp_path / "a picture").write_bytes(b"\x00\x01")
    changed = {"class": "x=1\n'$\"", "int": 5, "picture": {"b64": "AAE="}, "import": "late"}
    pairs = ("class=x=1\n'$\"", "int=5", f"picture={tmp_path / 'a picture'}", "import=late")
    ran = run("long_list=[1,2]", *pairs, "aB=1")
    assert ran.returncode == 0, ran.stderr
    sent = {"instances": [INSTANCE | changed | {"aB": "1"}]}
    assert recorder.received.pop() == sent
    assert json.loads(ran.stdout) == sent
    ran = run("long_list=[1,2]")
    [instance] = recorder.received.pop()["instances"]
    assert instance == INSTANCE
    ran = run("picture=nowhere")
    assert ran.returncode == 1
    assert "nowhere" in ran.stderr
    assert ran.stderr.removesuffix("exit status 1\n").count("\n") == 1  # of go run
    assert not recorder.received
    # All say the same of a refusal, with the whole answer.
    monkeypatch.setenv("ENDPOINT_URL", f"http://127.0.0.1:{recorder.server_port}{REFUSING}")
    ran = run("aB=1")
    assert ran.returncode == 1
    refused, _, answer = ran.stderr.removesuffix("exit status 1\n").partition(": ")
    assert refused == "The endpoint answered 400"
    assert json.loads(answer)["instances"][0]["aB"] == "1"


def test_only_the_shell_checks_names_itself(recorder: Recorder, tmp_path: Path) -> None:
    """The others send what they are given: the endpoint says it better, with the nearest name."""
    url = f"http://127.0.0.1:{recorder.server_port}/"
    writing.write(tmp_path, [Field("a", "integer", "", 1)], model="m", url=url, gaps=True)
    for program in (("sh", "client.sh"), (sys.executable, "client.py")):
        command = [*program, "b=2", "a=3"]
        ran = subprocess.run(
            command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        if program[0] == "sh":
            assert ran.stderr == "Expected NAME=VALUE with a name of a, got 'b=2 a=3'.\n"
        else:
            assert recorder.received.pop() == {"instances": [{"a": 3, "b": 2}]}
    assert not recorder.received


# Beyond these, a client has a line more for each column. Java and Go have no JSON that takes a map,
# or return each error by hand: they do not come under 60.
MOST_LINES = {
    "client.sh": 59,
    "client.py": 59,
    "client.mjs": 59,
    "Client.java": 98,
    "client.go": 109,
}


def test_clients_are_short_and_formatted(tmp_path: Path) -> None:
    """Of the course's flights, with an address as long as Google Cloud's."""
    table = tables.parse("flights", FLIGHTS.read_text(encoding="utf-8"))
    taken = TableContract(table, None, OUTPUTS)
    found = fields.of_contract(taken, taken.whole({}), TrainingValues({"carrier": ["UA"]}))
    for folder, given in ((tmp_path / "all", found), (tmp_path / "one", found[:1])):
        folder.mkdir()
        for path in writing.write(folder, given, model="flights", url=CLOUD, gaps=True):
            lines = path.read_text(encoding="utf-8").splitlines()
            assert len(lines) <= MOST_LINES[path.name] - len(found) + len(given), path
            # What a field is and the address are as long as they are.
            code = [line for line in lines if CLOUD not in line and "of departure" not in line]
            code = [line for line in code if not any(each.about in line for each in found)]
            assert max(len(line.expandtabs(4)) for line in code) <= 100, path
    if shutil.which("gofmt"):
        changed = subprocess.run(
            ["gofmt", "-l", tmp_path], capture_output=True, text=True, check=True
        )
        assert changed.stdout == ""
    ruff = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", "--line-length=100"]
    subprocess.run([*ruff, tmp_path], capture_output=True, check=True)


LATE = Label("late", ("no", "yes"), "whether it is late")
COLUMNS = (
    Column("month", "integer", "month, 1 to 12"),
    Column("delay", "number", "minutes late", heading="Delay (min)"),
    Column("carrier", "category", "airline"),
    Column("left", "timestamp", "departure"),
    Column("full", "boolean", "whether it is full"),
)


def table_fields() -> tuple[TableContract, list[Field]]:
    sample = {"month": 12, "delay": 0.30000001192092896, "carrier": "UA", "full": True}
    taken = TableContract(Table("flights", "id", LATE, COLUMNS), sample, OUTPUTS)
    learned = TrainingValues(
        {"month": [12, 3, 1], "carrier": ["UA", "AA"]}, {"delay": (-3, 1200)}, {"left": ("a", "b")}
    )
    return taken, fields.of_contract(taken, taken.whole(sample), learned)


def test_a_field_tells_heading_unit_and_training_rows() -> None:
    _taken, found = table_fields()
    assert [(each.type, each.about, each.example) for each in found] == [
        ("integer", "month, 1 to 12; training rows: 1 to 12", 12),
        ("number", "Delay (min): minutes late; training rows: -3 to 1,200", 0.3),
        ("text", "airline; training rows: 'AA', 'UA'", "UA"),
        (
            "text",
            "departure; written as 2013-01-31, and another text counts as a gap; training rows:"
            " a to b",
            "",
        ),
        ("boolean", "whether it is full", True),
    ]


@pytest.mark.parametrize(
    ("column", "value", "learned", "about"),
    [
        (Column("Plan", "category", "Plan"), "", TrainingValues(), "Plan"),
        (
            Column("last", "category", "Last order", "Last order"),
            "",
            TrainingValues(),
            "Last order",
        ),
        (
            Column("Plan", "category", "Plan"),
            "",
            TrainingValues({"Plan": ["Basic, monthly", "It's"]}),
            """training rows: 'Basic, monthly', "It's\"""",
        ),
        (
            Column("t", "timestamp", "opens"),
            "",
            TrainingValues(dates={"t": ("1970-01-01", "1970-01-01")}),
            "opens; written as 17:05, and another text counts as a gap",
        ),
        (
            Column("t", "timestamp", "sent"),
            "2025-03-01T10:11",
            TrainingValues(),
            "sent; written as 2013-01-31 17:05, and another text counts as a gap",
        ),
    ],
)
def test_a_field_says_each_thing_once(
    column: Column, value: str, learned: TrainingValues, about: str
) -> None:
    taken = TableContract(Table("t", "id", LATE, (column,)), None, OUTPUTS)
    [found] = fields.of_contract(taken, {column.name: value}, learned)
    assert found.about == about


@pytest.mark.parametrize("is_cloud", [False, True])
def test_the_openapi_document_is_valid(is_cloud: bool) -> None:
    taken, found = table_fields()
    url = "http://127.0.0.1:1/v1/projects/p/locations/l/endpoints/e:predict"
    document = openapi.document(taken, found, model=NASTY, url=url, is_cloud=is_cloud)
    validate(document)
    assert ("security" in document) == is_cloud
    schemas = document["components"]["schemas"]
    assert schemas["Instance"]["properties"]["month"]["examples"] == [12, 3, 1]
    assert schemas["Prediction"]["required"] == ["probability", "label"]
    assert list(document["paths"]) == ["/v1/projects/p/locations/l/endpoints/e:predict"]


def test_the_openapi_document_of_images_and_lists_is_valid() -> None:
    inputs = {
        "image": Input("image", "image", "a digit"),
        "pixels": Input("pixels", "tensor", "grey", "int64 [28, any]"),
    }
    taken = PlainContract(inputs, None, {"probabilities": "of each"})
    found = fields.of_contract(taken, {"image": {"b64": "A"}, "pixels": [[1]]}, TrainingValues())
    document = openapi.document(taken, found, model="m", url="http://h/p", is_cloud=False)
    validate(document)
    pixels = document["components"]["schemas"]["Instance"]["properties"]["pixels"]
    assert (pixels["type"], pixels["minItems"], pixels["items"]["items"]["type"]) == (
        *("array", 28),
        "integer",
    )


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_nasty_names_and_values_arrive_from_the_page(recorder: Recorder, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    asking: Any = SimpleNamespace(session=requests.Session())
    endpoint = f"http://127.0.0.1:{recorder.server_port}/"
    plans = ('It\'s "Basic", monthly', "Plus")
    listed = [
        Field("plan", "text", "", plans[0], plans),
        Field("month", "integer", "", 1, (12, 1)),
        Field("town", "text", "", "Oslo", ("Rome",)),
        Field("year", "integer", "", -1, (2025,)),
        Field("when", "text", "", "", form="2013-01-31"),
    ]
    text = page.render(FIELDS + listed, {}, model=NASTY, gaps=True)
    (tmp_path / "picture").write_bytes(b"\x00\x01")
    with page.Server(asking, endpoint, text, 0) as server, playwright.sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        form = browser.new_page()
        form.goto(f"http://127.0.0.1:{server.server_port}/")
        form.get_by_role("button", name="Predict").click()
        form.get_by_text("long_list: expected a list, got ''.").wait_for()
        form.get_by_label("long_list").fill("[1, 2]")
        form.get_by_label("Größe in %").select_option("false")
        form.get_by_label("picture").set_input_files(tmp_path / "picture")
        with form.expect_response("**/predict"):
            form.get_by_role("button", name="Predict").click()
        form.get_by_placeholder("2013-01-31").fill("2025-03-01")
        form.get_by_role("combobox", name="plan").select_option("(missing)")
        form.get_by_role("combobox", name="month").select_option("12")
        form.get_by_label("town, another value").fill("")
        form.get_by_role("combobox", name="year").select_option("(another value)")
        form.get_by_label("year, another value").fill("2026")
        with form.expect_response("**/predict"):
            form.get_by_role("button", name="Predict").click()
        browser.close()
        server.shutdown()
    changed = {"Größe in %": False, "picture": {"b64": "AAE="}}
    shown = INSTANCE | changed | {each.name: each.example for each in listed}
    filled = {"plan": "", "month": 12, "town": "", "year": 2026, "when": "2025-03-01"}
    sent = [recorder.received.pop(0), recorder.received.pop(0)]
    assert sent == [{"instances": [shown]}, {"instances": [shown | filled]}]


def test_the_pages_server_says_that_the_endpoint_is_stopped() -> None:
    asking: Any = SimpleNamespace(session=requests.Session())
    with page.Server(asking, "http://127.0.0.1:9/v1/e:predict", "", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/predict"
        answer = requests.post(url, json={"instances": []}, timeout=60)
        server.shutdown()
    assert answer.status_code == 502
    said = "The endpoint http://127.0.0.1:9/v1/e:predict does not answer."
    assert answer.json() == {"error": {"code": 502, "message": said}}


def test_the_page_escapes_what_it_is_given() -> None:
    odd = [Field("a", "text", "", "", ("</script><script>alert(1)</script>",))]
    text = page.render(odd, {"</script>": "<b>"}, model="<b>m</b>", gaps=True)
    assert text.count("<script") == 1
    assert "<b>" not in text
