"""Between the fibres: endomysium, perimysium, fat, vessels, nerves, spindles, infiltrates, and all cells that live there."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from biopsy_analyzer.training.draw import layout as lay
from biopsy_analyzer.training.draw.noise import fractal_noise, smooth_noise, streaks
from biopsy_analyzer.training.draw.nuclei import LOOKS, Canvas, pick, stamp, tangents
from biopsy_analyzer.training.draw.recipe import Recipe, often


def fill_interstitium(canvas: Canvas, rng: np.random.Generator, recipe: Recipe) -> None:
    """Stain everything outside the fibres but single cells and structures."""
    shape, zone = canvas.fibres.shape, canvas.zone
    outside = canvas.fibres == 0
    eosin, blue = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    strands = np.clip(streaks(rng, shape, rng.uniform(6, 16), rng.uniform(0, np.pi), rng.uniform(4, 20)), 0, 1)
    wisps = np.clip(fractal_noise(rng, shape, 14), 0, None)
    endo = recipe.endomysium_eosin * np.clip(0.35 + 0.6 * wisps, 0, 2)
    # wide gaps are clefts: glass shows in their middle
    endo *= np.where(canvas.depth < -5, rng.uniform(0.1, 0.9), 1)
    eosin += (zone == lay.ENDOMYSIUM) * endo
    collagen = rng.uniform(0.1, 0.4)
    dense = rng.uniform(0, 0.6)
    peri = collagen * np.clip(dense + strands * rng.uniform(0.4, 1) + 0.2 * smooth_noise(rng, shape, 30), 0, 1.6)
    eosin += ((zone == lay.PERIMYSIUM) | (zone == lay.VESSEL) | (zone == lay.NERVE)) * peri
    blue += (zone != lay.GLASS) * (zone != lay.FAT) * rng.uniform(0, 0.035) * (eosin > 0.01)
    canvas.eosin[outside], canvas.haematoxylin[outside] = eosin[outside], blue[outside]
    if (zone == lay.FAT).any():
        _fat(canvas, rng)
    if (zone == lay.INFILTRATE).any():
        _infiltrate(canvas, rng)


def tessellate(rng: np.random.Generator, where: np.ndarray, spacing: float, jitter: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells of about `spacing` px that fill `where` (H, W): int32 labels and the distance to their borders."""
    points = lay.lattice(rng, where.shape, spacing, jitter)
    shift = np.stack([0.08 * spacing * smooth_noise(rng, where.shape, spacing * 0.7) for _ in (0, 1)])
    cells = lay.voronoi(points, rng.uniform(0, 0.25, len(points)) * spacing**2, where.shape, shift)
    cells[~where] = 0
    return cells, lay.border_distance(cells)


def _fat(canvas: Canvas, rng: np.random.Generator) -> None:
    where = (canvas.zone == lay.FAT) & (canvas.fibres == 0)
    _, distance = tessellate(rng, where, rng.uniform(70, 150), 0.15)
    canvas.eosin[where] = (rng.uniform(0.15, 0.35) * np.exp(-((distance / 1.6) ** 2)))[where]
    canvas.haematoxylin[where] = 0


def _infiltrate(canvas: Canvas, rng: np.random.Generator) -> None:
    """Packed mononuclear cells, each with a little cytoplasm and a pale seam: no fibres, however much they tile."""
    where = (canvas.zone == lay.INFILTRATE) & (canvas.fibres == 0)
    spacing = rng.uniform(15, 30)
    cells, distance = tessellate(rng, where, spacing, 0.2)
    tint = rng.normal(1, 0.2, cells.max() + 1)[cells]
    seam = 1 - rng.uniform(0.4, 1) * np.exp(-((distance / rng.uniform(1.0, 2.2)) ** 2))
    canvas.eosin[where] = (rng.uniform(0.1, 0.45) * tint * seam)[where]
    canvas.haematoxylin[where] = (rng.uniform(0.05, 0.25) * tint * seam)[where]
    labels = np.unique(cells[cells > 0])
    if not len(labels):
        return
    count = np.bincount(cells.ravel(), minlength=labels[-1] + 1)[labels]
    rows, cols = np.indices(cells.shape)
    centre = np.column_stack([np.bincount(cells.ravel(), i.ravel(), minlength=labels[-1] + 1)[labels] / count for i in (rows, cols)]) + 0.5
    centre = centre[count > 0.3 * spacing**2] + rng.normal(0, 0.1 * spacing, (int((count > 0.3 * spacing**2).sum()), 2))
    lymphocytes = rng.random(len(centre)) < rng.choice([0.05, 0.3, 0.9], p=[0.5, 0.3, 0.2])
    cluster = next(canvas.cluster_numbers)
    for chosen, look in ((lymphocytes, "lymphocyte"), (~lymphocytes, "macrophage")):
        stamp(canvas, rng, LOOKS[look], centre[chosen], rng.uniform(0, np.pi, int(chosen.sum())), owner=-1, cluster=cluster)


