"""What a study may search, what it tries next, and when it gives a trial up."""

import copy
import math
from typing import Any

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.tuning.measurements import Report, final, measurements
from vertex_emulator.tuning.parameters import flags
from vertex_emulator.tuning.search import suggest
from vertex_emulator.tuning.stopping import reason_to_stop
from vertex_emulator.tuning.study_spec import check

STUDY: dict[str, Any] = {
    "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
    "parameters": [
        {
            "parameterId": "rate",
            "doubleValueSpec": {"minValue": 1e-4, "maxValue": 1e-1},
            "scaleType": "UNIT_LOG_SCALE",
        },
        {
            "parameterId": "momentum",
            "doubleValueSpec": {"minValue": 0.5, "maxValue": 0.99},
            "scaleType": "UNIT_REVERSE_LOG_SCALE",
        },
        {
            "parameterId": "units",
            "integerValueSpec": {"minValue": "16", "maxValue": "512"},
            "scaleType": "UNIT_REVERSE_LOG_SCALE",
        },
        {"parameterId": "batch", "discreteValueSpec": {"values": [16.0, 32.0, 64.5]}},
        {
            "parameterId": "optimizer",
            "categoricalValueSpec": {"values": ["sgd", "adam"]},
            "conditionalParameterSpecs": [
                {
                    "parentCategoricalValues": {"values": ["sgd"]},
                    "parameterSpec": {
                        "parameterId": "beta",
                        "integerValueSpec": {"minValue": "1", "maxValue": "2"},
                    },
                },
                {
                    "parentCategoricalValues": {"values": ["adam"]},
                    "parameterSpec": {
                        "parameterId": "beta",
                        "doubleValueSpec": {"minValue": 0.8, "maxValue": 0.9},
                    },
                },
            ],
        },
    ],
}


def done(parameters: Any, loss: float, state: str = "SUCCEEDED") -> dict[str, Any]:
    measured = {"metrics": [{"metricId": "loss", "value": loss}]}
    return {"state": state, "parameters": parameters, "finalMeasurement": measured}


def value(parameters: Any, name: str) -> Any:
    [found] = [each["value"] for each in parameters if each["parameterId"] == name]
    return found


@pytest.mark.parametrize("algorithm", ["ALGORITHM_UNSPECIFIED", "RANDOM_SEARCH"])
def test_each_kind_of_parameter_stays_in_its_bounds(algorithm: str) -> None:
    study = STUDY | {"algorithm": algorithm}
    check(study)
    trials: list[dict[str, Any]] = []
    for number in range(24):
        found = suggest(study, trials, 24)
        assert found is not None
        assert found == suggest(study, trials, 24)  # the same question, the same answer
        assert 1e-4 <= value(found, "rate") <= 1e-1
        assert 0.5 <= value(found, "momentum") <= 0.99
        assert value(found, "units") in range(16, 513)
        assert value(found, "batch") in (16, 32, 64.5)
        beta = value(found, "beta")
        if value(found, "optimizer") == "sgd":
            assert beta in (1, 2)
        else:
            assert 0.8 <= beta <= 0.9
        assert f"--optimizer={value(found, 'optimizer')}" in flags(found)
        assert not any(each.endswith(".0") for each in flags(found))
        state = ("SUCCEEDED", "INFEASIBLE", "ACTIVE")[number % 3]
        trials.append(done(found, abs(math.log10(value(found, "rate")) + 2), state))
    units = sorted(value(each["parameters"], "units") for each in trials)
    assert units[12] > 264  # the upper half is spread out


def test_the_default_search_learns_from_the_trials() -> None:
    """It looks where the best were; the random search does not."""
    study = STUDY | {"parameters": STUDY["parameters"][:2]}

    def later(algorithm: str) -> float:
        trials: list[dict[str, Any]] = []
        for _ in range(30):
            found = suggest(study | {"algorithm": algorithm}, trials, 30)
            off = abs(math.log10(value(found, "rate")) + 3.5) + abs(value(found, "momentum") - 0.9)
            trials.append(done(found, off))
        losses = [each["finalMeasurement"]["metrics"][0]["value"] for each in trials[15:]]
        return float(sum(losses)) / len(losses)

    assert later("ALGORITHM_UNSPECIFIED") < 0.6 * later("RANDOM_SEARCH")


def test_a_grid_has_each_combination_once() -> None:
    study = copy.deepcopy(STUDY | {"algorithm": "GRID_SEARCH"})
    with pytest.raises(ApiError, match=r"parameters\[0\].doubleValueSpec: GRID_SEARCH wants"):
        check(study)
    del study["parameters"][:3], study["parameters"][1]["conditionalParameterSpecs"][1]
    check(study)
    found: list[Any] = []
    while (parameters := suggest(study, [done(each, 0) for each in found], 99)) is not None:
        found.append(parameters)
    assert len({str(each) for each in found}) == len(found) == 3 * (2 + 1)


