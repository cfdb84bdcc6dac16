"""Fibre states: the model's likeliest state, whether the fibre can be assessed at all, and why.

A fibre cut by the edge of the image keeps its state, for its colour and texture are seen; only its size is unknown, and sizes
leave it out. Unassessable is a fibre too small to show sarcoplasm, or one whose likeliest state is still unlikely.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from biopsy_analyzer.classify.features import count_nuclei, ordinary_fibres, relative_to_section, state_features
from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.settings import ClassifySettings
from biopsy_analyzer.tables import FIBRE_STATES

REASONS = 3  # features named for a call
DOUBT = 0.25  # a second state at least so likely is named in the reason. Prior
MAPS = {f"map_{state.replace('-', '_')}": state for state in FIBRE_STATES}


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
    for i in np.flatnonzero(small | unsure):
        why = f"too small ({fibres['area_um2'].iloc[i]:.0f} um2)" if small[i] else f"unsure ({probability[i]:.2f})"
        reasons[i] = f"unassessable, {why}; likeliest {FIBRE_STATES[best[i]]}: {reasons[i]}"
    return fibres.assign(
        state=pd.Series(np.array(FIBRE_STATES, dtype=object)[best], index=fibres.index, dtype="str"),
        probability=probability,
        **{f"p_{state.replace('-', '_')}": probabilities[:, i] for i, state in enumerate(FIBRE_STATES)},
        assessable=~(small | unsure),
        reason=pd.Series(reasons, index=fibres.index, dtype="str"),
    )


def _reasons(fibres: pd.DataFrame, model: StateModel, features: pd.DataFrame, best: np.ndarray, probabilities: np.ndarray) -> list[str]:
    """For each fibre the features that speak most for its state against normal (for normal ones: what is special all the same).

    The network's view of another state is no reason that a reader could follow and is left out, also where it adds to the call.
    """
    reasons = ["like the ordinary fibres of the section"] * len(fibres)
    sick = np.flatnonzero(best != FIBRE_STATES.index("normal"))
    contributions = model.contributions(features.iloc[sick])
    gain = contributions[np.arange(len(sick)), best[sick]] - contributions[:, FIBRE_STATES.index("normal")]
    order = np.argsort(-gain, axis=1)
    ordinary = fibres.loc[ordinary_fibres(fibres), list(MAPS)].median()
    for row, (i, fibre) in enumerate(zip(sick, fibres.iloc[sick].to_dict("records"), strict=True)):
        speaking = [model.features[f] for f in order[row] if gain[row, f] > 0]
        named = [name for name in speaking if MAPS.get(name, FIBRE_STATES[best[i]]) == FIBRE_STATES[best[i]]][:REASONS]
        phrases = [_phrase(name, fibre, features[name].iloc[i], ordinary) for name in named]
        reasons[i] = "; ".join(phrases) or "no single feature stands out"
    internal = fibres["internal_nuclei_count"].fillna(0).to_numpy()
    for i in np.flatnonzero((best == FIBRE_STATES.index("normal")) & (internal > 0)):
        reasons[i] += f"; {_counted(internal[i], 'internal nucleus', 'internal nuclei')}"
    others = probabilities.copy()
    others[np.arange(len(best)), best] = 0.0
    for i in np.flatnonzero(others.max(axis=1, initial=0.0) >= DOUBT):
        reasons[i] += f"; may be {FIBRE_STATES[others[i].argmax()]} ({others[i].max():.2f})"
    return reasons


def _phrase(name: str, fibre: dict[str, float], value: float, ordinary: pd.Series) -> str:
    """One feature in a pathologist's words, with its measured value; ordinary: the network's maps in the section's ordinary fibres."""
    if name in MAPS:
        return f"network: {MAPS[name]} {fibre[name]:.2f}, in ordinary fibres {ordinary[name]:.2f}"
    up = value > 0
    side = "above" if up else "below"
    phrases = {
        "haematoxylin": f"{'basophilic' if up else 'washed'}: haematoxylin {abs(fibre['haematoxylin_rel']):.2f} OD {side} ordinary fibres",
        "eosin": f"{'dense' if up else 'pale'}: eosin {abs(fibre['eosin_rel']):.2f} OD {side} ordinary fibres",
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


def _counted(n: float, one: str, many: str) -> str:
    return f"{n:.0f} {one if n == 1 else many}" if n > 0 else f"no {many}"
