"""The pattern of damage: a rule on two axes, and whether the section supports it."""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.score.model import Pattern, Pattern_
from biopsy_analyzer.settings import ScoreSettings

LABELS: tuple[Pattern_, ...] = ("inactive", "necrosis-predominant", "inflammation-predominant", "mixed")


def pattern_codes(necrosis: np.ndarray, inflammation: np.ndarray, settings: ScoreSettings) -> np.ndarray:
    """Index into LABELS for each pair of axis values: inactive below `active` on both, else by the balance against the margin."""
    balance = necrosis - inflammation
    active = (necrosis >= settings.active) | (inflammation >= settings.active)
    return np.where(~active, 0, np.where(balance >= settings.balance_margin, 1, np.where(balance <= -settings.balance_margin, 2, 3)))


def find_pattern(necrosis: float, inflammation: float, draws: np.ndarray, settings: ScoreSettings, facts: tuple[str, ...]) -> Pattern:
    """The pattern of the values, or indeterminate where fewer than `min_support` of the bootstrap rounds agree.

    draws  (rounds, 2) necrosis and inflammation axis of each round;  facts  sentences with the numbers behind the axes
    """
    code = int(pattern_codes(np.array(necrosis), np.array(inflammation), settings))
    codes = pattern_codes(draws[:, 0], draws[:, 1], settings)
    support = float(np.mean(codes == code)) if len(codes) else 0.0
    balance = f"balance {necrosis - inflammation:+.2f}, {support:.0%} of bootstrap rounds give {LABELS[code]}"
    if support < settings.min_support:
        others = [label for i, label in enumerate(LABELS) if i != code and np.mean(codes == i) > 0.05]
        doubt = f"not settled: {' or '.join([LABELS[code], *others])} fit this section"
        return Pattern(label="indeterminate", support=support, reasons=(doubt, *facts, balance))
    little = (f"inflammation below {settings.active:g}: little",) if code == 1 and inflammation < settings.active else ()
    return Pattern(label=LABELS[code], support=support, reasons=(*facts, *little, balance))
