"""Dates and times: the parts that help a model, out of their texts, in TensorFlow's operations.

All parts are those that the text says: a time zone is accepted and changes nothing. So an hour is
the hour of the place, as its people live by it.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from table_schema.values import DAY_OF_TIMES, TIMESTAMP
from trainer.tabular.data import Array

Tensor = Any

PARTS = "month", "weekday", "hour"  # which are taken as categories
SECONDS = 86_400  # of a day


def parts(texts: Tensor) -> dict[str, Tensor]:
    """Takes dates and times apart.

    Args:
        texts: string [rows], as `table_schema/values.py` reads them: a time of day is one of the
            first day of 1970. Any other text is a gap.

    Returns:
        int64 [rows] by name: `day`, days since 1970-01-01; `second` of the day, 0 to 86,399;
        `month`, 1 to 12; `weekday`, Monday is 1 and Sunday 7; `hour`, 0 to 23. In a gap `day` and
        `second` are 0 and the others -1. `known`, bool [rows], tells the gaps.
    """
    shaped = tf.strings.regex_full_match(texts, TIMESTAMP)
    whole = tf.where(shaped, texts, DAY_OF_TIMES)
    whole = tf.strings.regex_replace(whole, "^([0-9]{2}:)", rf"{DAY_OF_TIMES}T\1")
    # All as long as 2013-01-31T17:05:09, and what may follow does not matter.
    whole = tf.strings.regex_replace(whole, "^(.{10})$", r"\1T00:00:00")
    whole = tf.strings.regex_replace(whole, "^(.{16})(?:Z|[+-].*)?$", r"\1:00")

    def number(place: int, digits: int = 2) -> Tensor:
        return tf.strings.to_number(tf.strings.substr(whole, place, digits), tf.int64)

    year, month, day_of_month = number(0, 4), number(5), number(8)
    hour, minute, second = number(11), number(14), number(17)
    day = day_number(year, month, day_of_month)
    known = shaped & (year >= 1) & (day < day_number(year, month + 1, 1))
    found = {
        "month": month,
        "weekday": (day + 3) % 7 + 1,  # 1970-01-01 is a Thursday
        "hour": hour,
    }
    return {
        "known": known,
        "day": tf.where(known, day, 0),
        "second": tf.where(known, (hour * 60 + minute) * 60 + second, 0),
    } | {name: tf.where(known, values, -1) for name, values in found.items()}


def days(found: dict[str, Tensor]) -> Array:
    """Returns days since 1970-01-01 with their fractions, float64 [rows], NaN in gaps.

    Args:
        found: what `parts` returns.
    """
    exact = found["day"].numpy() + found["second"].numpy() / SECONDS
    return np.where(found["known"].numpy(), exact, np.nan)


def day_number(year: Any, month: Any, day: Any) -> Any:
    """Returns days since 1970-01-01 in the proleptic Gregorian calendar.

    A year begins with March here, so that the leap day is its last. A month is 1 to 13, of which
    the last is January of the next year.

    Source: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms (2021), days_from_civil.
    """
    before_march = (14 - month) // 12
    year, month = year - before_march, month + 12 * before_march - 3
    leap_days = year // 4 - year // 100 + year // 400
    return 365 * year + leap_days + (153 * month + 2) // 5 + day - 719_469
