"""What adopt makes of the peculiarities of people's files, from the file to the data set."""

import csv
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloud.adoption import description, report
from cloud.adoption.findings import Adoption, Finding, Wishes
from cloud.adoption.headings import safe_names
from cloud.adoption.look import Look
from cloud.datasets.conversion import write_csvs
from cloud.errors import UserError
from cloud.serving import instances
from table_schema.columns import Dialect, Table, is_id
from table_schema.tables import parse

ROWS = 200
TURNS = random.Random(0)  # noqa: S311 - no secret
NOISE = [TURNS.random() for _ in range(ROWS)]
LABEL = ["yes" if noise + 0.4 * TURNS.random() > 0.7 else "no" for noise in NOISE]


def default(_question: str, _flag: str, answer: str) -> str:
    return answer


def table_file(folder: Path, **columns: Iterable[Any]) -> Path:
    """Writes a CSV file with a label that noise partly tells, and more columns."""
    path = folder / "mine.csv"
    everything = {"noise": NOISE, "label": LABEL} | columns
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(everything)
        writer.writerows(zip(*everything.values(), strict=False))
    return path


def look(path: Path, **wishes: Any) -> Adoption:
    return Look([path], Wishes(**({"label": "label"} | wishes))).adoption([str(path)], default)


def finding(found: Adoption, heading: str) -> Finding:
    return next(each for each in found.findings if each.heading == heading)


def data_set(found: Adoption, folder: Path) -> dict[str, list[dict[str, str]]]:
    """Makes the data set as described, after the description went through its file."""
    table = parse(found.table.name, description.text(found.table))
    assert table == found.table
    paths, _made = write_csvs(table, [Path(name) for name in files_of(table)], folder / "data")
    return {split: rows_of(path) for split, path in paths.items()}


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def files_of(table: Table) -> Sequence[str]:
    assert table.source is not None
    return table.source.files


def column_of(found: Adoption, folder: Path, name: str) -> list[str]:
    rows = [row for split in data_set(found, folder).values() for row in split]
    key = found.table.key
    return [row[name] for row in sorted(rows, key=lambda row: int(row[key].split()[-1]))]


def test_headings_get_safe_names_and_keep_their_own(tmp_path: Path) -> None:
    headings = [
        "Total Charges",
        "größe",
        "key",
        "class",
        "年齢",
        "1st",
        "_x",
        "TOTAL charges",
        "a%",
    ]
    assert safe_names(headings) == [
        *("total_charges", "grosse", "key", "class_", "column_5", "c_1st", "x"),
        *("total_charges_2", "a"),
    ]
    path = table_file(tmp_path, **{"größe": NOISE[::-1]})
    found = look(path)
    assert finding(found, "größe").column is not None
    rows = data_set(found, tmp_path)
    assert "grosse" in rows["train"][0]
    assert sum(map(len, rows.values())) == ROWS


@pytest.mark.parametrize(
    ("write", "written"),
    [
        (lambda x: f"{x:.2f}", ""),
        (lambda x: f"{x:.2f}".replace(".", ","), "1.234,5"),
        (lambda x: f"{x:,.2f}", "1,234.5"),
        (lambda x: f"${x:,.2f}", "$1,234.5"),
        (lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")) + " €", "1.234,5 €"),
        (lambda x: f"{x:,.2f}".replace(",", "\u00a0").replace(".", ","), "1 234,5"),
        (lambda x: f"{x:,.2f}".replace(",", "'"), "1'234.5"),
        (lambda x: f"{x:.2f}%", "1,234.5%"),
        (lambda x: f"{x:.1e}", ""),
    ],
)
def test_numbers_are_read_as_the_file_writes_them(tmp_path: Path, write: Any, written: str) -> None:
    amounts = [5000 * noise for noise in NOISE]
    found = look(table_file(tmp_path, amount=map(write, amounts)))
    column = finding(found, "amount").column
    assert column is not None
    assert (column.kind, column.written) == ("number", written)
    made = [float(text) for text in column_of(found, tmp_path, "amount")]
    assert made == pytest.approx(amounts, rel=0.06, abs=0.006)


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ("5,5-", "5,5"),
        ("5.5-", "5.5"),
        ("1.234,50-", "1.234,50"),
        ("(1,234.50)", "1,234.50"),
        ("($1,234.50)", "$1,234.50"),
        ("(5)", "5"),
        ("-$5", "$5"),
        ("\N{MINUS SIGN}5.5", "5.5"),
    ],
)
def test_numbers_below_zero_are_read_as_the_file_writes_them(
    tmp_path: Path, below: str, above: str
) -> None:
    amounts = [below if n % 3 else above for n in range(ROWS)]
    found = look(table_file(tmp_path, amount=amounts), keep=("amount",))
    column = finding(found, "amount").column
    assert column is not None
    assert column.kind == "number"
    made = [float(text) for text in column_of(found, tmp_path, "amount")]
    assert made[0] > 0
    assert made[1] == -made[0]


