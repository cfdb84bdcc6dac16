"""The reader's own errors in the draws: what it misses, calls wrongly, and takes for inflammation, as measured where truth is known.

A share counted by a reader that finds and calls most, but not all, is no share of the muscle. Each bootstrap round is therefore read
by a reader whose rates are drawn from what benchmarks/score_reader.py measured by section (drawn sections, not tissue), and solved
for the truth (Rogan & Gladen 1978). Calls that a person made or confirmed are taken as they are. The counts themselves stay as counted.
"""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.score.intervals import Drawn, Resampled
from biopsy_analyzer.settings import Rate, ReaderSettings, ScoreSettings


def read_share(
    counted: Drawn, told: Drawn, part: str, seen: Resampled, rates: tuple[Rate, Rate, Rate], settings: ScoreSettings, unsure: str
) -> Drawn:
    """The share `counted` with the reader's errors in its draws, which are made of the calls `told`: all of them, or the firm ones.

    part, unsure  names of those calls among what is summed up: all, and those that no person confirmed
    rates  recall by such calls among fibres found, false ones among the others, and how often a fibre of the class is outlined
           against the others
    """
    machine = seen.total("unsure") / max(seen.total("fibres"), 1.0)  # the share of fibres that no person has confirmed
    if machine <= 0:
        return counted
    rng = np.random.default_rng(settings.seed + 1)
    recall, false = (_draw(rate, len(counted.draws), rng) for rate in rates[:2])
    found = _draw(rates[2], len(counted.draws), rng, ratio=True)
    # among the machine's own calls as many are of the class as in the section's
    called = seen.total(unsure) / seen.total(part) if seen.total(part) else 1.0
    confirmed = told.draws * (1 - called)
    own = told.draws * called
    true = np.clip((own - false * machine) / np.maximum(recall - false, 0.1), 0.0, machine)
    missed = true / np.maximum(found, 0.1)
    return Drawn(counted.value, (confirmed + missed) / (1 - true + missed))


def read_density(counted: Drawn, seen: Resampled, reader: ReaderSettings, settings: ScoreSettings) -> Drawn:
    """Inflammatory cells per mm2 with the reader's errors in the draws: cells missed, false ones, and those of missed necrotic fibres."""
    cells = seen.total("inflammatory")
    machine = seen.total("unsure_inflammatory") / cells if cells else 1.0
    if machine <= 0 or not seen.total("unsure"):
        return counted
    rng = np.random.default_rng(settings.seed + 2)
    recall, false, leak = (_draw(rate, len(counted.draws), rng) for rate in (reader.cells_recall, reader.cells_false, reader.cells_leak))
    clearing = seen.total("clearing") / seen.total("tissue")
    own = counted.draws * machine
    true = np.maximum(own - false - leak * clearing, 0.0) / np.maximum(recall, 0.1)
    return Drawn(counted.value, counted.draws * (1 - machine) + true)


def _draw(rate: Rate, n: int, rng: np.random.Generator, ratio: bool = False) -> np.ndarray:
    """n rates: Beta with that mean and SD where they are shares, Gamma where they may exceed 1 or are a `ratio` of two shares."""
    mean, sd = rate
    if sd == 0:
        return np.full(n, mean)
    if mean < 1 and not ratio:  # a Beta of a ratio near 1 would have a long tail towards 0, as if most fibres were missed
        size = mean * (1 - mean) / sd**2 - 1
        return rng.beta(mean * size, (1 - mean) * size, n)
    return rng.gamma((mean / sd) ** 2, sd**2 / mean, n)
