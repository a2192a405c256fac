"""CSV files and TFRecords: what is read of them, and what is said of their faults."""

import dataclasses
import gzip
import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from table_schema.columns import Column, Label, Table
from trainer.errors import StopRequestedError, UserError
from trainer.tabular import data, data_files
from trainer.tabular.data import Rows, Source

TABLE = Table(
    name="trips",
    key="trip",
    label=Label("late", ("no", "yes"), "whether it was late"),
    columns=(
        Column("miles", "number", "how far"),
        Column("month", "integer", "when"),
        Column("town", "category", "where to"),
        Column("night", "boolean", "whether it is dark"),
    ),
)
DELAY = dataclasses.replace(TABLE, label=Label("delay", (), "minutes"))
HEADER = "trip,miles,month,town,night,late,delay\n"
ROWS = "1,7.5,3,Rome,true,yes,20\n2,,,,,no,-3.5\n3,NA,12,NA,0,no,0\n"


def write(folder: Path, content: str, name: str = "trips.csv") -> str:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return str(path)


def read(pattern: str, table: Table = TABLE, **options: Any) -> Rows:
    return data.read(Source(pattern, table, **options))


def example(**features: Any) -> bytes:
    """Returns a serialized tf.Example; a feature that is None is left out."""
    lists = {
        str: lambda v: {"bytes_list": {"value": [v.encode()]}},
        bytes: lambda v: {"bytes_list": {"value": [v]}},
        int: lambda v: {"int64_list": {"value": [v]}},
        float: lambda v: {"float_list": {"value": [v]}},
    }
    found = {n: lists[type(v)](v) for n, v in features.items() if v is not None}
    message = tf.train.Example(features={"feature": found})
    return bytes(message.SerializeToString())


EXAMPLES = [
    example(trip="1", miles=7.5, month=3, town="Rome", night=1, late="yes", delay=20.0),
    example(trip="2", late="no", delay=-3.5),
    example(trip="3", month=12, town="NA", night=0, late="no", delay=0.0),
]


def write_records(folder: Path, examples: list[bytes], name: str = "trips.tfrecord") -> str:
    path = str(folder / name)
    compression = tf.io.TFRecordOptions("GZIP" if name.endswith(".gz") else None)
    with tf.io.TFRecordWriter(path, compression) as writer:
        for each in examples:
            writer.write(each)
    return path


def check_rows(rows: Rows) -> None:
    """Checks the three rows of `ROWS` and `EXAMPLES`."""
    np.testing.assert_array_equal(rows.features["miles"], np.array([7.5, np.nan, np.nan]))
    assert rows.features["miles"].dtype == np.float32
    assert rows.features["month"].tolist() == [3, -1, 12]
    assert rows.features["month"].dtype == np.int64
    assert rows.features["town"].tolist() == ["Rome", "", "NA"]  # NA may be Namibia
    assert rows.features["night"].tolist() == [True, False, False]
    assert rows.labels.tolist() == [1, 0, 0]
    assert rows.labels.dtype == np.int32


def test_gaps_take_each_kinds_missing_value(tmp_path: Path) -> None:
    check_rows(read(write(tmp_path, HEADER + ROWS)))


@pytest.mark.parametrize("name", ["trips.tfrecord", "trips.tfrecord.gz", "trips.tfrecord-0-of-1"])
def test_tfrecords_are_the_same_rows(tmp_path: Path, name: str) -> None:
    path = write_records(tmp_path, EXAMPLES, name)
    check_rows(read(path))
    csv = read(write(tmp_path, HEADER + ROWS), with_keys=True)
    assert read(path, with_keys=True).fingerprint() == csv.fingerprint()


@pytest.mark.parametrize("kind", ["csv", "tfrecord"])
def test_a_label_of_no_classes_is_a_number(tmp_path: Path, kind: str) -> None:
    csv, records = write(tmp_path, HEADER + ROWS), write_records(tmp_path, EXAMPLES)
    rows = read(csv if kind == "csv" else records, DELAY)
    assert rows.labels.tolist() == [20, -3.5, 0]
    assert rows.labels.dtype == np.float32


