"""Every answer is taken or refused as it should be, in words that help, and nothing is left."""

import json
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
from bake import ROOT, run_cookiecutter

HOOK = ROOT / "hooks" / "pre_gen_project.py"
GOOD = {
    "project_name": "Flight delays",
    "project_slug": "flight_delays",
    "author": "Ada Lovelace",
    "licence": "MIT",
    "data_set": "flights",
    "gcp_project_id": "my-gcp-project",
    "region": "us-central1",
    "bucket": "my-gcp-project-flight-delays",
}
CONTROLS = "has a line break or another control character in it"
DEVICE = "is a device of Windows, where no folder may have its name"
QUOTES = "has a double quote or a backslash in it"
SLUG = "is not lowercase letters, digits and underscores that begin with a letter"
BUCKET = (
    "is not lowercase letters, digits, hyphens, underscores and dots"
    " that begin and end with a letter or a digit"
)
PROJECT = (
    "is not lowercase letters, digits and hyphens that begin with a letter"
    " and do not end with a hyphen"
)
GOOGLES = "begins with 'goog' or contains 'google', which Google keeps for itself"


def refusals(**answers: Any) -> list[str]:
    """Return what the hook's own code says to these answers, the others being good."""
    by_name: dict[str, str] = runpy.run_path(str(HOOK))["refusals"](GOOD | answers)
    return list(by_name.values())


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("project_name", "Ada's flights & délais, 航班 {x} <y> #1 100%"),
        ("author", "O'Brien, Ž. (Acme GmbH)"),
        ("project_slug", "a"),
        ("project_slug", "match"),
        ("project_slug", "flights_2013"),
        ("gcp_project_id", "a12345"),
        ("gcp_project_id", "a" * 30),
        ("region", "europe-west12"),
        ("region", "africa-south1"),
        ("bucket", "abc"),
        ("bucket", "1.2.3"),
        ("bucket", "data.example.com"),
        ("bucket", "a" * 63),
        ("bucket", "0-a_b.c"),
        ("project_slug", "console"),
        ("licence", "Proprietary"),
        ("data_set", "penguins"),
        ("data_set", "own"),
    ],
)
def test_good_answers_pass(name: str, answer: str) -> None:
    assert refusals(**{name: answer}) == []


@pytest.mark.parametrize(
    ("name", "answer", "problem"),
    [
        ("project_name", "", "is empty"),
        ("project_name", " \t ", "is empty"),
        ("project_name", 'the "best" flights', QUOTES),
        ("project_name", "C:\\flights", QUOTES),
        ("project_name", "two\nlines", CONTROLS),
        ("project_name", "bell\a", CONTROLS),
        ("project_name", "line\u2028separator", CONTROLS),
        ("author", "", "is empty"),
        ("author", 'Ada "Countess" Lovelace', QUOTES),
        ("author", "Ada\\", QUOTES),
        ("author", "Ada\r\nLovelace", CONTROLS),
        ("author", "half a pair \ud83d", CONTROLS),
        ("project_slug", "", "is empty"),
        ("project_slug", "class", "is a keyword of Python"),
        ("project_slug", "2fast", SLUG),
        ("project_slug", "Flight", SLUG),
        ("project_slug", "flight-delays", SLUG),
        ("project_slug", "vögel", SLUG),
        ("project_slug", "flights\n", SLUG),
        ("project_slug", "a/b", SLUG),
        ("project_slug", "../up", SLUG),
        ("project_slug", 7, SLUG),
        ("gcp_project_id", "", "has 0 characters where Google Cloud wants 6 to 30"),
        ("gcp_project_id", "a2345", "has 5 characters where Google Cloud wants 6 to 30"),
        ("gcp_project_id", "a" * 31, "has 31 characters where Google Cloud wants 6 to 30"),
        ("gcp_project_id", "1project", PROJECT),
        ("gcp_project_id", "my_project", PROJECT),
        ("gcp_project_id", "My-project", PROJECT),
        ("gcp_project_id", "my-project-", PROJECT),
        ("gcp_project_id", "my-project\n", PROJECT),
        ("project_slug", "con", DEVICE),
        ("project_slug", "lpt1", DEVICE),
        ("bucket", "ab", "has 2 characters where Cloud Storage wants 3 to 63"),
        ("bucket", "a" * 64, "has 64 characters where Cloud Storage wants 3 to 63"),
        ("bucket", "gs://bucket", BUCKET),
        ("bucket", "My-bucket", BUCKET),
        ("bucket", "bucket-", BUCKET),
        ("bucket", "_bucket", BUCKET),
        ("bucket", "my bucket", BUCKET),
        ("bucket", "bücket", BUCKET),
        ("bucket", "bucket\n", BUCKET),
        ("bucket", "a..b", "has two dots in a row"),
        ("bucket", "192.168.5.4", "is an IP address"),
        ("bucket", "goog-data", GOOGLES),
        ("bucket", "my-google-data", GOOGLES),
        ("bucket", "my-g00gle-data", GOOGLES),
    ],
)
def test_bad_answers_are_refused(name: str, answer: object, problem: str) -> None:
    (sentence,) = refusals(**{name: answer})
    assert sentence.startswith(f"{name} {str(answer)!r} {problem}; type a")
    assert sentence.endswith(" instead.")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("us-centrall", "us-central1"),
        ("us-central1-a", "us-central1"),
        ("EUROPE-WEST4", "europe-west4"),
        ("global", "us-central1"),
        ("", "us-central1"),
    ],
)
def test_an_unknown_region_is_refused_with_the_nearest(typed: str, meant: str) -> None:
    assert refusals(region=typed) == [
        f"region {typed!r} is no region of Vertex AI; type {meant} instead."
    ]


