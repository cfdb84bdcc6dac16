"""The stages that damaged fibres are in, and how mixed they are."""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.score.intervals import Drawn, Resampled
from biopsy_analyzer.score.model import Axis, Stages

STAGES = ("necrotic_not_invaded", "pale_fragmented_not_invaded", "phagocytosed", "regenerating")
NO_STAGES = Stages(damaged=None, **dict.fromkeys(STAGES), mixing=Axis(value=None, ci95=None))


def find_stages(seen: Resampled, min_damaged: int) -> tuple[Stages, Drawn | None]:
    """Counts by stage, and their evenness: Shannon's entropy over that of four equal stages (Pielou 1966).

    The evenness and its interval are null for fewer than `min_damaged` fibres in any stage: a few fibres are mixed by chance.
    """
    counts = {name: int(seen.total(name)) for name in STAGES}
    damaged = sum(counts.values())
    mixing = None
    if damaged >= min_damaged:
        columns = [seen.names.index(name) for name in STAGES]
        mixing = Drawn(float(evenness(seen.totals[columns])), evenness(seen.rounds[:, columns]))
    axis = Axis(value=None, ci95=None) if mixing is None else Axis(value=mixing.value, ci95=mixing.interval())
    return Stages(damaged=damaged, **counts, mixing=axis), mixing


def evenness(counts: np.ndarray) -> np.ndarray:
    """Entropy of counts (..., k) over log k: 0 all in one, 1 equally many in each; 0 without any."""
    total = counts.sum(axis=-1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    entropy = -np.sum(share * np.log(share, out=np.zeros(share.shape), where=share > 0), axis=-1)
    return np.asarray(np.clip(entropy / np.log(counts.shape[-1]), 0.0, 1.0)) + 0.0  # no -0
