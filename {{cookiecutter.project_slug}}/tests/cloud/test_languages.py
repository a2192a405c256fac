"""Clients in other languages: whatever the fields are called and hold, it arrives as it is."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from cloud.languages import fields, openapi, page, writing
from cloud.languages.fields import Field
from cloud.languages.writing import LANGUAGES, Language
from cloud.serving.contract import PlainContract, TableContract
from cloud.serving.plain_instances import Input
from cloud.serving.training_values import TrainingValues
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


class Recorder(ThreadingHTTPServer):
    """Answers each request with what it was sent."""

    received: list[Any]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.received = []


class RecordingHandler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))
        self.send_response(200)
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
    recorder: Recorder, language: Language, tmp_path: Path
) -> None:
    program = PROGRAMS[language.file]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    url = f"http://127.0.0.1:{recorder.server_port}/it's $a"
    url = url.replace("'", "%27").replace(" ", "%20")
    written, refused = writing.write(tmp_path, FIELDS, model=NASTY, url=url, gaps=False)
    path = tmp_path / language.file
    assert path in written
    assert not refused

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*program, str(path), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)

    (tmp_path / "a picture").write_bytes(b"\x00\x01")
    changed = INSTANCE | {"class": "x=1\n'$\"", "int": 5, "picture": {"b64": "AAE="}}
    ran = run("long_list=[1,2]", "class=x=1\n'$\"", "int=5", f"picture={tmp_path / 'a picture'}")
    assert ran.returncode == 0, ran.stderr
    assert recorder.received.pop() == {"instances": [changed]}
    assert json.loads(ran.stdout) == {"instances": [changed]}
    ran = run("long_list=[1,2]")
    assert recorder.received.pop() == {"instances": [INSTANCE]}
    for wrong in ("", "long_list=[1] int=", "long_list=[1] nope=3"):
        ran = run(*wrong.split())
        assert ran.returncode == 1, wrong
        assert "xpected" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert not recorder.received


def test_a_name_that_go_cannot_tag_has_no_client_there(tmp_path: Path) -> None:
    odd = [Field("a,b", "text", "", "")]
    written, refused = writing.write(tmp_path, odd, model="m", url="http://h", gaps=False)
    assert [each.name for each in written] == [each.file for each in LANGUAGES if each.name != "Go"]
    assert refused == ["There is no client.go, as Go has no tag for the input 'a,b'."]


def test_names_of_go_are_exported_and_differ() -> None:
    found = writing.go_identifiers(["dep_delay", "depDelay", "1st", "größe"])
    assert found == ["DepDelay", "DepDelay_", "X1st", "GrE"]


LATE = Label("late", ("no", "yes"), "whether it is late")
COLUMNS = (
    Column("month", "integer", "month, 1 to 12"),
    Column("delay", "number", "minutes late", heading="Delay (min)"),
    Column("carrier", "category", "airline"),
    Column("left", "timestamp", "departure"),
    Column("full", "boolean", "whether it is full"),
)
OUTPUTS = {"probability": "of 'yes'", "label": "the likeliest: no, yes"}


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
        ("text", "airline; training rows: AA, UA", "UA"),
        ("text", "departure; training rows: a to b", ""),
        ("boolean", "whether it is full", True),
    ]


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


def test_the_page_escapes_what_it_is_given(tmp_path: Path) -> None:
    odd = [Field("a", "text", "", "", ("</script><script>alert(1)</script>",))]
    text = page.write(tmp_path, odd, model="<b>m</b>").read_text(encoding="utf-8")
    assert text.count("<script") == 1
    assert "<b>" not in text
