"""A modest shift of a fibre state model towards a laboratory's own calls: few parameters, held to the model they start from.

Two kinds of shift are tried: the *level* (an intercept for each state: 4 numbers), and the *slopes* as well. Both are pulled back to no
shift by a ridge. The temperature stays the parent's, because neither corrected errors nor calls that nobody objected to are a fair sample
to take one from. Kind and strength are chosen by cross-validation, and the simplest that is not clearly worse than the best wins (one
standard error), no shift at all being the simplest. What is reported was measured on fibres that neither choice nor fit has seen, and on
drawn ones whose truth no reader has told.
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
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.calibration import calibration_error, interval_95, redrawn
from biopsy_analyzer.training.known import forgotten, read_known
from biopsy_analyzer.training.states import count_by_state, state_codes

MIN_FIBRES, MIN_CONTRADICTED = 20, 5
"""Fibres with a reader's call, and of them those that the parent calls otherwise, below which the parent is kept. Priors."""

UNTOUCHED = 0.2
"""Weight of a fibre that a reader left as called in a section that he corrected: seen, perhaps, and not objected to. It holds a shift back,
and is no evidence that the parent is right. Prior."""

MIN_SECTIONS = 4
"""From so many sections on whole sections are held out, because fibres of one section resemble each other; below it, fibres. Prior."""

FOLDS, ROUNDS = 5, 1000
STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0)
"""Of the ridge, in fibres: a parameter's prior SD is one over its root. Slopes are held ten times as strongly. Priors."""

_SLOPES_HELD = 10.0
K = len(FIBRE_STATES)


@dataclass(frozen=True)
class Choice:
    """A kind of shift ("none", "level" or "slopes") and how strongly it is held back."""

    kind: str
    strength: float = 0.0


CHOICES = (Choice("none"), *(Choice(kind, strength) for kind in ("level", "slopes") for strength in STRENGTHS))
"""From the simplest on."""


def shift_states(table: pd.DataFrame, parent: StateModel, known: pd.DataFrame, seed: int = 0) -> tuple[StateModel, dict[str, Any]]:
    """The parent shifted towards the calls in `table`, or the parent itself where that helps nobody; and what was found.

    table  FEATURES, `section`, `truth` (a state), `decided` (bool: the reader's own call; False: left as called)
    known  FEATURES and `truth` of `known.known_fibres`, which a shift must not read worse
    The report: `kept_parent` and `why`, `chosen`, `fibres`, `held_out` with log loss, accuracy and calibration error before and after,
    each with its 95 % interval (null where too few calls were decided to fit anything), and `known` with the figures of `read_known`.
    Fibres without stain or the network's view (NaN) teach nothing; `fibres.not_measured` counts them. Deterministic.
    """
    measured = _measured(table)
    not_measured, table = int((~measured).sum()), table[measured].reset_index(drop=True)
    decided = table["decided"].to_numpy(dtype=bool)
    by_section = table["section"].nunique() >= MIN_SECTIONS
    report: dict[str, Any] = {
        "fibres": {
            "sections": int(table["section"].nunique()),
            "decided": count_by_state(table[decided]),
            "contradicted": int((parent.logits(table).argmax(axis=1) != state_codes(table))[decided].sum()),
            "left_as_called": count_by_state(table[~decided]),
            "not_measured": not_measured,
        },
        "chosen": {"kind": "none", "strength": 0.0},
        "held_out": None,
        "known": {"before": read_known(parent, known), "after": None},
        "kept_parent": True,
    }
    if decided.sum() < MIN_FIBRES:
        return parent, report | {"why": _too_few(int(decided.sum()), not_measured)}
    weight = np.where(decided, 1.0, UNTOUCHED)
    groups = pd.factorize(table["section"])[0] if by_section else np.arange(len(table))
    choice = choose(table, weight, groups, by_section, parent, seed + 1)
    model = fit_shift(table, weight, parent, choice)
    after = _left_out(table, weight, groups, by_section, parent, seed)
    held_out = _compared(table, weight, groups, parent.logits(table), after, seed)
    report["chosen"] = {"kind": choice.kind, "strength": choice.strength}
    report["held_out"] = {"by": "sections" if by_section else "fibres of the same sections: another section may gain less", **held_out}
    report["known"]["after"] = read_known(model, known)
    fault = _fault(report) or forgotten(report["known"]["before"], report["known"]["after"])
    report |= {"kept_parent": fault is not None, "why": _gain(held_out) if fault is None else fault}
    return (model if fault is None else parent), report


def _measured(table: pd.DataFrame) -> pd.Series:
    """Which fibres the network saw and whose stain is known: an outline drawn by hand looks ordinary to the model, whatever it is.

    Where nothing is compared, no fibre of the section has a stain.
    """
    compared = table.groupby("section")["eosin"].transform("count") > 0
    return table[list(SEEN.values())].notna().all(axis=1) & (table["eosin"].notna() | ~compared)


def _too_few(decided: int, not_measured: int) -> str:
    beside = f", beside {not_measured} with outlines by hand, which can't teach states" if not_measured else ""
    return f"too few corrections: {decided} fibres called by a reader{beside}; wanted at least {MIN_FIBRES}. Correct more sections"