def draw_structures(section: Canvas, rng: np.random.Generator, structures: list[lay.Structure], perivascular: float) -> None:
    """Vessels with wall, lumen and red cells; nerves; spindles with intrafusal fibres, which are no fibres of the count."""
    for structure in structures:
        box = structure.box(section.fibres.shape)
        canvas, s = section.window(box), structure.within(box)
        if min(canvas.fibres.shape) < 8:
            continue
        radius = lay.ellipse_radius(s, smooth_noise(rng, canvas.fibres.shape, 50))
        {"vessel": _vessel, "nerve": _nerve, "spindle": _spindle}[s.kind](canvas, rng, s, radius)
        if s.kind == "vessel" and rng.random() < perivascular:
            ring = (radius > 0.95) & (radius < 1 + rng.uniform(0.3, 1.2)) & (canvas.fibres == 0)
            spots = pick(rng, ring, int(rng.uniform(0.1, 0.5) * ring.sum() / (14 * 14)) + 4)
            stamp(canvas, rng, LOOKS["lymphocyte"], spots, rng.uniform(0, 3, len(spots)), owner=-1, cluster=next(canvas.cluster_numbers))


def _around(s: lay.Structure, spots: np.ndarray) -> np.ndarray:
    return np.arctan2(spots[:, 0] - s.y, spots[:, 1] - s.x) + np.pi / 2


def _vessel(canvas: Canvas, rng: np.random.Generator, s: lay.Structure, radius: np.ndarray) -> None:
    free = canvas.fibres == 0
    lumen = s.inner / s.radius
    wall = (radius < 1) & (radius > lumen) & free
    rings = 1 + 0.2 * np.sin(radius * s.radius / rng.uniform(0.8, 1.6)) + 0.15 * smooth_noise(rng, radius.shape, 8)
    canvas.eosin[wall] = (rng.uniform(0.2, 0.55) * rings)[wall]
    canvas.haematoxylin[wall] = rng.uniform(0, 0.06)
    inside = (radius <= lumen) & free
    canvas.eosin[inside] = canvas.haematoxylin[inside] = 0
    if rng.random() < 0.5:
        red_cells(canvas, rng, inside, rng.uniform(0.3, 1))
    spots = pick(rng, wall, int(wall.sum() / rng.uniform(250, 700)))
    stamp(canvas, rng, LOOKS["fibroblast"], spots, _around(s, spots) + rng.normal(0, 0.2, len(spots)), owner=-1)
    lining = pick(rng, (np.abs(radius - lumen) < 0.08) & free, int(s.inner / 5))
    stamp(canvas, rng, LOOKS["endothelium"], lining, _around(s, lining), owner=-1)


def _nerve(canvas: Canvas, rng: np.random.Generator, s: lay.Structure, radius: np.ndarray) -> None:
    body = (radius < 1) & (canvas.fibres == 0)
    waves = streaks(rng, radius.shape, rng.uniform(5, 10), s.angle, 5)
    capsule = np.exp(-(((radius - 0.96) * s.radius / 4) ** 2))
    canvas.eosin[body] = np.clip(rng.uniform(0.15, 0.45) * (1 + 0.3 * waves) + 0.2 * capsule, 0, 1)[body]
    canvas.haematoxylin[body] = rng.uniform(0.02, 0.12)
    spots = pick(rng, body, int(body.sum() / rng.uniform(450, 1200)))
    stamp(canvas, rng, LOOKS["fibroblast"], spots, np.full(len(spots), s.angle) + rng.normal(0, 0.35, len(spots)), owner=-1)


def _spindle(canvas: Canvas, rng: np.random.Generator, s: lay.Structure, radius: np.ndarray) -> None:
    free = canvas.fibres == 0
    canvas.eosin[(radius < 1) & free] *= 0.15
    capsule = (np.abs(radius - 0.95) * s.radius < rng.uniform(2, 6)) & free
    canvas.eosin[capsule] = rng.uniform(0.15, 0.35)
    rows, cols = np.indices(radius.shape, dtype=np.float32)
    for _ in range(int(rng.integers(3, 9))):
        distance, angle, size = rng.uniform(0, 0.45) * s.radius, rng.uniform(0, 2 * np.pi), rng.uniform(6, 15)
        y, x = s.y + distance * np.sin(angle), s.x + distance * np.cos(angle) * s.stretch
        fibre = (np.hypot(rows - y, cols - x) < size) & free
        canvas.eosin[fibre] = rng.uniform(0.25, 0.5)
        stamp(canvas, rng, LOOKS["internal"], np.array([[y, x]]), rng.uniform(0, 3, 1), owner=-1)
    spots = pick(rng, capsule, int(s.radius / 8))
    stamp(canvas, rng, LOOKS["fibroblast"], spots, _around(s, spots), owner=-1)


