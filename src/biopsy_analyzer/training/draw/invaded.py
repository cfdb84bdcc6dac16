"""Glassy fibres that cells eat up, in sheets of packed cells: what days after a toxin look like, drawn for training only.

A network that saw whole fibres only outlines the sarcoplasm that is left, or each piece of it. Truth here is the original outline, with
the cells that have moved in. Nothing here is drawn, and no random number used, unless the recipe's `invaded` asks for it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from biopsy_analyzer.training.draw import layout as lay
from biopsy_analyzer.training.draw.noise import fractal_noise, smooth_noise
from biopsy_analyzer.training.draw.nuclei import LOOKS, Canvas, stamp
from biopsy_analyzer.training.draw.recipe import STAGES, Recipe

LEFT = ("whole", "crescent", "core", "cleft", "moth-eaten", "packed")
"""What is left of a dead fibre's sarcoplasm: all; all but one side; its middle; pieces; remnants; nothing but cells."""

EATEN = (0.26, 0.12, 0.2, 0.32, 0.1)  # shares of what follows "whole". Prior, from looking at one section of toxin injury
_DEAD = tuple(STAGES.index(s) + 1 for s in ("hyaline", "dusky", "phagocytosed"))
# packed cells show less of themselves than a free macrophage, and touch: their bodies are drawn by the tessellation
_PACKED = replace(
    LOOKS["macrophage"],
    long_um=(4.5, 8.0),
    short_share=(0.55, 1.0),
    haematoxylin=(0.3, 0.85),
    vesicular=(0.0, 0.3),
    nucleolus=0.1,
    cytoplasm_um=(0, 0),
)


def draw_invaded(canvas: Canvas, rng: np.random.Generator, recipe: Recipe, stages: np.ndarray) -> np.ndarray:
    """Redraw dead fibres as glassy sarcoplasm with packed cells in its place and between the fibres; the stages (n + 1,) that result.

    Fibres of which cells hold a part become "phagocytosed", the others "hyaline"; outlines and all other stages stay.
    """
    dead = np.isin(stages, _DEAD)
    shares = np.concatenate([[1 - recipe.invaded], recipe.invaded * rng.dirichlet(8 * np.array(EATEN))])  # neighbours are alike
    left = np.where(dead, rng.choice(len(LEFT), len(stages), p=shares), 0)
    spacing = rng.uniform(12, 21)  # px of a cell, 6 to 10 um
    eaten = _eaten(canvas, rng, recipe, left, spacing) & dead[canvas.fibres]
    _glass(canvas, rng, recipe, dead, eaten)
    sheet = _sheet(canvas, rng, left)
    _loose(canvas, rng)
    _fill_with_cells(canvas, rng, eaten | sheet, spacing)
    _seams(canvas, rng, dead)
    canvas.zone[sheet] = lay.INFILTRATE
    return np.where(dead, np.where(left > 0, STAGES.index("phagocytosed") + 1, STAGES.index("hyaline") + 1), stages)


def _eaten(canvas: Canvas, rng: np.random.Generator, recipe: Recipe, left: np.ndarray, spacing: float) -> np.ndarray:
    """Where cells have replaced sarcoplasm, bool (H, W); its borders are bitten out by single cells."""
    fibres, depth, count = canvas.fibres, canvas.depth, len(left)
    deepest = np.ones(count, np.float32)
    np.maximum.at(deepest, fibres.ravel(), depth.ravel())
    bites = 0.22 * spacing * smooth_noise(rng, fibres.shape, 0.8 * spacing)
    relative = (depth + bites) / deepest[fibres]
    to_border = lay.border_distance(tiles(rng, fibres.shape, recipe.fibre_px * rng.uniform(0.35, 0.7), 0.25))
    remnants = fractal_noise(rng, fibres.shape, 1.6 * spacing, 2)
    gone = {
        "crescent": relative < rng.uniform(0.3, 1.5, count)[fibres] * _towards(fibres, rng.uniform(0, 2 * np.pi, count)),
        "core": relative < rng.uniform(0.15, 0.6, count)[fibres],
        "cleft": to_border + bites < rng.uniform(0.5, 0.6 * spacing, count)[fibres],
        "moth-eaten": remnants > rng.uniform(-0.9, 0.5, count)[fibres],
        "packed": fibres > 0,
    }
    eaten = np.zeros(fibres.shape, bool)
    for name, where in gone.items():
        eaten |= where & (left == LEFT.index(name))[fibres]
    return eaten & (fibres > 0)


