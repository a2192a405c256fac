"""What a tuning searches and sends, what is refused before, and what is said of its trials."""

from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud import aiplatform_v1

from cloud import config
from cloud.errors import UserError
from cloud.lookup import Trial
from cloud.serving.evaluations import Evaluation
from cloud.training import job_logs, job_request, outcome, search, submission, trials, tuning
from cloud.training.job_request import JobSettings
from cloud.training.search import Space
from cloud.training.tuning import TuningSettings
from vertex_emulator.testing.discovery import validator

VALUES = config.load(environment={"CLOUD_BUCKET": "b", "CLOUD_DATA_SET": "flights"})
OWN = config.load(environment={"CLOUD_SEARCH_SPACE": "", "CLOUD_ARGUMENT_CHECK": ""})


@pytest.mark.parametrize(
    ("text", "values", "spec"),
    [
        (
            "1e-4..1e-2:log",
            ("1e-4", "1e-2"),
            {
                "double_value_spec": {"min_value": 1e-4, "max_value": 1e-2},
                "scale_type": "UNIT_LOG_SCALE",
            },
        ),
        (
            "1..8",
            ("1", "8"),
            {
                "integer_value_spec": {"min_value": 1, "max_value": 8},
                "scale_type": "UNIT_LINEAR_SCALE",
            },
        ),
        (
            "-1..0.5",
            ("-1", "0.5"),
            {
                "double_value_spec": {"min_value": -1.0, "max_value": 0.5},
                "scale_type": "UNIT_LINEAR_SCALE",
            },
        ),
        (
            "64,32|128,64",
            ("64,32", "128,64"),
            {"categorical_value_spec": {"values": ["64,32", "128,64"]}},
        ),
        ("a..b|c", ("a..b", "c"), {"categorical_value_spec": {"values": ["a..b", "c"]}}),
    ],
)
def test_a_range_is_a_parameter(text: str, values: tuple[str, ...], spec: dict[str, Any]) -> None:
    found = search.parse("x", text)
    assert (found.values, found.spec) == (values, spec)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0..1:log", "expected numbers above 0 on a scale of log, got '0..1:log'"),
        ("1..8:cubic", "expected a scale of linear, log, reverse-log, got 'cubic'"),
        ("8..1", "expected a number and a greater one, got '8..1'"),
        ("0..inf", "expected a number and a greater one"),
        ("nan..1", "expected a number and a greater one"),
        ("a..b", "expected two numbers, got 'a..b'"),
        ("3", "NAME=ONE|ANOTHER, such as .*, got '3'"),
        ("", "NAME=ONE|ANOTHER, such as .*, got ''"),
        ("1|", "NAME=ONE|ANOTHER"),
        ("1|2|1", "expected different choices, got '1|2|1'"),
    ],
)
def test_another_range_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=f"--search x: .*{sentence.replace('|', '.')}"):
        search.parse("x", text)


def searched(*texts: str, extra: tuple[str, ...] = ()) -> list[search.Parameter]:
    given = submission.trainer_arguments(VALUES, extra)
    return search.parameters(VALUES, search.space(VALUES, given), given, texts)


def test_the_trainers_own_ranges_are_searched_but_for_flags_with_a_value() -> None:
    every = {each.flag for each in searched()}
    assert {"learning-rate", "hidden-units"} < every
    assert every - {each.flag for each in searched(extra=("--dropout", "0.1"))} == {"dropout"}
    [rate] = searched("learning_rate")  # as Python names the setting
    assert (rate.flag, rate.is_continuous) == ("learning-rate", True)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["lerning-rate=1..2"], "--search: expected a flag of the trainer, .*, got 'lerning-rate'"),
        (["epochs"], "--search epochs: expected a range or choices after it"),
        (["table=a|b"], "--search table: .* the trainer gets --table already"),
        (["epochs=1..2", "epochs=2..3"], "--search epochs: expected it once, got it 2 times"),
        (["=1..2"], "--search: expected NAME=LOW..HIGH"),
    ],
)
def test_what_cannot_be_searched_is_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        searched(*texts)


