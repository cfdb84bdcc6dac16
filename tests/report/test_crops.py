"""Close-ups: the right objects, whole in their windows, with the slide's own pixels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.report.crops import choose_crops, cut_crops
from biopsy_analyzer.score.model import Evidence, EvidenceObjects
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import CLUSTERS, FIBRES, NUCLEI, empty, typed
from made_tables import make_fibres, make_nuclei
from sections import save


def item(kind: str, *ids: int) -> Evidence:
    objects = EvidenceObjects(kind=kind, count=len(ids), ids=ids)  # type: ignore[arg-type]
    told = {"code": "x", "name": "x", "criterion": "x", "value": 1.0, "unit": "", "ci95": None, "threshold": None, "reason": ""}
    return Evidence(**told, state="present", objects=objects)


def clusters_of(cells: list[int]) -> pd.DataFrame:
    rows = [{name: 0 for name in CLUSTERS} | {"cluster_id": k, "cells": n, "kind": "mixed", "reason": ""} for k, n in enumerate(cells, 1)]
    return typed(pd.DataFrame(rows), CLUSTERS)


def test_the_surest_and_the_least_sure_of_each_class_are_shown() -> None:
    fibres = make_fibres(["normal"] * 10 + ["necrotic"] * 2, probability=[0.9, 0.5, 0.8, 0.99, 0.6, 0.7, 0.95, 0.4, 0.97, 0.3, 0.8, 0.9])
    chosen = choose_crops(fibres, empty(NUCLEI), empty(CLUSTERS))
    normal, necrotic = [4, 9, 7, 10, 8, 2], [12, 11]
    assert chosen == [("fibre", n) for n in normal + necrotic]


def test_fibres_that_the_image_cuts_come_last_and_unassessable_ones_apart() -> None:
    cut, judged = [True, False, False, False, False, False, False], [True] * 6 + [False]
    fibres = make_fibres(["necrotic"] * 7, probability=np.linspace(0.9, 0.3, 7), touches_border=cut, assessable=judged)
    assert choose_crops(fibres, empty(NUCLEI), empty(CLUSTERS)) == [("fibre", n) for n in (2, 3, 4, 6, 5, 1, 7)]


def test_cells_that_matter_the_largest_clusters_and_what_evidence_rests_on() -> None:
    nuclei = make_nuclei(["myonucleus", "macrophage", "other", "lymphocyte"])
    found = choose_crops(empty(FIBRES), nuclei, clusters_of([3, 20, 12, 5, 9, 4]), [item("nucleus", 1, 2), item("cluster", 1, 6)])
    cells = [("nucleus", 2), ("nucleus", 4)]
    assert found == [*cells, *(("cluster", n) for n in (2, 3, 5, 4)), ("nucleus", 1), ("cluster", 1), ("cluster", 6)]


def test_nothing_found_nothing_shown(tmp_path: Path) -> None:
    path = save(np.full((64, 64, 3), 200, np.uint8), tmp_path / "plain.png")
    assert choose_crops(empty(FIBRES), empty(NUCLEI), empty(CLUSTERS)) == []
    with open_slide(path, um_per_px=0.5) as slide:
        assert cut_crops(slide, empty(FIBRES), empty(NUCLEI), empty(CLUSTERS)) == ()


@pytest.mark.parametrize("um_per_px", [0.25, 0.5, 2.0])
def test_a_window_holds_its_object_and_the_slides_pixels(tmp_path: Path, um_per_px: float) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(60, 240, (800, 700, 3)).astype(np.uint8)
    path = save(rgb, tmp_path / "noise.png")
    at = {"y_um": 400 * um_per_px, "x_um": 10 * um_per_px, "max_feret_um": [40.0, 300.0]}
    fibres = make_fibres(["normal", "necrotic"], **at)
    with open_slide(path, um_per_px=um_per_px) as slide:
        small, large = cut_crops(slide, fibres, empty(NUCLEI), empty(CLUSTERS))
        assert (slide.read(small.grid) == small.rgb).all()
    for crop, length in ((small, 40), (large, 300)):
        assert max(crop.rgb.shape[:2]) <= 256
        assert crop.grid.um_per_px >= um_per_px
        centre = crop.grid.to_px(np.array([at["y_um"], at["x_um"]]))
        assert np.all(np.abs(centre - np.array(crop.grid.shape) / 2) <= 1 + um_per_px / crop.grid.um_per_px)
        assert crop.grid.shape[0] * crop.grid.um_per_px >= length
    left = round(small.grid.to_px(np.array([0.0, 0.0]))[1])
    assert (small.rgb[:, : left - 1] == 255).all(), "white beyond the slide"
    if small.grid.um_per_px == um_per_px:  # copied, not resampled
        top = round(small.grid.origin_um[0] / um_per_px)
        shown = rgb[top : top + small.grid.shape[0], : small.grid.shape[1] - left]
        assert (small.rgb[:, left:] == shown).all()
