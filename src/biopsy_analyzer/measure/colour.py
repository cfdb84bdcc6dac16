"""Stain and texture of labelled objects, and the means of network maps over them."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.segment.runs import Runs
from biopsy_analyzer.tables import COLOUR, typed

WHITE_FROM = 222
"""All three channels at least this bright: white as glass (optical density below 0.06). Prior."""

MOTTLING_UM = 2.0
"""Sigma in um of the smoothing before mottling is measured: keeps floccules and moth-eaten spots, drops grain. Prior."""

FAINTEST_OD = 0.05
"""Mottling is relative to the mean density, or to this where the object is fainter: the noise of a ghost is no mottling. Prior."""


def measure_colour(
    labels: np.ndarray,
    rgb: np.ndarray,
    haematoxylin: np.ndarray,
    eosin: np.ndarray,
    um_per_px: float,
    exclude: np.ndarray | None = None,
) -> pd.DataFrame:
    """The COLOUR columns of `labels` (int32 (H, W), 1..n without gaps), row k - 1 for label k; no labels: an empty table.

    rgb           uint8 (H, W, 3)
    haematoxylin  float32 (H, W), optical density of the stain, as `eosin`: both from ``stain.separate`` of `rgb`
    exclude       bool (H, W), pixels left out of everything (the nuclei, when fibres are measured)

    An object without a pixel left is NaN in every column. White pixels count in all columns: holes are part of a sick fibre.
    """
    kept = labels if exclude is None else np.where(exclude, 0, labels)
    runs = Runs(kept, n=int(labels.max(initial=0)))
    area = runs.total(runs.width)
    area[area == 0] = np.nan
    haematoxylin_od, haematoxylin_sd = _mean_and_spread(runs, area, haematoxylin.ravel()[runs.inside])
    eosin_od, eosin_sd = _mean_and_spread(runs, area, eosin.ravel()[runs.inside])
    _, coarse_sd = _mean_and_spread(runs, area, _smooth_inside(eosin, runs, MOTTLING_UM / um_per_px))
    white = cv2.inRange(rgb, (WHITE_FROM,) * 3, (255,) * 3) > 0
    columns = {
        "haematoxylin_od": haematoxylin_od,
        "eosin_od": eosin_od,
        "haematoxylin_sd": haematoxylin_sd,
        "eosin_sd": eosin_sd,
        "mottling": coarse_sd / np.maximum(eosin_od, FAINTEST_OD),
        "white_fraction": runs.pixel_total(white) / area,
    }
    return typed(pd.DataFrame(columns), COLOUR)


def pool_maps(labels: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Mean of each map over each label, float64 (n, C): labels int32 (H, W), maps (C, H, W); no labels: (0, C)."""
    runs = Runs(labels)
    area = runs.total(runs.width)
    return np.array([runs.pixel_total(channel) / area for channel in maps]).reshape(len(maps), runs.n).T


def _mean_and_spread(runs: Runs, area: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of float32 values at `runs.inside`."""
    mean = runs.inside_total(inside) / area
    variance = runs.inside_total(np.square(inside)) / area - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))


def _smooth_inside(values: np.ndarray, runs: Runs, sigma_px: float) -> np.ndarray:
    """Gaussian mean of values (H, W) over labelled pixels only, so that neither gaps nor nuclei shine in; at `runs.inside`, float32."""
    weighted, weight = np.zeros(values.shape, np.float32), np.zeros(values.shape, np.float32)
    weighted.ravel()[runs.inside] = values.ravel()[runs.inside]
    weight.ravel()[runs.inside] = 1
    total, weights = (cv2.GaussianBlur(image, (0, 0), sigma_px).ravel()[runs.inside] for image in (weighted, weight))
    return np.asarray(total / weights)
