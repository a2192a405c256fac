"""How good a trained model is: the evaluation.json beside its SavedModel."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.api_core import exceptions

from cloud.client import Client
from cloud.errors import UserError
from table_schema.metrics import NAMES, rises

FILE = "evaluation.json"
TRAIN_BETTER = "Train a better one with other settings ('nox -s submit -- -- --help' lists them)."
Scores = dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What a training found on its test rows.

    Attributes:
        scores: by metric, such as `auc` and `log_loss`.
        metric: the one by which models are compared.
        higher_is_better: its direction.
        test_rows: fingerprint of the test rows; empty where the trainer did not say.
        threshold: the probability of the second of two classes from which up it is the answer.
        baselines: scores of predictions without a model, by their names and metric.
        boosting: scores of gradient boosting on the same rows; empty where the trainer did none.
        intervals: of the scores, by metric, where the trainer gives them.
    """

    scores: Scores
    metric: str
    higher_is_better: bool
    test_rows: str
    threshold: float = 0.5
    baselines: Mapping[str, Scores] = field(default_factory=dict)
    boosting: Scores = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The score by which models are compared."""
        return self.scores[self.metric]

    @property
    def interval(self) -> tuple[float, float] | None:
        """That of the score by which models are compared, where the trainer gives one."""
        return self.intervals.get(self.metric)

    def rises(self, metric: str) -> bool:
        """Whether more of a metric is better."""
        return self.higher_is_better if metric == self.metric else rises(metric)

    def beats(self, other: "Evaluation") -> bool:
        """Whether its score is better than the other's."""
        gain = self.score - other.score
        return gain > 0 if self.higher_is_better else gain < 0


def read(client: Client, folder: str) -> Evaluation | None:
    """Reads the evaluation of a model.

    Args:
        client: of the target.
        folder: gs:// URI of the folder with the SavedModel.

    Returns:
        The evaluation, or None where the folder has none.

    Raises:
        UserError: the file is no evaluation.
    """
    uri = f"{folder.rstrip('/')}/{FILE}"
    try:
        text = client.blob(uri).download_as_bytes()
    except exceptions.NotFound:
        return None
    try:
        return parse(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{uri}: expected the evaluation that the trainer writes, got"
            f" something else ({error!r}); train the model again."
        ) from error


def scores(client: Client, folder: str) -> Scores:
    """Returns what a model scored on its test rows; nothing where its folder does not say.

    Args:
        client: of the target.
        folder: gs:// URI of the folder with the SavedModel.
    """
    found = read(client, folder) if folder else None
    return found.scores if found is not None else {}


def chief_metrics(found: Sequence[Scores]) -> list[str]:
    """Returns the metrics that any scores have, those first by which models are compared."""
    leading = {next(iter(scores)) for scores in found if scores}
    known = [name for name in NAMES if any(name in scores for scores in found)]
    return sorted(known, key=lambda name: name not in leading)


def compare(
    candidate: Evaluation | None, current: Evaluation | None, number: str
) -> tuple[bool, str]:
    """Compares a model with the default version, on the same test rows.

    Args:
        candidate: evaluation of the model; None where nobody wrote one.
        current: evaluation of the default version, likewise.
        number: of the default version.

    Returns:
        Whether the model is known to be better, and the verdict in words with both scores.
    """
    unknown = f"It is unknown whether the model is better than the default version {number}:"
    if candidate is None or current is None:
        which = "it" if candidate is None else f"version {number}"
        return False, (
            f"{unknown} {which} has no {FILE}, which a trainer writes with its scores"
            " (job.save takes them)."
        )
    mine, theirs = (NAMES.get(each.metric, each.metric) for each in (candidate, current))
    if candidate.metric not in current.scores:
        return False, f"{unknown} it is judged by {mine}, version {number} by {theirs}."
    # An older trainer may have chosen another of the metrics that both have.
    current = dataclasses.replace(current, metric=candidate.metric)
    scores = f"it has {mine} {candidate.score:.4f}, version {number} has {current.score:.4f}"
    if candidate.test_rows != current.test_rows:
        return False, (
            f"{unknown} on its own test rows {scores} on others. Train again on the current data,"
            " with 'nox -s submit'."
        )
    if candidate.beats(current):
        return True, f"The model is better than the default: on the same test rows {scores}."
    return False, (
        f"The model is no better than the default: on the same test rows {scores}. {TRAIN_BETTER}"
    )


