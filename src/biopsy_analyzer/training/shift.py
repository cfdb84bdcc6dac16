"""A modest shift of a fibre state model towards a laboratory's own calls: few parameters, held to the model they start from.

Two kinds of shift are tried: the *level* (an intercept for each state and one temperature: 5 numbers), and the *slopes* as well. Both are
pulled back to no shift by a ridge. Kind and strength are chosen by cross-validation, and the simplest that is not clearly worse than
the best wins (one standard error), no shift at all being the simplest. What is reported was measured on fibres that neither choice nor
fit has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import GroupKFold, KFold

from biopsy_analyzer.classify.features import SEEN
from biopsy_analyzer.classify.state_model import StateModel, two_sided
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.calibration import calibration_error, interval_95, redrawn
from biopsy_analyzer.training.states import count_by_state, state_codes

MIN_FIBRES, MIN_OF_A_STATE = 20, 5
"""Fibres with a reader's call, and of each of at least two states, below which nothing is fitted. Priors."""

UNTOUCHED = 0.2
"""Weight of a fibre that a reader left as called in a section that he corrected: seen, perhaps, and not objected to. Prior."""

MIN_SECTIONS = 4
"""From so many sections on whole sections are held out, because fibres of one section resemble each other; below it, fibres. Prior."""

FOLDS, ROUNDS = 5, 1000
STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0)
"""Of the ridge, in fibres: a parameter's prior SD is one over its root. Slopes are held ten times as strongly. Priors."""

_MEASURED = tuple(SEEN.values())
"""Features that every fibre of an analysis has. Without them (an outline drawn by hand) it looks ordinary to the model, whatever it is."""

_SLOPES_HELD = 10.0
K = len(FIBRE_STATES)


@dataclass(frozen=True)
class Choice:
    """A kind of shift ("none", "level" or "slopes") and how strongly it is held back."""

    kind: str
    strength: float = 0.0


CHOICES = (Choice("none"), *(Choice(kind, strength) for kind in ("level", "slopes") for strength in STRENGTHS))
"""From the simplest on."""


def shift_states(table: pd.DataFrame, parent: StateModel, seed: int = 0) -> tuple[StateModel, dict[str, Any]]:
    """The parent shifted towards the calls in `table`, or the parent itself where that helps nobody; and what was found.

    table  FEATURES, `section`, `truth` (a state), `decided` (bool: the reader's own call; False: left as called)
    The report: `kept_parent` and `why`, `chosen`, `fibres`, and `held_out` with log loss, accuracy and calibration error before and after,
    each with its 95 % interval. Fibres without stain or the network's view (NaN) teach nothing; `fibres.not_measured` counts them.
    Deterministic. UsageError where there are too few calls to learn from.
    """
    measured = table[list(_MEASURED)].notna().all(axis=1)
    not_measured, table = int((~measured).sum()), table[measured].reset_index(drop=True)
    check_enough(table, not_measured)
    weight = np.where(table["decided"], 1.0, UNTOUCHED)
    by_section = table["section"].nunique() >= MIN_SECTIONS
    groups = pd.factorize(table["section"])[0] if by_section else np.arange(len(table))
    after = np.zeros((len(table), K))
    for kept, out in _folds(groups, by_section, seed):
        part, part_weight = table.iloc[kept], weight[kept]
        choice = choose(part, part_weight, groups[kept], by_section, parent, seed + 1)
        after[out] = fit_shift(part, part_weight, parent, choice).logits(table.iloc[out])
    held_out = _compared(table, weight, groups, parent.logits(table), after, seed)
    choice = choose(table, weight, groups, by_section, parent, seed + 1)
    fault = _fault(choice, held_out)
    report: dict[str, Any] = {
        "fibres": {
            "sections": int(table["section"].nunique()),
            "decided": count_by_state(table[table["decided"]]),
            "left_as_called": count_by_state(table[~table["decided"]]),
            "not_measured": not_measured,
        },
        "chosen": {"kind": choice.kind, "strength": choice.strength},
        "held_out": {"by": "sections" if by_section else "fibres of the same sections: another section may gain less", **held_out},
        "kept_parent": fault is not None,
        "why": _gain(held_out) if fault is None else f"{fault}: the parent is kept",
    }
    return (parent if report["kept_parent"] else fit_shift(table, weight, parent, choice)), report


def check_enough(table: pd.DataFrame, not_measured: int = 0) -> None:
    """UsageError, with what there is and what is wanted, where a shift would rest on too little; `not_measured` fibres are only told."""
    decided = int(table["decided"].sum())
    counts = count_by_state(table)
    states = [state for state, n in counts.items() if n >= MIN_OF_A_STATE]
    if decided < MIN_FIBRES or len(states) < 2:
        found = ", ".join(f"{n} {state}" for state, n in counts.items())
        beside = f", beside {not_measured} with outlines by hand, which can't teach" if not_measured else ""
        raise UsageError(
            f"too few corrections: {decided} fibres called by a reader ({found}, with those left as called){beside}; wanted at least "
            f"{MIN_FIBRES}, and {MIN_OF_A_STATE} fibres of two states or more. Correct more sections"
        )


def choose(table: pd.DataFrame, weight: np.ndarray, groups: np.ndarray, by_section: bool, parent: StateModel, seed: int) -> Choice:
    """The simplest of CHOICES whose cross-validated log loss is within one standard error of the best one's."""
    losses = np.zeros((len(CHOICES), len(table)))
    codes = state_codes(table)
    for kept, out in _folds(groups, by_section, seed):
        for number, choice in enumerate(CHOICES):
            model = fit_shift(table.iloc[kept], weight[kept], parent, choice)
            losses[number, out] = _log_loss(model.logits(table.iloc[out]), codes[out])
    _, group = np.unique(groups, return_inverse=True)
    mean = losses @ weight / weight.sum()
    beyond = losses - losses[mean.argmin()]
    by_group = np.stack([np.bincount(group, row * weight) for row in beyond])  # what a group adds to the difference
    error = np.sqrt(len(by_group[0])) * by_group.std(axis=1) / weight.sum()
    return CHOICES[int(np.flatnonzero(mean - mean.min() <= error + 1e-12)[0])]


