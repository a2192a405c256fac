import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from table_schema.tables import TABLES, Tables
from trainer.errors import UserError
from trainer.tabular import settings
from trainer.tabular.settings import Settings

DATA = ["--train-data=a.csv", "--eval-data=b.csv", "--test-data=c.csv"]


def test_arguments_make_the_same_settings() -> None:
    made = settings.parse([*DATA, "--hidden-units=7,5,3", "--learning-rate=0.1", "--seed=9"])
    assert made.hidden_units == (7, 5, 3)
    assert made.learning_rate == 0.1
    assert settings.parse(made.arguments()) == made


def test_tiny_is_a_config_that_flags_override() -> None:
    tiny = Settings.tiny(train_data="a.csv", eval_data="b.csv", test_data="c.csv")
    assert settings.parse([*DATA, "--config=tiny"]) == tiny
    assert settings.parse([*DATA, "--config=tiny", "--epochs=5"]).epochs == 5


def test_a_tables_own_defaults_yield_to_a_config_and_to_flags() -> None:
    penguins = [*DATA, "--table=penguins"]
    own = TABLES["penguins"].defaults["epochs"]
    assert settings.parse(penguins).epochs == own != settings.parse(DATA).epochs
    assert settings.parse([*penguins, "--config=tiny"]).epochs == 2
    assert settings.parse([*penguins, f"--epochs={own + 1}"]).epochs == own + 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("epochs", "epoch"), "defaults.epoch: expected a setting of train_data, "),
        (("epochs = 40", "epochs = 4.5"), "defaults.epochs: expected a whole number, got 4.5."),
        (("[32]", '["a"]'), "defaults.hidden_units: expected whole numbers, got "),
    ],
)
def test_a_description_with_a_wrong_default_is_refused_with_its_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    sentence: str,
) -> None:
    text = (ROOT / "trainer" / "tables" / "penguins.toml").read_text(encoding="utf-8")
    (tmp_path / "seals.toml").write_text(text.replace(*change), encoding="utf-8")
    monkeypatch.setattr(settings, "TABLES", Tables(tmp_path))
    with pytest.raises(SystemExit):
        settings.parse([*DATA, "--table=seals"])
    said = " ".join(capsys.readouterr().err.split())
    assert f"trainer/tables/seals.toml, line 19: {sentence}" in said


def test_no_hidden_layer_is_logistic_regression() -> None:
    made = settings.parse([*DATA, "--hidden-units="])
    assert made.hidden_units == ()
    assert settings.parse(made.arguments()) == made


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--epochs=0", "--epochs: expected at least 1, got '0'."),
        ("--epochs=many", "argument --epochs: invalid int value: 'many'"),
        ("--dropout=1", "--dropout: expected 0 to below 1, got '1.0'."),
        ("--learning-rate=nan", "--learning-rate: expected a number above 0, got 'nan'."),
        ("--hidden-units=8,0", "--hidden-units: expected at least 1 each, got '8,0'."),
        ("--hidden-units=8;4", "--hidden-units: invalid list of whole numbers value: '8;4'"),
        ("--table=boats", f"--table: expected one of {', '.join(sorted(TABLES))}, got"),
        ("--metric=rmse", "--metric: expected one of log_loss, auc, accuracy, got 'rmse'."),
        ("--class-weights=1,x", "--class-weights: expected 'balanced' or such as 1,3.5, got '1,x'"),
        ("--max-bad-share=2", "--max-bad-share: expected 0 to 1, got '2.0'."),
        ("--clip-norm=-1", "--clip-norm: expected 0 or more, got '-1.0'."),
        ("--train-data=", "--train-data: expected a path or gs:// URI, got ''."),
        ("--seed=-1", "--seed: expected 0 or more, below 2**32, got '-1'."),
        ("--config=huge", "--config: invalid choice: 'huge'"),
        ("--epoch=3", "unrecognized arguments: --epoch=3"),
    ],
)
def test_a_bad_flag_is_told_in_one_line(
    flag: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings.parse([*DATA, flag])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in said
    assert said.count("\n") == 1


def test_folders_come_from_the_flags_before_vertex_ai() -> None:
    environment = {
        "AIP_MODEL_DIR": "gs://b/model/",
        "AIP_CHECKPOINT_DIR": "gs://b/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": "gs://b/logs/",
    }
    found = settings.parse([*DATA, "--model-dir=here"]).with_folders(environment)
    assert found.model_dir == "here"
    assert found.checkpoint_dir == "gs://b/checkpoints/"
    assert found.log_dir == "gs://b/logs/"


def test_a_folder_that_nobody_names_is_asked_for() -> None:
    with pytest.raises(UserError, match=r"--model-dir: .* use the flag or set AIP_MODEL_DIR"):
        settings.parse(DATA).with_folders({})


def test_help_explains_every_flag_without_tensorflow() -> None:
    script = """
import contextlib, sys
from trainer import task
with contextlib.suppress(SystemExit):
    task.main(["--help"])
assert not {"tensorflow", "keras", "pyarrow", "google.cloud.storage"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for field in Settings.__dataclass_fields__.values():
        assert settings.as_flag(field.name) in done.stdout
        assert field.metadata["about"].split()[0] in done.stdout
