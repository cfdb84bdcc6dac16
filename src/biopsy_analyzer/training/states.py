"""Fits the fibre state model from tables of fibres with known states: drawn sections, and annotated real images.

Real fibres are few and count more. Three copies of each section are fitted: one without nuclei, so that the model also serves images
too coarse for them, and one without what is compared, so that it also serves sections in which no fibre looks ordinary.
Probabilities are calibrated by one temperature, on fibres of sections that the fit did not see.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from biopsy_analyzer.classify.features import COMPARED, FEATURES, NUCLEAR_FEATURES, state_features
from biopsy_analyzer.classify.state_model import StateModel, save_state_model, two_sided
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.tables import FIBRE_STATES, STATE_PROBABILITIES
from biopsy_analyzer.training.calibration import calibration, calibration_error

STRENGTH = 1.0  # inverse of the L2 penalty, per standardised slope: scikit-learn's default
FOLDS = 5
WITHOUT_NUCLEI, WITHOUT_COMPARISON = 0.3, 0.1  # weights of the copies that lack these. What others gave: docs/networks.md


def uninformed_model() -> StateModel:
    """A model that gives every fibre a quarter for each state: it lets an analysis run that only collects features."""
    f = len(FEATURES)
    slopes = np.zeros((len(FIBRE_STATES), f))
    card = {"name": "uninformed", "version": "0", "sha256": ""}
    return StateModel(FEATURES, np.zeros(f), np.ones(f), slopes, slopes, np.zeros(len(FIBRE_STATES)), card)


def states_table(section: str, fibres: pd.DataFrame, truth: Iterable[str], real: bool) -> pd.DataFrame:
    """One section's part of the table for `fit_states`: FEATURES, `section`, `truth`, `real`.

    fibres  all fibres of the section, measured and counted (the FIBRES columns that an analysis gives; its states are not used)
    truth   true state of each, "" where it is not known: such a fibre still says what is ordinary in its section
    """
    known = [state if state in FIBRE_STATES else "" for state in truth]
    table = state_features(fibres).assign(section=section, truth=known, real=real)
    return table[table["truth"] != ""].reset_index(drop=True)


def fit_states(
    table: pd.DataFrame, folder: Path, *, version: str, real_share: float = 0.1, about: dict[str, Any] | None = None
) -> StateModel:
    """Fit on the rows of `states_table` of many sections, write the model into `folder`, return it.

    real_share  share of the total weight that real fibres have together, 0..1; ignored where all are real or all drawn. A tenth, because
                those at hand are 62 of one field: three tenths read left-out drawn sections worse (docs/networks.md)
    about       further facts for the card: data, licences
    Deterministic. UsageError where a state is missing or there are fewer than two sections.
    """
    missing = [state for state in FIBRE_STATES if state not in set(table["truth"])]
    if missing or table["section"].nunique() < 2:
        raise UsageError(f"{table['section'].nunique()} sections without any {missing} fibre; wanted two sections and every state")
    weight = _weights(table, real_share)
    unseen = _cross_validated(table, weight)
    temperature = _temperature(unseen, state_codes(table), weight)
    model = _calibrated(_fit(table, weight), temperature)
    card = {
        "name": "fibre states",
        "version": version,
        "kind": "additive multinomial logistic, two slopes a feature",
        "data": {
            "sections": int(table["section"].nunique()),
            "drawn_fibres": count_by_state(table[~table["real"]]),
            "real_fibres": count_by_state(table[table["real"]]),
        },
        "real_share": real_share,
        "temperature": temperature,
        "metrics": {
            "sections_left_out": figures(table, unseen / temperature),
            "calibration_of_sections_left_out": {
                "with_temperature": _calibrated_as(table, unseen / temperature),
                "without_temperature": _calibrated_as(table, unseen),
            },
            "real_images_left_out": leave_one_image_out(table, weight, temperature),
        },
        **(about or {}),
    }
    return save_state_model(replace(model, card=card), folder)


def leave_one_image_out(table: pd.DataFrame, weight: np.ndarray, temperature: float) -> dict[str, Any]:
    """Figures of each real image by a model that never saw it, and of all together; empty without real fibres."""
    images = sorted(table.loc[table["real"], "section"].unique())
    logits = np.zeros((len(table), len(FIBRE_STATES)))
    for image in images:
        out = (table["section"] == image).to_numpy()
        logits[out] = _fit(table[~out], weight[~out]).logits(table[out]) / temperature
    by_image = {str(i): figures(table[table["section"] == i], logits[(table["section"] == i).to_numpy()]) for i in images}
    real = table["real"].to_numpy()
    return {"all": figures(table[real], logits[real]), **by_image} if images else {}


def figures(table: pd.DataFrame, logits: np.ndarray) -> dict[str, Any]:
    """Accuracy, F1 by state and their mean over the states present, AUC of sick against normal, expected calibration error."""
    truth, called = state_codes(table), logits.argmax(axis=1)
    hit = [int(((truth == k) & (called == k)).sum()) for k in range(len(FIBRE_STATES))]
    either = [int((truth == k).sum() + (called == k).sum()) for k in range(len(FIBRE_STATES))]
    f1 = {state: 2 * hit[k] / either[k] if either[k] else None for k, state in enumerate(FIBRE_STATES)}
    sick = truth > 0
    probability = np.exp(log_softmax(logits, axis=1))
    return {
        "fibres": len(table),
        "accuracy": float((truth == called).mean()),
        "f1": f1,
        "macro_f1": float(np.mean([2 * hit[k] / either[k] for k in np.unique(truth)])),
        "auc_sick": float(roc_auc_score(sick, 1 - probability[:, 0])) if 0 < sick.sum() < len(sick) else None,
        "sick_found": f"{int((called[sick] > 0).sum())} of {int(sick.sum())}",
        "normal_called_sick": f"{int((called[~sick] > 0).sum())} of {int((~sick).sum())}",
        "calibration_error": calibration_error(probability.max(axis=1), truth == called),
    }


def _calibrated_as(table: pd.DataFrame, logits: np.ndarray) -> dict[str, Any] | None:
    """Calibration of drawn and real fibres by their logits, intervals over sections; without the bins."""
    probability = pd.DataFrame(softmax(logits, axis=1), columns=list(STATE_PROBABILITIES), index=table.index)
    found = calibration(probability.assign(truth_class=table["truth"], image=table["section"]), by_image=True)
    return found and {name: {key: value for key, value in part.items() if key != "bins"} for name, part in found.items()}


def _fit(table: pd.DataFrame, weight: np.ndarray) -> StateModel:
    features = table[list(FEATURES)].to_numpy(dtype=np.float64)
    codes = state_codes(table)
    center = _center(features, codes)
    scale = _scale(features, center, codes)
    standardised = (features - center) / scale
    blind, alone = _without(standardised, NUCLEAR_FEATURES), _without(standardised, COMPARED)
    anchors = np.zeros((len(FIBRE_STATES), 2 * len(FEATURES)))  # next to no weight: so that a fold without a state still knows of it
    sides = np.concatenate([*(np.hstack(two_sided(part)) for part in (standardised, blind, alone)), anchors])
    codes = np.concatenate([codes, codes, codes, np.arange(len(FIBRE_STATES))])
    weights = np.concatenate([weight, weight * WITHOUT_NUCLEI, weight * WITHOUT_COMPARISON, np.full(len(FIBRE_STATES), 1e-3)])
    fitted = LogisticRegression(C=STRENGTH, max_iter=500, tol=1e-4).fit(sides, codes, sample_weight=weights)
    slopes, intercept = fitted.coef_, fitted.intercept_
    n = len(FEATURES)
    return StateModel(FEATURES, center, scale, slopes[:, :n], slopes[:, n:], intercept, card={})


def _without(standardised: np.ndarray, names: Iterable[str]) -> np.ndarray:
    out = standardised.copy()
    out[:, [FEATURES.index(name) for name in names]] = np.nan
    return out


def _center(features: np.ndarray, codes: np.ndarray) -> np.ndarray:
    normal = features[codes == 0]
    known = np.isfinite(normal).any(axis=0)
    center = np.zeros(features.shape[1])
    center[known] = np.nanmedian(normal[:, known], axis=0)
    return center


def _scale(features: np.ndarray, center: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """What ordinary fibres deviate by: 90 % of them less. Where they hardly deviate (macrophages inside), the spread of all fibres."""
    scale = np.ones(features.shape[1])
    known = np.isfinite(features[codes == 0]).any(axis=0)
    ordinary = np.nanquantile(np.abs(features[codes == 0][:, known] - center[known]), 0.9, axis=0)
    everyone = np.nanstd(features[:, known], axis=0)
    scale[known] = np.where(ordinary > 0.1 * everyone, ordinary, everyone)
    return np.where(scale > 1e-9, scale, 1.0)


def _cross_validated(table: pd.DataFrame, weight: np.ndarray) -> np.ndarray:
    """Logits (n, 4) of every fibre by a model that did not see its section."""
    logits = np.zeros((len(table), len(FIBRE_STATES)))
    folds = GroupKFold(min(FOLDS, table["section"].nunique()))
    for kept, left_out in folds.split(table, groups=table["section"]):
        logits[left_out] = _fit(table.iloc[kept], weight[kept]).logits(table.iloc[left_out])
    return logits


def _temperature(logits: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> float:
    """The divisor of logits that makes left-out truth likeliest (Guo 2017)."""

    def surprise(log_temperature: float) -> float:
        chosen = log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(codes)), codes]
        return float(-(weight * chosen).sum())

    return float(np.exp(minimize_scalar(surprise, bounds=(-2.0, 2.0), method="bounded").x))


def _calibrated(model: StateModel, temperature: float) -> StateModel:
    return replace(model, below=model.below / temperature, above=model.above / temperature, intercept=model.intercept / temperature)


def _weights(table: pd.DataFrame, real_share: float) -> np.ndarray:
    """(n,) weights that sum to n, real fibres together `real_share` of it."""
    real = table["real"].to_numpy(dtype=bool)
    if real.all() or not real.any():
        return np.ones(len(table))
    return np.where(real, real_share / real.mean(), (1 - real_share) / (1 - real.mean()))


def state_codes(table: pd.DataFrame) -> np.ndarray:
    """The column `truth` as places in FIBRE_STATES, int64 (n,); every row must have one."""
    return table["truth"].map({state: k for k, state in enumerate(FIBRE_STATES)}).to_numpy(dtype=np.int64)


def count_by_state(table: pd.DataFrame) -> dict[str, int]:
    """How many rows have each of FIBRE_STATES as `truth`."""
    return {state: int((table["truth"] == state).sum()) for state in FIBRE_STATES}
