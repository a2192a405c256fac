"""The drift of a model's input, as a person reads it in a browser, and as a program does."""

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from cloud.monitoring import columns, pictures
from cloud.monitoring.columns import Comparison, Limits
from cloud.monitoring.predictions import Period
from table_schema.columns import Label

HTML, JSON = "drift.html", "drift.json"


@dataclass(frozen=True)
class Drift:
    """What was found.

    Attributes:
        model: its name.
        version: its number.
        made: when.
        source: where the rows come from.
        rows: how many.
        training_rows: how many they are compared with.
        limits: what is no alarm.
        columns: of the table.
        periods: what was predicted over time; empty where nobody asked the model.
        training: the shares of the training rows' labels, or the quantiles of numbers.
        alarms: what has changed of the predictions, in sentences.
    """

    model: str
    version: str
    made: datetime
    source: str
    rows: int
    training_rows: int
    limits: Limits
    columns: list[Comparison]
    periods: list[Period]
    training: dict[str, float]
    alarms: list[str]

    @property
    def is_found(self) -> bool:
        """Whether anything has changed."""
        return bool(self.alarms) or any(each.alarms for each in self.columns)


def as_json(found: Drift) -> str:
    """Returns a document of the attributes of `Drift`, and `is_found`; times as ISO 8601."""
    document: dict[str, Any] = {"is_found": found.is_found} | dataclasses.asdict(found)
    return json.dumps(document, indent=2, ensure_ascii=False, default=datetime.isoformat) + "\n"


def as_html(found: Drift, label: Label) -> str:
    """Returns a page that needs no network.

    Args:
        found: what there is to report.
        label: what the model predicts.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    ordered = sorted(found.columns, key=lambda each: (not each.alarms, -(each.distance or 0)))
    return environment.from_string(template).render(
        found=found,
        unknown_means=columns.UNKNOWN_MEANS,
        columns=ordered,
        label=label,
        picture=pictures.over_time(found.periods, found.training, of_classes=bool(label.classes)),
    )