def judge(candidate: Evaluation, current: Evaluation | None, number: str) -> tuple[bool, str]:
    """Judges a model for continuous integration: it must not be worse than what there is.

    Unlike `compare`, which asks for a better one, it lets a model pass that is as good: the default
    version's score must lie within the interval of the model's, where it has one.

    Args:
        candidate: evaluation of the model.
        current: that of the default version; None where there is none, or it has no scores.
        number: of the default version.

    Returns:
        Whether it passes, and the verdict in words.
    """
    objection = objection_of_baselines(candidate)
    if objection:
        return False, objection
    metric = NAMES.get(candidate.metric, candidate.metric)
    if current is None:
        return True, f"There is no default version with scores to compare {metric} with."
    if candidate.metric != current.metric or candidate.test_rows != current.test_rows:
        return True, (
            f"It is not compared with version {number}, whose scores are of other test rows or"
            f" another metric; {metric} is {candidate.score:.4f}."
        )
    sign = 1 if candidate.higher_is_better else -1
    bounds = candidate.interval or (candidate.score, candidate.score)
    worse = sign * current.score > max(sign * each for each in bounds)
    verdict = (
        f"on the same test rows {metric} is {candidate.score:.4f}, version {number} has"
        f" {current.score:.4f}."
    )
    if worse:
        return False, f"The model is worse than the default: {verdict} {TRAIN_BETTER}"
    return True, f"The model is not worse than the default: {verdict}"


def objection_of_baselines(candidate: Evaluation | None) -> str:
    """Says what is better than a model: a prediction without one, or gradient boosting.

    Boosting counts where its score is better than the whole interval of the model's: within it, the
    difference may be chance.

    Args:
        candidate: evaluation of the model; None where nobody wrote one.

    Returns:
        "" where nothing is known to be better.
    """
    if candidate is None:
        return ""
    known = {
        name: scores[candidate.metric]
        for name, scores in candidate.baselines.items()
        if candidate.metric in scores
    }
    sign = 1 if candidate.higher_is_better else -1
    best = max(known, key=lambda name: sign * known[name], default="")
    if not best or sign * candidate.score >= sign * known[best]:
        return _objection_of_boosting(candidate)
    metric = NAMES.get(candidate.metric, candidate.metric)
    return (
        f"The model is worse than {best!r}, a prediction without a model: on the test rows it has"
        f" {metric} {candidate.score:.4f}, that has {known[best]:.4f}. {TRAIN_BETTER}"
    )


def _objection_of_boosting(candidate: Evaluation) -> str:
    boosted, interval = candidate.boosting.get(candidate.metric), candidate.interval
    sign = 1 if candidate.higher_is_better else -1
    if boosted is None or interval is None or sign * boosted <= max(sign * e for e in interval):
        return ""
    metric = NAMES.get(candidate.metric, candidate.metric)
    return (
        f"The model is worse than gradient boosting on the same rows: it has {metric}"
        f" {candidate.score:.4f} ({interval[0]:.4f} to {interval[1]:.4f} with 95 % confidence),"
        f" that has {boosted:.4f}. {TRAIN_BETTER}"
    )


def parse(document: dict[str, Any]) -> Evaluation:
    """Reads what the trainer wrote, as `trainer/tabular/run.py` describes it."""
    primary = document["primary"]
    scores = {name: float(value) for name, value in document["test"].items()}
    found = Evaluation(
        scores,
        primary["metric"],
        primary["higher_is_better"],
        document.get("test_fingerprint", ""),
        document.get("confusion", {}).get("threshold", 0.5),
        document.get("baselines", {}),
        document.get("boosting", {}).get("scores", {}),
        document.get("intervals", {}),
    )
    found.score  # noqa: B018, it must be there
    return found
