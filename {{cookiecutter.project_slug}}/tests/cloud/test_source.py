import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from cloud.datasets.source import SourceFile, find_paths, open_all
from cloud.errors import UserError
from table_schema.columns import Dialect

HEADINGS = ["name", "größe", "note"]
ROWS = [["a", "1,5", "says ö"], ["b", "2", ""], ["c", "", "x"]]
PLAIN = "name;größe;note\na;1,5;says ö\nb;2;\nc;;x\n"


def cells(path: Path, **dialect: object) -> list[list[str]]:
    return [list(row.cells) for row in SourceFile(path, Dialect(**dialect)).rows()]  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_text_of_any_dialect_is_read(
    tmp_path: Path, encoding: str, end: str, delimiter: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(PLAIN.replace("\n", end).replace(";", delimiter).encode(encoding))
    file = SourceFile(path)
    assert file.headings == HEADINGS
    assert [list(row.cells) for row in file.rows()] == ROWS
    assert file.dialect.delimiter == delimiter
    assert file.counts.rows == 3


def test_bytes_that_cp1252_lacks_are_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("a,b\n\x81ö,1\n".encode("latin-1"))
    assert cells(path) == [["\x81ö", "1"]]


@pytest.mark.parametrize(
    "before", ["\n\n", "# made by X\n", "# made by X, in 2026\n", "sep=;\n", '"sep=;"\r\n']
)
def test_lines_above_the_headings_are_no_rows(tmp_path: Path, before: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(before + PLAIN, encoding="utf-8")
    assert cells(path) == ROWS


def test_comments_are_counted_and_a_value_may_begin_like_one(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("color,n\n#fff,1\n# half of it\n#000,2\n", encoding="utf-8")
    file = SourceFile(path)
    assert [list(row.cells) for row in file.rows()] == [["#fff", "1"], ["#000", "2"]]
    assert file.counts.comments == 1


def test_packed_and_other_files_have_the_same_rows(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "table.csv.gz", "wb") as packed:
        packed.write(PLAIN.encode())
    with zipfile.ZipFile(tmp_path / "table.zip", "w") as archive:
        archive.writestr("inside.csv", PLAIN)
    columns = dict(zip(HEADINGS, zip(*ROWS, strict=True), strict=True))
    parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    (tmp_path / "table.jsonl").write_text(
        "".join(json.dumps(dict(zip(HEADINGS, row, strict=True))) + "\n" for row in ROWS),
        encoding="utf-8",
    )
    objects = [dict(zip(HEADINGS, row, strict=True)) for row in ROWS]
    (tmp_path / "table.json").write_text(json.dumps(objects, indent=2), encoding="utf-8")
    book = openpyxl.Workbook()
    for row in [HEADINGS, *ROWS]:
        book.worksheets[0].append(row)
    book.save(tmp_path / "table.xlsx")
    for path in sorted(tmp_path.iterdir()):
        assert SourceFile(path).headings == HEADINGS, path
        assert cells(path) == ROWS, path


def test_typed_cells_become_texts(tmp_path: Path) -> None:
    values = [True, 2007.0, 1.25, None, pa.scalar(0, pa.date32()).as_py()]
    table = {f"c{n}": [value] for n, value in enumerate(values)}
    parquet.write_table(pa.table(table), tmp_path / "table.parquet")
    assert cells(tmp_path / "table.parquet") == [["true", "2007", "1.25", "", "1970-01-01"]]
    (tmp_path / "table.jsonl").write_text('{"c0": true, "c1": 1.50}\n{"c2": null, "c0": 1e3}\n')
    assert cells(tmp_path / "table.jsonl") == [["true", "1.50", ""], ["1e3", "", ""]]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "t.jsonl",
            '{"a": 1}\n{"a": 2\n',
            r"line 2: expected a JSON object, got '\{\"a\": 2 \(Exp",
        ),
        ("t.jsonl", '{"a": 1}\n7\n', "line 2: expected a JSON object, got '7'"),
        ("t.json", '[{"a": 1}, 7]', "object 2: expected a JSON object, got '7'"),
        ("t.json", '[{"a": 1}, ', r"object 1: expected a JSON object, got .*Expecting value"),
        ("t.jsonl", '{"a": 1}\n{"a": [2]}\n', "line 2: 'a' holds an object or a list"),
    ],
)
def test_json_that_is_no_row_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        cells(tmp_path / name)


