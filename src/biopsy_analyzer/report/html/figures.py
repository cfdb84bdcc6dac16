"""Numbers to places on graphics: axes with intervals, and sizes of fibres. Templates draw them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.report.html.render import MINUS
from biopsy_analyzer.report.shown import fibre_class
from biopsy_analyzer.tables import FIBRE_STATES

BIN_UM = 5.0
MOST_BINS = 40


def axis_figure(
    low: float, high: float, value: float | None, ci95: Iterable[float] | None, borders: Iterable[float], step: float
) -> dict[str, Any]:
    """Where value, interval, ticks and borders of zones stand on an axis from `low` to `high`, in per cent of its length."""

    def at(x: float) -> float:
        return round(100 * (min(max(x, low), high) - low) / (high - low), 2)

    ticks = [low + step * k for k in range(round((high - low) / step) + 1)]
    edges = [0.0, *(at(x) for x in borders), 100.0]
    return {
        "value": None if value is None else at(value),
        "interval": None if ci95 is None else [at(x) for x in ci95],
        "ticks": [(at(x), f"{x + 0.0:g}".replace("-", MINUS)) for x in ticks],
        "zones": list(pairwise(edges)),
    }


def size_figure(fibres: pd.DataFrame) -> dict[str, Any] | None:
    """Distribution of the least diameter by state, over assessable fibres that the image does not cut; None without any.

    Bins of 5 um, wider where 40 of those do not reach; every state has its own scale of counts.
    """
    whole = fibres[fibres["assessable"] & ~fibres["touches_border"] & np.isfinite(fibres["min_feret_um"])]
    if whole.empty:
        return None
    largest = float(whole["min_feret_um"].max())
    width = BIN_UM * max(1, int(np.ceil(largest / (BIN_UM * MOST_BINS))))
    bins = max(4, int(largest // width) + 1)
    edges = np.arange(bins + 1) * width
    classes = fibre_class(whole)
    rows = []
    for state in FIBRE_STATES:
        sizes = whole.loc[classes == state, "min_feret_um"].to_numpy()
        rows.append({"state": state, **_bars(sizes, edges)})
    step = next(s for s in (10, 20, 50, 100, 200, 500, 1000) if edges[-1] / s <= 8 or s == 1000)
    ticks = [(round(100 * um / edges[-1], 2), f"{um:g}") for um in np.arange(0, edges[-1] + 1e-9, step)]
    return {"rows": rows, "bar_width": round(100 / bins, 2), "bin_um": width, "ticks": ticks, "n": len(whole)}


def _bars(sizes: np.ndarray, edges: np.ndarray) -> dict[str, Any]:
    """Bars as (left edge, height, count) and the median, in per cent of the axis and of the tallest bar."""
    counts = np.histogram(sizes, edges)[0]
    most = int(counts.max(initial=0))
    bars = [(round(100 * k / len(counts), 2), round(100 * n / most, 2), n) for k, n in enumerate(counts.tolist()) if n]
    median = float(np.median(sizes)) if len(sizes) else None
    return {
        "n": len(sizes),
        "most": most,
        "bars": bars,
        "median": median,
        "median_at": None if median is None else round(100 * median / float(edges[-1]), 2),
    }
