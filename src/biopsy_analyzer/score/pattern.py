"""The pattern of damage: a rule on two axes, whether the section supports it, and whether false calls alone could give it."""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.score.axes import saturate
from biopsy_analyzer.score.model import Pattern, Pattern_
from biopsy_analyzer.settings import ScoreSettings

LABELS: tuple[Pattern_, ...] = ("inactive", "necrosis-predominant", "inflammation-predominant", "mixed", "indeterminate")
INACTIVE, NECROSIS, INFLAMMATION, MIXED, FALSE_CALLS = range(5)


def pattern_codes(necrosis: np.ndarray, inflammation: np.ndarray, settings: ScoreSettings) -> np.ndarray:
    """Index into LABELS for each pair of axis values: inactive below `active` on both, else by the balance against the margin.

    FALSE_CALLS where a side that the pattern names is not above its floor.
    """
    balance = necrosis - inflammation
    active = (necrosis >= settings.active) | (inflammation >= settings.active)
    code = np.where(balance >= settings.balance_margin, NECROSIS, np.where(balance <= -settings.balance_margin, INFLAMMATION, MIXED))
    above_necrosis, above_inflammation = above_floors(necrosis, inflammation, settings)
    named = ((code == INFLAMMATION) | above_necrosis) & ((code == NECROSIS) | above_inflammation)
    return np.where(~active, INACTIVE, np.where(named, code, FALSE_CALLS))


def above_floors(necrosis: np.ndarray, inflammation: np.ndarray, settings: ScoreSettings) -> tuple[np.ndarray, np.ndarray]:
    """Which axis values are above what false calls alone may give, necrosis and inflammation."""
    necrosis_floor = saturate(settings.necrosis_floor, settings.necrosis_half)
    inflammation_floor = saturate(settings.inflammation_floor_per_mm2, settings.inflammation_half_per_mm2)
    return necrosis > necrosis_floor, inflammation > inflammation_floor


def find_pattern(
    necrosis: float, inflammation: float, draws: np.ndarray, settings: ScoreSettings, facts: tuple[str, ...], doubts: tuple[str, ...] = ()
) -> Pattern:
    """The pattern of the values, or indeterminate: fewer than `min_support` of the bootstrap rounds agree, false calls suffice, or doubts.

    draws  (rounds, 2) necrosis and inflammation axis of each round;  facts  sentences with the numbers behind the axes
    doubts  sentences that forbid a pattern whatever the values are
    """
    values = np.array(necrosis), np.array(inflammation)
    code = int(pattern_codes(*values, settings))
    codes = pattern_codes(draws[:, 0], draws[:, 1], settings)
    support = float(np.mean(codes == code)) if len(codes) else 0.0
    found = "none of them clearly" if code == FALSE_CALLS else LABELS[code]
    balance = f"balance {necrosis - inflammation:+.2f}; by the numbers alone {found}, as in {support:.0%} of resampled sections"
    if code == FALSE_CALLS:
        floors = f"{settings.necrosis_floor:.0%} of fibres", f"{settings.inflammation_floor_per_mm2:g} cells per mm2"
        sides = zip(("necrosis", "inflammation"), above_floors(*values, settings), floors, strict=True)
        doubts += tuple(f"{side} is not above what false calls alone may give ({floor})" for side, above, floor in sides if not above)
    elif support < settings.min_support:
        others = [LABELS[i] for i in range(FALSE_CALLS) if i != code and np.mean(codes == i) > 0.05]
        doubts += (f"not settled: {' or '.join([LABELS[code], *others])} fit this section",)
    if doubts:
        return Pattern(label="indeterminate", support=support, reasons=(*doubts, *facts, balance))
    little = (f"inflammation below {settings.active:g}: little",) if code == NECROSIS and inflammation < settings.active else ()
    few = ("calls so few may all be false",) if code == INACTIVE and max(necrosis, inflammation) > 0 else ()
    return Pattern(label=LABELS[code], support=support, reasons=(*facts, *little, *few, balance))
