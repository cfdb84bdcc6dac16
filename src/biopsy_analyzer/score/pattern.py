"""The pattern of damage: a rule on two axes, how probable each pattern is, and whether false calls alone could give it."""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.score.axes import saturate
from biopsy_analyzer.score.model import Pattern, Pattern_
from biopsy_analyzer.settings import ScoreSettings

LABELS: tuple[Pattern_, ...] = ("inactive", "necrosis-predominant", "inflammation-predominant", "mixed", "indeterminate")
INACTIVE, NECROSIS, INFLAMMATION, MIXED = range(4)
FITS = 0.05  # share of the rounds from which a pattern is said to fit: what one round in twenty gives is not ruled out. Convention


def pattern_codes(necrosis: np.ndarray, inflammation: np.ndarray, settings: ScoreSettings) -> np.ndarray:
    """Index into LABELS for each pair of axis values.

    Inactive where neither is above its floor, else by the balance against the margin; necrosis is predominant only where there is little
    inflammation besides (no more than `little_inflammation`), and mixed is what is left.
    """
    balance = necrosis - inflammation
    above_necrosis, above_inflammation = above_floors(necrosis, inflammation, settings)
    alone = above_necrosis & (balance >= settings.balance_margin) & (inflammation <= settings.little_inflammation)
    inflamed = above_inflammation & (balance <= -settings.balance_margin)
    code = np.where(alone, NECROSIS, np.where(inflamed, INFLAMMATION, MIXED))
    return np.where(above_necrosis | above_inflammation, code, INACTIVE)


def above_floors(necrosis: np.ndarray, inflammation: np.ndarray, settings: ScoreSettings) -> tuple[np.ndarray, np.ndarray]:
    """Which axis values are above what false calls alone may give, necrosis and inflammation."""
    necrosis_floor = saturate(settings.necrosis_floor, settings.necrosis_half)
    inflammation_floor = saturate(settings.inflammation_floor_per_mm2, settings.inflammation_half_per_mm2)
    return necrosis > necrosis_floor, inflammation > inflammation_floor


def find_pattern(
    necrosis: float, inflammation: float, draws: np.ndarray, settings: ScoreSettings, facts: tuple[str, ...], doubts: tuple[str, ...] = ()
) -> Pattern:
    """The likeliest pattern of the draws, or indeterminate: in fewer than `min_support` of them, or false calls suffice, or doubts.

    draws  (rounds, 2) necrosis and inflammation axis of each round, with the reader's errors in them; what was counted decides nothing
    facts  sentences with the numbers behind the axes;  doubts  sentences that forbid a pattern whatever the values are: then none is named
    """
    shares = np.bincount(pattern_codes(draws[:, 0], draws[:, 1], settings), minlength=4) / max(len(draws), 1)
    code = int(shares.argmax())
    support = float(shares[code])
    if doubts:
        return Pattern(label="indeterminate", support=support, reasons=(*doubts, *facts))
    fits = tuple(LABELS[i] for i in np.argsort(-shares, kind="stable") if shares[i] >= FITS)
    against = _false_calls(code, np.array(necrosis), np.array(inflammation), settings)
    if support < settings.min_support:
        against += (f"not settled: {' or '.join(fits)} {'fits' if len(fits) == 1 else 'fit'} this section",)
    balance = f"balance {necrosis - inflammation:+.2f}; {LABELS[code]} in {support:.0%} of resampled sections"
    if against:
        return Pattern(label="indeterminate", support=support, fits=fits, reasons=(*against, *facts, balance))
    little = (f"little inflammation: its axis is below {settings.active:g}",) if code == NECROSIS and inflammation < settings.active else ()
    few = ("calls so few may all be false",) if code == INACTIVE and max(necrosis, inflammation) > 0 else ()
    return Pattern(label=LABELS[code], support=support, fits=fits, reasons=(*facts, *little, *few, balance))


def _false_calls(code: int, necrosis: np.ndarray, inflammation: np.ndarray, settings: ScoreSettings) -> tuple[str, ...]:
    """A sentence for each side that the pattern names and that is not above its floor."""
    floors = f"{settings.necrosis_floor:.0%} of fibres", f"{settings.inflammation_floor_per_mm2:g} cells per mm2"
    named = code in (NECROSIS, MIXED), code in (INFLAMMATION, MIXED)
    sides = zip(("necrosis", "inflammation"), named, above_floors(necrosis, inflammation, settings), floors, strict=True)
    return tuple(
        f"{side} is not above what false calls alone may give ({floor})" for side, told, above, floor in sides if told and not above
    )