def test_the_order_of_columns_and_what_is_not_described_do_not_matter(tmp_path: Path) -> None:
    content = 'late,town,comment,month,night,miles\nyes,Rome,"a, b",3,1,7.5\nno,,x,,,\n'
    rows = read(write(tmp_path, content), with_keys=True)
    assert rows.features["town"].tolist() == ["Rome", ""]
    assert rows.labels.tolist() == [1, 0]
    assert rows.keys is None


def test_windows_line_ends_a_byte_order_mark_and_empty_lines_are_read(tmp_path: Path) -> None:
    content = "\ufeff" + (HEADER + ROWS).replace("\n", "\r\n") + "\r\n\r\n"
    check_rows(read(write(tmp_path, content)))


@pytest.mark.parametrize("size", [1, 7, 40])
def test_lines_and_records_are_whole_wherever_the_pieces_end(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, records = write(tmp_path, (HEADER + ROWS)[:-1]), write_records(tmp_path, EXAMPLES)
    monkeypatch.setattr(data_files, "CHUNK", size)
    check_rows(read(path))
    check_rows(read(records))


def test_shards_are_one_table_and_each_has_its_hash(tmp_path: Path) -> None:
    first, *lines = ROWS.splitlines(keepends=True)
    header = "night,late,miles,month,town,trip,delay\n"  # another order
    names = [
        write(tmp_path, header + "true,yes,7.5,3,Rome,1,20\n", "trips-0.csv"),
        str(tmp_path / "trips-1.csv.gz"),
    ]
    (tmp_path / "trips-1.csv.gz").write_bytes(gzip.compress((HEADER + "".join(lines)).encode()))
    source = Source(str(tmp_path / "trips-*.csv*"), TABLE, with_keys=True)
    rows = data.read(source)
    check_rows(rows)
    assert source.digests == {n: hashlib.sha256(Path(n).read_bytes()).hexdigest() for n in names}
    whole = read(write(tmp_path, HEADER + first + "".join(lines)), with_keys=True)
    assert rows.fingerprint() == whole.fingerprint()


def test_a_fingerprint_is_of_the_rows_not_of_the_features(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + ROWS)
    fewer = dataclasses.replace(TABLE, columns=TABLE.columns[:1])
    fingerprint = read(path, with_keys=True).fingerprint()
    assert read(path, fewer, with_keys=True).fingerprint() == fingerprint
    other = write(tmp_path, HEADER + ROWS.replace("3,NA", "4,NA"), "other.csv")
    assert read(other, with_keys=True).fingerprint() != fingerprint
    assert read(path).fingerprint() != read(path, fewer).fingerprint()


def test_small_data_is_read_once_and_large_data_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, HEADER + ROWS)
    opened = []
    open_file = data_files.opened

    def open_noting(name: str) -> Any:
        opened.append(name)
        return open_file(name)

    monkeypatch.setattr(data_files, "opened", open_noting)
    for kept_rows, times in ((3, 1), (2, 2)):
        source = Source(path, TABLE, kept_rows=kept_rows)
        check_rows(data.join(list(source)))
        check_rows(data.join(list(source)))
        assert len(opened) == times
        opened.clear()


