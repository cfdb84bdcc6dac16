"""Necrosis, regeneration, inflammation and their balance, with intervals and reasons. Definitions: docs/score.md."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from biopsy_analyzer.score.axes import axis_values, observe
from biopsy_analyzer.score.intervals import bootstrap, density_interval, difference_interval, share_interval
from biopsy_analyzer.score.model import (
    AreaFractions,
    Axes,
    Axis,
    ClusterCounts,
    Clusters,
    FibreCounts,
    Inflammation,
    MeasuredAxis,
    Pattern,
    Scores,
    Spread,
)
from biopsy_analyzer.score.pattern import find_pattern
from biopsy_analyzer.score.tallies import area_fractions, cluster_counts, fibre_counts, inflammation
from biopsy_analyzer.settings import ScoreSettings, Settings
from biopsy_analyzer.tables import CLUSTER_KINDS

__all__ = ["Scores", "score", "unassessed"]

FIBRES_UNIT, CELLS_UNIT = "share of assessable fibres", "interstitial inflammatory cells per mm2 of tissue"
NO_SHARE = MeasuredAxis(value=None, ci95=None, measured=None, measured_ci95=None, unit=FIBRES_UNIT)
NO_INFLAMMATION = NO_SHARE.model_copy(update={"unit": CELLS_UNIT})
NO_BALANCE = Axis(value=None, ci95=None)
NO_AXES = Axes(necrosis=NO_SHARE, regeneration=NO_SHARE, inflammation=NO_INFLAMMATION, balance=NO_BALANCE)


def score(
    fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, tissue_area_mm2: float, settings: Settings, nuclei_assessed: bool
) -> Scores:
    """All scores of one section.

    fibres, nuclei, clusters  classified tables (FIBRES, NUCLEI, CLUSTERS);  tissue_area_mm2  of the tissue mask
    nuclei_assessed  False: the image is too coarse for nuclei, and all that needs them is null
    Fewer assessable fibres than `min_fibres`: counts stay, scores are null. A warning says why for every null. No rows: no error.
    """
    area = tissue_area_mm2 if math.isfinite(tissue_area_mm2) and tissue_area_mm2 > 0 else None
    cells_area = area if nuclei_assessed else None
    warnings = _warnings(fibres, area, settings.score, nuclei_assessed)
    doubts = _doubts(fibres, area, settings)
    axes, pattern = _axes(fibres, nuclei if nuclei_assessed else nuclei.iloc[:0], cells_area, settings, warnings, doubts)
    return Scores(
        fibres=fibre_counts(fibres, nuclei_assessed),
        area_fractions=area_fractions(fibres),
        clusters=Clusters(**{kind: cluster_counts(clusters, kind, area, nuclei_assessed) for kind in CLUSTER_KINDS}),
        inflammation=inflammation(fibres, nuclei, area, settings.clusters.at_necrosis_um, nuclei_assessed),
        scores=axes,
        pattern=pattern,
        warnings=tuple(warnings),
    )


def unassessed(why: str) -> Scores:
    """Null for everything, with `why` as the warning and the pattern's reason: nothing of this section could be looked at."""
    spread = Spread(median=None, p10=None, p90=None)
    kinds = {kind: ClusterCounts(count=None, per_mm2=None, around_necrotic_fibres=None) for kind in CLUSTER_KINDS}
    counts = {name: None for name in FibreCounts.model_fields if name not in ("area_um2", "min_feret_um")}
    return Scores(
        fibres=FibreCounts(**counts, area_um2=spread, min_feret_um=spread),
        area_fractions=AreaFractions(**dict.fromkeys(AreaFractions.model_fields)),
        clusters=Clusters(**kinds),
        inflammation=Inflammation(**dict.fromkeys(Inflammation.model_fields)),
        scores=NO_AXES,
        pattern=Pattern(label="indeterminate", support=None, reasons=(why,)),
        warnings=(why,),
    )


def _warnings(fibres: pd.DataFrame, area: float | None, settings: ScoreSettings, nuclei_assessed: bool) -> list[str]:
    assessable = int(fibres["assessable"].sum())
    found = []
    if assessable < settings.min_fibres:
        found.append(f"scores are null: {assessable} assessable fibres, {settings.min_fibres} are needed")
    if not assessable:
        found.append("area fractions are null: no assessable fibre")
    if not (fibres["assessable"] & ~fibres["touches_border"]).any():
        found.append("fibre sizes are null: no assessable fibre that the image does not cut")
    if not nuclei_assessed:
        found.append("internal nuclei, clusters, inflammation and balance are null: the image is too coarse for nuclei")
    elif area is None:
        found.append("values per mm2, inflammation and balance are null: no tissue area")
    return found


