"""Scripts of one's own in place of the table's trainer go the whole road, as docs/ describe it."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import ROOT

# What docs/own-trainer.md says can go; a project may have it or not.
TABLES_OWN = ("tabular", "tables")


def make_project(folder: Path, script: Path) -> None:
    """Makes a project of a script, without the table's trainer."""
    for name in ("cloud", "table_schema"):
        shutil.copytree(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns(*TABLES_OWN, "__pycache__")
    shutil.copytree(ROOT / "trainer", folder / "trainer", ignore=ignored)
    shutil.copy(script, folder / "trainer" / "task.py")
    values = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    values = re.sub(r"(?s)job_arguments = \[.*?\]", "job_arguments = []", values)
    own = {"data_set": "", "argument_check": "", "search_space": "", "bucket": "own-models"}
    for name, value in (own | {"tuning_metric": "val_accuracy"}).items():
        values = re.sub(rf'(?m)^{name} = "[^"]*"', f'{name} = "{value}"', values)
    (folder / "pyproject.toml").write_text(values, encoding="utf-8")


class OwnProject:
    """A project with a script of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CLOUD_")}
        given = {
            "CLOUD_EMULATOR_PORT": "0",
            "CLOUD_PROJECT": "my-project",
            "CLOUD_REGION": "us-central1",
            "CLOUD_MODEL": "own",
        }
        return subprocess.run(
            [sys.executable, "-m", "cloud", *words],
            cwd=self.folder,
            env=kept | given,
            capture_output=True,
            check=False,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
        )

    def run(self, *words: str) -> str:
        ran = self.call(*words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def objects(self) -> str:
        """Lists the bucket as the emulator answers it."""
        url = re.search(r"http://[\d.:]+", self.run("target"))
        assert url is not None
        listed = requests.get(f"{url[0]}/storage/v1/b/own-models/o", timeout=30)
        return listed.text

    def refusal(self, *words: str) -> str:
        ran = self.call(*words)
        assert ran.returncode == 1
        assert "Traceback" not in ran.stderr
        return ran.stderr


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnProject]:
    project = OwnProject(tmp_path_factory.mktemp("digits"))
    make_project(project.folder, ROOT / "docs" / "examples" / "digits.py")
    project.run("target")  # or the demo would stop the emulator that it starts
    yield project
    project.run("emulator", "--stop")


def write_images(folder: Path) -> list[int]:
    """Writes a picture of each of ten digits; returns what they show."""
    from matplotlib import image
    from sklearn import datasets

    folder.mkdir()
    found = datasets.load_digits()
    for number in range(10):
        path = folder / f"{number}.png"
        image.imsave(path, found.images[number], cmap="gray", vmin=0, vmax=16)
    return list(map(int, found.target[:10]))


def test_a_model_of_images_goes_the_whole_road(digits: OwnProject) -> None:
    shown = digits.run("demo", "--", "--epochs", "8")
    assert "Importing every module of it in a clean process" in shown
    assert "6/6 Prediction" in shown
    assert '{"instances": [{"image": {"b64": "' in shown
    answer = re.search(r"Version 1 answers (\{.*\})", shown)
    assert answer is not None
    assert len(json.loads(answer[1])["probabilities"]) == 10
    assert "accuracy" in digits.run("jobs")
    assert "logs/train/events.out.tfevents." in digits.objects()

    shows = write_images(digits.folder / "images")
    shown = digits.run("batch", "--file", "images")
    assert "10 rows predicted, 0 failed." in shown
    [joined] = (digits.folder / "runs" / "batch").iterdir()
    rows = list(csv.DictReader(joined.read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows] == [f"{number}.png" for number in range(10)]
    right = sum(int(row["predicted_label"]) == each for row, each in zip(rows, shows, strict=True))
    assert right >= 8
    printed = digits.run("predict", "--file", "images/0.png")
    assert json.loads(printed)["label"] == rows[0]["predicted_label"]
    digits.run("clients")
    client = [sys.executable, "clients/client.py", "image=images/0.png"]
    answered = subprocess.run(client, cwd=digits.folder, capture_output=True, check=True)
    assert json.loads(answered.stdout)["predictions"] == [json.loads(printed)]


def test_flags_of_a_script_are_searched(digits: OwnProject) -> None:
    searched = ("--search", "learning-rate=0.001..0.01:log", "--trials", "1")
    shown = digits.run("tune", *searched, "--", "--epochs", "2")
    assert re.search(r"Trial 1: val_accuracy 0\.\d+ with --learning-rate=0\.00\d+, the best", shown)
    assert re.search(r"it has accuracy 0\.\d+, the defaults have 0\.\d+: ", shown)
    assert "nox -s submit -- -- --epochs 2 --learning-rate=0.00" in shown
    assert "expected a name without spaces" in digits.refusal("tune", "--metric", "a b", *searched)


def test_what_an_own_model_does_not_take_is_one_sentence(digits: OwnProject) -> None:
    taken = "image (image: a digit, white on black, as a PNG or JPEG file)"
    assert taken in digits.refusal("predict", "--instance", '{"picture": 1}')
    assert "--explain: expected a model of a table" in digits.refusal("predict", "--explain")
    assert "no table's and has no test file" in digits.refusal("predict", "--row", "3")
    assert "expected a file of instances" in digits.refusal("batch")
    assert "Its trainer's own scores: accuracy" in digits.refusal("evaluate")
    assert "expected a file of .csv" in digits.refusal("predict", "--file", "pyproject.toml")
    (digits.folder / "no.png").write_bytes(b"GIF no image")
    assert "The endpoint answered 400" in digits.refusal("predict", "--file", "no.png")


def test_a_flag_that_the_script_does_not_know_is_its_own_to_refuse(digits: OwnProject) -> None:
    ran = digits.call("train", "--", "--epoch", "3")
    assert ran.returncode == 2
    assert "unrecognized arguments: --epoch 3" in ran.stderr


def test_a_script_without_main_is_packaged_and_any_saved_model_is_deployed(
    digits: OwnProject,
) -> None:
    """TensorFlow itself writes it to the bucket, in no numbered folder, and it has no contract."""
    script = """
import os, sys
import keras
import numpy as np

model = keras.Sequential([keras.Input((3,), name="pixels"), keras.layers.Dense(2)])
model.compile("sgd", "mse")
model.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0)
model.export(os.environ["AIP_MODEL_DIR"], verbose=False)
print("trained with", sys.argv[1:])
"""
    before = (digits.folder / "trainer" / "task.py").read_text(encoding="utf-8")
    (digits.folder / "trainer" / "task.py").write_text(script, encoding="utf-8")
    try:
        digits.run("submit", "--", "--anything", "goes")
        shown = digits.run("logs", "--follow")
    finally:
        (digits.folder / "trainer" / "task.py").write_text(before, encoding="utf-8")
    assert "trained with ['--anything', 'goes']" in shown
    assert "no evaluation.json" in digits.refusal("deploy")
    assert "model/1/saved_model.pb" in digits.objects()
    digits.run("deploy", "--force")
    printed = digits.run("predict", "--instance", '{"pixels": [1, 2, 3]}')
    [answer] = [line for line in printed.splitlines() if line.startswith("[")]
    assert len(json.loads(answer)) == 2
    assert "tensor: float32 [3]" in digits.refusal("predict", "--instance", '{"image": 1}')


def test_a_model_of_texts_goes_the_whole_road(tmp_path: Path) -> None:
    project = OwnProject(tmp_path)
    make_project(tmp_path, ROOT / "docs" / "examples" / "texts.py")
    project.run("target")
    try:
        project.run("demo", "--", "--epochs", "12")
        lines = ["Set the color of the line.", "The HTTP headers of the response."]
        text = "".join(json.dumps({"text": line}) + "\n" for line in lines)
        (tmp_path / "lines.jsonl").write_text(text, encoding="utf-8")
        answers = project.run("predict", "--file", "lines.jsonl").splitlines()
        labels = {json.loads(each)["label"] for each in answers}
        assert len(answers) == 2
        assert labels <= {"jinja2", "matplotlib", "requests", "rich", "tensorboard"}
        (tmp_path / "lines.csv").write_text("id,text\n1,Draw the plot\n2,\n", encoding="utf-8")
        assert "2 rows predicted, 0 failed." in project.run("batch", "--file", "lines.csv")
    finally:
        project.run("emulator", "--stop")


def test_the_examples_are_short() -> None:
    sizes: dict[str, Any] = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "docs" / "examples").glob("*.py")
    }
    assert sizes.keys() == {"digits.py", "texts.py"}
    assert max(sizes.values()) < 80
