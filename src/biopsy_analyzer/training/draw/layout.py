"""Where things lie: glass, fascicles, perimysium with its vessels, nerves and fat, infiltrates, and the fibres between.

All lengths here are px of the drawing (0.5 um/px unless the section says otherwise); `Layout.depth` is signed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.spatial import cKDTree

from biopsy_analyzer.training.draw.noise import smooth_noise
from biopsy_analyzer.training.draw.recipe import Recipe, often

ENDOMYSIUM, PERIMYSIUM, FAT, VESSEL, NERVE, INFILTRATE, GLASS = range(1, 8)


@dataclass
class Structure:
    """A round thing in the perimysium: vessel, nerve or spindle."""

    kind: str
    y: float
    x: float
    radius: float
    inner: float  # lumen of a vessel
    angle: float
    stretch: float

    def box(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """The part of a section of `shape` in which it and what surrounds it lies."""
        reach = 3.2 * self.radius
        return tuple(slice(max(0, int(c - reach)), min(n, max(1, int(c + reach)))) for c, n in zip((self.y, self.x), shape, strict=True))  # type: ignore[return-value]

    def within(self, box: tuple[slice, slice]) -> Structure:
        """The same, placed in the coordinates of `box`."""
        return replace(self, y=self.y - box[0].start, x=self.x - box[1].start)


@dataclass
class Layout:
    """Geometry of one section.

    fibres   int32 (H, W) labels 1..n
    depth    float32 (H, W): px inside the rounded outline of the cell's fibre (positive) or outside it (negative)
    zone     uint8 (H, W): what lies outside the fibres
    """

    fibres: np.ndarray
    depth: np.ndarray
    zone: np.ndarray
    structures: list[Structure] = field(default_factory=list)


_BLOCK = 4


def voronoi(points: np.ndarray, weights: np.ndarray, shape: tuple[int, int], shift: np.ndarray) -> np.ndarray:
    """Power diagram of `points` (n, 2) as int32 labels 1..n, on coordinates moved by `shift` (2, H, W) px.

    A power diagram is the nearest neighbour among points lifted by sqrt(max weight - weight). Cells are convex, so a block of
    4 x 4 px whose corners agree is all of one cell: only the other blocks' pixels are asked for one by one.
    """
    tree = cKDTree(np.column_stack([points, np.sqrt(weights.max() - weights)]))

    def nearest(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        at = (np.minimum(rows, shape[0] - 1), np.minimum(cols, shape[1] - 1))  # the last corners lie outside
        query = np.column_stack([rows + shift[0][at], cols + shift[1][at], np.zeros(len(rows))])
        return (tree.query(query)[1] + 1).astype(np.int32)

    counts = [-(-n // _BLOCK) for n in shape]
    corner_rows, corner_cols = (a.ravel() * _BLOCK for a in np.indices((counts[0] + 1, counts[1] + 1)))
    corners = nearest(corner_rows, corner_cols).reshape(counts[0] + 1, counts[1] + 1)
    first = corners[:-1, :-1]
    uniform = (first == corners[1:, :-1]) & (first == corners[:-1, 1:]) & (first == corners[1:, 1:])
    labels = np.where(uniform, first, 0).repeat(_BLOCK, 0).repeat(_BLOCK, 1)[: shape[0], : shape[1]]
    rows, cols = np.nonzero(labels == 0)
    labels[rows, cols] = nearest(rows, cols)
    return labels


def lattice(rng: np.random.Generator, shape: tuple[int, int], spacing: float, jitter: float) -> np.ndarray:
    """Points (n, 2) of a jittered hexagonal lattice, turned at random, that covers `shape` and a margin."""
    reach = 1.5 * max(shape) / 2 + 3 * spacing
    rows = np.arange(-reach, reach, spacing * 0.866)
    points = np.concatenate([np.column_stack([np.full_like(rows, y), rows / 0.866 + (i % 2) * spacing / 2]) for i, y in enumerate(rows)])
    points = points + rng.normal(0, jitter * spacing, points.shape)
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = points @ turn + np.array(shape) / 2
    inside = np.all((points > -2 * spacing) & (points < np.array(shape) + 2 * spacing), axis=1)
    return points[inside]


def border_distance(labels: np.ndarray) -> np.ndarray:
    """Distance in px of every pixel to the border of its own label; 0 in background."""
    inside = labels > 0
    same = np.ones(labels.shape, bool)
    same[:-1] &= labels[:-1] == labels[1:]
    same[:, :-1] &= labels[:, :-1] == labels[:, 1:]
    return cv2.distanceTransform((inside & same).astype(np.uint8), cv2.DIST_L2, 5)


def rounded(labels: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Signed depth (H, W) of the cells in `labels` with corners rounded; `rounding` is a share of each cell's inner radius, by label.

    Opening by distance: a pixel keeps min(r - distance to the core, distance to the cell's border), which leaves no spikes.
    """
    distance = border_distance(labels)
    deepest = np.zeros(len(rounding), np.float32)
    np.maximum.at(deepest, labels.ravel(), distance.ravel())
    radius = (rounding * deepest)[labels]
    core = (distance > radius) & (labels > 0)
    to_core = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    depth = np.where(core, distance, np.minimum(radius - to_core, distance))
    return np.where(labels > 0, depth, -1.0).astype(np.float32)


