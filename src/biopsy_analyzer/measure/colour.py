"""Stain and texture of labelled objects, and the means of network maps over them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.segment.half import widened
from biopsy_analyzer.segment.runs import Runs, as_runs
from biopsy_analyzer.stain import separate
from biopsy_analyzer.tables import COLOUR, typed

WHITE_FROM = 222
"""All three channels at least this bright: white as glass (optical density below 0.06). Prior."""

MOTTLING_UM = 2.0
"""Sigma in um of the smoothing before mottling is measured: keeps floccules and moth-eaten spots, drops grain. Prior."""

FAINTEST_OD = 0.05
"""Mottling is relative to the mean density, or to this where the object is fainter: the noise of a ghost is no mottling. Prior."""


def measure_colour(
    labels: np.ndarray | Runs, rgb: np.ndarray, stains: np.ndarray | None, um_per_px: float, exclude: np.ndarray | None = None
) -> pd.DataFrame:
    """The COLOUR columns of `labels` (int32 (H, W), 1..n without gaps, or its runs), row k - 1 for label k; no labels: an empty table.

    rgb      uint8 (H, W, 3)
    stains   (2, 3) OD directions of haematoxylin and eosin, as ``stain.separate`` wants them
    exclude  bool (H, W), pixels left out of everything (the nuclei, when fibres are measured)

    An object without a pixel left is NaN in every column. White pixels count in all columns: holes are part of a sick fibre.
    """
    runs = as_runs(labels)
    if exclude is not None:
        runs = Runs(np.where(exclude, 0, runs.image()), n=runs.n)
    area = np.where(runs.area > 0, runs.area, np.nan)
    pixels = rgb.reshape(-1, 3).take(runs.inside, axis=0)  # nothing is computed between the objects
    haematoxylin, eosin = separate(pixels, stains)
    haematoxylin_od, haematoxylin_sd = _mean_and_spread(runs, area, haematoxylin)
    eosin_od, eosin_sd = _mean_and_spread(runs, area, eosin)
    _, coarse_sd = _mean_and_spread(runs, area, _smooth_inside(eosin, runs, MOTTLING_UM / um_per_px))
    columns = {
        "haematoxylin_od": haematoxylin_od,
        "eosin_od": eosin_od,
        "haematoxylin_sd": haematoxylin_sd,
        "eosin_sd": eosin_sd,
        "mottling": coarse_sd / np.maximum(eosin_od, FAINTEST_OD),
        "white_fraction": runs.inside_total(_white(pixels)) / area,
    }
    return typed(pd.DataFrame(columns), COLOUR)


def pool_maps(labels: np.ndarray | Runs, maps: np.ndarray) -> np.ndarray:
    """Mean of each map over each label, float64 (n, C): labels int32 (H, W) or its runs, maps (C, H, W), at least 0; no labels: (0, C)."""
    runs = as_runs(labels)
    of_label = [runs.inside_total(widened(channel.ravel().take(runs.inside))) / runs.area for channel in maps]
    return np.array(of_label).reshape(len(maps), runs.n).T


def _white(pixels: np.ndarray) -> np.ndarray:
    """Which of RGB uint8 (m, 3) are white, bool (m,)."""
    return cv2.inRange(pixels.reshape(1, -1, 3), (WHITE_FROM,) * 3, (255,) * 3)[0] > 0 if len(pixels) else np.zeros(0, bool)


def _mean_and_spread(runs: Runs, area: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of float32 values at `runs.inside`."""
    mean = runs.inside_total(inside) / area
    variance = runs.inside_total(np.square(inside)) / area - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))


def _smooth_inside(values: np.ndarray, runs: Runs, sigma_px: float) -> np.ndarray:
    """Gaussian mean of values at `runs.inside` over labelled pixels only, so that neither gaps nor nuclei shine in; float32.

    Wide blurs are made in pixels of up to half a sigma, one mean for all of the image's pixels in each: nuclei at 0.5 um/px.
    """
    every = max(1, int(sigma_px / 2))
    at, weighted, weight = _summed(values, runs, every)
    sigma_px = math.sqrt(sigma_px**2 - (every**2 - 1) / 12) / every  # the sums blur by themselves
    total, weights = (cv2.GaussianBlur(image, (0, 0), sigma_px).ravel().take(at) for image in (weighted, weight))
    return np.asarray(total / weights)


def _summed(values: np.ndarray, runs: Runs, every: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """In pixels of `every` of the image's: where those of `runs.inside` lie, the sums of their values, and how many they are."""
    if every == 1:
        weighted = np.zeros(runs.shape, np.float32)
        weighted.ravel()[runs.inside] = values
        return runs.inside, weighted, runs.image((runs.label > 0).astype(np.float32))
    y, x = np.divmod(runs.inside, runs.shape[1])
    height, width = (-(-n // every) for n in runs.shape)
    at = y // every * width + x // every
    weighted, weight = (np.bincount(at, w, height * width).astype(np.float32).reshape(height, width) for w in (values, None))
    return at, weighted, weight
