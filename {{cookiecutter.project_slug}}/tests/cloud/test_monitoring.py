"""What has changed of the rows that come is found, and what has not raises no alarm."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_google_cloud import Cloud, CloudClient, serving
from scipy.spatial import distance

from cloud import config
from cloud.monitoring import columns, distances, pictures, predictions, report, request_log, since
from cloud.monitoring.columns import Comparison, Limits
from cloud.monitoring.request_log import Logged
from cloud.serving.instances import Instance, whole
from table_schema.columns import Column, Label, Table

TABLE = Table(
    "flights",
    "id",
    Label("late", ("no", "yes"), "whether it is late"),
    (
        Column("delay", "number", "minutes late"),
        Column("rain", "number", "mostly none"),
        Column("month", "integer", "month"),
        Column("dest", "category", "airport of arrival, one of many"),
        Column("tail", "category", "an aircraft, of thousands"),
        Column("full", "boolean", "whether it is full"),
        Column("note", "text", "words"),
        Column("left", "timestamp", "departure"),
    ),
)
DESTINATIONS = [f"D{number:02}" for number in range(80)]
WEIGHTS = [1 / (1 + number) for number in range(80)]


def flights(rows: int, seed: int) -> list[Instance]:
    """Makes rows of one distribution, as the endpoint is sent them."""
    chance = random.Random(seed)  # noqa: S311, no secret
    found = [
        {
            "delay": chance.gauss(10, 40),
            "rain": chance.expovariate(1) if chance.random() < 0.1 else 0.0,
            "month": chance.randint(1, 12),
            "dest": chance.choices(DESTINATIONS, WEIGHTS)[0],
            "tail": f"N{chance.randint(1, 20_000)}",
            "full": chance.random() < 0.7,
            "note": "word " * chance.randint(0, 9),
            "left": f"2013-{chance.randint(1, 12):02}-01",
        }
        for _ in range(rows)
    ]
    for each in found:
        if chance.random() < 0.1:
            del each["delay"]
    return [whole(TABLE, each) for each in found]


TRAINING = columns.of_instances(TABLE, flights(5_000, seed=0))


def compared(found: list[Instance], limits: Limits | None = None) -> dict[str, Comparison]:
    now = columns.of_instances(TABLE, found)
    return {each.name: each for each in columns.compare(TABLE, TRAINING, now, limits or Limits())}


def test_the_distance_is_the_one_of_the_literature() -> None:
    first, second = np.array([2.0, 3, 5, 0]), np.array([4.0, 1, 0, 5])
    expected = distance.jensenshannon(first, second, base=2) ** 2
    assert distances.jensen_shannon(first, second) == pytest.approx(expected)
    assert distances.jensen_shannon(first, 3 * first) == pytest.approx(0)
    assert distances.jensen_shannon(np.array([1, 0]), np.array([0, 7])) == 1


@pytest.mark.parametrize("rows", [1, 15, 2_000])
def test_unchanged_streams_of_all_kinds_raise_no_alarm(rows: int) -> None:
    """Even with limits of 0, where chance alone decides; two streams of each size."""
    for seed in range(1, 3):
        found = compared(flights(rows, seed), Limits(distance=0.0, share=0.0))
        assert [each.alarms for each in found.values() if each.alarms] == []


def changed(change: Callable[[Instance], Any], rows: int = 400) -> dict[str, tuple[str, ...]]:
    """Returns the alarms of a stream whose rows a function changes; None leaves a row out."""
    found = [new for each in flights(rows, seed=9) if (new := change(each)) is not None]
    return {name: each.alarms for name, each in compared(found).items() if each.alarms}


def delayed(found: Instance, change: Callable[[float], float]) -> Instance:
    """Changes a delay, where there is one."""
    delay = found["delay"]
    return found | {"delay": delay if delay > 1e38 else change(delay)}


def test_known_changes_are_found_and_nothing_else() -> None:
    found = changed(lambda each: delayed(each, lambda minutes: minutes / 60))
    assert found.keys() == {"delay"}
    assert "distribution has moved" in found["delay"][0]
    found = changed(lambda each: each if each["month"] in (6, 7) else None)
    assert found.keys() == {"month"}
    found = changed(lambda each: each if each["dest"] != "D00" else None)
    assert found.keys() == {"dest"}
    assert "'D00', " in found["dest"][0]
    assert "comes no more" in found["dest"][0]
    found = changed(lambda each: each | {"dest": each["dest"].lower()})
    assert found["dest"][0] == "100.0% of the values are unknown."
    found = changed(lambda each: each | {"rain": 3.4028234663852886e38})
    assert found == {"rain": ("100.0% of the rows have a gap; of the training rows 0.0%.",)}
    found = changed(lambda each: delayed(each, lambda minutes: minutes + 400))
    assert "outside the training rows' range" in found["delay"][0]
    found = changed(lambda each: each | {"full": False, "note": "x" * 200})
    assert found.keys() == {"full", "note"}
    found = changed(lambda each: each | {"left": "2026-01-01"})
    assert found == {}, "days go on"
    found = changed(lambda each: each | {"left": "01.02.2026"})
    assert found["left"][0].startswith("100.0% of the rows have a gap;"), "as the model reads it"


def test_a_column_of_gaps_alone_and_one_without_training_rows_are_compared() -> None:
    empty = {name: columns.Values() for name in TRAINING}
    now = columns.of_instances(TABLE, flights(20, 1))
    for before, after in ((empty, now), (TRAINING, empty), (empty, empty)):
        found = columns.compare(TABLE, before, after, Limits())
        assert all(each.distance is None for each in found)


def test_texts_of_a_file_are_counted_as_instances_are() -> None:
    texts = {column.name: {"": 3} for column in TABLE.columns}
    texts |= {"delay": {"1.5": 2, "NA": 1}, "month": {"12": 3}, "full": {"true": 1, "false": 2}}
    found = columns.of_texts(TABLE, texts)
    assert found["delay"] == {1.5: 2, None: 1}
    assert found["month"] == {12: 3}
    assert found["full"] == {True: 1, False: 2}
    assert found["dest"] == {None: 3}
    with pytest.raises(ValueError, match="expected a number, got 'x'"):
        columns.of_texts(TABLE, texts | {"delay": {"x": 1}})


def logged(answers: Sequence[Any], hours: float = 1) -> list[Logged]:
    """Predictions of an hour each: classes, or numbers."""
    begin = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
    return [
        Logged(
            begin + timedelta(hours=hours * number),
            "1",
            {},
            {"label": answer, "probability": 0.5} if isinstance(answer, str) else answer,
        )
        for number, answer in enumerate(answers)
    ]


NUMBER = Label("minutes", (), "of delay")


def test_the_classes_of_predictions_are_followed_over_time() -> None:
    same, other = logged(["no", "no", "yes"] * 100), logged(["no"] * 150 + ["yes"] * 150)
    periods = predictions.over_time(TABLE.label, same)
    assert len(periods) == 13  # days of 24, and 12
    assert periods[0].shares == {"no": pytest.approx(2 / 3), "yes": pytest.approx(1 / 3)}
    assert periods[0].end == periods[1].begin == datetime(2026, 11, 3, tzinfo=UTC)
    assert predictions.alarms(TABLE.label, same, Limits()) == []
    [sentence] = predictions.alarms(TABLE.label, other, Limits())
    assert "has 0.0% of 'no', the earlier 100.0%" in sentence
    assert predictions.alarms(TABLE.label, logged(["no", "yes"]), Limits()) == []
    for seed in range(20):
        drawn = logged(random.Random(seed).choices(["no", "yes"], [3, 1], k=200))  # noqa: S311, no secret
        assert predictions.alarms(TABLE.label, drawn, Limits(share=0.0)) == [], seed


def test_the_quantiles_of_numbers_are_followed_over_time() -> None:
    turns = random.Random(1)  # noqa: S311, no secret
    same = logged([turns.gauss(10, 40) for _ in range(300)])
    periods = predictions.over_time(NUMBER, same)
    assert len(periods) == 13
    assert list(periods[0].shares) == ["10 %", "median", "90 %"]
    assert sorted(periods[0].shares.values()) == list(periods[0].shares.values())
    assert predictions.alarms(NUMBER, same, Limits()) == []
    moved = same[:150] + logged([each.prediction / 60 for each in same])[150:]
    [sentence] = predictions.alarms(NUMBER, moved, Limits())
    assert "other numbers than the earlier" in sentence


@pytest.mark.parametrize(
    ("rows", "hours", "unit"),
    [
        (1, 1, timedelta(minutes=1)),
        (600, 1 / 1800, timedelta(minutes=1)),
        (600, 0.1, timedelta(hours=6)),
        (600, 4, timedelta(weeks=1)),
    ],
)
def test_a_period_is_as_short_as_has_rows_enough(rows: int, hours: float, unit: timedelta) -> None:
    periods = predictions.over_time(TABLE.label, logged(["no"] * rows, hours))
    assert {each.end - each.begin for each in periods} == {unit}
    assert sum(each.rows for each in periods) == rows


def test_the_picture_has_the_shares_and_those_of_the_training_rows() -> None:
    answers = ["no"] * 24 + ["no", "yes"] * 12 + ["yes"] * 24
    periods = predictions.over_time(TABLE.label, logged(answers))
    training = predictions.shares(TABLE.label, {"no": 300, "yes": 100})
    picture = pictures.over_time(periods, training, of_classes=True)
    assert picture is not None
    assert picture.legend == ["no", "yes"]
    assert picture.lines == [25]
    heights = [(box.color, box.height) for box in picture.boxes if box.height]
    assert heights == [(0, 100), (0, 50), (1, 50), (1, 100)]
    assert max(box.x + box.width for box in picture.boxes) <= pictures.WIDTH
    numbers = predictions.over_time(NUMBER, logged([float(n % 24) for n in range(48)]))
    ranges = pictures.over_time(
        numbers, {"10 %": 0.0, "median": 5.0, "90 %": 50.0}, of_classes=False
    )
    assert ranges is not None
    assert (ranges.top, ranges.bottom, list(ranges.lines)) == ("50", "0", [100, 90, 0])
    assert all(box.y >= 0 and box.y + box.height <= 100 for box in ranges.boxes)
    assert pictures.over_time([], training, of_classes=True) is None
    many = {f"class {n}": 1 for n in range(12)}
    label = Label("kind", tuple(many), "one of many")
    found = predictions.over_time(label, logged(list(many)))
    shown = pictures.over_time(found, predictions.shares(label, many), of_classes=True)
    assert shown is not None
    assert len(shown.legend) == pictures.MOST_CLASSES
    assert shown.boxes[-1].y == pytest.approx(0)


def test_the_report_escapes_what_it_is_given() -> None:
    found = flights(50, seed=3)
    found[0]["dest"] = "<b>"
    drift = report.Drift(
        *("<u>", "1", datetime.now(UTC), "a file", 50, 5_000, Limits()),
        columns=list(compared(found).values()),
        periods=predictions.over_time(TABLE.label, logged(["no"] * 59)),
        training={"no": 0.8, "yes": 0.2},
        alarms=[],
    )
    page = report.as_html(drift, TABLE.label)
    for tag in ("<b>", "<u>"):
        assert tag not in page
    document = json.loads(report.as_json(drift))
    assert document["columns"][0]["name"] == "delay"
    assert document["is_found"] == drift.is_found


def test_logged_requests_are_read_from_bigquery() -> None:
    cloud = Cloud()
    cloud.rows = [
        ["2026-11-02T10:00:00.000001Z", "7", ['{"a": 2}', '{"a": 3}'], ['{"label": "x"}', '"y"']],
        [
            "2026-11-01T10:00:00.000000Z",
            "5",
            ['{"instances": [{"a": 1}]}'],
            ['{"predictions": [7]}'],
        ],
        ["2026-11-01T09:00:00.000000Z", "5", ["not JSON"], ["{}"]],
    ]
    endpoint = SimpleNamespace(name="projects/1/locations/l/endpoints/5", display_name="my model")
    with serving(cloud) as url:
        values = config.load(environment={"CLOUD_TARGET": "cloud", "CLOUD_PROJECT": "p-roject"})
        client = CloudClient(values, url)
        found = request_log.read(client, endpoint, since.parse(None))
        assert request_log.place(client, endpoint) == (
            "bq://p-roject.logging_my_model_5.request_response_logging"
        )
        cloud.rows = None
        assert request_log.read(client, endpoint, since.parse("1d")) == []
    assert [(each.deployed_id, each.instance["a"], each.prediction) for each in found] == [
        ("5", 1, 7),
        ("7", 2, {"label": "x"}),
        ("7", 3, "y"),
    ]
    assert cloud.problems == []
