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
    known = [draw_truth("usual", 0, tmp_path, seed=200, shape_px=(512, 512))]
    places = [patches[:2], patches[2:]]
    tuned, report = tuning.fine_tune(parent, places, known, minutes=0.02)
    assert all(bool((value == before[name]).all()) for name, value in parent.module.state_dict().items())  # the parent is as it was
    assert report["training"]["steps"] >= 1
    assert report["patches"] == {"taught": 2, "held_out": 2, "places": 2, "drawn": 2}
    figures = report["held_out"]
    assert 0.5 < figures["before"]["corrected"]["f1_50"]["value"] <= 1
    assert abs(figures["after"]["drawn"]["f1_50"]["value"] - figures["before"]["drawn"]["f1_50"]["value"]) < 0.2
    none, by_others = tuning.fine_tune(parent, places, known, 0.001, SegmentSettings(min_fibre_um2=1e6))  # larger than any fibre
    assert none is None
    assert by_others["held_out"]["before"]["corrected"]["f1_50"]["value"] == 0
    assert (tuned is None) == report["kept_parent"]
    if tuned is not None:
        assert folded(tuned.module) is tuned.module


@pytest.mark.parametrize(("places", "said"), [([3], "3, .*: 1;"), ([9], "9, .*: 1;"), ([1, 2], "3, .*: 2;")])
def test_too_few_windows_or_none_apart_from_the_others_are_refused(places, said):
    """Nine windows that overlap could only be judged by pixels that were taught."""
    with pytest.raises(UsageError, match=f"corrected ones: {said} wanted at least 4 and 2, of which one is held out"):
        tuning.check_places([[{}] * n for n in places])
    tuning.check_places([[{}], [{}] * 3])


def test_every_fourth_place_is_held_out_whole(monkeypatch):
    """Seen by what is written as the bank to teach: of places of 1, 2, 3, 1, 1 windows, the first and the fifth are not in it."""
    seen = []

    def stop(patches, folder):
        seen.extend(patches)
        raise InterruptedError

    monkeypatch.setattr(tuning, "write_real_bank", stop)
    places = [[{"of": np.array(number)}] * n for number, n in enumerate((1, 2, 3, 1, 1))]
    with pytest.raises(InterruptedError):
        tuning.fine_tune(load_models(device="cpu").fibres, places, [], minutes=0.01)
    assert [int(patch["of"]) for patch in seen] == [1, 1, 2, 2, 2, 3]