@pytest.mark.parametrize(
    "gap", ["", "NA", "N/A", "n/a", "NULL", "None", "nan", "?", "-", " ", "unknown"]
)
def test_a_gap_among_numbers_is_a_gap(tmp_path: Path, gap: str) -> None:
    amounts = [gap if n % 7 == 0 else n / 8 for n in range(ROWS)]
    found = look(table_file(tmp_path, amount=amounts))
    assert finding(found, "amount").guess.missing == 29
    made = column_of(found, tmp_path, "amount")
    assert [text == "" for text in made] == [n % 7 == 0 for n in range(ROWS)]


def test_a_few_words_among_numbers_are_gaps_and_said(tmp_path: Path) -> None:
    amounts = ["see note" if n == 17 else n / 8 for n in range(ROWS)]
    found = look(table_file(tmp_path, amount=amounts))
    column = finding(found, "amount").column
    assert column is not None
    assert (column.kind, column.gaps) == ("number", ("see note",))
    assert any("'amount' holds numbers, but for 'see note'" in note for note in found.notes)
    assert column_of(found, tmp_path, "amount")[17] == ""


def test_a_heading_that_another_would_be_named_by_keeps_its_name(tmp_path: Path) -> None:
    assert safe_names(["A b", "a_b", "a b"]) == ["a_b_2", "a_b", "a_b_3"]
    found = look(table_file(tmp_path, **{"A b": NOISE[::-1], "a_b": NOISE[5:] + NOISE[:5]}))
    assert len(found.table.columns) == 3


def test_whole_numbers_that_pandas_wrote_with_a_point_are_whole(tmp_path: Path) -> None:
    years = ["" if n == 3 else f"{2007 + n % 3}.0" for n in range(ROWS)]
    found = look(table_file(tmp_path, year=years))
    column = finding(found, "year").column
    assert column is not None
    assert column.kind == "integer"
    assert set(column_of(found, tmp_path, "year")) == {"", "2007", "2008", "2009"}


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("yes", "no"),
        ("Y", "N"),
        ("t", "F"),
        ("TRUE", "false"),
        ("1", "0"),
        ("1.0", "0.0"),
        ("YES", "n"),
    ],
)
def test_words_of_truth_are_one_kind(tmp_path: Path, true: str, false: str) -> None:
    found = look(table_file(tmp_path, flag=[true if n % 3 else false for n in range(ROWS)]))
    column = finding(found, "flag").column
    assert column is not None
    assert column.kind == "boolean"
    made = column_of(found, tmp_path, "flag")
    assert made == ["true" if n % 3 else "false" for n in range(ROWS)]


def test_a_mark_or_nothing_is_true_or_false(tmp_path: Path) -> None:
    path = table_file(tmp_path, cancelled=["X" if n % 3 else "" for n in range(ROWS)])
    found = look(path)
    column = finding(found, "cancelled").column
    assert column is not None
    assert (column.kind, column.written) == ("boolean", "X")
    assert column_of(found, tmp_path, "cancelled")[:3] == ["", "true", "true"]
    assert instances.read(path, found.table)[1]["cancelled"] is True
    path.write_text(path.read_text().replace(",X\n", ",Y\n"))
    with pytest.raises(UserError, match=r"line 3, column 'cancelled': expected .* 'X'.*, got 'Y'"):
        data_set(found, tmp_path)


