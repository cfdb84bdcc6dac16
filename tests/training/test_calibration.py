"""Calibration on calls whose answer is known by hand, and on drawn ones that are right as often as they say."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.tables import STATE_PROBABILITIES
from biopsy_analyzer.training.calibration import calibration, calibration_error, write_diagram


def called(p_normal: np.ndarray, sick: np.ndarray, images: int = 1) -> pd.DataFrame:
    """Fibres that are normal or necrotic, stated so."""
    p = np.zeros((len(p_normal), 4))
    p[:, 0], p[:, 1] = p_normal, 1 - p_normal
    truth = np.where(sick, "necrotic", "normal")
    return pd.DataFrame(p, columns=list(STATE_PROBABILITIES)).assign(truth_class=truth, image=np.arange(len(p)) % images)


def test_error_by_hand():
    stated = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    right = np.array([1, 1, 1, 0, 0, 1], bool)
    assert calibration_error(stated, right) == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0
    assert np.isnan(calibration_error(np.array([]), np.array([], bool)))


def test_error_is_that_of_a_slow_loop():
    rng = np.random.default_rng(1)
    stated, right = rng.random(500), rng.random(500) < 0.4
    total = 0.0
    for low in np.arange(10) / 10:
        inside = [k for k in range(500) if low <= stated[k] < low + 0.1 - 1e-12 or (low == 0.9 and stated[k] == 1)]
        if inside:
            total += len(inside) / 500 * abs(np.mean(stated[inside]) - np.mean(right[inside]))
    assert calibration_error(stated, right) == pytest.approx(total, abs=0.01)


def test_calls_as_good_as_they_say_are_within_chance():
    rng = np.random.default_rng(2)
    p_normal = rng.random(3000)
    found = calibration(called(p_normal, rng.random(3000) > p_normal, images=30), by_image=True)
    for part in found.values():
        assert part["ece"]["value"] <= part["ece_if_calibrated"]["p95"] * 1.2
        assert part["ece"]["n"] == sum(b["n"] for b in part["bins"]) == 3000
    assert found["sick"]["stated"] == pytest.approx(1 - p_normal.mean())


def test_boasting_is_seen():
    """Stated at 0.95, right in 0.7."""
    rng = np.random.default_rng(3)
    found = calibration(called(np.full(1000, 0.95), rng.random(1000) > 0.7), by_image=False)["calls"]
    assert found["ece"]["value"] == pytest.approx(0.25, abs=0.04)
    low, high = found["ece"]["ci95"]
    assert low < found["ece"]["value"] < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 1000), rel=0.15)
    assert found["ece"]["value"] > 3 * found["ece_if_calibrated"]["p95"]
    (only,) = found["bins"]
    assert only["ci95"][0] < 0.7 < only["ci95"][1]


def test_drawing_whole_images_widens_the_interval():
    """Ten images, each right or wrong as a whole."""
    image = np.arange(500) % 10
    table = called(np.full(500, 0.8), image < 3).assign(image=image)
    widths = [np.ptp(calibration(table, by_image=by)["calls"]["ece"]["ci95"]) for by in (True, False)]
    assert widths[0] > 2 * widths[1]


def test_of_one_call_there_is_no_interval():
    assert calibration(called(np.array([0.8]), np.array([False])), by_image=False)["calls"]["ece"]["ci95"] is None


def test_nothing_known_gives_nothing():
    assert calibration(called(np.array([]), np.array([], bool)), by_image=True) is None


def test_the_diagram_is_drawn(tmp_path):
    rng = np.random.default_rng(2)
    p_normal = rng.random(300)
    found = calibration(called(p_normal, rng.random(300) > p_normal), by_image=False)
    write_diagram(found, tmp_path / "calibration.png", "drawn sections")
    picture = cv2.imread(str(tmp_path / "calibration.png"))
    assert picture.shape[1] > 1000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