def test_a_file_that_changes_between_two_readings_is_told(tmp_path: Path) -> None:
    source = Source(write(tmp_path, HEADER + ROWS), TABLE)
    list(source)
    write(tmp_path, HEADER + ROWS.replace("Rome", "Oslo"))
    with pytest.raises(UserError, match="changed while it was read"):
        list(source)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "expected a header and rows, got an empty file"),
        (HEADER, "expected rows below the header, got none"),
        ("trip,miles,month,night,late\n1,2,3,1,no\n", "one column 'town' .* got none among trip"),
        ("trip,miles,month,town,night\n1,2,3,Rome,1\n", "one column 'late'"),
        ("town,miles,month,town,night,late\n", "one column 'town' .* got two among"),
        (HEADER + "1,2,3,Rome,1,no,1\n2,2,3,Rome,1,no,2\n", "different values in column 'late'"),
        (HEADER + "1,2,3,Rome,1,no,1\n2,2,3,Rome,1,perhaps,1\n", "Line 3: .*'late', got 'perhaps'"),
        (HEADER + "1,2,3,Rome,1,no,1\n2,2,3,Rome,1,,1\n", "Line 3: .*'yes' in column .*got ''"),
        (HEADER + '1,2,3,Rome,1,no,1\n2,"1,000",3,Rome,1,yes,1\n', "Line 3: .*'miles'.*'1,000'"),
        (HEADER + "1,1,000,3,Rome,1,no,1\n", "Line 2: Expected 7 columns, got 8"),
        (
            HEADER + "1,2,March,Rome,1,no,1\n",
            "Line 2: column 'month': .* whole number, got 'March'",
        ),
        (
            HEADER + "1,2,3,Rome,maybe,no,1\n",
            "Line 2: column 'night': .*true or false, got 'maybe'",
        ),
        (HEADER + "1,2,3,Rome\n", "Line 2: Expected 7 columns, got 4"),
    ],
)
def test_a_bad_file_is_told_with_its_name_and_the_fault(
    tmp_path: Path, content: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as told:
        read(write(tmp_path, content))
    assert "trips.csv" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_number_that_is_none_is_no_label(tmp_path: Path) -> None:
    for value in ("", "nan", "inf"):
        path = write(tmp_path, HEADER + f"1,2,3,Rome,1,no,1\n2,2,3,Rome,1,no,{value}\n")
        with pytest.raises(UserError, match=r"Line 3: .*'delay'.*, got"):
            read(path, DELAY)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (example(town="Oslo"), "Record 4: expected 'no', 'yes' in column 'late', got ''"),
        (example(late="never"), "Record 4: .* got 'never'"),
        (example(late="no", miles="7"), "Record 4: Key: miles.*[Dd]ata types don't match"),
        (example(late="no", town=b"Z\xfcrich"), "Record 4: text that is not UTF-8"),
        (b"no example", "Record 4: no tf.Example"),
    ],
    ids=["no label", "another label", "text for a number", "not UTF-8", "no example"],
)
def test_a_bad_record_is_told_with_its_number(tmp_path: Path, record: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as told:
        read(write_records(tmp_path, [*EXAMPLES, record]))
    assert "\n" not in str(told.value)


def test_records_that_are_cut_short_or_damaged_are_told(tmp_path: Path) -> None:
    path = Path(write_records(tmp_path, EXAMPLES))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(UserError, match=r"trips\.tfrecord: .* ends within record 3"):
        read(str(path))
    path.write_bytes(whole[:30] + b"?" + whole[31:])
    with pytest.raises(UserError, match="another checksum, record 1"):
        read(str(path))


def test_a_column_that_one_shard_lacks_is_told_with_the_shard(tmp_path: Path) -> None:
    write(tmp_path, HEADER + ROWS, "csv-0")
    write(tmp_path, "trip,miles,month,night,late\n1,2,3,1,no\n", "csv-1")
    with pytest.raises(UserError, match="csv-1: expected one column 'town'"):
        read(str(tmp_path / "csv-*"))
    write_records(tmp_path, EXAMPLES, "0.tfrecord")
    write_records(tmp_path, [example(late="no", miles=1.0, month=2)], "1.tfrecord")
    with pytest.raises(UserError, match=r"1\.tfrecord: expected the feature town .* no record"):
        read(str(tmp_path / "*.tfrecord"))


def test_an_empty_shard_is_told_or_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, HEADER + ROWS, "0.csv")
    header_only = write(tmp_path, HEADER, "1.csv")
    assert len(read(str(tmp_path / "*.csv"))) == 3
    assert f"{header_only} has no rows: skipped." in capsys.readouterr().out
    write(tmp_path, "", "2.csv")
    with pytest.raises(UserError, match=r"2\.csv: expected a header and rows, got an empty file"):
        read(str(tmp_path / "*.csv"))


