"""One training with columns of all kinds, from files to answers of the SavedModel."""

import csv
import dataclasses
import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from table_schema.columns import Column, Label, Table
from table_schema.tables import TABLES
from trainer.errors import UserError
from trainer.tabular import card
from trainer.tabular.data import Rows, Source, read
from trainer.tabular.loop import Loop

from .conftest import made_once, settings_in, train

TABLE = Table(
    "visits",
    "visit",
    Label("back", ("no", "yes"), "whether they come back"),
    (
        Column("age", "number", "years"),
        Column("member", "boolean", "of the club"),
        Column("when", "timestamp", "of the visit"),
        Column("zip", "category", "where they live", buckets=50),
        Column("ticket", "integer", "its type", buckets=20),
        Column("town", "category", "of the shop"),
        Column("said", "text", "on leaving"),
    ),
    slices=("town", "zip"),
)
# What training never shows, by column; the first is a gap.
ODD = {
    "age": ["", "1e9"],
    "member": ["", "yes"],
    "when": ["", "0001-01-01", "9999-12-31T23:59:59.5+14:00", "2020-02-29 12:00Z"],
    "zip": ["", "never seen", "é"],
    "ticket": ["", "-5", "123456789012"],
    "town": ["", "Atlantis"],
    "said": [
        "",
        "!!!",
        "nothing known",
        "great " * 700,
        "日本 \U0001f600 great",
        "  GREAT,visit  ",
    ],
}


@dataclasses.dataclass(frozen=True)
class Visits:
    """A training that is done, and the trainer's own probabilities of the test rows."""

    test: Path
    document: dict[str, Any]
    predictions: np.ndarray[Any, Any]
    model: Path

    def serve(self, name: str = "serving_default") -> Any:
        loaded = tf.saved_model.load(str(self.model / "1"))
        serve = loaded.signatures[name]
        serve.keep = loaded
        return serve


def make_row(number: int, rng: random.Random) -> dict[str, str]:
    happy = rng.random() < 0.5
    when = datetime(2012, 3, 1) + timedelta(hours=rng.randrange(20_000))
    words = ["great", "nice", "kind"] if happy else ["rude", "slow", "dirty"]
    said = f"A {rng.choice(words)} place, {rng.choice(words)} staff {rng.choice('abc')}"
    row = {
        "age": f"{rng.gauss(40, 10):.1f}",
        "member": rng.choice(["true", "no"]),
        "when": when.strftime("%Y-%m-%d %H:%M"),
        "zip": f"{rng.randrange(400):05}",
        "ticket": f"{rng.randrange(9)}",
        "town": rng.choice(["Rome", "Oslo"]),
        "said": said,
    }
    for name in row:
        if rng.random() < 0.05:
            row[name] = ""
    return {"visit": f"v{number}", **row, "back": "yes" if happy else "no"}


def write_files(folder: Path) -> dict[str, Path]:
    rng = random.Random(0)  # noqa: S311, no secret
    files = {}
    for split, count in (("train", 600), ("eval", 90), ("test", 120)):
        rows = [make_row(number, rng) for number in range(count)]
        if split == "test":
            odd = [(name, text) for name, texts in ODD.items() for text in texts]
            for row, (name, text) in zip(rows, odd, strict=False):
                row[name] = text
        files[split] = folder / f"{split}.csv"
        with files[split].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return files


def train_noting(folder: Path) -> None:
    """Trains, and writes the trainer's own predictions of the test rows beside the model."""
    folder.mkdir()
    predict, found = Loop.predict, []

    def noted(self: Loop, rows: Any) -> np.ndarray[Any, Any]:
        found.append(predict(self, rows))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TABLES, TABLE.name, TABLE)
        patch.setattr(Loop, "predict", noted)
        settings = settings_in(str(folder), write_files(folder), table=TABLE.name)
        train(settings)
    first = next(each for each in found if len(each) == 120)
    np.save(Path(settings.model_dir, "predictions.npy"), first)


@pytest.fixture(scope="module")
def visits(shared: Path) -> Visits:
    folder = shared / "visits"
    made_once(folder, train_noting)
    model = folder / "model_dir"
    document = json.loads((model / "evaluation.json").read_text(encoding="utf-8"))
    return Visits(folder / "test.csv", document, np.load(model / "predictions.npy"), model)


def features_of(rows: Rows) -> dict[str, Any]:
    return {name: tf.constant(values) for name, values in rows.features.items()}


def test_the_saved_model_answers_rows_of_all_kinds_as_the_trainer_does(visits: Visits) -> None:
    rows = read(Source(str(visits.test), TABLE))
    answer = visits.serve()(**features_of(rows))
    np.testing.assert_allclose(answer["probability"], visits.predictions[:, 1], rtol=0, atol=1e-6)
    assert len(np.unique(np.round(visits.predictions[:, 1], 6))) > 100
    assert visits.document["test"]["auc"] > 0.9  # the words tell it, and nothing else


