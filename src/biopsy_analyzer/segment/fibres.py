"""Fibre maps into fibres."""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.segment.clean import clean
from biopsy_analyzer.segment.half import reaches
from biopsy_analyzer.segment.own import Own
from biopsy_analyzer.segment.split import split
from biopsy_analyzer.settings import SegmentSettings

SMOOTHING_PX = 1.0
"""Sigma of the smoothing of depth. On drawn maps at 0.8 um/px 1 px beat 2 px, which loses fibres of 20 um."""

SEED_SHARE = 0.1
"""A seed covers at least this share of the smallest object's area; ideally it covers (1 - seed)^2 of it, 0.4. Prior."""


def fibre_labels(maps: np.ndarray, um_per_px: float, settings: SegmentSettings, own: Own | None = None) -> np.ndarray:
    """Labels of the muscle fibres, int32 (H, W) on the pixels of `maps`: 0 background, 1..n without gaps, each one 4-connected piece.

    maps float16 or float32 (C, H, W), channels fibre (probability) and depth (0 at the outline .. 1 deepest) first; others are ignored.
    Fibres are touching where no background lies between them; holes and closed clefts belong to their fibre; fibres cut by
    the image's edge stay. Maps without fibres give zeros. own: see `split`.
    """
    min_px = settings.min_fibre_um2 / um_per_px**2
    labels = split(
        reaches(maps[0], settings.fibre_threshold),
        maps[1],
        smoothing_px=SMOOTHING_PX,
        seed=settings.fibre_seed,
        min_seed_px=SEED_SHARE * min_px,
        join=settings.fibre_join,
        own=own,
    )
    return clean(labels, min_px)