def test_bad_rows_are_counted_shown_and_left_out_up_to_a_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{n},{n},3,Rome,1,{'yes' if n % 3 else 'no'},1\n" for n in range(1_000)]
    bad = [7, 8, 300, 301, 555, 901, 999]
    for n in bad:
        lines[n] = lines[n].replace(",3,Rome", ",March,Rome")
    source = Source(write(tmp_path, HEADER + "".join(lines)), TABLE, max_bad_share=0.007)
    rows = data.read(source)
    kept = [n for n in range(1_000) if n not in bad]
    assert rows.features["miles"].tolist() == kept
    list(source)
    said = capsys.readouterr().out
    assert said.count("7 of the 1,000 rows read cannot be parsed") == 1
    assert [f"Line {n + 2}:" in said for n in bad] == [True] * 5 + [False] * 2

    with pytest.raises(UserError, match=r"7 of the 1,000 rows .* a larger share than 0.0069 "):
        read(source.pattern, max_bad_share=0.0069)


def test_a_file_of_bad_rows_is_refused_early(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "1,2,3,Rome,1,No,1\n" * 20_000)
    with pytest.raises(UserError, match="5 of the 5 rows read cannot be parsed"):
        read(path)


def test_a_stop_ends_the_reading(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StopRequestedError):
        read(write(tmp_path, HEADER + ROWS), stop=stop)


def test_text_that_is_not_utf_8_is_told_with_its_column(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_bytes(HEADER.encode() + "1,2,3,Zürich,1,no,1\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"Line 2: column 'town'.*UTF8"):
        read(str(path))


def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv: cannot be read"):
        read(str(tmp_path / "nowhere.csv"))
    with pytest.raises(UserError, match=r"nowhere-\*\.csv: expected files of such names"):
        read(str(tmp_path / "nowhere-*.csv"))


def test_a_broken_gz_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode())[:-9])
    with pytest.raises(UserError, match="expected a whole gzip file"):
        read(str(path))
    path.write_text(HEADER + ROWS)
    check_rows(read(str(path)))  # it is no gzip file, whatever its name


def stray_quotes(*numbers: int) -> list[str]:
    lines = [f"{n},{n},3,Rome,1,{'yes' if n % 3 else 'no'},1\n" for n in range(100)]
    for number in numbers:
        lines[number] = lines[number].replace("Rome", '"Rome')
    return lines


@pytest.mark.parametrize("places", [(9,), (9, 39), (0,), (99,), (98, 99), (9, 10)])
def test_a_stray_quote_costs_its_own_row_and_no_other(
    tmp_path: Path, places: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, HEADER + "".join(stray_quotes(*places)))
    with pytest.raises(UserError, match=f"Line {places[0] + 2}: a quote is opened and not closed"):
        read(path)
    rows = read(path, max_bad_share=0.02)
    assert rows.features["miles"].tolist() == [n for n in range(100) if n not in places]
    assert f"{len(places)} of the 100 rows read cannot be parsed" in capsys.readouterr().out


@pytest.mark.parametrize("count", [200, 60_000])
def test_line_ends_in_quotes_are_always_refused(tmp_path: Path, count: int) -> None:
    content = HEADER + '1,2,3,"Rome\n or so",1,no,1\n' * count
    with pytest.raises(UserError, match=r"Line 2: a quote is opened .*Line 3: Expected 7 columns"):
        read(write(tmp_path, content))


def test_quotes_within_a_cell_and_quoted_commas_are_text(tmp_path: Path) -> None:
    rows = read(write(tmp_path, HEADER + '1,2,3,Ro"me,1,no,1\n2,2,3,"a, ""b""",1,yes,1\n'))
    assert rows.features["town"].tolist() == ['Ro"me', 'a, "b"']


