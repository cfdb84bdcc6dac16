"""What an adapted model must not forget: figures by hand, and the drawn sections themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.classify.features import FEATURES
from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training import known
from biopsy_analyzer.training.known import forgotten, known_fibres, known_sections, read_known
from sections import colour_models

F = len(FEATURES)


def by_mottling() -> StateModel:
    """Normal at 1 : e^z, necrotic at e^z : 1, z the compressed mottling above 0; the other states next to never."""
    above = np.zeros((4, F))
    above[1, FEATURES.index("mottling")] = 1
    return StateModel(FEATURES, np.zeros(F), np.ones(F), np.zeros((4, F)), above, np.array([0.5, 0, -50, -50]), {})


def test_figures_by_hand():
    """Called necrotic from z = .5 on: of four normal fibres one is, of two sick ones one is missed and one called another state."""
    z = np.array([0.0, 0.0, 0.0, 2.0, 0.0, 2.0])
    fibres = pd.DataFrame({name: np.zeros(6) for name in FEATURES}).assign(mottling=np.expm1(z))
    fibres["truth"] = ["normal", "normal", "normal", "normal", "necrotic", "regenerating"]
    found = read_known(by_mottling(), fibres)
    assert (found["normal"], found["sick"]) == (4, 2)
    assert found["normal_called_sick"] == 0.25
    assert found["sick_misread"] == 1.0
    low, high = 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-1.5))  # 0.62, 3 of 4 right; 0.82, none of 2
    assert found["calibration_error"] == pytest.approx((4 * (0.75 - low) + 2 * high) / 6)
    assert read_known(by_mottling(), fibres[:0]) == {
        "normal": 0, "sick": 0, "normal_called_sick": None, "sick_misread": None, "calibration_error": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", list(known.MOST_FORGOTTEN))
def test_each_figure_may_rise_by_its_prior_and_no_more(name):
    before = {"normal_called_sick": 0.2, "sick_misread": 0.2, "calibration_error": 0.2}
    after = 0.2 + known.MOST_FORGOTTEN[name]
    assert forgotten(before, before | {name: after - 0.001}) is None
    said = forgotten(before, before | {name: after + 0.001})
    assert said is not None
    assert f"rises from 0.200 to {after + 0.001:.3f}, by more than {known.MOST_FORGOTTEN[name]}" in said
    assert forgotten(before | {name: 1.0}, before) is None
    assert forgotten(before | {name: None}, before) is None
    assert forgotten(before, before | {name: None}) is None


def test_what_is_good_enough_may_rise_further():
    """A parent that misses sick fibres because it calls hardly any fibre sick: put right, it calls some normal ones sick."""
    missing = {"normal_called_sick": 0.0, "sick_misread": 0.5, "calibration_error": 0.1}
    assert forgotten(missing, {"normal_called_sick": 0.05, "sick_misread": 0.2, "calibration_error": 0.1}) is None
    assert "normal fibres called sick" in str(forgotten(missing, missing | {"normal_called_sick": 0.051}))
    assert forgotten(missing | {"sick_misread": 0.0}, missing | {"sick_misread": 0.1}) is None
    assert "sick fibres not called so" in str(forgotten(missing | {"sick_misread": 0.0}, missing | {"sick_misread": 0.101}))


def test_the_sections_are_the_same_each_time_and_are_read_by_the_networks_given(tmp_path, monkeypatch):
    monkeypatch.setattr(known, "SECTIONS", (("usual", 1), ("hard", 1)))
    monkeypatch.setattr(known, "SHAPE_PX", (256, 256))
    first, again = ([truth.image for truth in known_sections(folder)] for folder in (tmp_path, tmp_path))
    assert [path.name for path in first] == ["usual_7850000.png", "hard_7850000.png"]
    assert first == again
    models = colour_models()
    table = known_fibres(known_sections(tmp_path), models, Settings())
    assert set(table["truth"]) <= {"normal", "necrotic", "pale-fragmented", "regenerating"}
    read_known(replace(by_mottling()), table)