def _left_out(table: pd.DataFrame, weight: np.ndarray, groups: np.ndarray, by_section: bool, parent: StateModel, seed: int) -> np.ndarray:
    """Logits (n, 4) of every fibre by a shift that was chosen and fitted without its fold."""
    logits = np.zeros((len(table), K))
    for kept, out in _folds(groups, by_section, seed):
        part, part_weight = table.iloc[kept], weight[kept]
        choice = choose(part, part_weight, groups[kept], by_section, parent, seed + 1)
        logits[out] = fit_shift(part, part_weight, parent, choice).logits(table.iloc[out])
    return logits


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
    held = choice.strength * np.r_[np.ones(K), np.full(sides.shape[1] * K, _SLOPES_HELD)]
    target = np.eye(K)[codes]

    def surprise(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        shifted = logits + parameters[:K] + sides @ parameters[K:].reshape(K, -1).T
        wrong = weight[:, None] * (softmax(shifted, axis=1) - target)
        gradient = np.r_[wrong.sum(axis=0), (wrong.T @ sides).ravel()]
        loss = weight @ _log_loss(shifted, codes) + 0.5 * float(held @ parameters**2)
        return float(loss), gradient + held * parameters

    found = minimize(surprise, np.zeros(len(held)), jac=True, method="L-BFGS-B").x
    slopes = found[K:].reshape(K, -1)
    below, above = (slopes[:, : sides.shape[1] // 2], slopes[:, sides.shape[1] // 2 :]) if sides.shape[1] else (0.0, 0.0)
    return replace(parent, below=parent.below + below, above=parent.above + above, intercept=parent.intercept + found[:K])


def _compared(
    table: pd.DataFrame, weight: np.ndarray, groups: np.ndarray, before: np.ndarray, after: np.ndarray, seed: int
) -> dict[str, Any]:
    """Figures on held-out fibres before and after, with intervals over groups: of decided fibres, and of all by their weight one."""
    codes, decided = state_codes(table), table["decided"].to_numpy(dtype=bool)

    def figures(logits: np.ndarray) -> dict[str, Callable[[np.ndarray], float]]:
        loss, hit, stated = _log_loss(logits, codes), logits.argmax(axis=1) == codes, softmax(logits, axis=1).max(axis=1)
        return {
            "log_loss": lambda rows: _mean(loss[rows[decided[rows]]]),
            "accuracy_of_decided": lambda rows: _mean(hit[rows[decided[rows]]]),
            "calibration_error": lambda rows: calibration_error(stated[rows[decided[rows]]], hit[rows[decided[rows]]]),
            "accuracy": lambda rows: float(np.average(hit[rows], weights=weight[rows])),
        }

    drawn = redrawn(groups, ROUNDS, np.random.default_rng(seed))
    everyone = np.arange(len(table))
    earlier, later = figures(before), figures(after)
    found: dict[str, Any] = {
        when: {name: {"value": of(everyone), "ci95": interval_95([of(rows) for rows in drawn])} for name, of in by_name.items()}
        for when, by_name in (("before", earlier), ("after", later))
    }

    def change(rows: np.ndarray) -> float:
        return later["log_loss"](rows) - earlier["log_loss"](rows)

    found["log_loss_change"] = {"value": change(everyone), "ci95": interval_95([change(rows) for rows in drawn])}
    return found


def _fault(report: dict[str, Any]) -> str | None:
    """Why the reader's own calls, or those left as called, speak for the parent; None: they don't."""
    decided, contradicted, held_out = sum(report["fibres"]["decided"].values()), report["fibres"]["contradicted"], report["held_out"]
    if contradicted < MIN_CONTRADICTED:
        return f"the reader calls {contradicted} of {decided} fibres otherwise than the parent; wanted at least {MIN_CONTRADICTED}"
    if report["chosen"]["kind"] == "none":
        return "no shift is clearly better than the parent on fibres held out"
    if held_out["log_loss_change"]["value"] >= 0:
        return f"{_loss_change(held_out)}, which is no gain"
    for name, whose, meaning in (
        ("accuracy_of_decided", "the reader's", ""),  # better probabilities with more wrong calls are no help to who reads the calls
        ("accuracy", "all", "; corrections contradict each other, or calls that were left standing"),
    ):
        before, after = (held_out[when][name]["value"] for when in ("before", "after"))
        if after < before - 1e-9:
            lost = f"of {whose} calls held out fewer are right, {before:.3f} before and {after:.3f} after"
            return f"{lost}, though {_loss_change(held_out)}{meaning}"
    return None


def _gain(held_out: dict[str, Any]) -> str:
    return _loss_change(held_out) + ("" if held_out["log_loss_change"]["ci95"][1] < 0 else "; the gain is not certain")


def _loss_change(held_out: dict[str, Any]) -> str:
    change = held_out["log_loss_change"]
    low, high = change["ci95"]
    return f"log loss of the reader's calls held out changes by {change['value']:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"


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


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