@pytest.mark.parametrize(
    ("first", "written", "made"),
    [
        ("2026-01-31", "", "2026-01-31"),
        ("2026-01-31 17:05:09", "", "2026-01-31 17:05:09"),
        ("2026-01-31T17:05:09+01:00", "", "2026-01-31T17:05:09+01:00"),
        ("31.01.2026", "%d.%m.%Y", "2026-01-31"),
        ("31/1/2026 17:05", "%d/%m/%Y %H:%M", "2026-01-31 17:05:00"),
        ("1/31/2026 5:05 PM", "%m/%d/%Y %I:%M %p", "2026-01-31 17:05:00"),
        ("Jan 31, 2026", "%b %d, %Y", "2026-01-31"),
        ("20260131", "%Y%m%d", "2026-01-31"),
        ("17:05", "", "17:05"),
        ("7:31", "%H:%M", "07:31:00"),
        ("17:05:31", "", "17:05:31"),
        ("5:31 PM", "%I:%M %p", "17:31:00"),
        ("05:05:31pm", "%I:%M:%S%p", "17:05:31"),
        ("1769879109", "epoch s", "2026-01-31 17:05:09"),
        ("1769879109000", "epoch ms", "2026-01-31 17:05:09"),
    ],
)
def test_times_are_read_as_the_file_writes_them(
    tmp_path: Path, first: str, written: str, made: str
) -> None:
    found = look(table_file(tmp_path, date=[first] * (ROWS - 1) + [first.replace("31", "30")]))
    assert finding(found, "date").guess.kind == "timestamp"
    found = look(tmp_path / "mine.csv", keep=("date",))
    column = finding(found, "date").column
    assert column is not None
    assert (column.kind, column.written) == ("timestamp", written)
    assert column_of(found, tmp_path, "date")[0] == made


@pytest.mark.parametrize(
    ("first", "step", "written", "said"),
    [
        (1_600_000_000, 86_400, "epoch s", "seconds since 1970, from 2020-09-13 to 2021-03-31"),
        (1_600_000_000_000, 5000, "epoch ms", "milliseconds since 1970, from 2020-09-13 to 2020"),
        (20260101, 0.1, "%Y%m%d", "dates, from 2026-01-01 to 2026-01-20"),
    ],
)
def test_numbers_of_a_plausible_range_are_times_and_said(
    tmp_path: Path, first: int, step: float, written: str, said: str
) -> None:
    moments = [int(first + step * n) for n in range(ROWS)]
    path = table_file(tmp_path, seen=moments, order_id=moments[::-1])
    found = look(path)
    assert finding(found, "seen").guess.kind == "timestamp"
    assert finding(found, "seen").guess.written == written
    assert any(f"'seen' holds numbers that are read as {said}" in note for note in found.notes)
    assert finding(found, "order_id").guess.kind == "integer"


def test_numbers_that_only_name_a_row_are_ids(tmp_path: Path) -> None:
    turns = random.Random(1).sample(range(40_000, 41_000), ROWS)  # noqa: S311 - no secret
    path = table_file(
        tmp_path,
        Kundennummer=[7_000_000 + 977 * n for n in range(ROWS)],
        Beleg=turns,
        rank=random.Random(2).sample(range(1, ROWS + 1), ROWS),  # noqa: S311 - no secret
        cents=[int(1e6 * noise) for noise in NOISE],
    )
    found = look(path)
    assert {each.heading for each in found.findings if each.guess.is_id} == {
        "Kundennummer",
        "Beleg",
    }


def test_whether_days_or_months_come_first_is_asked_where_undecided(tmp_path: Path) -> None:
    path = table_file(tmp_path, date=[f"{1 + n % 12}/{1 + n % 7}/2026" for n in range(ROWS)])
    asked = []

    def months(question: str, flag: str, answer: str) -> str:
        asked.append((question, flag, answer))
        return "m/d" if flag == "--dates" else answer

    found = Look([path], Wishes(label="label")).adoption([str(path)], months)
    assert [flag for _question, flag, _answer in asked] == ["--dates", "--time", "--leave-out"]
    assert column_of(found, tmp_path, "date")[1] == "2026-02-02"
    assert finding(found, "date").guess.written == "%m/%d/%Y"
    assert finding(look(path, dates="d/m"), "date").guess.written == "%d/%m/%Y"


