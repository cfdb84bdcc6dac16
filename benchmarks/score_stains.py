"""The same drawn sections in other stains, through the whole pixel pipeline: what a stain alone does to the score.

    python benchmarks/score_stains.py --out OUT --count 6

Everything but the stain is equal: objects, light, focus, noise. Research use only; drawn sections, not tissue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.score.axes import counts_as_inflammation
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import FIBRE_STATES, NECROTIC_STATES
from biopsy_analyzer.training.draw import Drawn, draw_section
from biopsy_analyzer.training.draw.optics import RED_CELLS, STAINS, expose

SHAPE_PX = (1280, 1280)  # 0.41 mm2: enough tissue for a pattern
SPREAD = 0.25  # light, focus and noise as in clean sections
DISEASES = ("necrotizing", "inflammatory", "dystrophic", "toxic", "normal", "mixed")


def stains() -> dict[str, np.ndarray]:
    """Optical density (3, 3) of one unit of haematoxylin, eosin and red cells, by name; the first is what the others are held against."""
    books = [np.vstack([pair, RED_CELLS[None]]) for pair in STAINS]
    book = books[0] = books[0] / np.linalg.norm(books[0], axis=1, keepdims=True)
    grey = book.mean(axis=1, keepdims=True)
    return {
        "text-book (Ruifrok)": book,
        "Macenko's reference": books[1],
        "red haematoxylin, orange eosin": books[3],
        "blue haematoxylin, violet eosin": books[4],
        "eosin at half": book * np.array([1, 0.5, 1])[:, None],
        "eosin at 1.8": book * np.array([1, 1.8, 1])[:, None],
        "haematoxylin at half": book * np.array([0.5, 1, 1])[:, None],
        "haematoxylin at 1.8": book * np.array([1.8, 1, 1])[:, None],
        "both at half (faded, thin)": book * 0.5,
        "both at 1.6 (thick)": book * 1.6,
        "faded to grey": book + 0.5 * (grey - book),
    }


def truth(drawn: Drawn) -> tuple[float, float]:
    """Shares of the section's fibres that are necrotic or pale-fragmented, and regenerating."""
    dead, blue = ([FIBRE_STATES.index(s) + 1 for s in states] for states in (NECROTIC_STATES, ("regenerating",)))
    known = np.isin(drawn.fibre_state, range(1, 5)).sum()
    return float(np.isin(drawn.fibre_state, dead).sum() / known), float(np.isin(drawn.fibre_state, blue).sum() / known)


def read(drawn: Drawn, vectors: np.ndarray, seed: int, path: Path, models: Models) -> dict[str, object]:
    """What the pipeline makes of the section in one stain; all NaN where it is refused."""
    od = np.moveaxis(drawn.concentrations, 0, -1) @ vectors.astype(np.float32)
    cv2.imwrite(str(path), expose(od, np.random.default_rng(seed), SPREAD)[..., ::-1])
    try:
        with open_slide(path, um_per_px=drawn.um_per_px) as slide:
            result = analyze_slide(slide, models)
    except SlideError as error:
        return {"pattern": "refused", "flags": str(error)}
    scores = result.scores.scores
    counted = counts_as_inflammation(result.nuclei, result.fibres, Settings().clusters).sum()
    return {
        "necrosis": scores.necrosis.measured,
        "regeneration": scores.regeneration.measured,
        "cells": float(counted),
        "balance": scores.balance.value,
        "held": scores.necrosis.measured_ci95,
        "pattern": result.scores.pattern.label,
        "flags": ", ".join(flag.code for flag in result.flags),
    }


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """By stain: difference of the shares to the truth over sections; cells, balance and pattern against those in the first stain."""
    first = rows[rows["stain"] == rows["stain"].iloc[0]].set_index("seed")
    lines = []
    for stain, part in rows.groupby("stain", sort=False):
        part = part.set_index("seed")
        seen = part[part["pattern"] != "refused"]
        off = {name: (seen[name] - seen[f"true_{name}"]).astype(float) for name in ("necrosis", "regeneration")}
        cells = seen["cells"].sum() / first["cells"].reindex(seen.index).sum()
        moved = (seen["balance"] - first["balance"].reindex(seen.index)).astype(float)
        held = np.mean([low <= share <= high for (low, high), share in zip(seen["held"], seen["true_necrosis"], strict=True)])
        changed = (seen["pattern"] != first["pattern"].reindex(seen.index)).sum()
        lines.append(
            (stain, len(part) - len(seen), off["necrosis"].mean(), off["necrosis"].std(), off["regeneration"].mean(), cells, held,
             moved.mean(), moved.abs().max(), changed)
        )  # fmt: skip
    names = [
        "stain",
        "refused",
        "necrosis_off",
        "sd",
        "regeneration_off",
        "cells_ratio",
        "held",
        "balance_moved",
        "most",
        "pattern_changed",
    ]
    return pd.DataFrame(lines, columns=names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--first", type=int, default=9_250_000, help="first seed; from 9,000,000 on nothing was trained on")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    models, rows = load_models(None, "cpu"), []
    for seed in range(options.first, options.first + options.count):
        disease = DISEASES[(seed - options.first) % len(DISEASES)]
        drawn = draw_section(seed, SHAPE_PX, "usual", disease)
        necrosis, regeneration = truth(drawn)
        for stain, vectors in stains().items():
            found = read(drawn, vectors, seed, options.out / f"{seed}.png", models)
            facts = {"seed": seed, "stain": stain, "disease": disease, "true_necrosis": necrosis, "true_regeneration": regeneration}
            rows.append(facts | found)
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_parquet(options.out / "stains.parquet")
    pd.set_option("display.width", 220, "display.max_columns", 20)
    print(table_of(table).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
