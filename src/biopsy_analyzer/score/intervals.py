"""Intervals: a spatial block bootstrap gives the spread, an effective sample size the shape, the reader's known errors the rest.

Necrosis and infiltrates come in patches, so fibres next to each other are no independent samples. The section is cut into square
blocks, and blocks are drawn with replacement; the doubt p (1 - p) of the drawn calls enters as normal noise. The variance that this
gives, over that of independent fibres, is the design effect: so many fewer fibres the section is worth. Draws of a share then come
from the Jeffreys posterior of that effective number (Korn & Graubard 1998 with Jeffreys instead of Clopper and Pearson), ordered as
the bootstrap ordered the rounds, so that axes which vary together stay together. docs/score.md says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri, stdtrit

from biopsy_analyzer.score.axes import Observed
from biopsy_analyzer.score.remember import remember_last
from biopsy_analyzer.settings import ScoreSettings

OCCUPIED_UM = 25.0  # raster on which a block's share of tissue is estimated
OCCUPIED_STEPS = 2  # tissue reaches so many raster steps beyond the centres of its objects
LEVELS = (0.025, 0.975)
RASTERED = (
    "border_living", "border_small", "inner_living", "inner_small", "border", "border_necrotic", "inner", "inner_necrotic", "gap_um",
    "facing", "perimysial", "endomysial", "around_living",
)  # fmt: skip
"""Quantities that rest on places as score/places.py tells them."""


@dataclass(frozen=True)
class Drawn:
    """A quantity as counted, and in every bootstrap round, (rounds,)."""

    value: float
    draws: np.ndarray

    def interval(self) -> tuple[float, float]:
        """95 % interval; the count itself always lies in it."""
        low, high = np.quantile(self.draws, LEVELS)
        return min(float(low), self.value), max(float(high), self.value)


@dataclass(frozen=True)
class Blocks:
    """Sums by block (B, K) of the named quantities, tissue in mm2 among them, and the variance of each sum by doubtful calls."""

    names: tuple[str, ...]
    sums: np.ndarray
    doubts: np.ndarray


@dataclass(frozen=True)
class Resampled:
    """Totals of the section (K,), and of `rounds` sections drawn from its blocks (rounds, K)."""

    names: tuple[str, ...]
    totals: np.ndarray
    rounds: np.ndarray
    blocks: int

    def total(self, name: str) -> float:
        """The section's sum of a named quantity."""
        return float(self.totals[self.names.index(name)])

    def share(self, part: str, whole: str, of: str | None = None) -> Drawn | None:
        """part / whole, 0..1, in `of` independent objects (None: as many as `whole` counts); None where there is nothing to share."""
        n = self.total(of or whole)
        drawn = self._ratio(part, whole)
        if n <= 0 or drawn is None:
            return None
        value, rounds = drawn
        effective = self._effective(n, value * (1 - value) / n, min(value, 1 - value) * n, rounds)
        draws = betaincinv(effective * value + 0.5, effective * (1 - value) + 0.5, _ranks(rounds))
        return Drawn(value, np.clip(draws, 0.0, 1.0))

    def density(self, part: str, least_design: float = 1.0) -> Drawn | None:
        """part / tissue, per mm2, of things that come at least in groups of `least_design`; None without tissue."""
        area = self.total("tissue")
        drawn = self._ratio(part, "tissue")
        if area <= 0 or drawn is None:
            return None
        value, rounds = drawn
        effective = self._effective(area, value / area, value * area, rounds, least_design)
        return Drawn(value, gammaincinv(value * effective + 0.5, _ranks(rounds)) / effective)

    def mean(self, part: str, of: str) -> Drawn | None:
        """part / of, a mean of `of` things, by the blocks alone; None without any."""
        drawn = self._ratio(part, of)
        return None if drawn is None else Drawn(*drawn)

    def variation(self, part: str, of: str) -> Drawn | None:
        """1000 SD / mean of the `part` of `of` things, by the blocks alone; needs the sum of squares `<part>_squared`."""
        mean, square = self.mean(part, of), self.mean(f"{part}_squared", of)
        if mean is None or square is None or mean.value <= 0:
            return None
        value, draws = (1000 * np.sqrt(np.maximum(s - m**2, 0)) / m for m, s in ((mean.value, square.value), (mean.draws, square.draws)))
        return Drawn(float(value), draws)

    def _ratio(self, part: str, whole: str) -> tuple[float, np.ndarray] | None:
        i, j = self.names.index(part), self.names.index(whole)
        if self.totals[j] <= 0:
            return None
        value = float(self.totals[i] / self.totals[j])
        below = self.rounds[:, j]
        return value, np.divide(self.rounds[:, i], below, out=np.full(len(below), value), where=below > 0)

    def _effective(self, n: float, independent: float, events: float, rounds: np.ndarray, least_design: float = 1.0) -> float:
        """Size of a sample of independent objects that would vary as these blocks do; never more than n.

        independent: the variance of n independent objects;  events: how many of them there are of the rarer kind
        """
        b = max(self.blocks, 2)
        design = max(rounds.var() * b / (b - 1) / independent, least_design) if independent > 0 else least_design
        # the spread itself is known from the blocks that hold something: from as many as there are independent events
        freedom = min(b - 1, max(events / design, 2.0)) if events > 0 else b - 1
        return n / design * float(ndtri(0.975) / stdtrit(freedom, 0.975)) ** 2


