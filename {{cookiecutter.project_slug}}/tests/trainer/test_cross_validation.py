"""Folds: every row is learned from, and scored by members that have not seen it."""

from pathlib import Path

import numpy as np
import pytest

from trainer.tabular.cross_validation import parts

from .conftest import MakeSettings, train


def test_rows_are_shared_out_evenly_with_their_classes() -> None:
    labels = np.array([0] * 50 + [1] * 10, np.int32)
    places = parts(labels, 5, seed=1)
    assert np.bincount(places).tolist() == [12] * 5
    assert [int(labels[places == part].sum()) for part in range(5)] == [2] * 5
    assert (parts(labels, 5, seed=2) != places).any()


@pytest.mark.parametrize("table", ["penguins"])
def test_a_small_table_says_what_its_scores_are_worth(
    make_settings: MakeSettings, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    found = train(make_settings(table, folds=3, boosting_rows=1_000, epochs=4))
    validated = found["cross_validation"]
    assert validated["folds"] == 3
    assert validated["rows"] == found["rows"]["train"] + found["rows"]["eval"]
    low, high = validated["intervals"]["accuracy"]
    assert low <= validated["scores"]["accuracy"] <= high
    assert validated["scores"]["accuracy"] > found["baselines"]["majority class"]["accuracy"]
    assert found["boosting"]["scores"]["accuracy"] > 0.8
    printed = capsys.readouterr().out
    assert "Cross-validation: " in printed
    assert "gradient boosting of" in printed
    assert printed.count("Epoch 1/4") == 1
    assert found["history"][-1]["eval_accuracy"] > found["baselines"]["majority class"]["accuracy"]
    page = Path(found["settings"]["model_dir"], "model_card.html").read_text(encoding="utf-8")
    assert "this model, cross-validated" in page
    assert "gradient boosting" in page
