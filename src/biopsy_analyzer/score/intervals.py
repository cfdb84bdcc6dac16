"""Intervals: a spatial block bootstrap, never narrower than counting alone allows.

Necrosis and infiltrates come in patches, so fibres next to each other are no independent samples. The section is cut into square
blocks, and blocks are drawn with replacement. In each round the calls of the drawn objects are uncertain too: their summed doubt
p (1 - p) enters as normal noise. The calls are taken to be right on average; an error that all fibres of a section share is not in here.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.stats import beta, chi2

from biopsy_analyzer.score.axes import Observed
from biopsy_analyzer.settings import ScoreSettings

OCCUPIED_UM = 25.0  # raster on which a block's share of tissue is estimated
OCCUPIED_STEPS = 2  # tissue reaches so many raster steps beyond the centres of its objects
LEVELS = (0.025, 0.975)


def bootstrap(seen: Observed, tissue_area_mm2: float, settings: ScoreSettings) -> np.ndarray:
    """(rounds, 3): share of necrotic and of regenerating fibres, inflammatory cells per mm2; rounds that drew no fibre are left out.

    Depends on neither the order of rows nor rotation by 90 degrees or mirroring of the section.
    """
    sums, doubts = block_sums(seen, tissue_area_mm2, settings)
    rng = np.random.default_rng(settings.seed)
    n = len(sums)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=settings.bootstrap_rounds).astype(np.float64)
    totals, variance = drawn @ sums, drawn @ doubts
    counts = np.maximum(totals[:, :3] + np.sqrt(variance) * rng.standard_normal(variance.shape), 0.0)
    fibres, area = totals[:, 3], totals[:, 4]
    kept = (fibres > 0) & (area > 0)
    shares = np.minimum(counts[kept, :2] / fibres[kept, None], 1.0)
    return np.column_stack([shares, counts[kept, 2] / area[kept]])


def block_sums(seen: Observed, tissue_area_mm2: float, settings: ScoreSettings) -> tuple[np.ndarray, np.ndarray]:
    """Sums by block (B, 5): necrotic, regenerating, inflammatory, fibres, mm2 of tissue; and the variance of the first three (B, 3)."""
    positions = np.concatenate([seen.fibre_yx, seen.nucleus_yx])
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = np.maximum(high - low, 1.0)
    # 1e-6: the outermost objects must not lie on a line between blocks, where rounding decides
    edge = min(settings.block_um, float(np.sqrt(extent.prod() / settings.min_blocks)) * (1 + 1e-6))
    middle = (low + high) / 2  # blocks are laid from the middle, so that a mirrored section has the same ones
    of_fibre, of_nucleus, of_tissue, n = _number(middle, edge, seen.fibre_yx, seen.nucleus_yx, _occupied(positions, middle))
    tissue = np.bincount(of_tissue, minlength=n) / len(of_tissue) * tissue_area_mm2
    by_fibre = [np.bincount(of_fibre, weights=w, minlength=n) for w in (seen.necrotic, seen.regenerating, np.ones(len(of_fibre)))]
    cells = np.bincount(of_nucleus, weights=seen.inflammatory, minlength=n)
    sums = np.column_stack([by_fibre[0], by_fibre[1], cells, by_fibre[2], tissue])
    doubts = np.column_stack(
        [
            np.bincount(of_fibre, weights=seen.necrotic_doubt, minlength=n),
            np.bincount(of_fibre, weights=seen.regenerating_doubt, minlength=n),
            np.bincount(of_nucleus, weights=seen.inflammatory_doubt, minlength=n),
        ]
    )
    order = np.lexsort(np.column_stack([sums, doubts]).round(9).T)  # by content: the same draws whichever way the section lies
    return sums[order], doubts[order]


def share_interval(share: float, n: int, draws: np.ndarray) -> tuple[float, float]:
    """95 % interval of a share of n fibres: the wider of bootstrap percentiles and the exact binomial interval (Clopper & Pearson 1934)."""
    k = share * n
    exact = (float(beta.ppf(0.025, k, n - k + 1)) if k > 0 else 0.0, float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0)
    return _wider(exact, draws)


def density_interval(per_mm2: float, area_mm2: float, draws: np.ndarray) -> tuple[float, float]:
    """95 % interval of cells per mm2: the wider of bootstrap percentiles and the exact Poisson interval (Garwood 1936)."""
    k = per_mm2 * area_mm2
    exact = (float(chi2.ppf(0.025, 2 * k) / 2 / area_mm2) if k > 0 else 0.0, float(chi2.ppf(0.975, 2 * k + 2) / 2 / area_mm2))
    return _wider(exact, draws)


def difference_interval(a: float, a_ci: tuple[float, float], b: float, b_ci: tuple[float, float], draws: np.ndarray) -> tuple[float, float]:
    """95 % interval of a - b: the wider of bootstrap percentiles and that built from both intervals (MOVER, Zou & Donner 2008)."""
    low = a - b - np.hypot(a - a_ci[0], b_ci[1] - b)
    high = a - b + np.hypot(a_ci[1] - a, b - b_ci[0])
    return _wider((max(float(low), -1.0), min(float(high), 1.0)), draws)


def _wider(exact: tuple[float, float], draws: np.ndarray) -> tuple[float, float]:
    if not len(draws):
        return exact
    low, high = np.quantile(draws, LEVELS)
    return min(exact[0], float(low)), max(exact[1], float(high))


def _number(middle: np.ndarray, edge: float, *positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    from_middle = (np.concatenate(positions) - middle) / edge
    # outwards from the middle: what lies exactly on a line falls alike in a mirrored section, on the middle line into blocks of its own
    cell = (np.sign(from_middle) * (np.floor(np.abs(from_middle)) + 1)).astype(np.int64)
    _, block = np.unique(cell, axis=0, return_inverse=True)
    parts = np.split(block, np.cumsum([len(p) for p in positions])[:-1])
    return parts[0], parts[1], parts[2], int(block.max()) + 1


def _occupied(positions: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Centres in um (m, 2) of the raster squares that hold tissue: those with an object, and their surroundings."""
    square = np.floor((positions - middle) / OCCUPIED_UM).astype(np.int64)
    start = square.min(axis=0) - OCCUPIED_STEPS
    raster = np.zeros(square.max(axis=0) - start + 1 + OCCUPIED_STEPS, dtype=bool)
    raster[tuple((square - start).T)] = True
    raster = ndimage.binary_closing(np.pad(raster, 8), iterations=OCCUPIED_STEPS + 1)[8:-8, 8:-8]
    return (np.argwhere(raster) + start + 0.5) * OCCUPIED_UM + middle