def test_what_tells_nothing_is_left_out_with_its_reason_and_kept_where_asked(
    tmp_path: Path,
) -> None:
    path = table_file(
        tmp_path,
        customerID=[f"C{n:04}" for n in range(ROWS)],
        index=range(ROWS),
        country=["NL"] * ROWS,
        nothing=[""] * ROWS,
        copy=NOISE,
    )
    found = look(path)
    assert {each.heading: each.why for each in found.table.left_out} == {
        "index": "an id: differs in every row",
        "country": "is 'NL' in every row",
        "nothing": "has no values",
        "copy": "a copy of 'noise'",
    }
    assert found.table.key == "customerID"
    assert [column.name for column in found.table.columns] == ["noise"]
    kept = look(path, keep=("copy",), leave_out=("noise",))
    assert [column.name for column in kept.table.columns] == ["copy"]


def test_what_is_known_only_afterwards_is_asked(tmp_path: Path) -> None:
    path = table_file(tmp_path, refund=NOISE[::-1], reason=NOISE[1:] + NOISE[:1])

    def afterwards(_question: str, flag: str, answer: str) -> str:
        return "Refund, reason" if flag == "--leave-out" else answer

    found = Look([path], Wishes(label="label")).adoption([str(path)], afterwards)
    assert [column.name for column in found.table.columns] == ["noise"]


def test_texts_categories_and_many_of_them_differ(tmp_path: Path) -> None:
    words = [f"word{TURNS.randrange(90)}" for _ in range(5 * ROWS)]
    path = table_file(
        tmp_path,
        note=[" ".join(words[5 * n : 5 * n + 5]) for n in range(ROWS)],
        color=[("red", "blue", "n/a")[n % 3] for n in range(ROWS)],
        zip=[f"0{1000 + n % 60}" for n in range(ROWS)],
    )
    found = look(path)
    kinds = {each.heading: each.guess.kind for each in found.findings}
    assert kinds["note"] == "text"
    assert kinds["color"] == kinds["zip"] == "category"
    assert column_of(found, tmp_path, "color")[:3] == ["red", "blue", ""]
    assert column_of(found, tmp_path, "zip")[0] == "01000"


def test_columns_that_differ_only_in_a_number_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {f"f{n:03}": [f"{TURNS.random():.3f}" for _ in range(ROWS)] for n in range(300)}
    report.show(look(table_file(tmp_path, **columns)))
    assert "f000 … f299 (300)  number" in capsys.readouterr().out


def test_many_categories_are_hashed(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    lines = [f"town {n % 1500},{('a', 'b')[n % 2]},{n % 7}" for n in range(4500)]
    path.write_text("town,label,x\n" + "\n".join(lines) + "\n", encoding="utf-8")
    column = finding(look(path), "town").column
    assert column is not None
    assert column.buckets == 2048


def test_a_column_that_gives_the_label_away_is_left_out_and_its_neighbour_named(
    tmp_path: Path,
) -> None:
    reasons = ["moved" if label == "yes" else "" for label in LABEL]
    path = table_file(tmp_path, reason=reasons)
    found = look(path)
    assert finding(found, "reason").why_not == "gives the label away: alone it has ROC AUC 1.000"
    assert any("'reason' gives the label away" in note for note in found.notes)
    kept = look(path, keep=("reason",))
    assert finding(kept, "reason").column is not None


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["0", "1"], ("0", "1")),
        (["1.0", "0.0"], ("0", "1")),
        (["yes", "no"], ("no", "yes")),
        (["True", "False"], ("False", "True")),
        ([" Yes", "no", "No"], ("no", "Yes")),
        (["3", "1", "2"], ("1", "2", "3")),
        (["b", "a", "c"], ("a", "b", "c")),
    ],
)
def test_classes_are_told_from_the_values(
    tmp_path: Path, labels: list[str], classes: tuple[str, ...]
) -> None:
    given = [labels[n % len(labels)] for n in range(ROWS)]
    found = look(table_file(tmp_path, outcome=given), label="Outcome")
    assert tuple(map(str.lower, found.table.label.classes)) == tuple(map(str.lower, classes))
    assert set(column_of(found, tmp_path, "outcome")) == set(found.table.label.classes)


def test_of_two_classes_the_rare_one_is_looked_for(tmp_path: Path) -> None:
    found = look(table_file(tmp_path, outcome=["good"] * 180 + ["bad"] * 20), label="outcome")
    assert found.table.label.classes == ("good", "bad")


