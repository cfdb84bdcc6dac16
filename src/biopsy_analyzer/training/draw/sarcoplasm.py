"""The inside of the fibres: ordinary sarcoplasm and every stage of damage and repair."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from biopsy_analyzer.training.draw.noise import fractal_noise, smooth_noise
from biopsy_analyzer.training.draw.nuclei import LOOKS, Canvas, pick, pick_in_fibre, stamp, tangents
from biopsy_analyzer.training.draw.recipe import STAGES, Recipe

NORMAL, NECROTIC, PALE_FRAGMENTED, REGENERATING, UNASSESSABLE = 1, 2, 3, 4, 5
STATE_OF_STAGE = {
    "pale": PALE_FRAGMENTED,
    "fragmented": PALE_FRAGMENTED,
    "hyaline": NECROTIC,
    "dusky": NECROTIC,
    "phagocytosed": NECROTIC,
    "ghost": NECROTIC,
    "regenerating": REGENERATING,
}


def choose_stages(rng: np.random.Generator, count: int, recipe: Recipe, area: np.ndarray) -> np.ndarray:
    """Index into STAGES + 1 by fibre label (0 background and normal), int (count + 1,); regenerating fibres prefer small ones."""
    shares = np.array([recipe.state_shares[s] for s in STAGES])
    shares = shares / max(1.0, shares.sum() / 0.8)
    stages = np.searchsorted(np.cumsum(shares), rng.random(count + 1), side="right") + 1
    stages[stages > len(STAGES)] = 0
    if count:
        large = area > 1.3 * np.median(area[1:])
        stages[large & (stages == STAGES.index("regenerating") + 1) & (rng.random(count + 1) < 0.7)] = 0
    stages[0] = 0
    return stages


class _Sarcoplasm(NamedTuple):
    """By fibre label, float64 (n + 1,): OD of each stain, how mottled and grainy it is, and how much of it is broken away."""

    eosin: np.ndarray
    haematoxylin: np.ndarray
    mottle: np.ndarray
    grain: np.ndarray
    bulk: np.ndarray


def fill_fibres(canvas: Canvas, rng: np.random.Generator, recipe: Recipe, stages: np.ndarray) -> None:
    """Give every fibre its eosin and haematoxylin after its stage; `stages` as from `choose_stages`."""
    _stain(canvas, rng, _of_stages(rng, recipe, stages))
    broken = np.isin(stages, [STAGES.index(stage) + 1 for stage in ("pale", "fragmented", "phagocytosed")])
    _vacuoles(canvas, rng, broken, 0.35)
    _cracks(canvas, rng, (stages == STAGES.index("hyaline") + 1) & (rng.random(len(stages)) < 0.4))
    _membrane(canvas, rng)
    codes = np.array([NORMAL, *(STATE_OF_STAGE[s] for s in STAGES)], np.uint8)
    canvas.states = codes[stages]
    canvas.states[0] = 0


def _of_stages(rng: np.random.Generator, recipe: Recipe, stages: np.ndarray) -> _Sarcoplasm:
    count = len(stages)
    eosin = recipe.eosin * rng.normal(1, rng.uniform(0.02, 0.1), count)
    haematoxylin = np.full(count, rng.uniform(0.0, 0.12)) + rng.normal(0, 0.008, count)
    mottle, grain, bulk = np.full(count, rng.uniform(0.01, 0.06)), np.full(count, rng.uniform(0.01, 0.09)), np.zeros(count)
    strength = 1 - recipe.weakness * rng.uniform(0.5, 1, count)

    def at(stage: str) -> np.ndarray:
        return stages == STAGES.index(stage) + 1

    def scale(stage: str, low: float, high: float) -> None:
        eosin[at(stage)] *= (1 + strength * (rng.uniform(low, high, count) - 1))[at(stage)]

    scale("pale", 0.2, 0.72)
    scale("hyaline", 1.3, 2.0)
    scale("dusky", 0.6, 1.0)
    scale("fragmented", 0.35, 0.95)
    scale("phagocytosed", 0.25, 0.9)
    scale("ghost", 0.06, 0.3)
    scale("regenerating", 0.55, 1.0)
    haematoxylin[at("dusky")] += (0.02 + 0.13 * strength * rng.random(count))[at("dusky")]
    # the measured weak end: +0.06 to +0.14 over ordinary fibres on real sections
    haematoxylin[at("regenerating")] += (0.04 + 0.2 * strength * rng.random(count))[at("regenerating")]
    for stage, amount in (
        ("pale", 0.2),
        ("dusky", 0.2),
        ("fragmented", 0.4),
        ("phagocytosed", 0.35),
        ("ghost", 0.5),
        ("regenerating", 0.1),
    ):
        mottle[at(stage)] += amount * rng.uniform(0.3, 1, at(stage).sum())
        grain[at(stage)] += 0.35 * amount
    mottle[at("hyaline")] *= 0.3
    bulk[at("fragmented")] = rng.uniform(0.4, 1.1, at("fragmented").sum())
    bulk[at("phagocytosed")] = rng.uniform(0.0, 0.8, at("phagocytosed").sum())
    return _Sarcoplasm(eosin, haematoxylin, mottle, grain, bulk)


def _stain(canvas: Canvas, rng: np.random.Generator, of: _Sarcoplasm) -> None:
    """Lay the stains into the fibres, with texture, denser or paler rims, and clear holes where they are broken."""
    fibres, inside, shape = canvas.fibres, canvas.fibres > 0, canvas.fibres.shape
    clumps = fractal_noise(rng, shape, rng.uniform(10, 28))
    texture = 1 + of.mottle[fibres] * clumps + of.grain[fibres] * smooth_noise(rng, shape, rng.uniform(1, 4))
    edge = 1 + rng.normal(0.03, 0.12) * np.exp(-np.maximum(canvas.depth, 0) / rng.uniform(1.5, 9))
    amount = np.maximum(of.eosin[fibres] * texture * edge * (1 + 0.04 * smooth_noise(rng, shape, 120)), 0)
    broken = (of.bulk[fibres] > 0) & (fractal_noise(rng, shape, rng.uniform(9, 26), 2) > 1.35 - 1.25 * of.bulk[fibres])
    amount = np.where(broken, amount * rng.uniform(0.02, 0.45), amount)
    canvas.eosin[inside] = amount[inside]
    blue = np.maximum(of.haematoxylin[fibres] * (1 + 1.5 * (texture - 1)), 0)
    canvas.haematoxylin[inside] = np.where(broken, 0.4 * blue, blue)[inside]


def _vacuoles(canvas: Canvas, rng: np.random.Generator, chosen: np.ndarray, share: float) -> None:
    where = chosen[canvas.fibres] & (smooth_noise(rng, canvas.fibres.shape, rng.uniform(6, 14)) > 2.2 - share) & (canvas.depth > 3)
    canvas.eosin[where] *= 0.12
    canvas.haematoxylin[where] *= 0.12


def _cracks(canvas: Canvas, rng: np.random.Generator, chosen: np.ndarray) -> None:
    crack = np.abs(smooth_noise(rng, canvas.fibres.shape, 60)) < 0.03
    where = chosen[canvas.fibres] & crack
    canvas.eosin[where] *= 0.15


def _membrane(canvas: Canvas, rng: np.random.Generator) -> None:
    """A thin sarcolemma, darker or paler than both sides, that parts fibres which touch; in places a blue seam, which is no nucleus."""
    line = np.exp(-((canvas.depth / rng.uniform(0.8, 1.6)) ** 2)) * (canvas.depth > -3)
    if rng.random() < 0.5:
        canvas.eosin += line * rng.uniform(0.0, 0.12)
    else:
        canvas.eosin *= 1 - line * rng.uniform(0.2, 0.75)
    if rng.random() < 0.4:
        seam = np.exp(-(((canvas.depth - rng.uniform(0, 2)) / rng.uniform(1, 2.5)) ** 2)) * (canvas.depth > -2)
        canvas.haematoxylin += rng.uniform(0.05, 0.3) * seam * np.clip(smooth_noise(rng, canvas.fibres.shape, 50), 0, 1.5)


def fibre_nuclei(canvas: Canvas, rng: np.random.Generator, recipe: Recipe, stages: np.ndarray) -> None:
    """Myonuclei under the border, internal nuclei, those of regenerating fibres, fading ones, and macrophages inside the dead."""
    count = len(stages) - 1
    if not count:
        return
    area = np.bincount(canvas.fibres.ravel(), minlength=count + 1)
    dead = np.isin(stages, [STAGES.index(s) + 1 for s in ("hyaline", "dusky", "fragmented", "phagocytosed", "ghost")])
    alive = ~dead
    alive[0] = False
    rim = (canvas.depth > 1.2) & (canvas.depth < 6) & alive[canvas.fibres]
    spots = pick(rng, rim, int(rng.poisson(recipe.nuclei_per_fibre * alive.sum())))
    stamp(canvas, rng, LOOKS["peripheral"], spots, tangents(canvas, spots, rng))
    fading = pick(rng, (canvas.depth > 2) & (canvas.depth < 9) & dead[canvas.fibres], int(rng.poisson(0.7 * dead.sum())))
    stamp(canvas, rng, LOOKS["fading"], fading, tangents(canvas, fading, rng))
    deepest = np.zeros(count + 1, np.float32)
    np.maximum.at(deepest, canvas.fibres.ravel(), canvas.depth.ravel())
    middle = canvas.depth > 0.55 * deepest[canvas.fibres]
    regenerating = stages == STAGES.index("regenerating") + 1
    internal = alive & ~regenerating & (rng.random(count + 1) < recipe.internal_share) & (deepest > 14)
    boxes = ndimage.find_objects(canvas.fibres)
    for chosen, look, most in ((internal, "internal", 3), (regenerating, "regenerating", 4)):
        for label in np.flatnonzero(chosen):
            spots = pick_in_fibre(rng, canvas, int(label), boxes[label - 1], middle, int(rng.integers(1, most)))
            stamp(canvas, rng, LOOKS[look], spots, rng.uniform(0, np.pi, len(spots)))
    if not recipe.invaded:  # there the cells are in place already
        _invade(canvas, rng, stages, area, boxes)


def _invade(canvas: Canvas, rng: np.random.Generator, stages: np.ndarray, area: np.ndarray, boxes: list) -> None:
    inside = canvas.depth > 2
    for stage, low, high in (("phagocytosed", 0.15, 0.9), ("ghost", 0.0, 0.35)):
        for label in np.flatnonzero(stages == STAGES.index(stage) + 1):
            room = area[label] * canvas.um_per_px**2 / 110  # um2 that a macrophage takes when packed
            number = max(2 if stage == "phagocytosed" else 0, round(room * rng.uniform(low, high)))
            spots = pick_in_fibre(rng, canvas, int(label), boxes[label - 1], inside, number)
            stamp(canvas, rng, LOOKS["macrophage"], spots, rng.uniform(0, np.pi, len(spots)), owner=int(label))