def tiles(rng: np.random.Generator, shape: tuple[int, int], spacing: float, jitter: float) -> np.ndarray:
    """Plane cut in cells of about `spacing` px with wavy borders: labels int32 (H, W), from 1. Nearest points by distance transform."""
    margin = int(0.5 * spacing) + 1
    wide = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    points = lay.lattice(rng, wide, spacing, jitter).astype(int)
    points = points[np.all((points >= 0) & (points < wide), axis=1)]
    empty = np.ones(wide, np.uint8)
    empty[points[:, 0], points[:, 1]] = 0
    labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    rows, cols = (
        i + margin + np.clip(0.1 * spacing * smooth_noise(rng, shape, 0.7 * spacing), -margin, margin)
        for i in np.indices(shape, dtype=np.float32)
    )
    return labels[np.clip(rows.round().astype(int), 0, wide[0] - 1), np.clip(cols.round().astype(int), 0, wide[1] - 1)]


def _towards(fibres: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """How much each pixel lies on the side `angle` (by label) of its fibre's middle, 0 to 1."""
    rows, cols = np.indices(fibres.shape, dtype=np.float32)
    size = np.maximum(np.bincount(fibres.ravel(), minlength=len(angle)), 1)
    y, x = (np.bincount(fibres.ravel(), i.ravel(), minlength=len(angle)) / size for i in (rows, cols))
    return 0.5 + 0.5 * np.cos(np.arctan2(rows - y[fibres], cols - x[fibres]) - angle[fibres])


def _glass(canvas: Canvas, rng: np.random.Generator, recipe: Recipe, dead: np.ndarray, eaten: np.ndarray) -> None:
    """Homogeneous, strongly eosinophilic sarcoplasm, denser at the rim in some, with short forked cracks."""
    fibres, shape, count = canvas.fibres, canvas.fibres.shape, len(dead)
    amount = recipe.eosin * rng.uniform(1.0, 1.5) * rng.normal(1, 0.08, count)[fibres]
    rim = rng.uniform(-0.05, 0.35) * rng.random(count)[fibres] * np.exp(-np.maximum(canvas.depth, 0) / rng.uniform(2, 7))
    glass = amount * (1 + rim + 0.03 * smooth_noise(rng, shape, 25) + rng.uniform(0, 0.04) * smooth_noise(rng, shape, 3))
    ridge = lay.border_distance(tiles(rng, shape, rng.uniform(22, 45), 0.3))  # where three tiles meet, a crack forks
    where = smooth_noise(rng, shape, rng.uniform(16, 40)) + rng.normal(0, 0.5, count)[fibres] - 1
    crack, lip = (ridge < 1.2) & (where > 0), (ridge < 2.8) & (where > -0.1)
    glass = np.where(crack, glass * rng.uniform(0.1, 0.5), glass)
    inside = dead[fibres] & ~eaten & (fibres > 0)
    canvas.eosin[inside] = np.maximum(glass, 0)[inside]
    blue = rng.uniform(0, 0.05) + rng.uniform(0.02, 0.12) * (lip & ~crack)
    canvas.haematoxylin[inside] = blue[inside]


def _sheet(canvas: Canvas, rng: np.random.Generator, left: np.ndarray) -> np.ndarray:
    """Where packed cells lie between the fibres, bool (H, W); not around a fibre of cells alone, which nobody could tell from them."""
    free = (canvas.fibres == 0) & np.isin(canvas.zone, (lay.ENDOMYSIUM, lay.INFILTRATE, lay.PERIMYSIUM))
    field = smooth_noise(rng, free.shape, 150) + 0.3 * smooth_noise(rng, free.shape, 30) - 0.8 * (canvas.zone == lay.PERIMYSIUM)
    packed = cv2.dilate((left == LEFT.index("packed"))[canvas.fibres].astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    return free & ~packed & (field > rng.uniform(-1.6, 0.9)) & (canvas.depth < -2 - smooth_noise(rng, free.shape, 60))


def _loose(canvas: Canvas, rng: np.random.Generator) -> None:
    """Swollen endomysium: pale, with a net of fibrils and single cells' bodies."""
    where = (canvas.fibres == 0) & (canvas.zone == lay.ENDOMYSIUM)
    fibrils = np.exp(-((smooth_noise(rng, where.shape, rng.uniform(5, 9)) / 0.35) ** 2))
    pale = rng.uniform(0.02, 0.2) + rng.uniform(0.03, 0.15) * fibrils + 0.05 * fractal_noise(rng, where.shape, 30)
    canvas.eosin[where] = np.maximum(pale, 0)[where]
    canvas.haematoxylin[where] = (rng.uniform(0, 0.05) + 0.03 * fibrils)[where]


def _fill_with_cells(canvas: Canvas, rng: np.random.Generator, where: np.ndarray, spacing: float) -> None:
    """Packed cells in `where`, each with its nucleus and a pale seam; none lies across an outline."""
    cells_of = tiles(rng, where.shape, spacing, 0.2).astype(np.int64)
    labels, found = np.unique((cells_of * (int(canvas.fibres.max()) + 1) + canvas.fibres)[where], return_inverse=True)
    labels, cells = np.concatenate([[0], labels]), np.zeros(where.shape, np.int32)
    cells[where] = found.ravel() + 1
    distance = lay.border_distance(cells)
    strength = rng.uniform(0.5, 1) * np.clip(0.8 + 0.4 * smooth_noise(rng, where.shape, 35), 0, 1)
    seam = 1 - strength * np.exp(-((distance / rng.uniform(1.1, 2.2)) ** 2))
    tint = rng.normal(1, 0.15, len(labels))[cells]
    canvas.eosin[where] = (rng.uniform(0.25, 0.6) * tint * seam)[where]
    canvas.haematoxylin[where] = (rng.uniform(0.05, 0.25) * tint * seam)[where]
    size = np.bincount(cells.ravel(), minlength=len(labels))
    rows, cols = (np.bincount(cells.ravel(), i.ravel(), minlength=len(labels)) / np.maximum(size, 1) for i in np.indices(where.shape))
    shown = (size > 0.4 * spacing**2) & (rng.random(len(labels)) < rng.uniform(0.65, 1))
    shown[0] = False
    centre = np.column_stack([rows, cols])[shown] + 0.5 + rng.normal(0, 0.06 * spacing, (int(shown.sum()), 2))
    stamp(canvas, rng, _PACKED, centre, rng.uniform(0, np.pi, len(centre)), cluster=next(canvas.cluster_numbers))


def _seams(canvas: Canvas, rng: np.random.Generator, dead: np.ndarray) -> None:
    """A shrunken fibre parts from its sheath: a white seam along a part of its outline, and a pink sheath outside it."""
    near = np.isin(canvas.zone, (lay.ENDOMYSIUM, lay.INFILTRATE))
    sheath = near & (canvas.fibres == 0) & (canvas.depth > -2.5) & (smooth_noise(rng, near.shape, 40) > rng.uniform(-1, 0.8))
    canvas.eosin[sheath & (canvas.nuclei == 0)] = rng.uniform(0.12, 0.3)
    along = np.clip(smooth_noise(rng, near.shape, 60) + rng.uniform(-0.6, 0.8), 0, 1) * near * (dead[canvas.fibres] | (canvas.fibres == 0))
    white = 1 - rng.uniform(0.2, 0.9) * along * np.exp(-((canvas.depth / rng.uniform(0.9, 1.8)) ** 2)) * (canvas.nuclei == 0)
    canvas.eosin *= white
    canvas.haematoxylin *= white
