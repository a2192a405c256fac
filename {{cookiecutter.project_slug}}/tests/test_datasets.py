import hashlib
import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

from cloud import config
from cloud.datasets import files, makers
from cloud.errors import UserError
from table_schema.tables import TABLES


@pytest.fixture(scope="module")
def flights() -> dict[str, pd.DataFrame]:
    return makers.make("flights")


def test_flights_are_all_that_arrived_each_once(flights: dict[str, pd.DataFrame]) -> None:
    everything = pd.concat(flights.values())
    assert len(everything) == 327_346
    assert everything["flight"].is_unique
    assert everything["late"].isin(["yes", "no"]).all()
    assert ((everything["arr_delay"] > 15) == (everything["late"] == "yes")).all()
    assert {split: round(len(rows) / 327_346, 2) for split, rows in flights.items()} == {
        "train": 0.8,
        "eval": 0.1,
        "test": 0.1,
    }


def test_a_flight_has_the_weather_of_its_hour_and_its_weekday(
    flights: dict[str, pd.DataFrame],
) -> None:
    everything = pd.concat(flights.values()).set_index("flight")
    flight = everything.loc["2013-01-01 UA1545 EWR-IAH 05:15"]
    assert flight["weekday"] == 2
    assert (flight["temp"], flight["wind_speed"], flight["visib"]) == (39.02, 12.66, 10)
    assert flight["dep_delay"] == 2
    assert flight["arr_delay"] == 11


def test_penguins_keep_their_gaps() -> None:
    everything = pd.concat(makers.make("penguins").values())
    assert len(everything) == 344
    assert everything["penguin"].is_unique
    assert everything.isna().any(axis=1).sum() == 11


@pytest.mark.parametrize("name", makers.MAKERS)
def test_every_split_has_the_described_columns_and_every_class(name: str) -> None:
    table = TABLES[name]
    for rows in makers.make(name, 300).values():
        assert list(rows)[: len(table.columns) + 2] == [
            table.key,
            *(column.name for column in table.columns),
            table.label.name,
        ]
        if table.label.classes:
            assert set(rows[table.label.name]) == set(table.label.classes)
        else:
            assert pd.api.types.is_numeric_dtype(rows[table.label.name])


def test_a_row_of_a_sample_is_in_the_split_it_has_in_the_whole(
    flights: dict[str, pd.DataFrame],
) -> None:
    sample = makers.make("flights", 2_000)
    assert sum(map(len, sample.values())) == 2_000
    for split, rows in sample.items():
        assert rows["flight"].isin(flights[split]["flight"]).all()


def test_by_day_a_day_is_in_one_split() -> None:
    by_row, by_day = makers.make("flights", 20_000), makers.make("flights", 20_000, "day")
    days = {split: set(rows["flight"].str[:10]) for split, rows in by_day.items()}
    assert sum(map(len, days.values())) == len(set.union(*days.values())) == 365
    assert 0.05 < len(by_day["test"]) / 20_000 < 0.15
    # The sample is the same, only split otherwise.
    flights = [sorted(pd.concat(splits.values())["flight"]) for splits in (by_row, by_day)]
    assert flights[0] == flights[1]


def test_what_has_no_days_is_not_split_by_them() -> None:
    with pytest.raises(UserError, match=r"begin with a date .* got 'Adelie 1'; split it by row"):
        makers.make("penguins", split_by="day")


def test_the_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = makers.write_csvs("flights", tmp_path / "first", rows=1_000)
    again = makers.write_csvs("flights", tmp_path / "again", rows=1_000)
    for split in ("train", "eval", "test"):
        assert first[split].read_bytes() == again[split].read_bytes()
        assert b"\r" not in first[split].read_bytes()


def test_the_penguins_file_is_this_one(tmp_path: Path) -> None:
    path = makers.write_csvs("penguins", tmp_path)["test"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == "37f60bcfb13d95985043eafe97da7662dc70279e4a5ad2f9820711410635ee59"


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    known = ", ".join(makers.MAKERS)
    with pytest.raises(UserError, match=f"Expected a data set of {known}, got 'boats'"):
        makers.make("boats")


def test_a_sample_of_no_rows_is_refused() -> None:
    with pytest.raises(UserError, match="at least one row, got 0"):
        makers.make("penguins", 0)


def test_files_are_made_again_when_the_description_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = config.load(
        environment={"CLOUD_DATA_FOLDER": str(tmp_path / "data"), "CLOUD_DATA_SET": "penguins"}
    )
    shutil.copytree(ROOT / "trainer" / "tables", tmp_path / "tables")
    monkeypatch.setattr(TABLES, "folder", tmp_path / "tables")
    train = files.ready(values)["train"]
    train.write_text("a person looks at it\n")
    assert files.ready(values)["train"].read_text() == "a person looks at it\n"
    with (tmp_path / "tables" / "penguins.toml").open("a") as description:
        description.write("# changed\n")
    assert len(files.ready(values)["train"].read_text().splitlines()) == 276
    # What no maker here made is somebody's own.
    (train.parent / "made.json").unlink()
    train.write_text("of another program\n")
    assert files.ready(values)["train"].read_text() == "of another program\n"
