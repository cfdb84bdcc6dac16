"""Truth held against what was found, by hand and against itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.judge import Prediction, judge, onto, types_of_truth
from biopsy_analyzer.training.marked import marked_picture
from biopsy_analyzer.training.summary import summarise
from biopsy_analyzer.training.truth import Truth, draw_truth, read_folder
from truth_files import UM_PER_PX, write_image


def test_onto_takes_the_label_under_the_centre() -> None:
    labels = Labels(np.array([[1, 2], [3, 4]], dtype=np.int32), PixelGrid((2, 2), 2.0, (2.0, 0.0)))
    assert onto(labels, PixelGrid((5, 5), 1.0)).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 1, 2, 2, 0],
        [1, 1, 2, 2, 0],
        [3, 3, 4, 4, 0],
    ]


def test_a_drawn_truth_agrees_with_itself(tmp_path: Path) -> None:
    truth = draw_truth("usual", 0, tmp_path, seed=11, shape_px=(512, 512))
    grid = truth.grid
    untold = judge(truth, Prediction(Labels(truth.fibres, grid), Labels(truth.nuclei, grid)), Settings())
    assert "truth_class" not in untold.fibres
    depth = Settings().classify.internal_depth_um
    types, internal = types_of_truth(truth, depth)
    same = Prediction(Labels(truth.fibres, grid), Labels(truth.nuclei, grid), truth.fibre_state, types, internal)
    judged = judge(truth, same, Settings())
    parts = summarise([judged])
    for part, figure in (
        ("fibres", "f1_75"),
        ("nuclei", "f1_75"),
        ("fibre_states", "macro_f1"),
        ("nucleus_kinds", "accuracy"),
        ("nucleus_types", "accuracy"),
    ):
        assert parts[part]["figures"][figure]["value"] == 1, part
    assert parts["internal_nuclei"]["figures"]["count_bias"]["value"] == 0
    rgb = np.full((*grid.shape, 3), 255, dtype=np.uint8)
    assert marked_picture(rgb, judged).shape == (grid.shape[0] + 26, 2 * grid.shape[1], 3)


@pytest.mark.parametrize("corner", [(0, 0), (130, 280), (65, 280), (0, 140), (130, 0), (65, 230)])
@pytest.mark.parametrize("region", [(0, 150, 0, 300), (60, 90, 220, 300), (0, 30, 0, 300)], ids=["all", "right", "upper"])
def test_a_wrong_class_is_written_in_full_wherever_the_fibre_lies(corner: tuple[int, int], region: tuple[int, ...]) -> None:
    """As many dark pixels, the letters', as in the middle of a large picture."""

    def letters(y: int, x: int, known: tuple[int, ...]) -> int:
        fibres, ignore = np.zeros((150, 300), dtype=np.int32), np.ones((150, 300), dtype=bool)
        fibres[y : y + 20, x : x + 20] = 1
        ignore[known[0] : known[1], known[2] : known[3]] = False
        truth = Truth("a", Path("a.png"), PixelGrid(fibres.shape, 0.5), fibres, ["", "necrotic"], ignore=ignore)
        judged = judge(truth, Prediction(Labels(fibres, truth.grid), fibre_state=["", "normal"]), Settings())
        picture = marked_picture(np.full((150, 300, 3), 255, dtype=np.uint8), judged)
        return int((picture[:-26] < 120).all(axis=-1).sum())

    inside = region[0] <= corner[0] + 10 < region[1] and region[2] <= corner[1] + 10 < region[3]
    middle = letters(65, 140, (0, 150, 0, 300))
    assert middle > 50
    assert letters(*corner, region) == (middle if inside else 0)  # where most of it is unknown, it does not count


def test_true_nuclei_are_internal_by_their_depth(with_truth: Path) -> None:
    (truth,) = read_folder(with_truth)
    types, internal = types_of_truth(truth, 5.0)
    assert types == ["", *["myonucleus"] * 9, "internal"]
    assert internal.tolist() == [0] * 9 + [1]


def annotation(folder: Path) -> None:
    def feature(name: str, kind: str, coordinates: list) -> dict:
        return {"type": "Feature", "properties": {"classification": {"name": name}}, "geometry": {"type": kind, "coordinates": coordinates}}

    def box(x0: int, y0: int, x1: int, y1: int) -> list:
        return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]

    source = {"file": "section.png", "um_per_px": UM_PER_PX, "shape": [600, 800], "source": "drawn", "licence": "MIT", "held_out": True}
    features = [
        feature("Region: annotated", "Polygon", box(0, 0, 500, 600)),
        feature("Fibre: necrotic", "Polygon", box(100, 100, 200, 200)),
        feature("Fibre: unsure", "Polygon", box(300, 100, 400, 200)),
        feature("Nucleus: macrophage", "Point", [150, 150]),
        feature("Nucleus: lymphocyte", "Point", [340, 140]),
    ]
    (folder / "section.geojson").write_text(json.dumps({"type": "FeatureCollection", "source": source, "features": features}))


def test_annotations_judge_their_region_and_the_marked_nuclei(tmp_path: Path) -> None:
    write_image(tmp_path / "section.png", np.full((600, 800, 3), 250, dtype=np.uint8))
    annotation(tmp_path)
    (truth,) = read_folder(tmp_path)
    found = np.zeros((600, 800), dtype=np.int32)
    found[100:200, 100:200], found[100:200, 300:400], found[100:200, 600:700] = 1, 2, 3  # the third lies outside the region
    nuclei = np.zeros_like(found)
    nuclei[147:149, 146:150] = 1  # beside the first mark, not under it
    names = ["", "necrotic", "normal", "normal"]
    judged = judge(truth, Prediction(Labels(found, truth.grid), Labels(nuclei, truth.grid), names, ["", "macrophage"]), Settings())
    parts = summarise([judged])
    assert parts["fibres"]["counts"] == {"truth": 2, "found": 2, "hits": 2, "missed": 0, "false": 0}
    accuracy = parts["fibre_states"]["figures"]["accuracy"]
    assert accuracy == {"value": 1.0, "ci95": (pytest.approx(0.025), 1.0), "n": 1}  # the unsure one has no state
    assert parts["nuclei"] is None
    assert judged.marks.pred_class.to_list() == ["macrophage", "missed"]
    picture = marked_picture(np.full((600, 800, 3), 255, dtype=np.uint8), judged)
    assert picture.shape == (600 + 26, 500 + 40, 3)  # the annotated region, a rim and the key
