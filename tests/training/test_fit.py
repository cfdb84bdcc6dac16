import csv
import json

import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.segment.network import load_network
from biopsy_analyzer.training.banks import Bank
from biopsy_analyzer.training.fit import _Run, fit
from discs import write_discs

SMALL = {"batch_size": 4, "size_px": 64, "architecture": {"widths": (8, 16), "bottom": 1}, "device": "cpu"}


def weights_of(out, kind="fibres"):
    return json.loads((out / "models" / kind / "card.json").read_text())["sha256"]


def test_resumed_training_gives_the_weights_of_uninterrupted_training(tmp_path):
    banks = [write_discs(tmp_path / "a"), write_discs(tmp_path / "b", seed=1, drawn=False)]
    for name in ("whole", "again"):
        fit("fibres", banks, tmp_path / name, shares=[0.8, 0.2], steps=6, evaluate_every=3, **SMALL)
    interrupted = _Run("fibres", [Bank(b) for b in banks], [0.8, 0.2], tmp_path / "resumed", 0, *SMALL.values())
    for step in range(2):
        interrupted.train_step(step / 6)
    interrupted.save()
    fit("fibres", banks, tmp_path / "resumed", shares=[0.8, 0.2], steps=6, evaluate_every=3, resume=True, **SMALL)
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "again") == weights_of(tmp_path / "resumed")
    fit("fibres", banks, tmp_path / "other", steps=6, seed=1, **SMALL)
    assert weights_of(tmp_path / "other") != weights_of(tmp_path / "whole")


def test_discs_are_learned(tmp_path):
    figures = fit("nuclei", [write_discs(tmp_path / "bank", patches=30)], tmp_path / "out", steps=120, evaluate_every=60, **SMALL)
    assert figures["foreground_dice"] > 0.8
    with open(tmp_path / "out" / "curve.csv") as file:
        curve = list(csv.DictReader(file))
    assert [row["step"] for row in curve] == ["60", "120"]
    assert float(curve[1]["held_out_loss"]) < float(curve[0]["held_out_loss"])
    assert (tmp_path / "out" / "curve.png").stat().st_size > 1000
    card = json.loads((tmp_path / "out" / "models" / "nuclei" / "card.json").read_text())
    assert card["metrics"]["held_out"] == figures
    assert card["data"] == [{"bank": "bank", "patches": 28, "share": 1.0, "drawn": True}]
    assert load_network(tmp_path / "out" / "models" / "nuclei", "cpu").um_per_px == 0.5


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("vessels", {"steps": 1}), ("fibres", {}), ("fibres", {"steps": 1, "minutes": 1.0}), ("fibres", {"steps": 1, "shares": [1, 2]})],
)
def test_wrong_calls(tmp_path, kind, arguments):
    with pytest.raises(UsageError):
        fit(kind, [write_discs(tmp_path / "bank")], tmp_path / "out", **arguments, **SMALL)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(UsageError, match="can't resume"):
        fit("fibres", [write_discs(tmp_path / "bank")], tmp_path / "out", steps=2, resume=True, **SMALL)