def red_cells(canvas: Canvas, rng: np.random.Generator, where: np.ndarray, fill: float) -> None:
    """Fill `where` with red cells: packed discs of 5-7 um with a paler middle."""
    cells, distance = tessellate(rng, where, rng.uniform(9, 13), 0.15)
    chosen = (rng.random(cells.max() + 1) < fill)[cells] & (cells > 0) & (distance > 0.6)
    canvas.red[chosen] = (rng.uniform(0.3, 0.9) * (0.75 + 0.1 * np.minimum(distance, 4)))[chosen]


def interstitial_cells(canvas: Canvas, rng: np.random.Generator, recipe: Recipe, stages_dead: np.ndarray) -> None:
    """Capillaries, fibroblasts, scattered lymphocytes, foci around living fibres and macrophages around dead ones."""
    shape = canvas.fibres.shape
    mm2 = canvas.fibres.size * (canvas.um_per_px / 1000) ** 2
    between = (canvas.fibres == 0) & np.isin(canvas.zone, (lay.ENDOMYSIUM, lay.PERIMYSIUM))
    between &= (canvas.eosin > 0.015) | (canvas.depth > -6)  # no cell floats in a cleft
    endo = between & (canvas.zone == lay.ENDOMYSIUM) & (canvas.depth > -14)
    count = int(canvas.fibres.max())
    _capillaries(canvas, rng, pick(rng, endo, int(rng.poisson(recipe.capillaries_per_fibre * count))))
    spots = pick(rng, between, int(rng.poisson(recipe.fibroblasts_per_mm2 * mm2)))
    stamp(canvas, rng, LOOKS["fibroblast"], spots, tangents(canvas, spots, rng, 0.4), owner=-1)
    spots = pick(rng, between, int(rng.poisson(recipe.lymphocytes_per_mm2 * mm2)))
    stamp(canvas, rng, LOOKS["lymphocyte"], spots, rng.uniform(0, 3, len(spots)), owner=-1)
    for _ in range(often(rng, recipe.endomysial_foci, shape)):
        _focus(canvas, rng, between, np.array([rng.uniform(0, n) for n in shape]))
    _hug(canvas, rng, recipe, stages_dead, between)


def _focus(canvas: Canvas, rng: np.random.Generator, between: np.ndarray, centre: np.ndarray) -> None:
    rows, cols = np.indices(between.shape, dtype=np.float32)
    near = between & (np.hypot(rows - centre[0], cols - centre[1]) < rng.uniform(30, 110))
    number = min(int(rng.integers(6, 60)), int(near.sum() / 150))
    cluster = next(canvas.cluster_numbers)
    mostly = rng.choice([0.95, 0.5], p=[0.7, 0.3])
    for look, share in (("lymphocyte", mostly), ("macrophage", 1 - mostly)):
        spots = pick(rng, near, round(share * number))
        stamp(canvas, rng, LOOKS[look], spots, rng.uniform(0, 3, len(spots)), owner=-1, cluster=cluster)


def _hug(canvas: Canvas, rng: np.random.Generator, recipe: Recipe, dead: np.ndarray, between: np.ndarray) -> None:
    """Macrophages in a seam around each dead fibre."""
    boxes = ndimage.find_objects(canvas.fibres)
    for label in np.flatnonzero(dead):
        if rng.random() < 0.35:
            continue
        box = tuple(slice(max(0, b.start - 10), b.stop + 10) for b in boxes[label - 1])
        near = cv2.dilate((canvas.fibres[box] == label).astype(np.uint8), np.ones((19, 19), np.uint8)).astype(bool) & between[box]
        cluster = next(canvas.cluster_numbers)
        spots = pick(rng, near, min(int(rng.poisson(recipe.macrophages_per_necrotic)), int(near.sum() / 110)))
        spots = spots + np.array([box[0].start, box[1].start])
        stamp(canvas, rng, LOOKS["macrophage"], spots, tangents(canvas, spots, rng, 0.5), owner=-1, cluster=cluster)


def _capillaries(canvas: Canvas, rng: np.random.Generator, centres: np.ndarray) -> None:
    height, width = canvas.fibres.shape
    for y, x in centres:
        radius = rng.uniform(4, 8)
        y0, y1, x0, x1 = max(int(y) - 10, 0), min(int(y) + 11, height), max(int(x) - 10, 0), min(int(x) + 11, width)
        dy, dx = np.arange(y0, y1)[:, None] + 0.5 - y, np.arange(x0, x1)[None] + 0.5 - x
        rho, free = np.hypot(dy, dx), canvas.fibres[y0:y1, x0:x1] == 0
        window = (slice(y0, y1), slice(x0, x1))
        canvas.eosin[window][(rho < radius) & free] = rng.uniform(0.05, 0.25)
        canvas.eosin[window][(rho < radius - 1.8) & free] = 0
        if rng.random() < 0.35:
            canvas.red[window][(rho < radius - 1.5) & free] = rng.uniform(0.3, 0.9)
        angle = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.75:
            spot = np.array([[y + (radius - 1) * np.sin(angle), x + (radius - 1) * np.cos(angle)]])
            stamp(canvas, rng, LOOKS["endothelium"], spot, np.array([angle + np.pi / 2]), owner=-1)
