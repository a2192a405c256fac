"""How good the logged predictions were, day by day, once their labels are known."""

import dataclasses
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from cloud.errors import UserError
from cloud.monitoring.labels import Features, Labels, features_of
from cloud.monitoring.request_log import Logged
from cloud.serving import scoring
from cloud.serving.evaluations import Evaluation, Scores
from cloud.serving.prediction import Prediction
from table_schema import metrics
from table_schema.columns import Label, Table

MIN_ROWS = 100  # of a verdict: the interval of fewer is too narrow
STANDARD_ERRORS = 3.0  # a check every night that is wrong by chance is so once in two years
ERRORS_OF_HALF = 1.96  # the half of an interval that has 95 of 100
Interval = tuple[float, float]


@dataclass(frozen=True)
class Joined:
    """A prediction and what really happened.

    Attributes:
        prediction: what the endpoint answered.
        truth: index of the class, or the number.
    """

    prediction: Prediction
    truth: float


@dataclass(frozen=True)
class Span:
    """Predictions of one version, of a day or of all days.

    Attributes:
        begin: when the first was made.
        end: when the last was.
        predictions: how many there are.
        labelled: how many of them have a label.
        scores: of these, by metric; empty where there are none.
    """

    begin: datetime
    end: datetime
    predictions: int
    labelled: int
    scores: Scores


@dataclass(frozen=True)
class Served:
    """The predictions of one version.

    Attributes:
        version: its number; of one that nobody knows any more, the id of its deployed model.
        is_deployed: whether it still answers.
        days: by date in UTC, the oldest first.
        total: of all days.
        intervals: of the total's scores by metric, with 95 % confidence.
        trained: the trainer's own evaluation, where it is known.
    """

    version: str
    is_deployed: bool
    days: Mapping[str, Span]
    total: Span
    intervals: Mapping[str, Interval]
    trained: Evaluation | None

    @property
    def verdict(self) -> str:
        """Says that the predictions are worse than the trainer's scores; "" where nobody knows.

        They are where the difference is larger than chance explains, three standard errors of it.
        The halves of both intervals tell them, as the two samples are independent.
        """
        if self.trained is None or self.total.labelled < MIN_ROWS:
            return ""
        metric, expected = self.trained.metric, self.trained.score
        interval = self.intervals.get(metric)
        if interval is None:
            return ""
        score = self.total.scores[metric]
        # The ends of the intervals that lie towards each other.
        near = max if self.trained.higher_is_better else min
        far = min if self.trained.higher_is_better else max
        own = far(self.trained.interval or (expected, expected))
        half = ((near(interval) - score) ** 2 + (own - expected) ** 2) ** 0.5
        chance = STANDARD_ERRORS * half / ERRORS_OF_HALF
        worse_by = expected - score if self.trained.higher_is_better else score - expected
        if worse_by <= chance:
            return ""
        return (
            f"Version {self.version} is worse than its trainer measured:"
            f" {metrics.NAMES.get(metric, metric)} is {score:.4f}, on the test rows it was"
            f" {expected:.4f}; chance explains a difference of {chance:.4f}."
        )


@dataclass(frozen=True)
class LiveScores:
    """What became of the predictions and the labels.

    Attributes:
        versions: that answered, the first that did first.
        left_out: how many predictions have no label, by the reason.
        ambiguous: how many predictions have features that rows with different labels share.
        unused: how many labels belong to no prediction.
        labels_left_out: how many rows of the labels' file count for nothing, by the reason.
    """

    versions: Sequence[Served]
    left_out: Mapping[str, int]
    ambiguous: int
    unused: int
    labels_left_out: Mapping[str, int]


@dataclass(frozen=True)
class Version:
    """A version that answered: `number`, `is_deployed` and `trained` are as of `Served`."""

    number: str
    is_deployed: bool
    trained: Evaluation | None