def test_every_remedy_is_itself_accepted() -> None:
    """Nobody who types what a refusal says is refused again."""
    remedies = {
        sentence.split(" ", 1)[0]: sentence.rsplit(" such as ", 1)[-1].removesuffix(" instead.")
        for sentence in refusals(**dict.fromkeys(GOOD, ""))
    }
    assert set(remedies) == set(GOOD)
    for name in ("region", "licence", "data_set"):  # these name one answer, not an example
        remedies[name] = remedies[name].rsplit(" ", 1)[-1]
    assert refusals(**remedies) == []


BAD_FOR_THE_COMMAND = [
    {"project_slug": "a/b"},
    {"project_slug": "def"},
    {"project_name": 'quo"te', "project_slug": "x"},
    {"author": 'new\nline """ \\ \' {{ 1 }}'},
    {"author": "back\\"},
    {"region": "us-centrall", "bucket": "-", "gcp_project_id": "x", "project_slug": "y-z"},
]


@pytest.mark.parametrize("answers", BAD_FOR_THE_COMMAND)
def test_the_command_prints_its_refusals_alone_and_leaves_nothing(
    template: Path, tmp_path: Path, answers: dict[str, str]
) -> None:
    typed = [f"{name}={answer}" for name, answer in answers.items()]
    run = run_cookiecutter(template, tmp_path, "--no-input", *typed)
    assert run.returncode == 1
    assert run.stderr == ""
    # Cookiecutter renders an answer, so the braces in one of them are gone.
    said = refusals(**{name: text.replace("{{ 1 }}", "1") for name, text in answers.items()})
    assert run.stdout.strip().splitlines() == said
    assert list(tmp_path.iterdir()) == []


def test_a_bad_answer_is_refused_before_the_next_question(template: Path, tmp_path: Path) -> None:
    typed = ["", "Ada's flights", "Two Words", ""]
    run = run_cookiecutter(template, tmp_path, typed="\n".join(typed))
    assert run.returncode == 1
    assert "Short name" in run.stdout
    assert "Author" not in run.stdout
    sentence, says, again = run.stdout.strip().splitlines()[-3:]
    assert sentence.endswith(refusals(project_slug="Two Words")[0])
    assert says == "This command keeps your other answers:"
    words = shlex.split(again)
    assert words[:2] == ["cookiecutter", str(template)]
    assert words[2:] == ["data_set=flights", "project_name=Ada's flights"]
    taken = run_cookiecutter(template, tmp_path, "--no-input", *words[2:])
    assert taken.returncode == 0
    assert (tmp_path / "ada_s_flights").is_dir()


def test_the_choices_are_those_that_are_asked(template: Path) -> None:
    asked = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    lists = {name: tuple(each) for name, each in asked.items() if isinstance(each, list)}
    del lists["_extensions"], lists["_copy_without_render"]
    assert lists == runpy.run_path(str(HOOK))["CHOICES"]


def test_a_refused_bake_leaves_an_earlier_project_alone(template: Path, tmp_path: Path) -> None:
    kept = tmp_path / "flight_delays" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("mine", encoding="utf-8")
    run = run_cookiecutter(template, tmp_path, "--no-input", "--overwrite-if-exists", "region=moon")
    assert run.returncode == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


@pytest.mark.parametrize(
    "author", ["two\nlines", 'quo"te', "back\\", '""" + 1/0 + r"""', "\\", "'''", "{{ author }}"]
)
def test_the_hook_guards_a_replay_and_reads_answers_as_data(
    template: Path, tmp_path: Path, author: str
) -> None:
    """A replay asks nothing, so that only the hook stands between stored answers and a project."""
    stored = GOOD | {
        "author": author,
        "data_set": 'flights"\nx="1',
        "licence": "GPL",
        "region": "moon",
        **dict.fromkeys((f"__{name}" for name in GOOD), ""),
        "_copy_without_render": [],
        "_extensions": [],
    }
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"cookiecutter": stored}), encoding="utf-8")
    output = tmp_path / "output"
    output.mkdir()
    run = run_cookiecutter(template, output, "--replay-file", str(answers))
    assert run.returncode == 1
    for sentence in refusals(
        author=author, region="moon", licence="GPL", data_set='flights"\nx="1'
    ):
        assert sentence in run.stderr.splitlines()
    assert list(output.iterdir()) == []
