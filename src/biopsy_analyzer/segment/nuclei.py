"""Nucleus maps into nuclei."""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.segment.clean import clean
from biopsy_analyzer.segment.half import reaches
from biopsy_analyzer.segment.own import Own
from biopsy_analyzer.segment.split import split
from biopsy_analyzer.settings import SegmentSettings

SMOOTHING_PX = 0.5
"""Sigma of the smoothing of depth. On drawn maps at 0.5 um/px 0.5 px beat 1 px, which loses thin nuclei."""

SEED_SHARE = 0.1
"""A seed covers at least this share of the smallest object's area. Prior."""


def nucleus_labels(maps: np.ndarray, um_per_px: float, settings: SegmentSettings, own: Own | None = None) -> np.ndarray:
    """Labels of the nuclei, int32 (H, W) on the pixels of `maps`: 0 background, 1..n without gaps, each one 4-connected piece.

    maps float16 or float32 (C, H, W), channels nucleus (probability) and depth (0 at the outline .. 1 deepest) first; others are ignored.
    Nuclei cut by the image's edge stay. Maps without nuclei give zeros. own: see `split`.
    """
    min_px = settings.min_nucleus_um2 / um_per_px**2
    labels = split(
        reaches(maps[0], settings.nucleus_threshold),
        maps[1],
        smoothing_px=SMOOTHING_PX,
        seed=settings.nucleus_seed,
        min_seed_px=SEED_SHARE * min_px,
        join=settings.nucleus_join,
        own=own,
    )
    return clean(labels, min_px)