def test_a_server_takes_texts_as_they_come(visits: Visits) -> None:
    """Blanks around them, dates that are none, bytes that are no text, and what is left out."""
    rows = read(Source(str(visits.test), TABLE))
    given = {name: values[40:41] for name, values in features_of(rows).items()}
    serve = visits.serve()

    def probability(**values: Any) -> float:
        [found] = serve(**given | values)["probability"].numpy()
        return float(found)

    for name in ("when", "said", "zip"):
        text = given[name].numpy()[0]
        assert probability(**{name: tf.constant([b" " + text + b"\n"])}) == probability()
        defaults = {key: value for key, value in given.items() if key != name}
        gap = float(serve(**defaults | {name: tf.constant([""])})["probability"][0])
        assert probability(**{name: tf.constant([" "])}) == gap
        if name == "when":
            for wrong in ("2013-02-30", "31/01/2013", "soon", "2013-01-31 25:00", b"\xff"):
                assert probability(when=tf.constant([wrong])) == gap
        if name == "said":
            assert probability(said=tf.constant(["unheard of"])) == gap
            assert 0 < probability(said=tf.constant([b"\xff great"])) < 1


def test_records_are_read_and_answered_as_lines_are(visits: Visits, tmp_path: Path) -> None:
    rows = read(Source(str(visits.test), TABLE, with_keys=True))
    examples = []
    with tf.io.TFRecordWriter(str(tmp_path / "test.tfrecord")) as writer:
        for place in range(len(rows)):
            features: dict[str, Any] = {
                "back": {"bytes_list": {"value": [(b"no", b"yes")[rows.labels[place]]]}}
            }
            for column in TABLE.columns:
                value = rows.features[column.name][place]
                if value == column.missing or value != value:  # noqa: PLR0124, NaN
                    continue
                if isinstance(value, str):
                    features[column.name] = {"bytes_list": {"value": [value.encode()]}}
                elif column.kind == "number":
                    features[column.name] = {"float_list": {"value": [value]}}
                else:
                    features[column.name] = {"int64_list": {"value": [int(value)]}}
            example = tf.train.Example(features={"feature": features}).SerializeToString()
            examples.append(example)
            writer.write(example)
    records = read(Source(str(tmp_path / "test.tfrecord"), TABLE))
    for name, values in rows.features.items():
        np.testing.assert_array_equal(records.features[name], values)
    answer = visits.serve("serving_examples")(examples=tf.constant(examples))
    np.testing.assert_allclose(answer["probability"], visits.predictions[:, 1], rtol=0, atol=1e-6)

    with tf.io.TFRecordWriter(str(tmp_path / "bad.tfrecord")) as writer:
        features["when"] = {"bytes_list": {"value": [b"1.2.2013"]}}
        writer.write(tf.train.Example(features={"feature": features}).SerializeToString())
    with pytest.raises(
        UserError, match=r"Record 1: column 'when': expected a date such as .*, got"
    ):
        read(Source(str(tmp_path / "bad.tfrecord"), TABLE))


def test_a_line_with_no_date_is_refused_by_number(visits: Visits, tmp_path: Path) -> None:
    lines = visits.test.read_text(encoding="utf-8").splitlines()
    cells = lines[60].split(",")
    lines[60] = ",".join([*cells[:3], "31.1.2013", *cells[4:]])
    (tmp_path / "bad.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"Line 61: column 'when': .* got '31\.1\.2013'"):
        read(Source(str(tmp_path / "bad.csv"), TABLE))


def test_the_card_says_what_the_network_gets(visits: Visits) -> None:
    statistics = json.loads((visits.model / "statistics.json").read_text(encoding="utf-8"))
    assert statistics["buckets"] == {"zip": 50, "ticket": 20}
    assert statistics["dates"]["when"][0].startswith("2012-03")
    assert visits.document["inputs"] == {
        "age": "the number in standard deviations, and its place in 4 bins, and whether it is a"
        " gap",
        "member": "0 or 1",
        "when": "days, month, weekday, hour as written, time zones not converted, and whether it is"
        " a gap",
        "zip": "one of 50 codes, the value's hash",
        "ticket": "one of 20 codes, the value's hash",
        "town": "one of 2 known values",
        "said": f"the {statistics['lengths']['said']} rarest, of each row, of"
        f" {len(statistics['words']['said'])} words and pairs of words that 3 training rows or more"
        " have",
    }
    html = (visits.model / card.FILE).read_text(encoding="utf-8")
    assert all(told.replace("'", "&#39;") in html for told in visits.document["inputs"].values())
    assert next(iter(visits.document["importance"])) == "said"
