"""The comparison of two readers: squares whose overlaps are known, and kappa against scikit-learn's."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "readers.py"


@pytest.fixture(scope="module")
def readers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path: Path, shapes: list[tuple[str, int, int, int, int]]) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"classification": {"name": name}},
            "geometry": {"type": "Polygon", "coordinates": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]},
        }
        for name, x0, y0, x1, y1 in [("Region: annotated", 0, 0, 200, 100), *shapes]
    ]
    source = {"file": "a.png", "um_per_px": 0.5, "shape": [100, 200], "source": "drawn", "licence": "none", "held_out": True}
    path.write_text(json.dumps({"type": "FeatureCollection", "source": source, "features": features}))


def test_squares_with_known_overlaps(readers: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 200, 3), 200, np.uint8))
    (tmp_path / "second_reader").mkdir()
    square = ("Fibre: normal", 10, 10, 30, 30)
    write(tmp_path / "a.geojson", [square, ("Fibre: necrotic", 50, 10, 70, 30), ("Fibre: normal", 150, 10, 170, 30)])
    second = [square, ("Fibre: normal", 50, 10, 70, 22), ("Fibre: normal", 100, 50, 120, 70), ("Region: unsure", 140, 0, 200, 100)]
    write(tmp_path / "second_reader" / "a.geojson", second)

    found = readers.compare(tmp_path, tmp_path, None)
    assert list(found) == ["a"]
    assert list(found["a"]) == ["reader 2 against reader 1"]
    units = found["a"]["reader 2 against reader 1"]
    # alike; 12 of 20 rows; a find of its own; and one that counts for nobody, because the second reader can't tell that place
    counted = units[~units.void].sort_values("x_px")
    assert counted.iou.tolist() == [1.0, 0.6, 0.0]
    assert counted[["x_px", "y_px"]].to_numpy().tolist() == [[20, 20], [60, 20], [110, 60]]
    assert units.void.sum() == 1
    readers.print_pair("a", "the pair", units)
    shown = capsys.readouterr().out
    assert "f1_50     0.800" in shown  # 2 hits of 2 and 3 fibres
    assert "f1_75     0.400" in shown
    assert "1 of 2 agree, kappa 0.000" in shown

    readers.print_limit("a", units, units)
    assert capsys.readouterr().out.splitlines() == [
        "a: of 1 fibres that the readers outline alike (IoU 0.75), the network agrees with reader 1 on 1",
        "a: of 1 fibres that the readers outline differently (IoU 0.75), the network agrees with reader 1 on 0",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_kappa_against_scikit_learn(readers: ModuleType, seed: int) -> None:
    draws = np.random.default_rng(seed)
    names = [*readers.FIBRE_STATES, "", "unassessable"]
    truth, pred = (np.array(names)[draws.integers(0, len(names), 200)] for _ in range(2))
    pred = np.where(draws.random(200) < 0.6, truth, pred)
    units = pd.DataFrame({"truth_class": truth, "pred_class": pred, "void": draws.random(200) < 0.1})
    sure = units[~units.void & units.truth_class.isin(names[:4]) & units.pred_class.isin(names[:4])]
    value, (low, high), agreed, n = readers.kappa(units)
    assert value == pytest.approx(cohen_kappa_score(sure.truth_class, sure.pred_class))
    assert low < value < high
    assert (agreed, n) == ((sure.truth_class == sure.pred_class).sum(), len(sure))


@pytest.mark.parametrize("n", [0, 5])
def test_no_kappa_where_chance_agrees_as_well(readers: ModuleType, n: int) -> None:
    units = pd.DataFrame({"truth_class": ["normal"] * n, "pred_class": ["normal"] * n, "void": [False] * n}).astype({"void": bool})
    value, limits, agreed, counted = readers.kappa(units)
    assert np.isnan([value, *limits]).all()
    assert agreed == counted == n
