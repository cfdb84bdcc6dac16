"""Fibre states: the model's likeliest state, whether the fibre can be assessed at all, and why.

A fibre cut by the edge of the image keeps its state, for its colour and texture are seen; only its size is unknown, and sizes
leave it out. Unassessable is a fibre too small to show sarcoplasm, one whose likeliest state is still unlikely, one that ink or a fold
hides, and a dark one at the cut edge of the tissue.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from biopsy_analyzer.classify.features import (
    EVEN,
    TOLD_BY,
    count_nuclei,
    ordinary_fibres,
    ordinary_look,
    relative_to_section,
    state_features,
)
from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.settings import ClassifySettings
from biopsy_analyzer.tables import FIBRE_STATES, STATE_MAPS, STATE_PROBABILITIES

REASONS = 3  # features named for a call
DOUBT = 0.25  # a second state at least so likely is named in the reason. Prior
EDGE_UM = 15.0  # from the fibre's equal-area disc to the glass, within which it lies at the cut edge: less than half a fibre. Prior
EDGE_DARK = 0.1  # of the ordinary fibres' density, above which a fibre there is hypercontracted, or so dense that it may be. Prior
ORDINARY, NEARER = "like the ordinary fibres of the section", "nearer to the ordinary fibres of the section than to any damage"
STRIKING = 0.05  # OD beside the ordinary fibres, below which a difference is measured and not called dense, pale, basophilic. Prior
ALONE = "in a section without ordinary fibres"
CUT = "; cut by the edge of the image: its size is unknown"
MAPS = dict(zip(STATE_MAPS, FIBRE_STATES, strict=True))


def classify_fibres(fibres: pd.DataFrame, nuclei: pd.DataFrame | None, model: StateModel, settings: ClassifySettings) -> pd.DataFrame:
    """`fibres` of one section with `*_rel`, the counts of nuclei, `state`, `probability`, `p_*`, `assessable` and `reason`.

    fibres  `fibre_id`, SHAPE, COLOUR and `map_*` (the fibre network's pooled states)
    nuclei  as `classify_nuclei` returns them; None where the image is too coarse for them
    `state` is the likeliest one, also of unassessable fibres; ties go to the first in FIBRE_STATES. Empty in, empty out.
    """
    fibres = count_nuclei(relative_to_section(fibres), nuclei)
    features = state_features(fibres)
    probabilities = model.predict(features)
    best, probability = probabilities.argmax(axis=1), probabilities.max(axis=1, initial=0.0)
    small = fibres["area_um2"].to_numpy() < settings.min_state_um2
    unsure = probability < settings.min_probability
    reasons = _reasons(fibres, model, features, best, probabilities)
    called = fibres.assign(
        state=pd.Series(np.array(FIBRE_STATES, dtype=object)[best], index=fibres.index, dtype="str"),
        probability=probability,
        **dict(zip(STATE_PROBABILITIES, probabilities.T, strict=True)),
        assessable=np.ones(len(fibres), dtype=bool),
        reason=pd.Series(reasons, index=fibres.index, dtype="str"),
    )
    called["reason"] += np.where(fibres["touches_border"], CUT, "")
    called = _unassessable(called, small, [f"too small ({area:.0f} um2)" for area in fibres["area_um2"]])
    return _unassessable(called, unsure, [f"unsure ({p:.2f})" for p in probability])


def mark_hidden(fibres: pd.DataFrame, under: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """`fibres` of which those that lie under something, "ink" -> bool (n,), are unassessable, with the reason; the rest as they were."""
    for what, hidden in under.items():
        fibres = _unassessable(fibres, hidden, [f"under {what}"] * len(fibres))
    return fibres


def mark_cut_edge(fibres: pd.DataFrame, to_glass_um: np.ndarray) -> pd.DataFrame:
    """`fibres` of which the dark ones at the cut edge are unassessable, with the reason: fibres contract there and look dead.

    to_glass_um  (n,) from each centre to the glass. Whatever their state: taking out sick ones alone would make the edge healthy.
    Darker than the section's ordinary fibres by a tenth of their density (haematoxylin and eosin). Pale ones are judged.
    """
    density = fibres["haematoxylin_od"] + fibres["eosin_od"]
    ordinary = density[ordinary_fibres(fibres)].median()
    dark = (density > (1 + EDGE_DARK) * ordinary).to_numpy()
    at_edge = np.asarray(to_glass_um) - fibres["equivalent_diameter_um"].to_numpy() / 2 <= EDGE_UM
    return _unassessable(fibres, dark & at_edge, ["dark at the cut edge, where fibres contract"] * len(fibres))


def _unassessable(fibres: pd.DataFrame, which: np.ndarray, why: list[str]) -> pd.DataFrame:
    """`fibres` of which those of `which`, bool (n,), can't be judged; each says once why, and what it would have been called."""
    newly = which & fibres["assessable"].to_numpy(dtype=bool)
    told = pd.Series(why, index=fibres.index, dtype="str")
    reason = "unassessable, " + told + "; likeliest " + fibres["state"] + ": " + fibres["reason"]
    return fibres.assign(reason=fibres["reason"].mask(newly, reason), assessable=fibres["assessable"] & ~newly)


def _reasons(fibres: pd.DataFrame, model: StateModel, features: pd.DataFrame, best: np.ndarray, probabilities: np.ndarray) -> list[str]:
    """For each fibre the features that speak most for its state against normal (for normal ones: for the state that they may have).

    The network's view of another state is no reason that a reader could follow and is left out, also where it adds to the call; but
    where nothing is compared a fibre called normal says what the network takes it for.
    """
    others = probabilities.copy()
    others[np.arange(len(best)), best] = 0.0
    second = others.argmax(axis=1)
    doubted = others.max(axis=1, initial=0.0) >= DOUBT
    normal = best == FIBRE_STATES.index("normal")
    ordinary = None if ordinary_look(fibres) < EVEN else fibres.loc[ordinary_fibres(fibres), list(MAPS)].median()
    internal = fibres["internal_nuclei_count"].fillna(0).to_numpy()
    alike = [ORDINARY] * len(fibres) if ordinary is not None else _uncompared(fibres, probabilities)
    reasons = alike.copy()
    told = np.flatnonzero(~normal | doubted)
    contributions = model.contributions(features.iloc[told])
    rows = zip(contributions, told, fibres.iloc[told].to_dict("records"), features.iloc[told].to_dict("records"), strict=True)
    for added, i, fibre, values in rows:
        state = second[i] if normal[i] else best[i]
        speaking = _speaking(model, added, state)[:REASONS]
        why = "; ".join(_phrase(name, fibre, values[name], ordinary) for name in speaking) or "no single feature stands out"
        doubt = f"may be {FIBRE_STATES[second[i]]} ({others[i].max():.2f})"
        if normal[i]:
            reasons[i] = f"{alike[i] if ordinary is None else NEARER}; {doubt}: {why}"
        else:
            reasons[i] = f"{why}; {doubt}" if doubted[i] else why
    for i in np.flatnonzero(normal & (ordinary is None)):
        reasons[i] += "" if ALONE in reasons[i] else f", {ALONE}"
    for i in np.flatnonzero(normal & (internal > 0)):
        found = _counted(internal[i], "internal nucleus", "internal nuclei")
        reasons[i] += "" if found in reasons[i] else f"; {found}"
    return reasons


def _uncompared(fibres: pd.DataFrame, probabilities: np.ndarray) -> list[str]:
    """For each fibre, were it called normal, what speaks for it where there is nothing to compare with."""
    seen = fibres[list(MAPS)].to_numpy()
    called = probabilities[:, FIBRE_STATES.index("normal")]
    views = zip(seen.argmax(axis=1), seen.max(axis=1, initial=0.0), called, strict=True)
    return [
        f"looks normal to the network ({looks:.2f})"
        if FIBRE_STATES[likeliest] == "normal"
        else f"called normal ({p:.2f}) though the network says {FIBRE_STATES[likeliest]} {looks:.2f}"
        for likeliest, looks, p in views
    ]


def _speaking(model: StateModel, added: np.ndarray, state: int) -> list[str]:
    """The features that speak for `state` against normal, the strongest first; added: (4, F) of one fibre."""
    gain = added[state] - added[FIBRE_STATES.index("normal")]
    place = {name: f for f, name in enumerate(model.features)}
    for again, first in TOLD_BY.items():  # one voice, told once
        if again in place and first in place:
            gain[place[first]] += gain[place[again]]
            gain[place[again]] = 0.0
    names = [model.features[f] for f in np.argsort(-gain) if gain[f] > 0]
    return [name for name in names if MAPS.get(name, FIBRE_STATES[state]) == FIBRE_STATES[state]]


def _phrase(name: str, fibre: dict[str, float], value: float, ordinary: pd.Series | None) -> str:
    """One feature in a pathologist's words, with its measured value; ordinary: the network's maps in ordinary fibres, if any."""
    if name in MAPS:
        beside = ALONE if ordinary is None else f"in ordinary fibres {ordinary[name]:.2f}"
        return f"network: {MAPS[name]} {fibre[name]:.2f}, {beside}"
    up = value > 0
    phrases = {
        "haematoxylin": _stain("haematoxylin", fibre["haematoxylin_rel"], "basophilic", "washed"),
        "eosin": _stain("eosin", fibre["eosin_rel"], "dense", "pale"),
        "haematoxylin_sd": f"blue {'uneven' if up else 'even'} (SD {fibre['haematoxylin_sd']:.2f} OD)",
        "eosin_sd": f"pink {'uneven' if up else 'even'} (SD {fibre['eosin_sd']:.2f} OD)",
        "mottling": f"{'mottled' if up else 'homogeneous'} ({fibre['mottling']:.2f})",
        "white_fraction": f"{'holes' if up else 'few holes'} ({fibre['white_fraction']:.0%} of area)",
        "solidity": f"outline {'smooth' if up else 'ragged'} (solidity {fibre['solidity']:.2f})",
        "size": f"{'large' if up else 'small'}: {2**value:.1f} of the ordinary diameter",
        "nuclear_fraction": f"nuclei cover {fibre['nuclear_fraction']:.0%}",
        "internal_nuclei": _counted(fibre["internal_nuclei_count"], "internal nucleus", "internal nuclei"),
        "macrophages_inside": f"{_counted(fibre['macrophages_inside'], 'macrophage', 'macrophages')} inside",
        "deepest_nucleus": f"deepest nucleus {fibre['deepest_nucleus_um']:.0f} um under the border" if up else "no nucleus inside",
    }
    return phrases[name]


def _stain(name: str, difference: float, more: str, less: str) -> str:
    """A stain's difference to ordinary fibres, OD: in a word only where it is seen by eye."""
    up = difference > 0
    word = f"{more if up else less}: " if abs(difference) >= STRIKING else ""
    return f"{word}{name} {abs(difference):.2f} OD {'above' if up else 'below'} ordinary fibres"


def _counted(n: float, one: str, many: str) -> str:
    return f"{n:.0f} {one if n == 1 else many}" if n > 0 else f"no {many}"