def _perimysium(rng: np.random.Generator, shape: tuple[int, int], recipe: Recipe, shift: np.ndarray) -> np.ndarray:
    """Distance in px into the perimysium (> 0) or into a fascicle (< 0)."""
    if not recipe.perimysium_px:
        return np.full(shape, -1e3, np.float32)
    points = lattice(rng, shape, recipe.fascicle_px, 0.3)
    fascicles = voronoi(points, rng.uniform(0, 0.1, len(points)) * recipe.fascicle_px**2, shape, 2.5 * shift)
    width = recipe.perimysium_px * np.exp(0.5 * smooth_noise(rng, shape, 120))
    return (width / 2 - border_distance(fascicles)).astype(np.float32)


def _structures(rng: np.random.Generator, shape: tuple[int, int], recipe: Recipe, perimysium: np.ndarray) -> list[Structure]:
    found = []
    candidates = np.argwhere(perimysium > -8)
    for kind, count in recipe.structures.items():
        for _ in range(often(rng, count, shape)):
            y, x = candidates[rng.integers(len(candidates))] if len(candidates) else rng.uniform(0, shape)
            radius = {"vessel": rng.uniform(14, 70), "nerve": rng.uniform(30, 110), "spindle": rng.uniform(60, 130)}[kind]
            stretch = rng.uniform(0.5, 1) if kind != "nerve" else rng.uniform(0.35, 1)
            found.append(Structure(kind, float(y), float(x), radius, radius * rng.uniform(0.3, 0.75), rng.uniform(0, np.pi), stretch))
    return found


def ellipse_radius(s: Structure, wobble: np.ndarray) -> np.ndarray:
    """Distance from the structure's centre over its radius (1 on its outline), with the outline moved by `wobble` (H, W)."""
    rows, cols = np.indices(wobble.shape, dtype=np.float32)
    dy, dx = rows - s.y, cols - s.x
    along, across = dx * np.cos(s.angle) + dy * np.sin(s.angle), -dx * np.sin(s.angle) + dy * np.cos(s.angle)
    return np.sqrt(along**2 + (across / s.stretch) ** 2) / s.radius * (1 + 0.12 * wobble)


def lay_out(rng: np.random.Generator, shape: tuple[int, int], recipe: Recipe) -> Layout:
    """Place everything that has an outline; the same `rng` state and recipe give the same layout."""
    shift = np.stack(
        [recipe.warp_px * smooth_noise(rng, shape, recipe.warp_wavelength_px) + 0.5 * smooth_noise(rng, shape, 9) for _ in (0, 1)]
    )
    perimysium = _perimysium(rng, shape, recipe, shift)
    structures = _structures(rng, shape, recipe, perimysium)
    zone = np.full(shape, ENDOMYSIUM, np.uint8)
    zone[perimysium > 0] = PERIMYSIUM
    wobble = smooth_noise(rng, shape, 60)
    if recipe.fat_share:
        zone[(smooth_noise(rng, shape, 160) > 1.3 - 2.2 * recipe.fat_share) & (perimysium > -recipe.fibre_px)] = FAT
    if recipe.infiltrate_share:
        zone[smooth_noise(rng, shape, 170) + 0.25 * smooth_noise(rng, shape, 25) > 1.6 - 2.4 * recipe.infiltrate_share] = INFILTRATE
    for s in structures:
        box = s.box(shape)
        part, radius = zone[box], ellipse_radius(s.within(box), wobble[box])
        part[radius < 1.25] = PERIMYSIUM
        part[radius < 1] = VESSEL if s.kind == "vessel" else NERVE
    if recipe.glass_edge:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.45)
        rows, cols = np.indices(shape, dtype=np.float32)
        across = (rows / shape[0] - 0.5) * np.sin(angle) + (cols / shape[1] - 0.5) * np.cos(angle)
        zone[across + 0.03 * smooth_noise(rng, shape, 90) + 0.012 * smooth_noise(rng, shape, 22) > 0.5 - offset] = GLASS
    fibres, depth = _fibres(rng, shape, recipe, shift, zone)
    return Layout(fibres, depth, zone, structures)


def _cells(rng: np.random.Generator, shape: tuple[int, int], recipe: Recipe, shift: np.ndarray) -> np.ndarray:
    squeeze = np.array([recipe.oblique, 1.0])  # oblique sections: drawn on a squeezed canvas, so that fibres come out long
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = lattice(rng, shape, recipe.fibre_px, recipe.jitter)
    small = points[rng.random(len(points)) < recipe.small_share] + rng.normal(0, recipe.fibre_px * 0.55, (1, 2))
    weights = np.concatenate([rng.uniform(0, recipe.size_spread, len(points)), rng.uniform(-0.12, 0.0, len(small))]) * recipe.fibre_px**2
    points = np.concatenate([points, small])
    rows, cols = np.indices(shape, dtype=np.float32)
    centred = np.stack([rows + shift[0] - shape[0] / 2, cols + shift[1] - shape[1] / 2], -1) @ turn * squeeze
    moved = np.moveaxis(centred @ turn.T + np.array(shape) / 2, -1, 0)
    return voronoi(points, weights, shape, moved - np.stack([rows, cols]))


