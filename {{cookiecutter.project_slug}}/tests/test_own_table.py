"""A stranger's table: from the file to predictions, in a project of its own."""

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

HEADINGS = [
    *("Customer ID", "Signup Date", "Größe (cm)", "Plan", "class", "Total Charges", "Comment"),
    *("Cancellation Reason", "Churn"),
]
WORDS = {"Yes": ("late", "broken", "refund", "rude"), "No": ("fine", "thanks", "quick", "happy")}


def write_customers(path: Path, rows: int, seed: int) -> None:
    """Writes customers as a German office suite does: decimal commas, days first, cp1252."""
    turns = random.Random(seed)  # noqa: S311 - no secret
    with path.open("w", newline="", encoding="cp1252") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADINGS)
        for number in range(rows):
            charges = turns.lognormvariate(6, 1)
            plan = turns.choice(["Basic", "Plus", "n/a"])
            churn = "Yes" if charges < 300 + 300 * (plan == "Basic") * turns.random() else "No"
            said = [turns.choice(WORDS[churn if turns.random() < 0.7 else "No"]) for _ in range(5)]
            amount = f"{charges:,.2f} €".translate(str.maketrans(",.", ".,"))
            date = f"{turns.randrange(1, 29):02}.{turns.randrange(1, 13):02}.2025"
            height = f"{turns.gauss(170, 9):.1f}".replace(".", ",")
            reason = "price" if churn == "Yes" else ""
            writer.writerow(
                [
                    *(f"K-{number:05}", date, height, plan, turns.randint(1, 3), amount),
                    *(" ".join(said), reason, f" {churn}"),
                ]
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project that was just baked for a table of one's own."""
    made = tmp_path_factory.mktemp("own") / "project"
    for name in ("cloud", "table_schema", "trainer"):
        shutil.copytree(ROOT / name, made / name)
    values = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name, value in {"data_set": "own", "project": "my-project", "bucket": "own-bucket"}.items():
        before = next(line for line in values.splitlines() if line.startswith(f"{name} = "))
        values = values.replace(before, f'{name} = "{value}"')
    (made / "pyproject.toml").write_text(values, encoding="utf-8")
    yield made
    run(made, "emulator", "--stop")


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLOUD_")}
    given = {"CLOUD_EMULATOR_PORT": "0", "CLOUD_REGION": "us-central1", "CLOUD_MODEL": "customers"}
    return subprocess.run(
        [sys.executable, "-m", "cloud", *words],
        cwd=folder,
        env=kept | given,
        capture_output=True,
        check=False,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )


def run(folder: Path, *words: str) -> str:
    ran = call(folder, *words)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_without_a_table_a_command_says_how_to_bring_one(folder: Path) -> None:
    ran = call(folder, "demo")
    assert ran.returncode == 1
    assert "nox -s adopt -- FILE.csv --label COLUMN" in ran.stderr


def test_a_strangers_table_goes_the_whole_road(folder: Path) -> None:
    write_customers(folder / "Kunden 2026.csv", 1500, seed=1)
    write_customers(folder / "new.csv", 300, seed=2)
    shown = run(folder, "adopt", "Kunden 2026.csv", "--label", "churn")
    assert "'Cancellation Reason' gives the label away" in shown
    described = (folder / "trainer" / "tables" / "kunden_2026.toml").read_text(encoding="utf-8")
    assert 'files = ["Kunden 2026.csv"], key = "Customer ID", encoding = "cp1252"' in described
    assert 'data_set = "kunden_2026"' in (folder / "pyproject.toml").read_text(encoding="utf-8")

    run(folder, "target")  # or the demo would stop the emulator that it starts
    shown = run(folder, "demo", "--", "--epochs", "4", "--members", "2")
    assert "6/6 Prediction" in shown
    assert '"grosse_cm": ' in shown

    shown = run(folder, "batch", "--file", "new.csv")
    assert "300 rows predicted, 0 failed." in shown
    [joined] = (folder / "runs" / "batch").iterdir()
    rows = list(csv.DictReader(joined.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0])[: len(HEADINGS)] == HEADINGS
    right = sum(row["predicted_label"] == row["Churn"].strip() for row in rows)
    assert right > 0.7 * len(rows)

    wrong = folder / "wrong.csv"
    content = (folder / "new.csv").read_text(encoding="cp1252")
    wrong.write_text(content.replace("Total Charges", "TotalCharge"), encoding="utf-8")
    ran = call(folder, "predict", "--file", "wrong.csv")
    assert ran.returncode == 1
    assert "has no feature Total Charges (did you mean it by 'TotalCharge'?)" in ran.stderr

    instance = '{"Größe (cm)": 171.5, "Plan": "Basic", "Signup Date": "2025-03-01"}'
    shown = run(folder, "predict", "--instance", instance, "--explain")
    assert '{"label": ' in shown
    assert "The chance that Churn is Yes: " in shown
    assert "Größe (cm) 171.5" in shown
    assert "Total Charges is missing" in shown
    (folder / "two.json").write_text(f"[{instance}, {{}}]", encoding="utf-8")
    explain = ("predict", "--file", "two.json", "--explain", "--allow-missing")
    lines = run(folder, *explain).splitlines()
    for explained in map(json.loads, lines):
        total = explained["base"] + sum(explained["contributions"].values())
        assert total == pytest.approx(explained["prediction"]["probability"], abs=1e-5)
    assert len(lines) == 2
    assert "The scores are the same" in run(folder, "evaluate")


def test_what_a_person_edited_stays(folder: Path) -> None:
    path = folder / "trainer" / "tables" / "kunden_2026.toml"
    edited = path.read_text(encoding="utf-8").replace(
        'about = "Plan"', 'about = "the plan at the end of the month"'
    )
    path.write_text(edited, encoding="utf-8")
    again = ("adopt", "Kunden 2026.csv", "--label", "Churn", "--leave-out", "class")
    shown = run(folder, *again)
    assert '-    { name = "class_"' in shown
    assert "stays as you edited it; --replace writes what is new over it." in shown
    assert path.read_text(encoding="utf-8") == edited
    assert "--dry-run" in run(folder, *again, "--replace", "--dry-run")
    assert path.read_text(encoding="utf-8") == edited
    path.write_text(edited.replace('kind = "text"', 'kind = "prose"'), encoding="utf-8")
    ran = call(folder, "data")
    assert re.search(r"kunden_2026\.toml, line \d+: expected a kind of .*got 'prose'", ran.stderr)
    assert "stays as you edited it" in run(folder, *again)
    run(folder, *again, "--replace")
    assert "class_" not in path.read_text(encoding="utf-8").partition("left_out")[0]
    ran = call(folder, "adopt", "Kunden 2026.csv", "--label", "Churn", "--name", "flights")
    assert ran.returncode == 1
    assert "describes another table" in ran.stderr
    # A model and an endpoint are of one table.
    assert "[tool.cloud] model is now 'others'" in run(folder, *again, "--name", "others")
    values = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert '\nmodel = "others"' in values
    assert '\ndata_set = "others"' in values
