"""What the knife, the freezer and the bench do to a section: holes, tears, folds, dark edges, pen, dust, bleeding."""

from __future__ import annotations

import cv2
import numpy as np

from biopsy_analyzer.training.draw import layout as lay
from biopsy_analyzer.training.draw.interstitium import red_cells
from biopsy_analyzer.training.draw.noise import fractal_noise, smooth_noise
from biopsy_analyzer.training.draw.nuclei import Canvas
from biopsy_analyzer.training.draw.recipe import Recipe


def _layers(canvas: Canvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return canvas.haematoxylin, canvas.eosin, canvas.red


def freezing_holes(canvas: Canvas, rng: np.random.Generator, share: float) -> None:
    """Clear ice-crystal vacuoles, worst in the middle of fibres; they are not damage, so states stay."""
    count = int(canvas.fibres.max())
    if not count or not share:
        return
    chosen = rng.random(count + 1) < share
    chosen[0] = False
    deepest = np.zeros(count + 1, np.float32)
    np.maximum.at(deepest, canvas.fibres.ravel(), canvas.depth.ravel())
    middle = canvas.depth / np.maximum(deepest[canvas.fibres], 1)
    size = rng.uniform(3, 16)
    field = smooth_noise(rng, canvas.fibres.shape, size) + 0.8 * smooth_noise(rng, canvas.fibres.shape, size / 2)
    severity = rng.uniform(0, 1, count + 1)[canvas.fibres]
    hole = chosen[canvas.fibres] & (field > 2.2 - 1.3 * severity * np.clip(1.4 * middle, 0, 1)) & (canvas.depth > 2)
    for layer in _layers(canvas):
        layer[hole & (canvas.nuclei == 0)] *= rng.uniform(0.02, 0.25)


def damage(canvas: Canvas, rng: np.random.Generator, recipe: Recipe) -> None:
    """Apply the recipe's artefacts, in the order in which they happen to a section."""
    if "haemorrhage" in recipe.artefacts:
        where = (canvas.fibres == 0) & (smooth_noise(rng, canvas.fibres.shape, 120) > 0.9) & (canvas.zone != lay.GLASS)
        red_cells(canvas, rng, where, rng.uniform(0.5, 1))
    freezing_holes(canvas, rng, recipe.holes_share)
    if "edge" in recipe.artefacts:
        _edge(canvas, rng)
    if "tear" in recipe.artefacts:
        _tear(canvas, rng)
    if "thickness" in recipe.artefacts:
        factor = np.clip(1 + 0.25 * smooth_noise(rng, canvas.fibres.shape, 150) + 0.12 * _chatter(rng, canvas.fibres.shape), 0.4, 1.8)
        for layer in _layers(canvas):
            layer *= factor
    if "fold" in recipe.artefacts:
        _fold(canvas, rng)
    if "pen" in recipe.artefacts:
        _pen(canvas, rng)
    if "dust" in recipe.artefacts:
        _dust(canvas, rng)


def _chatter(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    rows, cols = np.indices(shape, dtype=np.float32)
    angle = rng.uniform(0, np.pi)
    return np.sin(2 * np.pi * (rows * np.sin(angle) + cols * np.cos(angle)) / rng.uniform(25, 90)).astype(np.float32)


def _edge(canvas: Canvas, rng: np.random.Generator) -> None:
    """Hypercontracted, darker fibres towards one side: normal fibres at the cut edge."""
    rows, cols = np.indices(canvas.fibres.shape, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    height, width = canvas.fibres.shape
    across = (rows / height - 0.5) * np.sin(angle) + (cols / width - 0.5) * np.cos(angle)
    factor = 1 + rng.uniform(0.2, 0.8) / (1 + np.exp(-(across - rng.uniform(0.1, 0.4)) / 0.03))
    canvas.eosin *= factor.astype(np.float32)


def _tear(canvas: Canvas, rng: np.random.Generator) -> None:
    """White cracks that run across fibres; what was torn away has no truth where the crack is wide."""
    crack = np.abs(smooth_noise(rng, canvas.fibres.shape, rng.uniform(130, 300)) - rng.normal(0, 0.6)) < rng.uniform(0.01, 0.05)
    for layer in _layers(canvas):
        layer[crack] *= 0.04
    canvas.nuclei[crack] = 0
    canvas.ignore |= cv2.morphologyEx(crack.astype(np.uint8), cv2.MORPH_OPEN, np.ones((11, 11), np.uint8)).astype(bool)


def _fold(canvas: Canvas, rng: np.random.Generator) -> None:
    """A band where the section lies on itself: two layers of stain, no truth."""
    rows, cols = np.indices(canvas.fibres.shape, dtype=np.float32)
    angle, width = rng.uniform(0, np.pi), rng.uniform(12, 40)
    across = rows * np.sin(angle) + cols * np.cos(angle) + 14 * smooth_noise(rng, canvas.fibres.shape, 110)
    band = np.abs(across - rng.uniform(across.min(), across.max())) < width
    for layer in _layers(canvas):
        moved = np.roll(layer, (int(3 * width * np.sin(angle)), int(3 * width * np.cos(angle))), (0, 1))
        layer[band] += moved[band]
    canvas.ignore |= band


def _pen(canvas: Canvas, rng: np.random.Generator) -> None:
    """A stroke of ink over one side, no truth under it."""
    rows, cols = np.indices(canvas.fibres.shape, dtype=np.float32)
    angle = rng.uniform(0, np.pi)
    across = rows * np.sin(angle) + cols * np.cos(angle) + 20 * smooth_noise(rng, canvas.fibres.shape, 200)
    stroke = np.abs(across - rng.choice([across.min(), across.max()])) < rng.uniform(30, 120)
    ink = rng.uniform(0.3, 1.2, 3)
    for layer, amount in zip(_layers(canvas), ink, strict=True):
        layer[stroke] += amount
    canvas.ignore |= stroke


def _dust(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 5))):
        y, x, radius = rng.uniform(0, canvas.fibres.shape[0]), rng.uniform(0, canvas.fibres.shape[1]), rng.uniform(3, 16)
        rows, cols = np.indices(canvas.fibres.shape, dtype=np.float32)
        speck = np.hypot(rows - y, cols - x) < radius * (1 + 0.4 * fractal_noise(rng, canvas.fibres.shape, 14, 2))
        for layer in _layers(canvas):
            layer[speck] += rng.uniform(0.4, 1.2)
        canvas.ignore |= speck
