"""Necrosis, regeneration, inflammation and their balance, with intervals, evidence and reasons. Definitions: docs/score.md."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.score.axes import Observed, axis_values, observe
from biopsy_analyzer.score.basis import NO_BALANCE, Basis, find_basis
from biopsy_analyzer.score.doubts import Doubts, find_doubts
from biopsy_analyzer.score.evidence import find_evidence, judge_necrosis
from biopsy_analyzer.score.intervals import Drawn, block_sums, resample
from biopsy_analyzer.score.model import (
    AreaFractions,
    Axes,
    ClusterCounts,
    Clusters,
    FibreCounts,
    Grade,
    Inflammation,
    MeasuredAxis,
    Pattern,
    Scores,
    Spread,
)
from biopsy_analyzer.score.places import find_places, neighbours, no_places
from biopsy_analyzer.score.space import find_confluent, find_space, nowhere
from biopsy_analyzer.score.stages import NO_STAGES, find_stages
from biopsy_analyzer.score.tallies import area_fractions, cluster_counts, fibre_counts, inflammation, sheets
from biopsy_analyzer.score.traced import fibres_held, objects_of
from biopsy_analyzer.settings import ScoreSettings, Settings
from biopsy_analyzer.tables import CLUSTER_KINDS, CLUSTERS, FIBRES, NUCLEI, empty

__all__ = ["Doubts", "Scores", "judge", "score", "unassessed"]

FIBRES_UNIT, CELLS_UNIT = "share of assessable fibres", "interstitial inflammatory cells per mm2 of tissue"
NO_SHARE = MeasuredAxis(value=None, ci95=None, measured=None, measured_ci95=None, unit=FIBRES_UNIT, grade=None, grade_ci95=None)
NO_INFLAMMATION = NO_SHARE.model_copy(update={"unit": CELLS_UNIT})
NO_AXES = Axes(necrosis=NO_SHARE, regeneration=NO_SHARE, inflammation=NO_INFLAMMATION, balance=NO_BALANCE)


def score(
    fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, tissue_area_mm2: float, settings: Settings, nuclei_assessed: bool
) -> Scores:
    """All scores of one section: the first part of what `judge` gives."""
    return judge(fibres, nuclei, clusters, tissue_area_mm2, settings, nuclei_assessed)[0]


def judge(
    fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, tissue_area_mm2: float, settings: Settings, nuclei_assessed: bool
) -> tuple[Scores, Doubts]:
    """All scores of one section, and what speaks against reading it as it was counted.

    fibres, nuclei, clusters  classified tables (FIBRES, NUCLEI, CLUSTERS);  tissue_area_mm2  of the tissue mask
    nuclei_assessed  False: the image is too coarse for nuclei, and all that needs them is null
    Fewer assessable fibres than `min_fibres`: counts stay, scores are null. A warning says why for every null. No rows: no error.
    """
    area = tissue_area_mm2 if math.isfinite(tissue_area_mm2) and tissue_area_mm2 > 0 else None
    warnings = _warnings(fibres, area, settings.score, nuclei_assessed)
    cells = nuclei if nuclei_assessed else nuclei.iloc[:0]
    places = find_places(fibres, cells, settings.space)
    pairs = neighbours(fibres[fibres["assessable"]], settings.space)
    confluent, in_area = find_confluent(fibres, pairs, settings.space)
    observed = observe(fibres, cells, places, settings, in_area)
    assessable = len(observed.fibre_yx)
    seen = resample(block_sums(observed, area or 1.0, settings.score), settings.score) if assessable >= settings.score.min_fibres else None
    doubts = find_doubts(fibres, cells, observed.nuclei["inflammatory"] > 0, area, settings)
    basis = find_basis(seen, assessable, warnings, doubts, nuclei_assessed and area is not None, settings)
    space = find_space(fibres, places, pairs, confluent, basis, judge_necrosis(basis, settings), settings)
    objects = objects_of(fibres, cells, clusters, observed, in_area, settings)
    held = fibres_held(fibres, cells, objects["clusters-at-necrosis"])
    scores = Scores(
        **_counts(fibres, cells, clusters, observed, area, settings, nuclei_assessed),
        scores=_axes(basis, settings.score),
        pattern=basis.pattern,
        stages=find_stages(seen, settings.space.min_damaged)[0] if seen and nuclei_assessed else NO_STAGES,
        space=space,
        evidence=find_evidence(basis, space, objects, clusters, held, settings),
        warnings=tuple(warnings),
    )
    return scores, doubts


def _counts(
    fibres: pd.DataFrame,
    cells: pd.DataFrame,
    clusters: pd.DataFrame,
    observed: Observed,
    area: float | None,
    settings: Settings,
    nuclei_assessed: bool,
) -> dict[str, Any]:
    """What is counted and not judged."""
    kinds = {kind: cluster_counts(clusters, kind, area, settings.clusters, nuclei_assessed) for kind in CLUSTER_KINDS}
    return {
        "fibres": fibre_counts(fibres, nuclei_assessed),
        "area_fractions": area_fractions(fibres),
        "clusters": Clusters(**kinds),
        "inflammation": inflammation(observed, area, nuclei_assessed),
        "sheets": sheets(clusters, cells, settings.clusters, nuclei_assessed),
    }


def unassessed(why: str) -> Scores:
    """Null for everything, with `why` as the warning and the pattern's reason: nothing of this section could be looked at."""
    spread = Spread(median=None, p10=None, p90=None)
    nothing = ClusterCounts(count=None, per_mm2=None, around_necrotic_fibres=None)
    counts = {name: None for name in FibreCounts.model_fields if name not in ("area_um2", "min_feret_um")}
    basis = Basis(Pattern(label="indeterminate", support=None, reasons=(why,)), why)
    fibres, nuclei, clusters = empty(FIBRES), empty(NUCLEI), empty(CLUSTERS)
    observed = observe(fibres, nuclei, no_places(fibres, nuclei), Settings())
    objects = objects_of(fibres, nuclei, clusters, observed, np.zeros(0, dtype=bool), Settings())
    return Scores(
        fibres=FibreCounts(**counts, area_um2=spread, min_feret_um=spread),
        area_fractions=AreaFractions(**dict.fromkeys(AreaFractions.model_fields)),
        clusters=Clusters(**dict.fromkeys(CLUSTER_KINDS, nothing)),
        inflammation=Inflammation(**dict.fromkeys(Inflammation.model_fields)),
        scores=NO_AXES,
        pattern=basis.pattern,
        stages=NO_STAGES,
        space=nowhere(why),
        evidence=find_evidence(basis, nowhere(why), objects, clusters, 0, Settings()),
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


def _axes(basis: Basis, settings: ScoreSettings) -> Axes:
    if basis.necrosis is None or basis.regeneration is None:
        return NO_AXES
    inflamed = NO_INFLAMMATION if basis.inflammation is None else _axis(2, basis.inflammation, settings)
    return Axes(
        necrosis=_axis(0, basis.necrosis, settings),
        regeneration=_axis(1, basis.regeneration, settings),
        inflammation=inflamed,
        balance=basis.balance,
    )


def _axis(i: int, quantity: Drawn, settings: ScoreSettings) -> MeasuredAxis:
    """Axis i of a quantity: the mapping is monotone, so its interval is the mapped interval of its quantity."""
    bounds = quantity.interval()
    mapped = axis_values(np.tile(np.array([quantity.value, *bounds])[:, None], 3), settings)[:, i]
    value, low, high = (float(v) for v in mapped)
    return MeasuredAxis(
        value=value,
        ci95=(low, high),
        measured=quantity.value,
        measured_ci95=bounds,
        unit=(FIBRES_UNIT, FIBRES_UNIT, CELLS_UNIT)[i],
        grade=grade(value, settings),
        grade_ci95=(grade(low, settings), grade(high, settings)),
    )


def grade(value: float, settings: ScoreSettings) -> Grade:
    """0 to 3: how many of the bounds in `grades` an axis value reaches."""
    return sum(value >= bound for bound in settings.grades)