@pytest.mark.parametrize("text", ["epochs=0..3", "dropout=0.0..1.0", "hidden-units=8|a"])
def test_the_trainers_own_parser_reads_every_value(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        searched(text)
    assert f"--{text.partition('=')[0]}: " in capsys.readouterr().err.replace("argument ", "")


def test_a_script_of_ones_own_is_searched_by_the_flags_that_a_person_names() -> None:
    [found] = search.parameters(OWN, Space(), [], ["my_rate=0.1|0.2"])
    assert found.flag == "my_rate"
    with pytest.raises(UserError, match="There is nothing to search"):
        search.parameters(OWN, Space(), [], [])


@pytest.mark.parametrize(
    ("metric", "goal", "expected"),
    [
        (None, None, ("log_loss", False)),
        ("auc", None, ("auc", True)),
        ("auc", "minimize", ("auc", False)),
    ],
)
def test_trials_are_judged_by_a_metric_of_the_trainer(
    metric: str | None, goal: str | None, expected: tuple[str, bool]
) -> None:
    known = search.space(VALUES, submission.trainer_arguments(VALUES, []))
    settings = TuningSettings(1, 1, metric=metric, goal=goal)
    assert tuning.judged_by(VALUES, settings, known) == expected


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (TuningSettings(0, 1), "--trials: expected at least 1, got 0"),
        (TuningSettings(2, 3), "--parallel: expected 1 to 2, the number of trials, got 3"),
        (TuningSettings(2, 1, max_failed=3), "--max-failed: expected 0 to 2, .*, got 3"),
        (TuningSettings(2, 1, metric="recall"), "--metric: expected .* log_loss, .*, got 'recall'"),
        (TuningSettings(2, 1, metric="log loss"), "--metric: expected a name without spaces"),
        (TuningSettings(2, 1, algorithm="grid"), "--algorithm grid: .* learning-rate has any"),
    ],
)
def test_a_wrong_tuning_is_refused_before_anything_is_sent(
    settings: TuningSettings, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = SimpleNamespace(config=VALUES)
    monkeypatch.setattr(submission, "check_data", lambda _client: None)
    with pytest.raises(UserError, match=sentence):
        tuning.check(client, settings, JobSettings())


def test_a_tuning_is_a_hyperparameter_tuning_job(monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = SimpleNamespace(config=VALUES)
    monkeypatch.setattr(submission, "check_data", lambda _client: None)
    settings = TuningSettings(
        9,
        3,
        max_failed=2,
        algorithm="random",
        stopping="median",
        metric="auc",
        search=["learning-rate=0.001..0.1:log", "members=1..4", "hidden-units=8|8,8"],
    )
    plan = tuning.check(client, settings, JobSettings(spot=True, trainer=["--epochs", "3"]))
    document = job_request.as_json(plan.request(VALUES, "name-1", "gs://b/x.whl"))
    validator("aiplatform.v1").check("GoogleCloudAiplatformV1HyperparameterTuningJob", document)
    assert document["studySpec"] == {
        "algorithm": "RANDOM_SEARCH",
        "measurementSelectionType": "BEST_MEASUREMENT",
        "medianAutomatedStoppingSpec": {},
        "metrics": [{"metricId": "auc", "goal": "MAXIMIZE"}],
        "parameters": [
            {
                "parameterId": "learning-rate",
                "doubleValueSpec": {"minValue": 0.001, "maxValue": 0.1},
                "scaleType": "UNIT_LOG_SCALE",
            },
            {
                "parameterId": "members",
                "integerValueSpec": {"minValue": "1", "maxValue": "4"},
                "scaleType": "UNIT_LINEAR_SCALE",
            },
            {"parameterId": "hidden-units", "categoricalValueSpec": {"values": ["8", "8,8"]}},
        ],
    }
    counts = ("maxTrialCount", "parallelTrialCount", "maxFailedTrialCount")
    assert [document[name] for name in counts] == [9, 3, 2]
    spec = document["trialJobSpec"]
    assert spec["scheduling"]["strategy"] == "SPOT"
    assert spec["baseOutputDirectory"] == {"outputUriPrefix": "gs://b/jobs/name-1"}
    arguments = spec["workerPoolSpecs"][0]["containerSpec"]["args"]
    # The best epoch of a trial is chosen by the metric of the tuning.
    assert arguments[-4:] == ["--folds=1", "--epochs", "3", "--metric=auc"]
    assert job_request.as_gcloud(VALUES, document).startswith("gcloud ai hp-tuning-jobs create")


def made(states: str, *, goal: str = "MINIMIZE") -> Any:
    """A tuning with a trial for each pair of a state's letter and its metric, as in `S0.3 A`."""
    names = {"S": "SUCCEEDED", "A": "ACTIVE", "I": "INFEASIBLE"}
    found = [
        {
            "id": str(number),
            "state": names[each[0]],
            "parameters": [{"parameter_id": "learning-rate", "value": 0.01 * number}],
            "infeasible_reason": "it died." if each[0] == "I" else "",
            "measurements": [
                {"step_count": 2, "metrics": [{"metric_id": "log_loss", "value": float(each[1:])}]}
            ]
            if each[1:]
            else [],
        }
        for number, each in enumerate(states.split(), 1)
    ]
    return aiplatform_v1.HyperparameterTuningJob(
        name="projects/p/locations/l/hyperparameterTuningJobs/7",
        display_name="tuned",
        max_trial_count=9,
        study_spec={
            "metrics": [{"metric_id": "log_loss", "goal": goal}],
            "parameters": [
                {
                    "parameter_id": "learning-rate",
                    "double_value_spec": {"min_value": 0.01, "max_value": 0.1},
                    "scale_type": "UNIT_LOG_SCALE",
                }
            ],
        },
        trials=found,
    )


def test_trials_are_ranked_by_the_goal_and_the_failed_ones_are_last() -> None:
    found = made("S0.3 A0.1 I S0.2 A")
    assert [each.id for each in trials.ranked(found)] == ["2", "4", "1", "5", "3"]
    assert trials.best_of(found).number == "4"  # of those that have ended
    assert trials.best_of(made("S0.3 S0.5", goal="MAXIMIZE")).number == "2"
    assert trials.best(made("A0.3 I")) is None
    assert trials.summary(found) == "3/9 trials"
    assert trials.ranges(found) == {"learning-rate": "0.01..0.1:log"}


def test_a_trial_that_ends_is_a_line() -> None:
    found = made("S0.3 I S0.212345678")
    first, failed, best = (trials.line(found, each) for each in found.trials)
    assert first == "Trial 1: log loss 0.3 with --learning-rate=0.01"
    assert failed == "Trial 2: infeasible (it died), with --learning-rate=0.02"
    assert best == "Trial 3: log loss 0.21235 with --learning-rate=0.03, the best so far"
    assert job_logs.job_filter(Trial(found, "3")).endswith(
        'resource.labels.job_id="7" AND labels."ml.googleapis.com/trial_id"="3"'
    )


def scored(
    log_loss: float, *, rows: str = "a", low: float = 0.24, high: float = 0.26
) -> Evaluation:
    return Evaluation(
        {"auc": 0.9, "log_loss": log_loss},
        "auc",
        higher_is_better=True,
        test_rows=rows,
        intervals={"log_loss": (low, high)},
    )


@pytest.mark.parametrize(
    ("mine", "theirs", "said"),
    [
        (scored(0.25), scored(0.27), "0.25, the defaults have 0.27: better by 0.02. That is more"),
        (scored(0.25), scored(0.255), "better by 0.005. That is within the noise (0.24 to 0.26"),
        (scored(0.25), scored(0.23), "0.26 with 95 % confidence): keep the defaults."),
        (scored(0.25), scored(0.25), "as good. That is within the noise"),
        (scored(0.25), scored(0.27, rows="b"), "scored on other test rows"),
        (scored(0.25), None, "unknown .* the job with the defaults has no evaluation.json"),
        (None, scored(0.25), "unknown .* the best trial has no evaluation.json"),
    ],
)
def test_a_tuning_says_whether_its_gain_is_more_than_the_noise(
    mine: Evaluation | None, theirs: Evaluation | None, said: str
) -> None:
    found = outcome.verdict("log_loss", mine, theirs)
    before, _, after = said.partition(" .* ")
    assert before in found
    assert after in found