def test_many_numbers_are_estimated_and_few_are_classes(tmp_path: Path) -> None:
    path = table_file(tmp_path, price=[f"{100 * x:.2f}" for x in NOISE], stars=[1, 2, 3, 4, 5] * 40)
    assert look(path, label="price").table.label.kind == "regression"
    assert look(path, label="stars").table.label.kind == "multiclass"
    assert look(path, label="stars", label_kind="number").table.label.kind == "regression"


def test_rows_without_a_label_or_of_a_rare_class_are_left_out_and_counted(tmp_path: Path) -> None:
    given = ["", "NA", *["a", "b"] * 97, "c", "c", "c", "a"]
    found = look(table_file(tmp_path, outcome=given), label="outcome")
    assert found.table.label.classes == ("a", "b")
    assert any("2 rows of 200 looked at have no label" in note for note in found.notes)
    assert any("under 5 rows are left out: 'c' (3)" in note for note in found.notes)
    made = write_csvs(found.table, [Path(files_of(found.table)[0])], tmp_path / "data")[1]
    assert (made.without_label, made.of_left_out_classes, sum(made.rows.values())) == (2, 3, 195)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["a"] * ROWS, "expected two different labels at least, got only 'a' in 200 rows"),
        (["X", ""] * 100, "only 'X' in 100 rows, and 100 gaps; if a gap means no, write a word"),
        ([""] * ROWS, "expected two different labels at least, got no value in 200 rows"),
        (["a"] * 197 + ["b"] * 3, "two classes of 5 rows at least, got 'a' 197, 'b' 3"),
        ([f"w{n}x" for n in range(ROWS)], "200 classes at most|two classes of 5 rows"),
    ],
)
def test_what_cannot_be_learned_is_refused(tmp_path: Path, given: list[str], sentence: str) -> None:
    path = table_file(tmp_path, outcome=given)
    with pytest.raises(UserError, match=f"'outcome' cannot be learned: .*({sentence})"):
        look(path, label="outcome")


def test_each_split_has_each_class_also_of_99_to_1_and_of_60_rows(tmp_path: Path) -> None:
    path = tmp_path / "rare.csv"
    for rows, rare in ((1000, 10), (60, 6)):
        lines = [f"{n},{'b' if n < rare else 'a'},{n % 9}" for n in range(rows)]
        path.write_text("id,outcome,x\n" + "\n".join(lines) + "\n", encoding="utf-8")
        found = look(path, label="outcome")
        for split in data_set(found, tmp_path).values():
            assert {row["outcome"] for row in split} == {"a", "b"}


