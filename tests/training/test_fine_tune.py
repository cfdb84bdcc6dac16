"""A network trained further on a few windows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.models import load_models
from biopsy_analyzer.settings import SegmentSettings
from biopsy_analyzer.training import fine_tune as tuning
from biopsy_analyzer.training.export import folded
from biopsy_analyzer.training.truth import draw_truth


def test_a_network_is_trained_further_and_judged_on_what_it_did_not_see(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "DRAWN_PATCHES", 2)
    monkeypatch.setattr(tuning, "DRAWN_SECTIONS", 1)
    parent = load_models(device="cpu").fibres
    patches = []
    for number in range(4):
        truth = draw_truth("clean", number, tmp_path, seed=100, shape_px=(512, 512))
        rgb = cv2.imread(str(truth.image))[..., ::-1]
        nothing = np.zeros((512, 512), np.uint16)
        codes = np.where(truth.fibres > 0, 255, 0).astype(np.uint8)
        fibres = truth.fibres.astype(np.uint16)
        patches.append(
            {
                "rgb": rgb,
                "fibres": fibres,
                "states": codes,
                "nuclei": nothing,
                "kinds": nothing.astype(np.uint8) + 255,
                "ignore": truth.ignore,
            }
        )
    before = {name: value.clone() for name, value in parent.module.state_dict().items()}
    module, report = tuning.fine_tune(parent, patches, minutes=0.02)
    assert all(bool((value == before[name]).all()) for name, value in parent.module.state_dict().items())  # the parent is as it was
    assert report["training"]["steps"] >= 1
    assert report["patches"] == {"taught": 3, "held_out": 1, "drawn": 2}
    figures = report["held_out"]
    assert 0.5 < figures["before"]["corrected"]["f1_50"]["value"] <= 1
    assert abs(figures["after"]["drawn"]["f1_50"]["value"] - figures["before"]["drawn"]["f1_50"]["value"]) < 0.2
    none, by_others = tuning.fine_tune(parent, patches, 0.001, SegmentSettings(min_fibre_um2=1e6))  # larger than any fibre
    assert none is None
    assert by_others["held_out"]["before"]["corrected"]["f1_50"]["value"] == 0
    assert (module is None) == report["kept_parent"]
    if module is not None:
        assert folded(module) is module
    with pytest.raises(UsageError, match="wanted at least 4"):
        tuning.fine_tune(parent, patches[:3], minutes=0.02)