def join(
    table: Table, logged: Sequence[Logged], labels: Labels, versions: Mapping[str, Version]
) -> LiveScores:
    """Joins predictions to their labels and scores them.

    Each row of the labels belongs to one prediction of a version at most. Which one, of rows with
    the same features, is drawn by lot: nobody can tell, and whoever took only clear ones would
    score the easy ones.

    Args:
        table: of the model.
        logged: the predictions, the oldest first.
        labels: of the rows that were asked about, and others.
        versions: by the ids of the deployed models.
    """
    left_out: Counter[str] = Counter()
    used: set[tuple[Features, int]] = set()
    ambiguous = 0
    found: dict[str, list[tuple[Logged, Joined | None]]] = defaultdict(list)
    waiting = {number: _Lots(labels) for number in {each.number for each in versions.values()}}
    for each in logged:
        number = versions[each.deployed_id].number
        try:
            features = features_of(table, each.instance)
            scoring.predicted(table.label, [each.prediction])
        except (UserError, KeyError, TypeError, ValueError):
            left_out["no row of the table"] += 1
            continue
        truths = labels.truths.get(features, ())
        place = waiting[number].draw(features)
        found[number].append(
            (each, None if place is None else Joined(each.prediction, truths[place]))
        )
        if place is None:
            left_out["asked before" if truths else "no label yet"] += 1
            continue
        used.add((features, place))
        ambiguous += len(set(truths)) > 1
    by_number = {each.number: each for each in versions.values()}
    return LiveScores(
        [_served(table.label, by_number[number], pairs) for number, pairs in found.items()],
        dict(left_out),
        ambiguous,
        sum(map(len, labels.truths.values())) - len(used),
        labels.left_out,
    )


class _Lots:
    """Draws rows of the labels, each once, and the same ones each time."""

    def __init__(self, labels: Labels) -> None:
        self._truths = labels.truths
        self._random = random.Random(0)  # noqa: S311, no secret
        self._left: dict[Features, list[int]] = {}

    def draw(self, features: Features) -> int | None:
        """Returns the place of a row with these features; None where none is left."""
        if features not in self._left:
            left = list(range(len(self._truths.get(features, ()))))
            self._random.shuffle(left)
            self._left[features] = left
        return self._left[features].pop() if self._left[features] else None


def _served(
    label: Label, version: Version, pairs: Sequence[tuple[Logged, Joined | None]]
) -> Served:
    threshold = version.trained.threshold if version.trained is not None else 0.5
    days = {
        day: _span(label, list(of_day), threshold)
        for day, of_day in groupby(pairs, key=lambda pair: f"{pair[0].time:%Y-%m-%d}")
    }
    known = [joined for _logged, joined in pairs if joined is not None]
    intervals: Mapping[str, Interval] = {}
    if known:
        intervals = metrics.intervals(*_arrays(label, known), seed=0, threshold=threshold)
    return Served(
        version.number,
        version.is_deployed,
        days,
        _span(label, pairs, threshold),
        intervals,
        version.trained,
    )


def _span(label: Label, pairs: Sequence[tuple[Logged, Joined | None]], threshold: float) -> Span:
    known = [joined for _logged, joined in pairs if joined is not None]
    scores = metrics.score(*_arrays(label, known), threshold) if known else {}
    return Span(pairs[0][0].time, pairs[-1][0].time, len(pairs), len(known), dict(scores))


def _arrays(label: Label, known: Iterable[Joined]) -> tuple[Any, Any]:
    pairs = [(each.prediction, each.truth) for each in known]
    predictions, truths = zip(*pairs, strict=True)
    return scoring.predicted(label, predictions), scoring.labels(label, truths)


def as_json(found: LiveScores) -> str:
    """Returns a document of the attributes of `LiveScores`, and the verdicts; times as ISO 8601."""
    document = dataclasses.asdict(found)
    for written, served in zip(document["versions"], found.versions, strict=True):
        written["verdict"] = served.verdict
    return json.dumps(document, indent=2, ensure_ascii=False, default=datetime.isoformat) + "\n"
