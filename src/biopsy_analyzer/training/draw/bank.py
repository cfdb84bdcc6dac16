"""Many drawn patches on disk, as the training reads them."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.format import open_memmap

from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.banks import OD_STEPS
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES, STAGES, Recipe, draw_recipe
from biopsy_analyzer.training.draw.section import draw_section
from biopsy_analyzer.training.targets import UNKNOWN

SHARES = (0.15, 0.55, 0.3)  # clean, usual, hard

_FILES = {"fibres": np.uint16, "nuclei": np.uint16, "states": np.uint8, "kinds": np.uint8, "ignore": np.bool_}


Focus = Literal["infiltrate", "damage", "tear", "vessels", "invaded", "wrecks"]
"""What every patch of a bank shows, each a thing that a network gets wrong first: a dense infiltrate, taken for fibres; fibres of which
many are damaged, packed with hardly any endomysium between and often small, merged or missed; cracks, taken for borders of fibres;
vessels, nerves and spindles, taken for fibres; glassy fibres that packed cells eat up, of which what is left is taken for the fibre;
groups of ghosts, fragments and phagocytosed fibres that touch."""


def write_bank(folder: Path, count: int, seed: int, patch_px: int = 512, workers: int = 1, focus: Focus | None = None) -> None:
    """Draw `count` patches of seeds `seed`, `seed` + 1, ... into `folder`: memory-mapped .npy files, one row a patch.

    focus  what every patch shows; None: what chance gives
    concentrations uint8 (N, 3, H, W) = OD * 80; fibres, nuclei uint16 labels; states, kinds uint8 rasters (255 unknown); ignore bool.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, patch_px, patch_px)
    open_memmap(folder / "concentrations.npy", "w+", np.uint8, (count, 3, patch_px, patch_px)).flush()
    for name, dtype in _FILES.items():
        open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    job = partial(_write_row, folder, seed, patch_px, focus)
    if workers == 1:
        list(map(job, range(count)))
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:  # a fork would copy locks that threads of torch or OpenCV hold
            list(pool.map(job, range(count), chunksize=8))
    about = {"count": count, "seed": seed, "patch_px": patch_px, "um_per_px": 0.5}
    write_bytes(folder / "bank.json", json.dumps(about).encode())


def focused(rng: np.random.Generator, recipe: Recipe, focus: Focus) -> Recipe:
    """`recipe` changed so that its patch shows `focus`."""
    if focus == "infiltrate":
        return replace(recipe, infiltrate_share=rng.uniform(0.2, 0.65), islands=rng.uniform(0.1, 0.7))
    if focus == "tear":
        return replace(recipe, artefacts=recipe.artefacts | {"tear"})
    if focus == "vessels":
        return replace(
            recipe, structures={"vessel": int(rng.integers(2, 6)), "nerve": int(rng.integers(0, 2)), "spindle": int(rng.integers(0, 2))}
        )
    if focus == "invaded":
        return _invaded(rng, recipe)
    if focus == "wrecks":
        return _wrecks(rng, recipe)
    shares = rng.dirichlet(np.full(len(STAGES), 0.7)) * rng.uniform(0.25, 0.9)
    return replace(
        recipe,
        fibre_px=max(28.0, recipe.fibre_px * rng.uniform(0.45, 1)),
        gap_px=rng.uniform(0.1, 1.8),
        retracted_share=0.0,
        state_shares=dict(zip(STAGES, map(float, shares), strict=True)),
        macrophages_per_necrotic=rng.uniform(0, 12),
    )


def _invaded(rng: np.random.Generator, recipe: Recipe) -> Recipe:
    shares = dict.fromkeys(STAGES, 0.01) | {"hyaline": rng.uniform(0.3, 0.75), "regenerating": rng.uniform(0, 0.25)}
    return replace(
        recipe,
        invaded=rng.uniform(0.4, 0.95),
        rounding=(0.25, 0.6) if rng.random() < 0.3 else (0.5, 0.95),
        fibre_px=float(np.clip(recipe.fibre_px, 70, 140) * rng.uniform(0.7, 1.1)),
        gap_px=rng.uniform(1, 9),
        small_share=rng.uniform(0, 0.3),
        retracted_share=rng.uniform(0, 0.6),
        missing_share=rng.uniform(0, 0.5),
        infiltrate_share=0.0,
        state_shares=shares,
        macrophages_per_necrotic=rng.uniform(0, 12),
        endomysium_eosin=rng.uniform(0.05, 0.28),
        holes_share=0.0,
    )


def _wrecks(rng: np.random.Generator, recipe: Recipe) -> Recipe:
    weight = {"pale": 0.6, "hyaline": 0.2, "dusky": 0.3, "fragmented": 1.5, "phagocytosed": 1.5, "ghost": 1.5, "regenerating": 0.3}
    odds = np.array([weight[s] for s in STAGES]) * rng.uniform(0.3, 1, len(STAGES))
    return replace(
        recipe,
        fibre_px=max(24.0, recipe.fibre_px * rng.uniform(0.35, 1)),
        gap_px=rng.uniform(0.1, 2.5),
        retracted_share=0.0,
        state_shares=dict(zip(STAGES, map(float, odds / odds.sum() * rng.uniform(0.4, 0.8)), strict=True)),
        macrophages_per_necrotic=rng.uniform(0, 12),
    )


def _write_row(folder: Path, seed: int, patch_px: int, focus: Focus | None, row: int) -> None:
    rng = np.random.default_rng((seed, row))
    difficulty = DIFFICULTIES[rng.choice(len(DIFFICULTIES), p=SHARES)]
    recipe = draw_recipe(rng, difficulty)
    if focus:
        recipe = focused(rng, recipe, focus)
    drawn = draw_section(seed + row, (patch_px, patch_px), recipe=recipe)
    states = np.where(drawn.fibre_state > len(FIBRE_STATES), UNKNOWN, drawn.fibre_state).astype(np.uint8)
    arrays = {
        "concentrations": np.clip(drawn.concentrations * OD_STEPS + 0.5, 0, 255).astype(np.uint8),
        "fibres": drawn.fibres,
        "nuclei": drawn.nuclei,
        "states": states[drawn.fibres],
        "kinds": drawn.nucleus_kind[drawn.nuclei],
        "ignore": drawn.ignore,
    }
    for name, array in arrays.items():
        open_memmap(folder / f"{name}.npy", "r+")[row] = array
