"""Nucleus types: what the network sees, corrected by where the nucleus lies and by its shape.

The trap: macrophages that eat a necrotic fibre lie deep inside its outline, exactly where internal nuclei lie. Depth therefore only
splits *muscle* nuclei into myonuclei and internal ones, and inside a fibre that looks dead a muscle nucleus is doubted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit

from biopsy_analyzer.classify.features import log_odds, ordinary_fibres
from biopsy_analyzer.settings import ClassifySettings
from biopsy_analyzer.tables import NUCLEUS_KINDS

# All factors below are priors: no published value was found. Each multiplies the network's probability of one kind.
OUTLINE_SLACK_UM = 2.0  # outlines are no better: so far outside a fibre a nucleus may still be its own
MUSCLE_DECAY_UM = 2.0  # beyond that a muscle nucleus gets less likely by 1/e per this distance ...
MUSCLE_FAR = 0.02  # ... down to this factor
IN_DEAD = {"muscle": 0.2, "macrophage": 1.0, "lymphocyte": 0.5, "other": 0.1}  # deep inside a fibre that is surely dead
IN_LIVING = {"muscle": 1.0, "macrophage": 0.3, "lymphocyte": 0.2, "other": 0.1}  # deep inside a living one
AT_BORDER_UM = 0.1  # reasons name no smaller depth: outlines are coarser
THIN = 0.95  # eccentricity (axes 3 : 1) above which a nucleus is endothelium or fibroblast, the large source of false inflammation
THIN_FACTOR = 0.3
BIG_UM2 = 80.0  # twice the area of a lymphocyte's nucleus of 7 um
BIG_FACTOR = 0.3
TINY_UM2 = 12.0  # a third of a lymphocyte's nucleus: the tip of a nucleus shows no chromatin to judge, and most tips are capillaries'
SLIVER_UM2 = 20.0  # half of one: up to it a sliver is the less an inflammatory cell the smaller it is
TINY_FACTOR = 0.05
CRESCENT = 0.6  # solidity below which a nucleus, or a row of them, bends round the fibre: its centre lies outside it and tells no depth
DEAD_LOG_ODDS = 2.0  # e^2 = 7 times the odds of an ordinary fibre: as likely dead as not ...
DEAD_STEEPNESS = 2.0  # ... and twice as steep as log odds, so that ordinary fibres stay near 0


def classify_nuclei(nuclei: pd.DataFrame, fibres: pd.DataFrame, settings: ClassifySettings) -> pd.DataFrame:
    """`nuclei` with `type`, `probability`, `p_*` (sum 1) and `reason`.

    nuclei  SHAPE columns, `map_*` (network's pooled kinds), `fibre_id`, `depth_um`, `fibre_distance_um`
    fibres  all fibres of the section with `fibre_id` and `map_*`; states need not be known
    A muscle nucleus deeper than `settings.internal_depth_um` in a fibre is internal, else a myonucleus; at equality a myonucleus, and so is
    a crescent along the border.
    Ties between kinds go to the first in NUCLEUS_KINDS. Empty in, empty out.
    """
    dead = dead_look(fibres).reindex(nuclei["fibre_id"]).fillna(0.0).to_numpy()
    seen = np.clip(nuclei[[f"map_{kind}" for kind in NUCLEUS_KINDS]].to_numpy(dtype=np.float64), 1e-3, 1.0)
    weighed = seen * _place_factors(nuclei, dead, settings) * _shape_factors(nuclei)
    probability = weighed / weighed.sum(axis=1, keepdims=True)
    best = probability.argmax(axis=1)
    kind = np.array(NUCLEUS_KINDS, dtype=object)[best]
    internal = (nuclei["fibre_id"] > 0) & (nuclei["depth_um"] > settings.internal_depth_um) & (nuclei["solidity"] >= CRESCENT)
    types = np.where(kind == "muscle", np.where(internal, "internal", "myonucleus"), kind)
    return nuclei.assign(
        type=pd.Series(types, index=nuclei.index, dtype="str"),
        probability=probability.max(axis=1, initial=0.0),
        **{f"p_{name}": probability[:, i] for i, name in enumerate(NUCLEUS_KINDS)},
        reason=pd.Series(_reasons(nuclei, seen, dead, best), index=nuclei.index, dtype="str"),
    )


def mark_hidden_nuclei(nuclei: pd.DataFrame, under: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """`nuclei` of which those that lie under something, "ink" -> bool (n,), are called other, with the reason; the rest as they were.

    So they count as no inflammation; the tissue under it must be left out as well.
    """
    for what, hidden in under.items():
        shares = {f"p_{kind}": nuclei[f"p_{kind}"].mask(hidden, float(kind == "other")) for kind in NUCLEUS_KINDS}
        nuclei = nuclei.assign(
            type=nuclei["type"].mask(hidden, "other"),
            probability=nuclei["probability"].mask(hidden, 1.0),
            **shares,
            reason=nuclei["reason"].mask(hidden, f"under {what}, not judged; " + nuclei["reason"]),
        )
    return nuclei


def dead_look(fibres: pd.DataFrame) -> pd.Series:
    """How dead each fibre looks to the fibre network, 0..1 by `fibre_id`: odds against the section's ordinary fibres.

    Regeneration is taken off, for its bluish fibres with large nuclei are what a dusky necrotic fibre is taken for.
    """
    dead = fibres["map_necrotic"].to_numpy() + fibres["map_pale_fragmented"].to_numpy()
    odds = log_odds(dead)
    ordinary = odds[ordinary_fibres(fibres)]
    usual = min(np.median(ordinary), 0.0) if len(ordinary) else 0.0  # what looks dead sooner than not is no measure of the living
    not_regenerating = dead / np.maximum(dead + fibres["map_regenerating"].to_numpy(), 1e-6)
    return pd.Series(expit(DEAD_STEEPNESS * (odds - usual - DEAD_LOG_ODDS)) * not_regenerating, index=fibres["fibre_id"].to_numpy())


def _place_factors(nuclei: pd.DataFrame, dead: np.ndarray, settings: ClassifySettings) -> np.ndarray:
    """(n, 4) factors by place: full strength at the internal depth, none at the border, where outlines decide nothing."""
    deep = np.clip(nuclei["depth_um"].fillna(0.0).to_numpy() / settings.internal_depth_um, 0.0, 1.0)[:, None]
    in_dead, in_living = (np.array([factors[kind] for kind in NUCLEUS_KINDS]) for factors in (IN_DEAD, IN_LIVING))
    factors = 1 - deep * (1 - (dead[:, None] * in_dead + (1 - dead[:, None]) * in_living))
    between = nuclei["fibre_id"].to_numpy() == 0
    beyond = np.maximum(nuclei["fibre_distance_um"].fillna(np.inf).to_numpy() - OUTLINE_SLACK_UM, 0.0)
    factors[between, 0] = np.maximum(np.exp(-beyond[between] / MUSCLE_DECAY_UM), MUSCLE_FAR)
    return factors


def _shape_factors(nuclei: pd.DataFrame) -> np.ndarray:
    """(n, 4) factors by shape: thin nuclei, tips and slivers are no inflammatory cells, big ones no lymphocytes."""
    factors = np.ones((len(nuclei), len(NUCLEUS_KINDS)))
    macrophage, lymphocyte = NUCLEUS_KINDS.index("macrophage"), NUCLEUS_KINDS.index("lymphocyte")
    thin = nuclei["eccentricity"].to_numpy() > THIN
    factors[thin, macrophage] *= THIN_FACTOR
    factors[thin, lymphocyte] *= THIN_FACTOR
    area = nuclei["area_um2"].to_numpy()
    sliver = np.interp(area, (TINY_UM2, SLIVER_UM2), (TINY_FACTOR, 1.0))
    factors[:, macrophage] *= sliver
    factors[:, lymphocyte] *= sliver
    factors[area > BIG_UM2, lymphocyte] *= BIG_FACTOR
    return factors


def _reasons(nuclei: pd.DataFrame, seen: np.ndarray, dead: np.ndarray, best: np.ndarray) -> list[str]:
    columns = (nuclei["fibre_id"], nuclei["depth_um"], nuclei["fibre_distance_um"], nuclei["eccentricity"], nuclei["area_um2"])
    rows = zip(*(column.to_numpy() for column in columns), seen.argmax(axis=1), seen.max(axis=1, initial=0.0), dead, best, strict=True)
    return [_reason(*row) for row in rows]


def _reason(
    fibre: int, depth: float, distance: float, eccentricity: float, area: float, kind: int, seen: float, dead: float, best: int
) -> str:
    overruled = "" if kind == best else f", called {NUCLEUS_KINDS[best]} for its place or shape"
    parts = [f"looks like {NUCLEUS_KINDS[kind]} ({seen:.2f}){overruled}"]
    if fibre > 0:
        # no border within the image: no depth; below 0.1 um the outline decides nothing
        place = "in" if not np.isfinite(depth) else f"{depth:.1f} um under the border of" if depth >= AT_BORDER_UM else "at the border of"
        parts.append(f"{place} fibre {fibre}" + (", which looks dead to the network" if dead > 0.5 else ""))
    elif np.isfinite(distance):
        parts.append(f"between fibres, {distance:.1f} um from the nearest")
    else:
        parts.append("no fibre near")
    if eccentricity > THIN:
        parts.append("thin")
    if area < SLIVER_UM2:
        parts.append(f"a mere {'tip' if area < TINY_UM2 else 'sliver'} ({area:.0f} um2)")
    elif area > BIG_UM2:
        parts.append(f"large ({area:.0f} um2)")
    return "; ".join(parts)
