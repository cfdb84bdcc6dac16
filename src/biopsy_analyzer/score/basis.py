"""The quantities of a section with their draws, the reader's errors in them, and the pattern: what axes and evidence are read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from biopsy_analyzer.score.axes import axis_values
from biopsy_analyzer.score.doubts import NO_DOUBTS, Doubts
from biopsy_analyzer.score.intervals import Drawn, Resampled
from biopsy_analyzer.score.judged import figure
from biopsy_analyzer.score.model import Axis, Pattern
from biopsy_analyzer.score.pattern import find_pattern
from biopsy_analyzer.score.reader import read_density, read_share
from biopsy_analyzer.score.stages import find_stages
from biopsy_analyzer.settings import Rate, ScoreSettings, Settings

NO_BALANCE = Axis(value=None, ci95=None)


@dataclass(frozen=True)
class Basis:
    """What was found of a section; `why_not` says why there is nothing, `cells` whether nuclei and tissue area are known."""

    pattern: Pattern
    why_not: str = ""
    cells: bool = False
    doubts: Doubts = NO_DOUBTS
    seen: Resampled | None = None
    necrosis: Drawn | None = None
    regeneration: Drawn | None = None
    inflammation: Drawn | None = None
    balance: Axis = NO_BALANCE
    mixing: Drawn | None = None


def find_basis(seen: Resampled | None, fibres: int, warnings: list[str], doubts: Doubts, with_cells: bool, settings: Settings) -> Basis:
    """The basis of a section of so many assessable `fibres`; seen None: too few, of which `warnings` tells first."""
    if seen is None:
        return Basis(Pattern(label="indeterminate", support=None, reasons=(warnings[0],)), warnings[0], with_cells, doubts)
    shares = _shares(seen, settings)
    facts = tuple(_fact(share, what) for share, what in zip(shares, ("necrotic or pale-fragmented", "regenerating"), strict=True))
    inflamed = None
    counted = seen.density("inflammatory", settings.score.cells_design) if with_cells else None
    if counted is not None:
        inflamed = read_density(counted, seen, settings.reader, settings.score)
        facts += (_cells_fact(inflamed), *doubts.cells)
    facts += _few(fibres, settings.score)
    if inflamed is None:
        reasons = (warnings[-1], *doubts.section, *doubts.reference, *facts)
        pattern, balance, mixing = Pattern(label="indeterminate", support=None, reasons=reasons), NO_BALANCE, None
    else:
        pattern, balance = _pattern(*shares, inflamed, facts, doubts, settings.score)
        mixing = find_stages(seen, settings.space.min_damaged)[1]
    return Basis(pattern, "", with_cells, doubts, seen, *shares, inflamed, balance, mixing)


def _shares(seen: Resampled, settings: Settings) -> tuple[Drawn, Drawn]:
    """Necrosis and regeneration."""
    necrosis, regeneration = (_share(seen, part, rates, settings) for part, rates in settings.reader.by_state().items())
    return necrosis, regeneration


def _share(seen: Resampled, part: str, rates: tuple[Rate, Rate, Rate], settings: Settings) -> Drawn:
    told_part = "firm_necrotic" if part == "necrotic" else part  # healthy fibres are seldom called regenerating, firmly or not
    counted, told = seen.share(part, "fibres"), seen.share(told_part, "fibres")
    assert counted is not None  # at least `min_fibres`
    assert told is not None
    return read_share(counted, told, told_part, seen, rates, settings.score, f"unsure_{part}")


def _pattern(
    necrosis: Drawn, regeneration: Drawn, inflamed: Drawn, facts: tuple[str, ...], doubts: Doubts, settings: ScoreSettings
) -> tuple[Pattern, Axis]:
    """The pattern, and the balance with its interval."""
    values = axis_values(np.array([necrosis.value, regeneration.value, inflamed.value]), settings)
    drawn = axis_values(np.column_stack([necrosis.draws, regeneration.draws, inflamed.draws]), settings)
    balance = Drawn(float(values[0] - values[2]), drawn[:, 0] - drawn[:, 2])
    pattern = find_pattern(values[0], values[2], drawn[:, [0, 2]], settings, facts, (*doubts.section, *doubts.reference))
    return pattern, Axis(value=balance.value, ci95=balance.interval())


def _fact(quantity: Drawn, what: str) -> str:
    low, high = quantity.interval()
    return f"{quantity.value:.1%} of fibres {what} (95 % interval {low:.1%} to {high:.1%})"


def _cells_fact(inflamed: Drawn) -> str:
    low, high = inflamed.interval()
    return f"{figure(inflamed.value)} interstitial inflammatory cells per mm2 (95 % interval {figure(low)} to {figure(high)})"


def _few(fibres: int, settings: ScoreSettings) -> tuple[str, ...]:
    if fibres >= settings.settled_fibres:
        return ()
    return (f"{fibres} fibres; figures settle at about {settings.settled_fibres}: read this for the section, not for the muscle",)