def fit_shift(table: pd.DataFrame, weight: np.ndarray, parent: StateModel, choice: Choice) -> StateModel:
    """The parent with the shift of that kind and strength which makes the calls of `table` likeliest."""
    if choice.kind == "none":
        return parent
    logits, codes = parent.logits(table), state_codes(table)
    sides = _sides(parent, table) if choice.kind == "slopes" else np.zeros((len(table), 0))
    held = choice.strength * np.r_[np.ones(K + 1), np.full(sides.shape[1] * K, _SLOPES_HELD)]
    target = np.eye(K)[codes]

    def surprise(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_scale, offset, slopes = parameters[0], parameters[1 : K + 1], parameters[K + 1 :].reshape(K, -1)
        shifted = np.exp(log_scale) * logits + offset + sides @ slopes.T
        wrong = weight[:, None] * (softmax(shifted, axis=1) - target)
        gradient = np.r_[(wrong * np.exp(log_scale) * logits).sum(), wrong.sum(axis=0), (wrong.T @ sides).ravel()]
        loss = weight @ _log_loss(shifted, codes) + 0.5 * float(held @ parameters**2)
        return float(loss), gradient + held * parameters

    found = minimize(surprise, np.zeros(len(held)), jac=True, method="L-BFGS-B").x
    scale, slopes = np.exp(found[0]), found[K + 1 :].reshape(K, -1)
    below, above = (slopes[:, : sides.shape[1] // 2], slopes[:, sides.shape[1] // 2 :]) if sides.shape[1] else (0.0, 0.0)
    return replace(
        parent,
        below=parent.below * scale + below,
        above=parent.above * scale + above,
        intercept=parent.intercept * scale + found[1 : K + 1],
    )


def _compared(
    table: pd.DataFrame, weight: np.ndarray, groups: np.ndarray, before: np.ndarray, after: np.ndarray, seed: int
) -> dict[str, Any]:
    """Figures on held-out fibres before and after, with intervals over groups; those of decided fibres apart."""
    codes, decided = state_codes(table), table["decided"].to_numpy(dtype=bool)
    figures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "log_loss": lambda logits, rows: float(np.average(_log_loss(logits[rows], codes[rows]), weights=weight[rows])),
        "accuracy": lambda logits, rows: float(np.average(logits[rows].argmax(axis=1) == codes[rows], weights=weight[rows])),
        "accuracy_of_decided": lambda logits, rows: _share((logits.argmax(axis=1) == codes)[rows], decided[rows]),
        "calibration_error": lambda logits, rows: calibration_error(
            softmax(logits[rows], axis=1).max(axis=1), logits[rows].argmax(axis=1) == codes[rows]
        ),
    }
    rng = np.random.default_rng(seed)
    drawn = redrawn(groups, ROUNDS, rng)
    everyone = np.arange(len(table))
    found: dict[str, Any] = {
        when: {
            name: {"value": of(logits, everyone), "ci95": interval_95([of(logits, rows) for rows in drawn])} for name, of in figures.items()
        }
        for when, logits in (("before", before), ("after", after))
    }
    loss = figures["log_loss"]
    change = [loss(after, rows) - loss(before, rows) for rows in drawn]
    found["log_loss_change"] = {"value": loss(after, everyone) - loss(before, everyone), "ci95": interval_95(change)}
    return found


def _fault(choice: Choice, held_out: dict[str, Any]) -> str | None:
    """Why the parent is to be kept; None: the shift is to be taken."""
    if choice.kind == "none":
        return "no shift is clearly better than the parent on fibres held out"
    if held_out["log_loss_change"]["value"] >= 0:
        return f"{_loss_change(held_out)}, which is no gain"
    before, after = (held_out[when]["accuracy_of_decided"]["value"] for when in ("before", "after"))
    if after < before:  # better probabilities with more wrong calls are no help to who reads the calls
        return f"of the reader's calls held out fewer are right, {before:.3f} before and {after:.3f} after, though {_loss_change(held_out)}"
    return None


def _gain(held_out: dict[str, Any]) -> str:
    return _loss_change(held_out) + ("" if held_out["log_loss_change"]["ci95"][1] < 0 else "; the gain is not certain")


def _loss_change(held_out: dict[str, Any]) -> str:
    change = held_out["log_loss_change"]
    low, high = change["ci95"]
    return f"log loss on held-out fibres changes by {change['value']:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"


def _folds(groups: np.ndarray, by_section: bool, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits into kept and left out: of whole groups, or of fibres at random."""
    everyone = np.arange(len(groups))
    if by_section:
        return list(GroupKFold(min(FOLDS, len(np.unique(groups)))).split(everyone, groups=groups))
    return list(KFold(FOLDS, shuffle=True, random_state=seed).split(everyone))


def _sides(model: StateModel, table: pd.DataFrame) -> np.ndarray:
    """Features (n, 2 F) as the model's slopes meet them, below and above the ordinary fibre."""
    return np.hstack(two_sided((table[list(model.features)].to_numpy(dtype=np.float64) - model.center) / model.scale))


def _log_loss(logits: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.asarray(-log_softmax(logits, axis=1)[np.arange(len(codes)), codes])


def _share(hit: np.ndarray, chosen: np.ndarray) -> float:
    return float(hit[chosen].mean()) if chosen.any() else float("nan")
