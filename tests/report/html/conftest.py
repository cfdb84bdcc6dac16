"""A sick section of 144 painted fibres with a result that follows the painting, written by the package, and a browser to open it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.crops import cut_crops
from biopsy_analyzer.report.result import Labels, ModelInfo, Picture, Result, SlideInfo
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.score import score
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import CLUSTERS, typed
from biopsy_analyzer.tissue.flags import Flag
from made_tables import make_fibres, make_nuclei
from sections import FIBRE_UM, UM_PER_PX, paint, save

EDGE = 12
STATES = {n: ("necrotic", "pale-fragmented", "regenerating")[n % 3] for n in range(0, 60, 2)}
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7*7 }}.png'


def make_result(path: Path, file_name: str | None = None) -> Result:
    """The result of the section that is painted to `path`: what was called is what was painted, with made-up probabilities."""
    cells = [(300.0 + 4 * k, 500.0 + 9 * (k % 4), ("macrophage", "lymphocyte")[k % 2]) for k in range(24)]
    plan = paint(EDGE, EDGE, STATES, [*cells, (80.0, 80.0, "muscle")])
    save(plan.rgb, path)
    fibres, fibre_labels = _fibres(plan.fibres, plan.rgb.shape[:2])
    nuclei, nucleus_labels = _nuclei(plan.nuclei, plan.rgb.shape[:2])
    row = {name: 0.0 for name in CLUSTERS} | {"cluster_id": 1, "cells": 24, "macrophages": 12, "lymphocytes": 12, "kind": "mixed"}
    clusters = typed(pd.DataFrame([row | {"reason": "made up", "y_um": 346.0, "x_um": 513.0, "probability": 0.8}]), CLUSTERS)
    grid = PixelGrid(plan.rgb.shape[:2], UM_PER_PX)
    area = 0.4
    with open_slide(path, um_per_px=UM_PER_PX) as slide:
        height, width = slide.shape
        return Result(
            status="review",
            slide=SlideInfo(slide.id, file_name or path.name, slide.sha256, UM_PER_PX, "given", width, height),
            models=(ModelInfo("fibres", "1", "cd" * 32),),
            settings=Settings(),
            tissue_area_mm2=area,
            flags=(Flag("folds", 0.05, 0.02, "0.05 (at most 0.02) of the tissue is folded.", ((100.0, 200.0, 150.0, 400.0),)),),
            fibres=fibres,
            nuclei=nuclei,
            clusters=clusters,
            fibre_labels=Labels(fibre_labels, grid),
            nucleus_labels=Labels(nucleus_labels, grid),
            picture=Picture(plan.rgb, grid),
            scores=score(fibres, nuclei, clusters, area, Settings(), nuclei_assessed=True),
            crops=cut_crops(slide, fibres, nuclei, clusters),
        )


def _fibres(painted: list[tuple[float, float, str]], shape: tuple[int, int]) -> tuple[pd.DataFrame, np.ndarray]:
    y, x, state = (list(column) for column in zip(*painted, strict=True))
    n = len(painted)
    labels = np.zeros(shape, np.int32)
    for number, (top, left) in enumerate(zip(y, x, strict=True), start=1):
        y0, x0, edge = (round(um / UM_PER_PX) for um in (top - FIBRE_UM / 2, left - FIBRE_UM / 2, FIBRE_UM))
        labels[y0 : y0 + edge, x0 : x0 + edge] = number
    probability = np.linspace(0.45, 0.99, n)
    assessable = np.arange(n) != n - 1
    size = {"area_um2": FIBRE_UM**2, "min_feret_um": FIBRE_UM + np.arange(n) % 9, "max_feret_um": FIBRE_UM * 2**0.5}
    called = {"probability": probability, "assessable": assessable, "reason": [f"painted so, {k}" for k in range(n)]}
    return make_fibres(state, y_um=y, x_um=x, **size, **called), labels


def _nuclei(painted: list[tuple[float, float, str]], shape: tuple[int, int]) -> tuple[pd.DataFrame, np.ndarray]:
    y, x, kind = (list(column) for column in zip(*painted, strict=True))
    labels = np.zeros(shape, np.int32)
    for number, (cy, cx) in enumerate(zip(y, x, strict=True), start=1):
        cv2.circle(labels, (round(cx / UM_PER_PX), round(cy / UM_PER_PX)), 4, number, -1)
    types = ["internal" if k == "muscle" else k for k in kind]
    called = {"probability": np.linspace(0.5, 0.9, len(painted)), "cluster_id": [int(k != "muscle") for k in kind], "max_feret_um": 6.0}
    return make_nuclei(types, y_um=y, x_um=x, reason="painted", **called), labels


@pytest.fixture(scope="session")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return make_result(tmp_path_factory.mktemp("slides") / "sick.png")


@pytest.fixture(scope="session")
def refused(sick: Result) -> Result:
    """The same slide, had nothing been found on it."""
    from biopsy_analyzer.score import unassessed

    flags = (Flag("no-tissue", 0.0, 0.0, "No tissue was found."),)
    empty = {name: getattr(sick, name).iloc[:0] for name in ("fibres", "nuclei", "clusters")}
    nothing = Labels(np.zeros((4, 4), np.int32), PixelGrid((4, 4), 1.0))
    labels = {"fibre_labels": nothing, "nucleus_labels": nothing}
    slide = dataclasses.replace(sick.slide, id="blank", file_name="blank.png")
    why = "nothing is assessed: no tissue was found"
    fields = {"status": "refused", "slide": slide, "flags": flags, "crops": (), "tissue_area_mm2": 0.0, "scores": unassessed(why)}
    return dataclasses.replace(sick, **fields, **empty, **labels)


@pytest.fixture(scope="session")
def hostile(sick: Result) -> Result:
    return dataclasses.replace(sick, slide=dataclasses.replace(sick.slide, id="hostile", file_name=HOSTILE))


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory, sick: Result, refused: Result, hostile: Result) -> Path:
    """A folder of results as a batch leaves it: sick, blank (refused) and hostile, and a slide that failed."""
    import json

    from biopsy_analyzer.report.html import write_index

    out = tmp_path_factory.mktemp("results")
    for result in (sick, refused, hostile):
        write_result(result, out)
    failure = {"slide_id": "broken", "file": "broken<b>.svs", "case_id": None, "error": "cut off. Copy it again", "exit_code": 3}
    (out / "failures.json").write_text(json.dumps({"failures": [failure]}))
    write_index(out)
    return out


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A real headless Chromium; Debian's package `chromium`, which .ci/run installs."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, timeout=300_000, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()
