"""What a person reads."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloud.commands import evaluate
from cloud.commands.jobs import differing_settings
from cloud.console import format_duration
from cloud.serving import batch_results, evaluations, prediction_text, scoring
from cloud.serving.batch_results import Results
from cloud.serving.contract import TableContract
from cloud.serving.instances import of_row, whole
from cloud.serving.prediction import message
from cloud.serving.prediction_text import in_words, minutes
from cloud.serving.training_values import TrainingValues
from table_schema.tables import TABLES

FLIGHT = {
    "flight": "2013-01-01 B6641 JFK-SFO 11:00",
    "month": "1",
    "weekday": "2",
    "hour": "11",
    "dep_delay": "24",
    "carrier": "B6",
    "origin": "JFK",
    "dest": "SFO",
    "distance": "2586",
    "temp": "",
    "wind_speed": "14.96",
    "precip": "0.0",
    "visib": "10.0",
    "pressure": "",
    "late": "no",
    "arr_delay": "4",
}


def test_an_instance_is_raw_and_leaves_gaps_out() -> None:
    instance = of_row(TABLES["flights"], FLIGHT)
    assert instance["carrier"] == "B6"
    assert instance["month"] == 1
    assert isinstance(instance["month"], int)
    assert instance["dep_delay"] == 24.0
    assert {"temp", "pressure", "late", "arr_delay", "flight"}.isdisjoint(instance)


def test_a_request_has_every_feature() -> None:
    """TensorFlow Serving refuses JSON without one, whatever the signature's defaults."""
    flights = TABLES["flights"]
    sent = whole(flights, of_row(flights, FLIGHT))
    assert sent.keys() == {column.name for column in flights.columns}
    assert (sent["carrier"], sent["temp"], sent["pressure"]) == (
        "B6",
        3.4028234663852886e38,
        sent["temp"],
    )
    assert whole(flights, sent) == sent
    body = TableContract(TABLES["penguins"]).body([{"island": None, "sex": "male", "other": 1}])
    [penguin] = body["instances"]
    assert (penguin["island"], penguin["sex"], penguin["other"]) == ("", "male", 1)
    assert (penguin["year"], penguin["body_mass_g"]) == (-1, 3.4028234663852886e38)


def test_a_prediction_is_told_beside_what_happened() -> None:
    told = in_words(TABLES["flights"], FLIGHT, {"label": "no", "probability": 0.34})
    assert told == (
        "Flight 2013-01-01 B6641 JFK-SFO 11:00 left 24 minutes late. The model gave it a chance of"
        " 34 % to arrive more than 15 minutes late. It arrived 4 minutes late: not late."
    )
    penguin = {"species": "Gentoo"}
    prediction = {"label": "Adelie", "probabilities": [0.7, 0.1, 0.2]}
    told = in_words(TABLES["penguins"], penguin, prediction)
    assert told == "The model says Adelie (70 %); 'species' is Gentoo: wrong."


def test_the_probability_is_that_of_the_label() -> None:
    """Also where the model says yes below a half."""
    flights = TABLES["flights"]
    text = prediction_text.as_text
    assert text(flights, {"label": "yes", "probability": 0.4}) == "yes (40 %)"
    assert text(flights, {"label": "no", "probability": 0.3}) == "no (70 %)"


def test_values_that_training_never_saw_are_named() -> None:
    values = TrainingValues(
        {"carrier": ["AA", "B6"], "month": [1, 2]}, {"temp": (8.100000381469727, 100.0)}
    )
    assert values.surprises({"carrier": "AA", "month": 1, "temp": 8.1, "hour": 99}) == []
    assert values.surprises({"carrier": "ZZ", "month": 13, "temp": 212.0}) == [
        "carrier 'ZZ' was not seen in training, or too seldom to learn from; known values: 'AA',"
        " 'B6'.",
        "month 13 was not seen in training, or too seldom to learn from; known values: 1, 2.",
        "temp 212 is outside the range of the training rows, 8.1 to 100.",
    ]
    values = TrainingValues(dates={"when": ("2013-01-31", "2013-12-31")})
    assert values.surprises({"when": "2013-01-31"}) == []
    assert values.surprises({"when": "2013-12-31T23:59Z"}) == []
    assert values.surprises({"when": "2014-01-01 00:00"}) == [
        "when 2014-01-01 00:00 is outside the range of the training rows, 2013-01-31 to 2013-12-31."
    ]