def _doubts(fibres: pd.DataFrame, area: float | None, settings: Settings) -> tuple[str, ...]:
    """Sentences that forbid a pattern: a single field, or tissue that is hardly muscle or was not understood as such."""
    if area is None:
        return ()
    found = []
    if area < settings.tissue.small_tissue_mm2:
        found.append(f"{area:.2g} mm2 of tissue are one field (at least {settings.tissue.small_tissue_mm2:g}): damage comes in patches")
    cover = fibres["area_um2"].sum() / 1e6 / area
    if cover < settings.score.min_cover:
        found.append(f"fibres cover {cover:.0%} of the tissue (at least {settings.score.min_cover:.0%}): fibres missed, or hardly muscle")
    return tuple(found)


def _axes(
    fibres: pd.DataFrame, nuclei: pd.DataFrame, cells_area: float | None, settings: Settings, warnings: list[str], doubts: tuple[str, ...]
) -> tuple[Axes, Pattern]:
    """Axes and pattern; cells_area None: without inflammation and balance. doubts: what forbids a pattern."""
    n = int(fibres["assessable"].sum())
    if n < settings.score.min_fibres:
        return NO_AXES, Pattern(label="indeterminate", support=None, reasons=(warnings[0],))
    seen = observe(fibres, nuclei, settings.clusters.at_necrosis_um)
    area = cells_area or 1.0  # without nuclei there are no cells, and the third column is not used
    draws = bootstrap(seen, area, settings.score)
    measured = np.array([seen.necrotic.mean(), seen.regenerating.mean(), seen.inflammatory.sum() / area])
    bounds = [share_interval(measured[i], n, draws[:, i]) for i in (0, 1)] + [density_interval(measured[2], area, draws[:, 2])]
    necrosis, regeneration, inflamed = (_axis(i, measured, np.array(bounds), settings.score) for i in range(3))
    facts: tuple[str, ...] = (_fact(measured[0], bounds[0], "necrotic or pale-fragmented"), _fact(measured[1], bounds[1], "regenerating"))
    if n < settings.score.settled_fibres:
        facts += (f"{n} fibres; figures settle at about {settings.score.settled_fibres}: read this for the section, not for the muscle",)
    if cells_area is None:
        axes = Axes(necrosis=necrosis, regeneration=regeneration, inflammation=NO_INFLAMMATION, balance=NO_BALANCE)
        return axes, Pattern(label="indeterminate", support=None, reasons=(warnings[-1], *doubts, *facts))
    values, drawn = axis_values(measured, settings.score), axis_values(draws, settings.score)
    low, high = axis_values(np.array(bounds).T, settings.score)
    ci95 = difference_interval(values[0], (low[0], high[0]), values[2], (low[2], high[2]), drawn[:, 0] - drawn[:, 2])
    balance = Axis(value=values[0] - values[2], ci95=ci95)
    cells = f"{measured[2]:.0f} interstitial inflammatory cells per mm2 (95 % interval {bounds[2][0]:.0f} to {bounds[2][1]:.0f})"
    pattern = find_pattern(values[0], values[2], drawn[:, [0, 2]], settings.score, (*facts[:2], cells, *facts[2:]), doubts)
    return Axes(necrosis=necrosis, regeneration=regeneration, inflammation=inflamed, balance=balance), pattern


def _axis(i: int, measured: np.ndarray, bounds: np.ndarray, settings: ScoreSettings) -> MeasuredAxis:
    """Axis i of measured (3,) and bounds (3, 2): the mapping is monotone, so its interval is the mapped interval of its quantity."""
    low, high = axis_values(bounds.T, settings)
    return MeasuredAxis(
        value=axis_values(measured, settings)[i],
        ci95=(low[i], high[i]),
        measured=measured[i],
        measured_ci95=(bounds[i, 0], bounds[i, 1]),
        unit=(FIBRES_UNIT, FIBRES_UNIT, CELLS_UNIT)[i],
    )


def _fact(share: float, bounds: tuple[float, float], what: str) -> str:
    return f"{share:.1%} of fibres {what} (95 % interval {bounds[0]:.1%} to {bounds[1]:.1%})"
