"""Nuclei: what each kind looks like, where it lies, and its stamp on the section."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from biopsy_analyzer.training.draw.noise import smooth_noise

MUSCLE, MACROPHAGE, LYMPHOCYTE, OTHER = 1, 2, 3, 4

_GRAIN_PX = 96  # of the chromatin that nuclei are cut from; the largest stamp takes about 55


@dataclass(frozen=True)
class Look:
    """Ranges for one kind of nucleus: lengths in um, haematoxylin in OD, the rest shares."""

    kind: int
    long_um: tuple[float, float]
    short_share: tuple[float, float]  # short over long axis
    haematoxylin: tuple[float, float]
    vesicular: tuple[float, float]  # how much paler the inside is than the rim
    chromatin: float  # grain of the chromatin
    nucleolus: float  # chance of one
    indented: float  # chance of a bean shape
    cytoplasm_um: tuple[float, float] = (0, 0)  # width of its own cytoplasm
    cytoplasm: tuple[float, float] = (0, 0)  # haematoxylin and eosin in it


# Sizes: lymphocyte nucleus ~7 um, macrophage a 12-20 um cell, regenerating nuclei large and vesicular.
LOOKS = {
    "peripheral": Look(MUSCLE, (7, 14), (0.25, 0.55), (0.5, 1.2), (0.0, 0.4), 0.15, 0.15, 0.1),
    "internal": Look(MUSCLE, (6.5, 12), (0.45, 0.95), (0.4, 1.1), (0.0, 0.5), 0.18, 0.35, 0.1),
    "regenerating": Look(MUSCLE, (8, 15), (0.5, 0.95), (0.45, 1.0), (0.25, 0.7), 0.2, 0.85, 0.1),
    "fading": Look(MUSCLE, (6, 11), (0.4, 0.9), (0.2, 0.4), (0.0, 0.3), 0.2, 0.0, 0.1),
    "macrophage": Look(MACROPHAGE, (6.5, 11), (0.55, 0.95), (0.4, 0.95), (0.1, 0.55), 0.22, 0.2, 0.55, (2, 5), (0.1, 0.2)),
    "lymphocyte": Look(LYMPHOCYTE, (5.2, 7.8), (0.8, 1.0), (0.75, 1.5), (0.0, 0.12), 0.18, 0.0, 0.05, (0.2, 0.9), (0.08, 0.1)),
    "fibroblast": Look(OTHER, (7, 18), (0.15, 0.34), (0.5, 1.2), (0.0, 0.2), 0.12, 0.02, 0.05),
    "endothelium": Look(OTHER, (5, 10), (0.25, 0.6), (0.5, 1.2), (0.0, 0.2), 0.12, 0.02, 0.3),
}


@dataclass
class Canvas:
    """A section while it is drawn.

    haematoxylin, eosin, red  float32 (H, W) OD
    fibres, nuclei            int32 (H, W) labels
    kinds, owners, clusters   one entry a nucleus, from label 1
    states                    by fibre label, entry 0 the background
    ignore                    bool (H, W): no truth here
    """

    haematoxylin: np.ndarray
    eosin: np.ndarray
    red: np.ndarray
    fibres: np.ndarray
    depth: np.ndarray
    zone: np.ndarray
    nuclei: np.ndarray
    ignore: np.ndarray
    um_per_px: float
    states: np.ndarray
    kinds: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)
    cluster_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def window(self, box: tuple[slice, slice]) -> Canvas:
        """The part in `box`: what is drawn there is drawn here, lists and numbers are shared."""
        rasters = ("haematoxylin", "eosin", "red", "fibres", "depth", "zone", "nuclei", "ignore")
        return replace(self, **{name: getattr(self, name)[box] for name in rasters})


def stamp(
    canvas: Canvas, rng: np.random.Generator, look: Look, yx: np.ndarray, angles: np.ndarray, *, owner: int = 0, cluster: int = 0
) -> None:
    """Draw nuclei of one look at `yx` (n, 2) px; one that would lie mostly on another is left out.

    `owner` 0 takes the fibre under the centre, -1 none.
    """
    grain = smooth_noise(rng, (_GRAIN_PX, _GRAIN_PX), 3.2)
    for (y, x), angle in zip(yx, angles, strict=True):
        _stamp_one(canvas, rng, look, float(y), float(x), float(angle), grain, owner, cluster)


def _stamp_one(
    canvas: Canvas, rng: np.random.Generator, look: Look, y: float, x: float, angle: float, grain: np.ndarray, owner: int, cluster: int
) -> None:
    half_long = rng.uniform(*look.long_um) / canvas.um_per_px / 2
    half_short = max(half_long * rng.uniform(*look.short_share), 1.1 / canvas.um_per_px / 1.5)
    cytoplasm = rng.uniform(*look.cytoplasm_um) / canvas.um_per_px
    reach = int(np.ceil(half_long * 1.25 + cytoplasm + 2))
    top, left = round(y) - reach, round(x) - reach
    height, width = canvas.nuclei.shape
    y0, y1, x0, x1 = max(top, 0), min(top + 2 * reach + 1, height), max(left, 0), min(left + 2 * reach + 1, width)
    if y1 - y0 < 4 or x1 - x0 < 4:
        return
    dy, dx = np.arange(y0, y1, dtype=np.float32)[:, None] + 0.5 - y, np.arange(x0, x1, dtype=np.float32)[None] + 0.5 - x
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    if rng.random() < look.indented:  # bend the short axis: a bean
        across = across + 0.35 * half_short * (1 - (along / half_long) ** 2)
    theta = np.arctan2(across / half_short, along / half_long)
    wobble = 1 + rng.normal(0, 0.05) * np.cos(2 * theta + rng.uniform(0, 6)) + rng.normal(0, 0.045) * np.cos(3 * theta + rng.uniform(0, 6))
    rho = np.sqrt((along / half_long) ** 2 + (across / half_short) ** 2) / wobble
    inner = (1 - rho) * half_short  # about px inside the outline
    body = (inner > 0) & (canvas.nuclei[y0:y1, x0:x1] == 0)
    if body.sum() < 0.65 * np.pi * half_long * half_short * (0.35 if min(y - y0, x - x0, y1 - y, x1 - x) < half_short else 1):
        return
    window = (slice(y0, y1), slice(x0, x1))
    if cytoplasm:
        _cytoplasm(canvas, rng, look, window, inner, cytoplasm)
    _ink(canvas, rng, look, window, inner, rho, body, grain)
    label = len(canvas.kinds) + 1
    canvas.nuclei[window][body] = label
    canvas.kinds.append(look.kind)
    if owner == 0:
        owner = int(canvas.fibres[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)])
    canvas.owners.append(max(owner, 0))
    canvas.clusters.append(cluster)


def _cytoplasm(canvas: Canvas, rng: np.random.Generator, look: Look, window: tuple[slice, slice], inner: np.ndarray, width: float) -> None:
    alpha = np.clip((inner + width) / 2.5, 0, 1) * (canvas.nuclei[window] == 0) * 0.8
    foamy = 1 + 0.25 * rng.standard_normal(inner.shape, dtype=np.float32)
    for layer, amount in ((canvas.haematoxylin, look.cytoplasm[0]), (canvas.eosin, look.cytoplasm[1])):
        layer[window] += alpha * (amount * rng.uniform(0.5, 1.6) * foamy - layer[window])


def _ink(
    canvas: Canvas,
    rng: np.random.Generator,
    look: Look,
    window: tuple[slice, slice],
    inner: np.ndarray,
    rho: np.ndarray,
    body: np.ndarray,
    grain: np.ndarray,
) -> None:
    strength = rng.uniform(*look.haematoxylin) * (1 if rng.random() > 0.12 else rng.uniform(0.35, 0.7))  # some lie out of focus
    pallor = rng.uniform(*look.vesicular) * np.clip((inner - 1.2) / 1.5, 0, 1)
    i, j = rng.integers(0, _GRAIN_PX - np.array(inner.shape))
    texture = grain[i : i + inner.shape[0], j : j + inner.shape[1]]
    amount = strength * (1 - pallor) * (1 + look.chromatin * texture)
    if rng.random() < look.nucleolus:
        amount = amount + strength * 0.5 * np.exp(-(((rho - rng.uniform(0, 0.3)) / 0.2) ** 2))
    alpha = np.clip(0.5 + inner, 0, 1) * (body | (inner <= 0))
    canvas.haematoxylin[window] += alpha * (np.maximum(amount, 0.05) - 0.25 * canvas.haematoxylin[window])
    canvas.eosin[window] *= 1 - 0.45 * alpha


def pick(rng: np.random.Generator, allowed: np.ndarray, count: int) -> np.ndarray:
    """`count` random pixel centres (n, 2) where `allowed` (H, W) is true; fewer where there are fewer."""
    spots = np.flatnonzero(allowed)
    if not len(spots) or count <= 0:
        return np.zeros((0, 2))
    chosen = rng.choice(spots, min(int(count), len(spots)), replace=False)
    return np.column_stack(np.unravel_index(chosen, allowed.shape)) + 0.5


def pick_in_fibre(
    rng: np.random.Generator, canvas: Canvas, label: int, box: tuple[slice, slice], allowed: np.ndarray, count: int
) -> np.ndarray:
    """Like `pick`, inside fibre `label`, whose bounding box is `box`: cost grows with the fibre, not with the section."""
    spots = pick(rng, (canvas.fibres[box] == label) & allowed[box], count)
    return spots + np.array([box[0].start, box[1].start])


def tangents(canvas: Canvas, yx: np.ndarray, rng: np.random.Generator, spread: float = 0.2) -> np.ndarray:
    """Direction along the nearest fibre border at `yx` in radians, with some disorder."""
    if not len(yx):
        return np.zeros(0)
    rows, cols = (np.clip(yx[:, i].astype(int), 2, canvas.depth.shape[i] - 3) for i in (0, 1))
    gy = canvas.depth[rows + 2, cols] - canvas.depth[rows - 2, cols]
    gx = canvas.depth[rows, cols + 2] - canvas.depth[rows, cols - 2]
    return np.arctan2(gy, gx) + np.pi / 2 + rng.normal(0, spread, len(yx))