def _fibres(
    rng: np.random.Generator, shape: tuple[int, int], recipe: Recipe, shift: np.ndarray, zone: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    cells = _cells(rng, shape, recipe, shift)
    whole = np.bincount(cells.ravel())
    # an infiltrate takes whole cells, or leaves them standing as islands
    infiltrated = np.bincount(cells[zone == INFILTRATE], minlength=len(whole)) > 0.5 * whole
    taken = infiltrated & (rng.random(len(whole)) >= recipe.islands)
    zone[(zone == INFILTRATE) & ~taken[cells]] = ENDOMYSIUM
    zone[(zone == ENDOMYSIUM) & taken[cells]] = INFILTRATE
    cells[zone != ENDOMYSIUM] = 0
    count = _split_some(rng, cells, len(whole), recipe)
    rounding = rng.uniform(*recipe.rounding, count).astype(np.float32)
    depth = rounded(cells, rounding)
    gap = recipe.gap_px * np.exp(recipe.gap_spread * smooth_noise(rng, shape, 45)) * rng.lognormal(0, 0.4, count)[cells]
    shrunk = rng.random(count) < recipe.retracted_share
    gap = gap + (shrunk * rng.uniform(2, 9, count))[cells]
    depth -= np.maximum(gap / 2, 0.35).astype(np.float32)
    inside = np.where(depth > 0, cells, 0)
    area = np.bincount(inside.ravel(), minlength=count)
    # a cell that perimysium or glass cut down to a sliver is no fibre
    reference = np.concatenate([whole, np.zeros(count - len(whole))])
    keep = (area > np.maximum(0.3 * reference, np.pi * 6**2)) | ((area > np.pi * 8**2) & (reference == 0))
    keep &= rng.random(len(keep)) >= recipe.missing_share
    keep[0] = False
    dropped = ~keep[cells] & (cells > 0)
    depth[dropped] = -np.abs(depth[dropped]) - 2
    labels = np.where(keep[inside], inside, 0)
    if recipe.invaded:
        labels = _without_spurs(labels)
        depth = np.where((labels == 0) & (depth > 0), -depth - 1, depth)
    return _largest_pieces(labels), depth


def _without_spurs(labels: np.ndarray) -> np.ndarray:
    """`labels` without what is thinner than 4 um: spurs at corners, which wide gaps leave standing."""
    solid = (border_distance(labels) > 0).astype(np.uint8)
    kept = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    return np.where(cv2.dilate(kept, np.ones((3, 3), np.uint8)) > 0, labels, 0)


def _split_some(rng: np.random.Generator, cells: np.ndarray, count: int, recipe: Recipe) -> int:
    """Cut some cells in two along a line through their middle; the new number of labels, 0 among them."""
    chosen = np.flatnonzero(rng.random(count) < recipe.split_share)
    next_label = count
    for label in chosen[chosen > 0]:
        where = np.nonzero(cells == label)
        if len(where[0]) < np.pi * (0.3 * recipe.fibre_px) ** 2:
            continue
        angle = rng.uniform(0, np.pi)
        side = (where[0] - where[0].mean()) * np.cos(angle) + (where[1] - where[1].mean()) * np.sin(angle) > rng.normal(
            0, 0.1
        ) * recipe.fibre_px
        cells[where[0][side], where[1][side]] = next_label
        next_label += 1
    return next_label


def _largest_pieces(labels: np.ndarray) -> np.ndarray:
    """Keep the largest connected piece of every label and number them 1..n in order."""
    # split pieces at label borders first, so that components never join two fibres
    separate = (border_distance(labels) > 0).astype(np.uint8)
    count, pieces = cv2.connectedComponents(separate, connectivity=4)
    area = np.bincount(pieces.ravel(), minlength=count)
    owner = np.zeros(count, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    owner[0] = 0
    best = np.zeros(int(labels.max()) + 1, np.int64)
    for piece in np.argsort(area, kind="stable"):
        if owner[piece]:
            best[owner[piece]] = piece
    numbers = np.zeros(count, np.int32)
    kept = best[best > 0]
    numbers[kept] = np.arange(1, len(kept) + 1)
    return _grow_back(numbers[pieces], labels)


def _grow_back(pieces: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give the border pixels that `border_distance` set to 0 back to the piece of their own label beside them."""
    out = pieces.copy()
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1)):
        near = np.roll(pieces, (dy, dx), (0, 1))
        same = np.roll(labels, (dy, dx), (0, 1)) == labels
        take = (out == 0) & (labels > 0) & same & (near > 0)
        out[take] = near[take]
    return out.astype(np.int32)