def test_a_number_is_told_bare_or_by_its_name() -> None:
    """TensorFlow Serving gives the only output of a signature bare."""
    table = TABLES["flights_delay"]
    for prediction in (11.6, {"value": 11.6}):
        assert in_words(table, FLIGHT, prediction) == (
            "Flight 2013-01-01 B6641 JFK-SFO 11:00 left 24 minutes late. The model expected it to"
            " arrive 12 minutes late. It arrived 4 minutes late."
        )
        assert in_words(table, None, prediction) == (
            "The model says 11.6; 'arr_delay' is minutes the arrival is late, negative if early."
        )


def test_bare_numbers_are_scored_and_joined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = TABLES["flights_delay"]
    scores = scoring.score(table.label, [1.0, 2.0, 6.0], [1.0, 4.0, 4.0], 0.5)
    assert scores["mae"] == pytest.approx(4 / 3)
    results = Results({"0": 1.5, "2": 2.5}, {"1": "no number"}, ["no key"])
    rows = {"0": {"carrier": "B6"}, "1": {"carrier": "?"}, "2": {"carrier": "AA"}}
    path = batch_results.write(tmp_path, "job", rows, results)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "carrier,predicted_value,error",
        "B6,1.5,",
        "?,,no number",
        "AA,2.5,",
    ]
    batch_results.summary(table, results)
    assert capsys.readouterr().out.splitlines() == [
        "2 rows predicted, 2 failed.",
        "  mean arr_delay: 2.00",
        "  row 1 failed: no number",
        "  failed: no key",
    ]


def test_scores_are_shown_as_the_trainer_orders_them(capsys: pytest.CaptureFixture[str]) -> None:
    own = {"pr_auc": 0.4, "auc": 0.9, "log_loss": 0.2, "ece": 0.02, "accuracy": 0.94}
    trained = evaluations.Evaluation(own, "pr_auc", True, "")
    # A last bit of a probability may put a row into another bin, and change no other score.
    served = dict(sorted(own.items())) | {"ece": 0.0204}
    assert evaluate.show("1", served, trained) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:6]] == [
        *("PR AUC", "ROC AUC", "log loss", "calibration error", "accuracy")
    ]
    assert evaluate.show("1", served | {"auc": 0.90001}, trained) == 1
    assert evaluations.chief_metrics([{}, own])[:2] == ["pr_auc", "auc"]
    assert evaluations.chief_metrics([{"auc": 0.9, "log_loss": 0.2, "pr_auc": 0.4}])[0] == "auc"


@pytest.mark.parametrize(
    ("delay", "text"), [(0, "on time"), (1, "1 minute late"), (-7, "7 minutes early")]
)
def test_a_delay(delay: float, text: str) -> None:
    assert minutes(delay) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (42.9, "42 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_time(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            '{"error": {"code": 400, "message": "{\\"error\\": \\"no feature x\\"}"}}',
            "no feature x",
        ),
        ('{"error": {"code": 404, "message": "no such endpoint"}}', "no such endpoint"),
        ('{"error": "plain"}', "plain"),
        ("<html>bad gateway</html>", "<html>bad gateway</html>"),
        ('"text"', '"text"'),
    ],
)
def test_the_sentence_of_an_error_is_found(body: str, sentence: str) -> None:
    assert message(body) == sentence


def test_jobs_are_told_apart_by_the_settings_that_differ() -> None:
    def job(*arguments: str) -> Any:
        spec = SimpleNamespace(container_spec=SimpleNamespace(args=["trainer.whl", *arguments]))
        name = "projects/p/locations/l/customJobs/1"
        return SimpleNamespace(name=name, job_spec=SimpleNamespace(worker_pool_specs=[spec]))

    jobs = [
        job("--train-data=gs://a/train.csv", "--table=flights", "--epochs", "3", "--seed=1"),
        job("--train-data=gs://b/train.csv", "--table=flights", "--epochs=3", "--seed", "2"),
        job("--train-data=gs://b/train.csv", "--table=flights", "--epochs=9"),
    ]
    assert differing_settings(jobs) == ["epochs=3 seed=1", "epochs=3 seed=2", "epochs=9"]
    assert differing_settings(jobs[:1]) == [""]
    [_, long] = differing_settings([job(), job(*(f"--n{i}=1" for i in range(30)))])
    assert long.endswith(" …")
    assert len(long) <= 60
