import gzip
from pathlib import Path

import numpy as np
import pytest

from trainer.columns import Column, Label, Table
from trainer.data import read
from trainer.errors import UserError

TABLE = Table(
    name="trips",
    key="trip",
    label=Label("late", ("no", "yes"), "whether it was late"),
    columns=(
        Column("miles", "number", "how far"),
        Column("month", "integer", "when"),
        Column("town", "category", "where to"),
    ),
)
HEADER = "trip,miles,month,town,late\n"
ROWS = "1,7.5,3,Rome,yes\n2,,,,no\n3,NA,12,NA,no\n"


def write(folder: Path, content: str) -> str:
    path = folder / "trips.csv"
    path.write_text(content, encoding="utf-8", newline="")
    return str(path)


def test_gaps_take_each_kinds_missing_value(tmp_path: Path) -> None:
    rows = read(write(tmp_path, HEADER + ROWS), TABLE)
    np.testing.assert_array_equal(rows.features["miles"], np.array([7.5, np.nan, np.nan]))
    assert rows.features["miles"].dtype == np.float32
    assert rows.features["month"].tolist() == [3, -1, 12]
    assert rows.features["town"].tolist() == ["Rome", "", "NA"]  # NA may be Namibia
    assert rows.labels.tolist() == [1, 0, 0]
    assert rows.labels.dtype == np.int32


def test_the_order_of_columns_and_what_is_not_described_do_not_matter(tmp_path: Path) -> None:
    content = 'late,town,comment,month,miles\nyes,Rome,"a, b",3,7.5\nno,,x,,\n'
    rows = read(write(tmp_path, content), TABLE)
    assert rows.features["town"].tolist() == ["Rome", ""]
    assert rows.labels.tolist() == [1, 0]


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    content = "\ufeff" + (HEADER + ROWS).replace("trip,", "", 1).replace("\n", "\r\n")
    content = content.replace("1,7.5", "7.5").replace("2,,", ",").replace("3,NA", "NA")
    assert len(read(write(tmp_path, content), TABLE)) == 3


def test_a_gz_file_is_the_same_table(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode()))
    assert read(str(path), TABLE).labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "expected a header and rows, got an empty file"),
        (HEADER, "expected rows below the header, got none"),
        ("trip,miles,month,late\n1,2,3,no\n", "expected a column 'town' .* got trip, miles"),
        ("trip,miles,month,town\n1,2,3,Rome\n", "expected a column 'late'"),
        (HEADER + "1,2,3,Rome,no\n2,2,3,Rome,no\n", "at least two of .* got 'no' in all rows"),
        (HEADER + "1,2,3,Rome,no\n2,2,3,Rome,perhaps\n", "'late', got 'perhaps' in row 2"),
        (HEADER + "1,2,3,Rome,no\n2,2,3,Rome,\n", "'late', got '' in row 2"),
        (HEADER + '1,2,3,Rome,no\n2,"1,000",3,Rome,yes\n', "in column 'miles': .*'1,000'"),
        (HEADER + "1,2,March,Rome,no\n", "in column 'month': .*'March'"),
        (HEADER + "1,2,3,Rome\n", "Expected 5 columns, got 4"),
    ],
)
def test_a_bad_file_is_told_with_its_name_and_the_fault(
    tmp_path: Path, content: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as told:
        read(write(tmp_path, content), TABLE)
    assert "trips.csv" in str(told.value)
    assert "\n" not in str(told.value)


def test_text_that_is_not_utf_8_is_told_with_its_column(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_bytes(HEADER.encode() + "1,2,3,Zürich,no\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"in column 'town': .*UTF8"):
        read(str(path), TABLE)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv: cannot be read"):
        read(str(tmp_path / "nowhere.csv"), TABLE)


def test_a_broken_gz_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode())[:-9])
    with pytest.raises(UserError, match="expected a gzip file"):
        read(str(path), TABLE)