RATE = STUDY["parameters"][0]
OPTIMIZER = STUDY["parameters"][4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": []}, "studySpec.metrics: expected at least one"),
        ({"metrics": [{"metricId": "a b"}]}, "metrics[0].metricId: expected a name without"),
        ({"metrics": [{"metricId": "a"}] * 2}, "metrics[1].metricId: expected each name once"),
        ({"parameters": []}, "studySpec.parameters: expected at least one"),
        ({"parameters": [{"parameterId": "a"}]}, "parameters[0]: expected one of doubleValueSpec"),
        ({"parameters": [RATE, RATE]}, "parameters[1].parameterId: expected each name once"),
        ({"observationNoise": "LOW"}, "studySpec.observationNoise: not supported"),
        *(
            ({"parameters": [RATE | change]}, f"parameters[0].{message}")
            for change, message in (
                ({"doubleValueSpec": {"minValue": 2.0, "maxValue": 1.0}}, "doubleValueSpec: exp"),
                ({"doubleValueSpec": {"maxValue": "Infinity"}}, "doubleValueSpec: expected finite"),
                ({"doubleValueSpec": {"maxValue": 1.0}}, "doubleValueSpec: UNIT_LOG_SCALE wants"),
                ({"parameterId": ""}, "parameterId: expected a name"),
            )
        ),
        *(
            ({"parameters": [{"parameterId": "d"} | change]}, f"parameters[0].{message}")
            for change, message in (
                ({"integerValueSpec": {"maxValue": str(2**60)}}, "integerValueSpec: a trial's"),
                ({"discreteValueSpec": {"values": [2.0, 1.0]}}, "discreteValueSpec.values: exp"),
                ({"discreteValueSpec": {}}, "discreteValueSpec.values: expected 1 to 1000"),
                ({"categoricalValueSpec": {}}, "categoricalValueSpec.values: expected at least"),
                ({"categoricalValueSpec": {"values": ["a", "a"]}}, "categoricalValueSpec.values"),
            )
        ),
        *(
            (
                {"parameters": [OPTIMIZER | {"conditionalParameterSpecs": below}]},
                f"parameters[0].conditionalParameterSpecs[{message}",
            )
            for below, message in (
                (
                    [{"parentCategoricalValues": {"values": ["x"]}, "parameterSpec": RATE}],
                    "0].parentCategoricalValues.values: 'x' is no value of 'optimizer'",
                ),
                (
                    [{"parentIntValues": {"values": ["1"]}, "parameterSpec": RATE}],
                    "0].parentCategoricalValues.values: expected values of the parent",
                ),
                (
                    [{"parentCategoricalValues": {"values": ["sgd"]}, "parameterSpec": RATE}] * 2,
                    "1].parameterSpec.parameterId: expected each name once in a trial, got 'rate'",
                ),
                ([{"parentCategoricalValues": {"values": ["sgd"]}}], "0].parameterSpec: expected"),
            )
        ),
    ],
)
def test_a_study_that_cannot_be_searched_is_refused(change: Any, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        check(STUDY | change)
    assert message in caught.value.message


def test_reports_become_measurements_in_order() -> None:
    start = "2026-01-01T00:00:00.000000Z"
    begin = 1767225600.0
    reports = [
        Report(begin + 2, 2, "loss", 0.5),
        Report(begin + 1, 1, "loss", 0.4),
        Report(begin + 1.5, 1, "auc", 0.9),
        Report(begin + 3, 1, "loss", 0.3),  # of a process that began again
        Report(begin + 4, 3, "other", 7.0),
    ]
    found = measurements(reports, ["loss", "auc"], start)
    assert found == [
        {
            "elapsedDuration": "1.5s",
            "stepCount": "1",
            "metrics": [{"metricId": "loss", "value": 0.4}, {"metricId": "auc", "value": 0.9}],
        },
        {
            "elapsedDuration": "3s",
            "stepCount": "1",
            "metrics": [{"metricId": "loss", "value": 0.3}],
        },
        {
            "elapsedDuration": "2s",
            "stepCount": "2",
            "metrics": [{"metricId": "loss", "value": 0.5}],
        },
    ]
    assert measurements([*reports, *reports], ["loss", "auc"], start) == found
    assert final(found, STUDY) == found[2]
    assert final(found, STUDY | {"measurementSelectionType": "BEST_MEASUREMENT"}) == found[1]
    both = [{"metricId": "auc"}, {"metricId": "loss"}]
    assert final(found, {"metrics": both}) == found[0]


@pytest.mark.parametrize("rule", ["medianAutomatedStoppingSpec", "decayCurveStoppingSpec"])
def test_a_curve_below_the_others_is_given_up_and_one_above_is_not(rule: str) -> None:
    def curve(end: float, steps: int) -> list[dict[str, Any]]:
        values = [(step, end + math.exp(-step / 4)) for step in range(1, steps + 1)]
        return [
            {
                "elapsedDuration": f"{10 * step}s",
                "stepCount": str(step),
                "metrics": [{"metricId": "loss", "value": value}],
            }
            for step, value in values
        ]

    completed = [curve(0.3 + 0.01 * number, 20) for number in range(6)]
    for spec in (STUDY | {rule: {}}, STUDY | {rule: {"useElapsedDuration": True}}):
        assert reason_to_stop(spec, curve(0.9, 8), completed) is not None
        assert reason_to_stop(spec, curve(0.25, 8), completed) is None
        assert reason_to_stop(spec, curve(0.9, 8), completed[:4]) is None
        assert reason_to_stop(spec, [], completed) is None
