"""A painted section, really analysed and written: what corrections are made on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report import write_result
from biopsy_analyzer.report.labels import write_labels
from biopsy_analyzer.slide import open_slide
from sections import FIRST_UM, STEP_UM, UM_PER_PX, colour_models, paint, save

ROWS = COLUMNS = 9
STATES = {10: "necrotic", 13: "regenerating", 40: "necrotic", 41: "necrotic", 50: "pale-fragmented", 70: "regenerating"}


def centre(number: int) -> np.ndarray:
    """Centre (y, x) in um of painted fibre `number`, 0.. along the rows."""
    return np.array([FIRST_UM + STEP_UM * (number // COLUMNS) + 20, FIRST_UM + STEP_UM * (number % COLUMNS) + 20])


def _nuclei() -> list[tuple[float, float, str]]:
    """A row of lymphocytes in a cleft, macrophages in and around necrotic fibres, internal and border nuclei, and many more."""
    rng = np.random.default_rng(5)
    kinds = ["macrophage", "lymphocyte", "other"]
    plan = [(30, -24.0, 10.0 * k, "lymphocyte") for k in range(12)]
    plan += [(40, y, x, "macrophage") for y, x in ((0, 0), (-10, 8), (24, 0), (24, 10), (24, -10))]
    plan += [(10, y, x, "macrophage") for y, x in ((-24, 0), (-24, 10), (-24, -10))]
    plan += [(n, 2, 3, "muscle") for n in (4, 22, 60, 70, 77)]
    plan += [(n, 17, 0, "muscle") for n in range(0, 81, 3)]
    plan += [(n, rng.uniform(-20, 20), 24, str(rng.choice(kinds))) for n in range(0, 81, 2)]
    found = [(*(centre(n) + np.array([y, x])), kind) for n, y, x, kind in plan]
    return found


@pytest.fixture(scope="session")
def analysed(tmp_path_factory) -> tuple[Path, Path]:
    """The image and its result folder; not to be changed."""
    folder = tmp_path_factory.mktemp("analysed")
    image = save(paint(ROWS, COLUMNS, STATES, _nuclei()).rgb, folder / "section.png")
    with open_slide(image, um_per_px=UM_PER_PX) as slide:
        result = analyze_slide(slide, colour_models())
    written = write_result(result, folder / "out")
    if not (written / "labels.ome.zarr").exists():
        write_labels(result.fibre_labels, result.nucleus_labels, written)
    return image, written


@pytest.fixture
def folder(analysed, tmp_path) -> Path:
    """A copy of the result folder."""
    return Path(shutil.copytree(analysed[1], tmp_path / "section"))


@pytest.fixture
def slide(analysed):
    with open_slide(analysed[0], um_per_px=UM_PER_PX) as opened:
        yield opened


def fibre_at(corrections, number: int) -> int:
    """The id of the fibre at painted place `number`."""
    fibres = corrections.fibres
    return int(fibres["fibre_id"].iloc[np.hypot(*(fibres[["y_um", "x_um"]].to_numpy() - centre(number)).T).argmin()])