def _ranks(rounds: np.ndarray) -> np.ndarray:
    """Each round's place among all, as a probability between 0 and 1; ties in the order of the rounds, which is random."""
    order = np.argsort(rounds, kind="stable")
    ranks = np.empty(len(rounds))
    ranks[order] = (np.arange(len(rounds)) + 0.5) / len(rounds)
    return ranks


def resample(blocks: Blocks, settings: ScoreSettings) -> Resampled:
    """Draw the blocks with replacement, `bootstrap_rounds` times; sums below 0 by doubtful calls are 0."""
    rng = np.random.default_rng(settings.seed)
    n, rounds = len(blocks.sums), settings.bootstrap_rounds
    drawn = rng.integers(n, size=(rounds, n)) + np.arange(rounds)[:, None] * n
    weights = np.bincount(drawn.ravel(), minlength=rounds * n).reshape(rounds, n).astype(np.float64)
    noise = np.sqrt(weights @ blocks.doubts) * rng.standard_normal((rounds, blocks.sums.shape[1]))
    return Resampled(blocks.names, blocks.sums.sum(axis=0), np.maximum(weights @ blocks.sums + noise, 0.0), n)


def block_sums(seen: Observed, tissue_area_mm2: float, settings: ScoreSettings) -> Blocks:
    """What lies in each square block that holds an object; depends on neither the order of rows nor rotation by 90 degrees or mirroring."""
    of_fibre, of_nucleus, of_tissue, n = _laid(seen.fibre_yx, seen.nucleus_yx, settings.block_um, settings.min_blocks)
    columns: dict[str, np.ndarray] = {}
    doubts: dict[str, np.ndarray] = {}
    for of, values in ((of_fibre, seen.fibres), (of_nucleus, seen.nuclei)):
        for name, value in values.items():
            columns[name] = np.bincount(of, weights=value, minlength=n)
            doubts[name] = np.bincount(of, weights=seen.doubts[name], minlength=n) if name in seen.doubts else np.zeros(n)
    columns["tissue"] = np.bincount(of_tissue, minlength=n) / len(of_tissue) * tissue_area_mm2
    doubts["tissue"] = np.zeros(n)
    names = tuple(columns)
    sums, variance = (np.column_stack([table[name] for name in names]) for table in (columns, doubts))
    # by content, so that the draws are the same whichever way the section lies; by what was read from a raster last, which may differ
    rastered = np.isin(names, RASTERED)
    keys = [sums[:, rastered], variance[:, rastered], sums[:, ~rastered], variance[:, ~rastered]]
    order = np.lexsort(np.column_stack(keys).round(9).T)
    return Blocks(names, sums[order], variance[order])


@remember_last
def _laid(fibre_yx: np.ndarray, nucleus_yx: np.ndarray, block_um: float, min_blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The block of each fibre, nucleus and square of tissue, and how many blocks there are."""
    positions = np.concatenate([fibre_yx, nucleus_yx])
    middle = (positions.min(axis=0) + positions.max(axis=0)) / 2  # blocks are laid from the middle: a mirrored section has the same ones
    tissue_yx = occupied(positions, middle)
    area_um2 = len(tissue_yx) * OCCUPIED_UM**2
    # 1e-6: the outermost objects must not lie on a line between blocks, where rounding decides
    edge = min(block_um, np.sqrt(area_um2 / min_blocks)) * (1 + 1e-6)
    return _number(middle, edge, fibre_yx, nucleus_yx, tissue_yx)


def _number(middle: np.ndarray, edge: float, *positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    from_middle = (np.concatenate(positions) - middle) / edge
    # outwards from the middle: what lies exactly on a line falls alike in a mirrored section, on the middle line into blocks of its own
    cell = (np.sign(from_middle) * (np.floor(np.abs(from_middle)) + 1)).astype(np.int64)
    cell -= cell.min(axis=0)
    key = cell[:, 0] * (cell[:, 1].max() + 1) + cell[:, 1]
    held = np.bincount(key) > 0
    block = (np.cumsum(held) - 1)[key]
    parts = np.split(block, np.cumsum([len(p) for p in positions])[:-1])
    return parts[0], parts[1], parts[2], int(block.max()) + 1


def occupied(positions: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Centres in um (m, 2) of the raster squares that hold tissue: those with an object, and their surroundings."""
    square = np.rint((positions - middle) / OCCUPIED_UM).astype(np.int64)  # alike on both sides of the middle
    start = square.min(axis=0) - OCCUPIED_STEPS
    raster = np.zeros(square.max(axis=0) - start + 1 + OCCUPIED_STEPS, dtype=bool)
    raster[tuple((square - start).T)] = True
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    closed = cv2.morphologyEx(np.pad(raster, 8).astype(np.uint8), cv2.MORPH_CLOSE, cross, iterations=OCCUPIED_STEPS + 1)[8:-8, 8:-8]
    return (np.argwhere(closed) + start) * OCCUPIED_UM + middle