def test_the_rows_of_a_group_stay_in_one_split(tmp_path: Path) -> None:
    path = table_file(tmp_path, customer_id=[n // 4 for n in range(ROWS)])
    found = look(path)
    assert (found.table.split.by, found.table.split.column) == ("group", "customer_id")
    assert [each.heading for each in found.table.left_out] == ["customer_id"]
    splits = data_set(found, tmp_path)
    groups = {
        s: {(int(row["row"].split()[1]) - 1) // 4 for row in rows} for s, rows in splits.items()
    }
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == 50
    alone = look(path, group="none")
    assert alone.table.split.by == "row"


def test_by_time_the_tests_are_of_later_rows(tmp_path: Path) -> None:
    dates = [f"{1 + n % 28:02}.{1 + n // 28:02}.2026" for n in range(ROWS)]
    found = look(table_file(tmp_path, date=dates), time="date")
    splits = data_set(found, tmp_path)
    times = {split: [row["date"] for row in rows] for split, rows in splits.items()}
    assert max(times["train"]) < min(times["eval"]) <= max(times["eval"]) < min(times["test"])
    assert sum(map(len, times.values())) == ROWS
    with pytest.raises(UserError, match="--time: expected a column of dates, got 'noise'"):
        look(tmp_path / "mine.csv", time="noise")


def test_equal_rows_are_in_one_split_and_none_moves_when_others_come(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    each_four_times = [n % 100 for n in range(400)]
    lines = [f"{n % 50},{n % 4},{'ab'[n * 7 // 13 % 2]}" for n in each_four_times]
    path.write_text("x,z,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    found = look(path)
    before = {
        (row["x"], row["z"], s) for s, rows in data_set(found, tmp_path).items() for row in rows
    }
    assert len({(x, z) for x, z, _split in before}) == len(before)
    path.write_text("x,z,label\n77,1,a\n" + "\n".join(lines) + "\n", encoding="utf-8")
    after = {
        (row["x"], row["z"], s) for s, rows in data_set(found, tmp_path).items() for row in rows
    }
    assert before < after


def test_a_sample_has_rows_of_the_whole_in_the_same_split(tmp_path: Path) -> None:
    found = look(table_file(tmp_path))
    whole = data_set(found, tmp_path)
    paths, made = write_csvs(found.table, [tmp_path / "mine.csv"], tmp_path / "few", rows=50)
    assert sum(made.rows.values()) == 50
    for split, path in paths.items():
        assert all(row in whole[split] for row in rows_of(path))


def test_a_cell_that_is_not_as_described_is_refused_with_its_place_and_the_remedy(
    tmp_path: Path,
) -> None:
    found = look(table_file(tmp_path))
    path = tmp_path / "mine.csv"
    path.write_text(path.read_text().replace(str(NOISE[3]), "much"))
    with pytest.raises(
        UserError,
        match=r"mine\.csv, line 5, column 'noise': expected a number, got 'much'\. .*'gaps' in"
        r" trainer/tables/mine\.toml",
    ):
        data_set(found, tmp_path)
    path.write_text("noise,other\n1,2\n")
    with pytest.raises(UserError, match=r"has no column 'label' as trainer/tables/mine\.toml"):
        data_set(found, tmp_path)


def test_a_way_of_writing_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    amounts = [f"{1000 * noise:.2f}".replace(".", ",") for noise in NOISE]
    found = look(table_file(tmp_path, amount=amounts))
    text = description.text(found.table).replace('written = "1.234,5"', 'written = "comma"')
    table = parse("mine", text)
    sentence = r"trainer/tables/mine\.toml, 'amount': expected 'written' to be how"
    with pytest.raises(UserError, match=sentence):
        write_csvs(table, [tmp_path / "mine.csv"], tmp_path / "data")
    with pytest.raises(UserError, match=sentence):
        instances.read(tmp_path / "mine.csv", table)


def test_bad_rows_are_left_out_where_asked_and_none_is_lost(tmp_path: Path) -> None:
    path = table_file(tmp_path)
    path.write_text(path.read_text() + "0.5\n0.5,no,more\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 202: expected 2 cells as there are headings, got 1"):
        look(path)
    found = look(path, dialect=Dialect(skip_bad=True))
    assert any("2 rows cannot be read and are left out, such as" in note for note in found.notes)
    made = write_csvs(found.table, [path], tmp_path / "data")[1]
    assert (made.bad, sum(made.rows.values())) == (2, ROWS)


def test_wishes_that_name_no_column_are_refused(tmp_path: Path) -> None:
    path = table_file(tmp_path)
    for wish, flag in (("label", "--label"), ("group", "--group"), ("time", "--time")):
        with pytest.raises(UserError, match=f"{flag}: expected a column of noise, label, got 'z'"):
            look(path, **{wish: "z"})
    with pytest.raises(UserError, match="--keep: expected a column of"):
        look(path, keep=("z",))


def test_a_description_that_somebody_edited_is_known(tmp_path: Path) -> None:
    written = description.text(look(table_file(tmp_path)).table)
    assert not description.is_edited(written)
    edited = written.replace('about = "noise"', 'about = "how loud it is, dB"')
    assert description.is_edited(edited)
    shown = description.difference(edited, written, "mine.toml")
    assert '-    { name = "noise", kind = "number", about = "how loud it is, dB" },' in shown
    assert "Unedited" not in shown
    assert description.difference(written, written, "mine.toml") == ""


def test_numbers_that_float32_has_no_room_for_are_gaps_or_said(tmp_path: Path) -> None:
    numbers = [f"{noise:.4f}" for noise in NOISE]
    few = look(table_file(tmp_path, big=["1e39", "-1e400", *numbers[2:]]))
    assert finding(few, "big").guess.kind == "number"
    assert any("'big' holds numbers, but for '-1e400', '1e39'" in note for note in few.notes)
    assert data_set(few, tmp_path)["train"]
    many = look(table_file(tmp_path, big=["1e39", "5", "inf", "7"] * (ROWS // 4)))
    assert any("'big' holds numbers beyond 3.4e38" in note for note in many.notes)
    whole = look(table_file(tmp_path, big=["3e38", "-2e20"] * (ROWS // 2)))
    assert finding(whole, "big").guess.kind == "number"  # an int64 has no room for them
    assert data_set(whole, tmp_path)["train"]
    close = look(table_file(tmp_path, big=[f"{1e8 + noise:.6f}" for noise in NOISE]))
    assert any("more digits than a float32 has" in note for note in close.notes)


def test_a_label_of_numbers_with_some_that_are_none_is_refused(tmp_path: Path) -> None:
    for strange in ("1e39", "inf", "none yet"):
        label = [strange, *(f"{noise:.2f}" for noise in NOISE[1:])]
        sentence = f"it holds numbers, but 1 row of {ROWS} have '{strange}', which is no number"
        with pytest.raises(UserError, match=sentence):
            look(table_file(tmp_path, label=label))


def test_a_label_in_another_unit_gives_itself_away(tmp_path: Path) -> None:
    label = [f"{1.609 * noise:.6f}" for noise in NOISE]
    other = [f"{noise + 0.3 * number % 1:.3f}" for number, noise in enumerate(NOISE)]
    found = look(table_file(tmp_path, label=label, other=other))
    assert "gives the label away: alone it has R² 1.000" in finding(found, "noise").why_not
    assert finding(found, "other").column is not None


def test_copies_of_rows_are_said(tmp_path: Path) -> None:
    path = table_file(tmp_path)
    path.write_text(path.read_text() + "0.5,yes\n" * 100, encoding="utf-8")
    assert any(
        "99 of 300 rows looked at are exact copies of others." in n for n in look(path).notes
    )
    path.write_text("noise,label\n" + "1,yes\n2,no\n1,no\n2,yes\n" * 50, encoding="utf-8")
    with pytest.raises(UserError, match="the 4 different rows cannot be split"):
        look(path)


def test_words_in_few_cells_of_measures_are_gaps_and_elsewhere_they_are_values(
    tmp_path: Path,
) -> None:
    def mixed(value: Any, *words: str) -> list[str]:
        return [words[n // 12 % len(words)] if n % 12 == 5 else value(n) for n in range(ROWS)]

    path = table_file(
        tmp_path,
        amount=mixed(lambda n: f"{n / 8:.2f}".replace(".", ","), "k.A.", "folgt", "Folgt"),
        most=mixed(lambda n: f"{n / 8:.2f}", ">1000"),
        seen=mixed(lambda n: f"{1 + n % 28:02}.02.2026", "offen"),
        size=mixed(lambda n: f"{n % 3}", "XL"),
        code=mixed(lambda n: f"{100 + n % 40}", "A12", "B7"),
        plz=mixed(lambda n: f"{10100 + n % 40}", "ohne"),
        zero=mixed(lambda n: f"0{100 + n % 40}", "ohne"),
    )
    found = look(path)
    columns = {column.name: (column.kind, column.gaps) for column in found.table.columns}
    assert columns.pop("noise") == ("number", ())
    assert columns == {
        "amount": ("number", ("Folgt", "folgt", "k.A.")),
        "most": ("number", (">1000",)),
        "seen": ("timestamp", ("offen",)),
        **dict.fromkeys(("size", "code", "plz", "zero"), ("category", ())),
    }
    notes = [note for note in found.notes if "count as gaps" in note]
    assert len(notes) == 3
    assert "'amount' holds numbers, but for 'Folgt', 'folgt', 'k.A.' in 17 cells" in notes[0]
    assert [text == "" for text in column_of(found, tmp_path, "seen")].count(True) == 17


def test_many_other_texts_among_numbers_are_said(tmp_path: Path) -> None:
    amounts = [f"about {n}" if n % 12 == 5 else f"{n / 8 + 0.01:.2f} €" for n in range(ROWS)]
    both = [f"{n},5" if n % 12 == 5 else f"{n}.5" for n in range(ROWS)]
    found = look(table_file(tmp_path, amount=amounts, both=both))
    assert finding(found, "both").why_not == "holds numbers, and others"
    said = [note for note in found.notes if "so it is left out. If it is to be numbers" in note]
    assert "183 of 200 cells of 'amount' are numbers, and the others are not" in said[0]
    assert "such as 'about 5', 'about 17', 'about 29'" in said[0]
    assert "183 of 200 cells of 'both' are numbers" in said[1]


def test_dates_in_several_forms_are_read_or_left_out_and_said(tmp_path: Path) -> None:
    days = [f"2026-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(ROWS)]

    def written(*forms: str) -> list[str]:
        return [
            forms[n % len(forms)].format(*day.split("-"), day[2:4]) for n, day in enumerate(days)
        ]

    german = ("{2}.{1}.{0}", "{0}-{1}-{2}", "{2}/{1}/{3}")
    path = table_file(
        tmp_path,
        german=written(*german),
        american=written("{1}/{2}/{0}", "{0}-{1}-{2}T07:00:00", "{2}.{1}.{0}"),
        open=[text.replace("/26", f"/{n % 3 + 26}") for n, text in enumerate(written(*german))],
        mixed=written("{2}/{1}/{0}", "{1}/{2}/{0}"),
        most=["spring 2026" if n % 12 == 5 else day for n, day in enumerate(days)],
    )
    found = look(path)
    forms = {column.name: column.written for column in found.table.columns}
    assert forms["german"] == "%d.%m.%Y or %Y-%m-%d or %d/%m/%y"
    assert set(forms["american"].split(" or ")) == {"%m/%d/%Y", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y"}
    assert column_of(found, tmp_path, "german") == days
    assert [text[:10] for text in column_of(found, tmp_path, "american")] == days
    assert finding(found, "mixed").why_not == finding(found, "most").why_not
    for said in (
        "183 of 200 cells of 'most' are dates written as %Y-%m-%d, and the others are not",
        "cells of 'mixed' are dates written as %d/%m/%Y, and the others are not, or are written",
    ):
        assert any(said in note for note in found.notes)
    assert any("'german' holds dates in several forms" in note for note in found.notes)


def test_no_category_is_kept_that_the_trainer_calls_an_id(tmp_path: Path) -> None:
    columns = {f"c{count}": [f"v{n % count}x" for n in range(ROWS)] for count in (60, 90, 150)}
    found = look(table_file(tmp_path, **columns))
    train = data_set(found, tmp_path)["train"]
    assert [column.name for column in found.table.columns] == ["noise", "c60"]
    assert not is_id(len({row["c60"] for row in train}), len(train))
    assert any(
        note == "'c90' is left out, as it has 90 values in 200 rows, each in too few to learn from;"
        " --keep c90 keeps it."
        for note in found.notes
    )


def test_a_key_stays_the_key_where_rows_are_copied(tmp_path: Path) -> None:
    path = table_file(
        tmp_path,
        order_no=[f"K-{n}" for n in range(ROWS)],
        Kundennummer=[7_000_000 + 977 * n for n in range(ROWS)],
    )
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:50] + lines[41:50] + lines[50:]), encoding="utf-8")
    found = look(path)
    assert (found.table.key, found.table.split.by) == ("order_no", "row")
    assert finding(found, "Kundennummer").guess.is_id
    assert any(
        note.startswith("9 of 209 rows looked at are exact copies of others.")
        and "'order_no' is the key" in note
        for note in found.notes
    )
    splits = [{row["order_no"] for row in rows} for rows in data_set(found, tmp_path).values()]
    assert sum(map(len, splits)) == len(set.union(*splits)) == ROWS
    other = [lines[45].replace("K-44", "K-43")]
    path.write_text("".join(lines + other), encoding="utf-8")
    assert look(path).table.split.column == "order_no"  # one thing with two rows


def test_spellings_of_one_word_are_said(tmp_path: Path) -> None:
    answers = ["ja", "Ja", "JA ", "nein"] * (ROWS // 4)
    found = look(table_file(tmp_path, answer=answers, town=["Köln", "Ko\u0308ln"] * (ROWS // 2)))
    said = [note for note in found.notes if "differ only in capitals or blanks" in note]
    assert "'ja' (50), 'Ja' (50), 'JA' (50)." in said[0]
    assert "'town'" in said[1]
    assert len(said) == 2