def test_quotes_hold_delimiters_quotes_and_line_breaks_of_any_size(tmp_path: Path) -> None:
    long = "\n".join(f"line {n}" for n in range(20_000))
    path = tmp_path / "table.csv"
    path.write_text(f'a,b,c\n"x, ""y""\nz",1,\n"{long}",2,\n12" pipe,3,\n', encoding="utf-8")
    assert cells(path) == [
        ['x, "y"\nz', "1", ""],
        [long, "2", ""],
        ['12" pipe', "3", ""],
    ]


@pytest.mark.parametrize(
    ("strays", "line"),
    [((10,), 11), ((10, 40), 11), ((10, 11), 11), ((10, 11, 12, 13), 11), ((99,), 100)],
)
def test_a_stray_quote_is_refused_with_its_line_and_costs_no_other_row(
    tmp_path: Path, strays: tuple[int, ...], line: int
) -> None:
    path = tmp_path / "table.csv"
    rows = [f"{'' if n not in strays else chr(34)}r{n},{n},x" for n in range(1, 101)]
    path.write_text("name,n,m\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"table\.csv, line {line}: .*quote.*--skip-bad"):
        cells(path)
    file = SourceFile(path, Dialect(skip_bad=True))
    assert len(list(file.rows())) + len(file.counts.bad) == 100
    assert file.counts.rows == 100 - len(strays)


def test_quotes_that_join_what_looks_like_rows_are_told_apart_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('a,b\nx,1\n"y,2\nz",3\n', encoding="utf-8")
    with pytest.raises(UserError, match="a quote joins lines 3 to 4, which look like rows"):
        cells(path)
    assert cells(path, line_breaks=True) == [["x", "1"], ["y,2\nz", "3"]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected headings and rows, got an empty file"),
        ("\n \n", "expected headings and rows, got an empty file"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 cells as there are headings, got 1"),
        ("a,b\n1,2,\n", "line 2: expected 2 cells as there are headings, got 3"),
        ("a,b,a\n1,2,3\n", "line 1: expected each heading once, got 'a' 2 times; .*--headings"),
        ("5.1,3.5,x\n4.9,3,y\n", "line 1: expected headings, got '5.1, 3.5, x'.*--headings c1,c2"),
        ("a\0b,c\n1,2\n", "got bytes of another kind"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        cells(path)


def test_headings_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("5.1,3.5\n4.9,3\n", encoding="utf-8")
    file = SourceFile(path, Dialect(headings=("long", "wide")))
    assert [list(row.cells) for row in file.rows()] == [["5.1", "3.5"], ["4.9", "3"]]
    with pytest.raises(UserError, match=r"--headings: expected 2 names, as many as .* got 1"):
        list(SourceFile(path, Dialect(headings=("long",))).rows())


def test_the_number_that_pandas_writes_before_a_row_has_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(",a\n0,x\n1,y\n", encoding="utf-8")
    assert SourceFile(path).headings == ["Unnamed: 0", "a"]


@pytest.mark.parametrize("headings", ["country,1960,1961,1962", ",0,1,2", "x,y"])
def test_years_may_be_headings(tmp_path: Path, headings: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{headings}\n{headings}\n", encoding="utf-8")
    assert len(cells(path)) == 1


def test_files_of_a_folder_are_one_table_where_their_headings_agree(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,y\n3,4\n")
    (tmp_path / "readme.md").write_text("no table\n")
    assert [path.name for path in find_paths([tmp_path])] == ["a.csv", "b.csv"]
    files = open_all(find_paths([tmp_path]), Dialect())
    assert [list(row.cells) for file in files for row in file.rows()] == [["1", "2"], ["3", "4"]]
    (tmp_path / "c.csv").write_text("x,z\n5,6\n")
    with pytest.raises(UserError, match=r"c\.csv: .* of .*a\.csv, .*lacks 'y' and has besides 'z'"):
        open_all(find_paths([tmp_path]), Dialect())
    with pytest.raises(UserError, match=r"nowhere: there is no such file"):
        find_paths([tmp_path / "nowhere"])


def test_headings_in_another_order_are_aligned(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    (tmp_path / "b.csv").write_text("z;x;y\n6;4;5\n")
    files = open_all(find_paths([tmp_path]), Dialect())
    assert [list(row.cells) for file in files for row in file.rows()] == [
        ["1", "2", "3"],
        ["4", "5", "6"],
    ]


@pytest.mark.parametrize(
    ("above", "delimiter"),
    [
        ("Umsatzbericht 2026\n", ";"),
        ("Sales report, first half\n\n", ";"),
        ("Sales report;;\nmade on 3 May;;\n;;\n", ";"),
        ('"Report of ""all"" shops",,\n', ","),
    ],
)
def test_titles_above_the_headings_are_no_rows_and_said(
    tmp_path: Path, above: str, delimiter: str
) -> None:
    path = tmp_path / "report.csv"
    rows = "shop;sold;returned\na;1,5;2,5\nb;;3,5\n"
    table = rows if delimiter == ";" else rows.replace(",", ".").replace(";", ",")
    path.write_text(f"{above}{table}", encoding="utf-8")
    file = SourceFile(path)
    assert file.headings == ["shop", "sold", "returned"]
    assert [row.cells[0] for row in file.rows()] == ["a", "b"]
    assert file.titles[0].startswith("line 1, '")


def test_titles_above_a_sheet_are_no_rows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [["Report"], [None, "of 2026"], [], ["a", "b", "c"], [1, 2, None], [None, 3, 4]]:
        book.worksheets[0].append(row)
    book.save(tmp_path / "table.xlsx")
    file = SourceFile(tmp_path / "table.xlsx")
    assert file.titles == ["row 1, 'Report'", "row 2, 'of 2026'"]
    assert cells(tmp_path / "table.xlsx") == [["1", "2", ""], ["", "3", "4"]]


def test_a_sum_below_the_rows_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("region,n,m\nTotal,1,2\nWest,3,\nTotal,4,2\n")
    assert len(cells(path)) == 3  # the last has no empty cell: it may be a row
    path.write_text("region,n,m\nTotal,,\nWest,3,\nTotal:,4,\n")
    file = SourceFile(path)
    assert [row.cells[0] for row in file.rows()] == ["Total", "West"]
    assert file.total == "line 4, 'Total: 4'"


@pytest.mark.parametrize("text", ["note\na\nb\n", "name,\nx,1\ny,2\n", ",a,\n0,1.5,2\n"])
def test_what_is_no_title_stays_a_heading(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert SourceFile(path).titles == []


def test_lists_and_structures_are_left_out_with_the_reason(tmp_path: Path) -> None:
    table: dict[str, list[Any]] = {
        "a": [1, 2],
        "tags": [["x"], []],
        "where": [{"lat": 1.5}, {"lat": 2.5}],
        "b": ["", "z"],
    }
    parquet.write_table(pa.table(table), tmp_path / "table.parquet")
    lines = [json.dumps({key: column[n] for key, column in table.items()}) for n in range(2)]
    (tmp_path / "table.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for name in ("table.parquet", "table.jsonl"):
        file = SourceFile(tmp_path / name)
        assert (file.headings, list(file.left_out)) == (["a", "b"], ["tags", "where"])
        assert [list(row.cells) for row in file.rows()] == [["1", ""], ["2", "z"]]
