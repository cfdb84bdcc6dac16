"""A painted section, really analysed and written: what corrections are made on, in tests of several folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.writing import write_result
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


def analyse_painted(folder: Path) -> tuple[Path, Path]:
    """The image and its result folder, written below `folder`."""
    image = save(paint(ROWS, COLUMNS, STATES, _nuclei()).rgb, folder / "section.png")
    with open_slide(image, um_per_px=UM_PER_PX) as slide:
        return image, write_result(analyze_slide(slide, colour_models()), folder / "out")


def said_to_be_made_with(models: Path, folder: Path) -> None:
    """The result says that the models in that folder made it, as if it were theirs to adapt."""
    document = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    for made, part in zip(document["models"], ("fibres", "nuclei", "states"), strict=True):
        made["sha256"] = json.loads((models / part / "card.json").read_text(encoding="utf-8"))["sha256"]
    (folder / "scores.json").write_text(json.dumps(document), encoding="utf-8")


def fibre_at(corrections: Corrections, number: int) -> int:
    """The id of the fibre at painted place `number`."""
    fibres = corrections.fibres
    return int(fibres["fibre_id"].iloc[np.hypot(*(fibres[["y_um", "x_um"]].to_numpy() - centre(number)).T).argmin()])


def hashes(folder: Path) -> dict[str, bytes]:
    """Every file but the journal."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "corrections.jsonl"}
