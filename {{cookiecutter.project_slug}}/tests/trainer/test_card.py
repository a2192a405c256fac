"""The model card and the charts, of documents as a training makes them."""

import base64
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from table_schema.columns import Column, Label, Table
from table_schema.tables import TABLES
from trainer.tabular import card, charts
from trainer.tabular.data import Array, Rows
from trainer.tabular.evaluation import evaluate

from .conftest import Trained, trained_on

CLASSES = {"binary": ("no", "<b>yes</b>"), "multiclass": ("a", "b", "c & d"), "regression": ()}
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a page has, and whether each tag that is opened is closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def table_of(kind: str) -> Table:
    label = Label("y", CLASSES[kind], "what <it> is")
    columns = (Column("x", "number", "a number & more"), Column("town", "category", "a town"))
    return Table("t", "key", label, columns, slices=("town",), limits=("Only <here>.",))


def document_of(kind: str) -> dict[str, Any]:
    """An evaluation of 400 rows, with what a training adds to it."""
    table, classes = table_of(kind), len(CLASSES[kind])

    def rows(seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        features = {
            "x": rng.normal(0, 1, 400).astype(np.float32),
            "town": rng.choice(np.array(["<i>", "b"], object), 400),
        }
        noisy = features["x"] + rng.normal(0, 0.5, 400)
        labels = np.digitize(noisy, [-0.4, 0.4][: classes - 1]) if classes else noisy
        return Rows("", features, labels.astype(np.int32 if classes else np.float32))

    def predict(rows: Rows) -> Array:
        if not classes:
            return rows.features["x"]
        logits = rows.features["x"][:, np.newaxis] * np.linspace(-2, 2, classes)
        odds = np.exp(logits)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    metric = "auc" if classes else "rmse"
    found = evaluate(table, predict, rows(0), rows(1), rows(2), seed=0)
    epochs = [{"loss": 1 / n, f"eval_{metric}": 1 - 1 / n, "eval_log_loss": 1 / n} for n in (1, 2)]
    document = {
        **{"table": "t", "kind": kind, "epochs": 2, "best_epoch": 2, "history": epochs},
        "primary": {"metric": metric, "higher_is_better": bool(classes)},
        "rows": {"train": 400, "eval": 400, "test": 400},
        "data": {"gs://bucket/<train>.csv": "sha256:0a1b"},
        "settings": {"epochs": 2, "hidden_units": [64, 32], "metric": ""},
        "versions": {"trainer": "1.0.0"},
        **found,
    }
    return dict(json.loads(json.dumps(document, allow_nan=False)))


@pytest.mark.parametrize("kind", CLASSES)
def test_a_card_is_one_page_that_needs_nothing_else(kind: str) -> None:
    text = card.render(document_of(kind), table_of(kind))
    page = Page(text)
    assert page.open == []
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "b>yes", "i"})
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == len(re.findall("src=|url\\(|@import", text)) >= 6
    for source in sources:
        kind_of_source, _, content = source.partition(";base64,")
        assert kind_of_source == "data:image/svg+xml"
        drawing = ET.fromstring(base64.b64decode(content))  # noqa: S314, we have just made it
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("kind", CLASSES)
def test_a_card_says_the_scores_the_settings_and_the_limits(kind: str) -> None:
    document = document_of(kind)
    words = Page(card.render(document, table_of(kind))).words
    for value in document["test"].values():
        assert f"{value:.4f}" in words
    assert "gs://bucket/<train>.csv" in words
    assert "what <it> is" in words
    assert "Only <here>." in words
    assert "64,32" in words
    assert "--metric" not in words  # it is not set
    for found in document["dependence"].values():
        for means in found["means"].values():
            assert all(f"{mean:z.4f}" in words for mean in means)
    for count in np.ravel(document.get("confusion", {}).get("matrix", [])):
        assert f"{count:,}" in words


def test_of_many_classes_a_card_shows_the_most_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(f"a class with a long name, the {n:02}th" for n in range(30))
    monkeypatch.setitem(CLASSES, "multiclass", many)
    document = document_of("multiclass")
    document["confusion"]["matrix"][7][9] = 377
    page = Page(card.render(document, table_of("multiclass")))
    assert page.open == []
    assert "… (30 classes)" in page.words
    assert "The charts show the 6 classes that most test rows have." in " ".join(page.words.split())
    mistakes = page.words.partition("The most frequent mistakes:")[2]
    rows = [line.strip() for line in mistakes.splitlines() if line.strip()]
    assert rows[1] == f"{many[7]}{many[9]}377"


def test_the_classes_that_are_drawn_are_those_that_most_rows_have() -> None:
    shares = {f"c{n}": n % 10 / 100 for n in range(10, 30)}
    curves = {name: {"precision_recall": [[0, 1], [1, share]]} for name, share in shares.items()}
    assert list(charts.most_frequent(curves)) == ["c17", "c18", "c19", "c27", "c28", "c29"]


def test_a_card_names_the_slices_that_are_surely_worse() -> None:
    document = document_of("binary")
    document["slices"] = {
        "town": {
            "bad": {"rows": 90, "auc": 0.6, "interval": [0.55, 0.65]},
            "unsure": {"rows": 30, "auc": 0.5, "interval": [0.2, 0.99]},
        }
    }
    words = Page(card.render(document, table_of("binary"))).words
    assert "It is weakest where town is bad (ROC AUC 0.6000)." in words


def test_a_card_leaves_out_what_a_trial_does_not_look_at() -> None:
    document = document_of("binary")
    assert "importance" in card.render(document, table_of("binary"))
    document |= {"importance": {}, "slices": {}, "dependence": {}}
    page = Page(card.render(document, table_of("binary")))
    assert page.open == []
    assert "importance" not in page.words
    assert "Slices" not in page.words


def test_the_same_evaluation_makes_the_same_card() -> None:
    document, table = document_of("binary"), table_of("binary")
    assert card.render(document, table) == card.render(document, table)


@pytest.mark.parametrize("kind", CLASSES)
def test_charts_are_images_for_tensorboard_too(kind: str) -> None:
    figures = charts.of_curves(document_of(kind)["curves"], "y")
    assert len(figures) == (3 if CLASSES[kind] else 2)
    for figure in figures.values():
        pixels = tf.image.decode_png(charts.png(figure)).numpy()
        assert pixels.shape[0] > 300
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10


@trained_on("penguins")
def test_a_training_writes_the_card_and_the_images(trained: Trained, tmp_path: Path) -> None:
    text = Path(trained.settings.model_dir, card.FILE).read_text(encoding="utf-8")
    assert text == card.render(trained.document, TABLES["penguins"])
    tags = set()
    for file in Path(trained.settings.log_dir, "eval").iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            tags |= {
                value.tag
                for value in event.summary.value
                if value.metadata.plugin_data.plugin_name == "images"
            }
    assert tags == {"ROC", "Precision and recall", "Calibration"}
    # By itself it makes the same card again.
    shutil.copy(Path(trained.settings.model_dir, "evaluation.json"), tmp_path)
    path = tmp_path / card.FILE
    command = [sys.executable, "-m", "trainer.tabular.card", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"Wrote {path}.\n"
    assert path.read_text(encoding="utf-8") == text


def test_no_evaluation_no_card(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trainer.tabular.card", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == ("Expected a folder with an evaluation.json, which a training writes.\n")


def test_numbers_are_said_as_precisely_as_they_are_useful() -> None:
    assert card._number(-1e-9) == "0.0000"
    assert card._number(0.94291) == "0.9429"
    assert card._number(1_234.567) == "1,234.57"