@pytest.mark.parametrize("before", ["\n", "   \n", "\ufeff\n", "\r\n\r\n"])
def test_blank_lines_before_the_header_are_none(tmp_path: Path, before: str) -> None:
    check_rows(read(write(tmp_path, before + HEADER + ROWS)))
    bad = write(tmp_path, before + HEADER + ROWS + "4,2,March,Rome,1,no,1\n")
    with pytest.raises(UserError, match=f"Line {before.count(chr(10)) + 5}: column 'month'"):
        read(bad)


def test_blanks_around_names_and_values_are_no_part_of_them(tmp_path: Path) -> None:
    content = (HEADER + ROWS).replace(",", " , ")
    check_rows(read(write(tmp_path, content)))
    spaced = [example(trip="1", town=" Rome ", late=" yes"), example(late="no"), *EXAMPLES]
    assert read(write_records(tmp_path, spaced)).features["town"][0] == "Rome"


def test_semicolons_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="separate the columns by commas and not by ';'"):
        read(write(tmp_path, (HEADER + ROWS).replace(",", ";")))


@pytest.mark.parametrize(
    ("first", "remedy"),
    [
        ("sep=,", "remove line 1, 'sep=,', which only Excel understands[.]"),
        ('"sep=;"', "only Excel understands, and separate the columns by commas[.]"),
        ("\n# made by x", "remove line 2, '# made by x', if it is a comment[.]"),
        ("#id,made by x", "if it is a comment"),
    ],
)
def test_a_line_above_the_headings_is_told(tmp_path: Path, first: str, remedy: str) -> None:
    with pytest.raises(UserError, match=f"trips.csv: expected one column 'miles' .*{remedy}"):
        read(write(tmp_path, f"{first}\n" + HEADER + ROWS))


def test_a_heading_may_begin_with_a_hash(tmp_path: Path) -> None:
    check_rows(read(write(tmp_path, "#" + HEADER + ROWS)))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"BZh91AY&SY", "a bzip2 file"),
        ((HEADER + ROWS).encode("utf-16"), "UTF-16 text"),
        (gzip.compress(b"PAR1\x15\x04", mtime=0), "a Parquet file"),
        (b"PK\x03\x04xl/", "a zip file or an Excel workbook"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "trips.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"trips.csv: expected CSV in UTF-8 .* got {kind}; conv"):
        read(str(path))


def test_utf_16_without_a_mark_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_bytes((HEADER + ROWS).encode("utf-16-le"))
    with pytest.raises(UserError, match="perhaps UTF-16; save it as UTF-8"):
        read(str(path))


@pytest.mark.parametrize(
    "name", ["trips", "trips.tfrec", "trips.TFRECORD", "data_tfrecord-00000-of-00001.gz"]
)
def test_tfrecords_are_known_by_their_first_bytes(tmp_path: Path, name: str) -> None:
    check_rows(read(write_records(tmp_path, EXAMPLES, name)))


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode()))
    check_rows(read(str(path)))
    records = Path(write_records(tmp_path, EXAMPLES))
    records.write_bytes(gzip.compress(records.read_bytes()))
    check_rows(read(str(records)))


def test_an_empty_list_is_a_gap_and_two_values_are_too_many(tmp_path: Path) -> None:
    empty = tf.train.Example(
        features={
            "feature": {
                "trip": {"bytes_list": {"value": [b"2"]}},
                "miles": {"float_list": {}},
                "month": {"int64_list": {}},
                "town": {"bytes_list": {}},
                "late": {"bytes_list": {"value": [b"no"]}},
            }
        }
    ).SerializeToString()
    check_rows(read(write_records(tmp_path, [EXAMPLES[0], empty, EXAMPLES[2]])))
    two = tf.train.Example(
        features={
            "feature": {
                "miles": {"float_list": {"value": [1.0, 2.0]}},
                "late": {"bytes_list": {"value": [b"no"]}},
            }
        }
    ).SerializeToString()
    with pytest.raises(UserError, match="Record 4: feature 'miles': expected one value, got 2"):
        read(write_records(tmp_path, [*EXAMPLES, two]))
