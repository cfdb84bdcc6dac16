"""Rates that are known exactly are solved by hand."""

import numpy as np
import pytest

from biopsy_analyzer.score.intervals import Drawn, Resampled
from biopsy_analyzer.score.reader import read_density, read_share
from biopsy_analyzer.settings import ReaderSettings, ScoreSettings

SETTINGS = ScoreSettings()
PERFECT = ((1.0, 0.0), (0.0, 0.0), (1.0, 0.0))


def section(**totals):
    values = np.array(list(totals.values()), dtype=float)
    return Resampled(tuple(totals), values, np.tile(values, (500, 1)), 9)


def at(value):
    return Drawn(value, np.full(500, value))


UNSURE = section(fibres=1000, unsure=1000, necrotic=100, firm_necrotic=100, unsure_necrotic=100)


@pytest.mark.parametrize(
    ("rates", "truth"),
    [
        (PERFECT, 0.1),
        (((0.5, 0.0), (0.0, 0.0), (1.0, 0.0)), 0.2),  # half of the necrotic ones are called so
        (((1.0, 0.0), (0.05, 0.0), (1.0, 0.0)), 0.05 / 0.95),  # 0.1 = t + 0.05 (1 - t)
        (((1.0, 0.0), (0.1, 0.0), (1.0, 0.0)), 0.0),  # all of them may be false
        (((1.0, 0.0), (0.0, 0.0), (0.5, 0.0)), 0.2 / 1.1),  # half of the necrotic ones are missed: 2 x 100 of 1100
    ],
)
def test_solved_for_the_truth(rates, truth):
    found = read_share(at(0.1), at(0.1), "firm_necrotic", UNSURE, rates, SETTINGS, "unsure_necrotic")
    assert found.draws == pytest.approx(np.full(500, truth))
    assert found.value == 0.1
    low, high = found.interval()
    assert low <= 0.1 <= high


def test_what_a_person_confirmed_is_taken_as_it_is():
    rates = ReaderSettings().by_state()["necrotic"]
    confirmed = section(fibres=1000, unsure=0, necrotic=100, firm_necrotic=100, unsure_necrotic=0)
    assert read_share(at(0.1), at(0.1), "firm_necrotic", confirmed, rates, SETTINGS, "unsure_necrotic").draws == pytest.approx(
        np.full(500, 0.1)
    )
    half = section(fibres=1000, unsure=500, necrotic=100, firm_necrotic=100, unsure_necrotic=50)
    spread = [np.std(read_share(at(0.1), at(0.1), "firm_necrotic", of, rates, SETTINGS, "unsure_necrotic").draws) for of in (half, UNSURE)]
    assert 0 < spread[0] < spread[1]


def test_uncertain_rates_widen():
    rates = ((0.9, 0.05), (0.01, 0.01), (0.9, 0.1))
    low, high = read_share(at(0.1), at(0.1), "firm_necrotic", UNSURE, rates, SETTINGS, "unsure_necrotic").interval()
    assert low < 0.1 < high
    assert high - low > 0.02


def test_cells():
    seen = section(unsure=100, inflammatory=200, unsure_inflammatory=200, clearing=100, tissue=2.0)
    reader = ReaderSettings(cells_recall=(0.8, 0.0), cells_false=(20.0, 0.0), cells_leak=(0.1, 0.0))
    found = read_density(at(100.0), seen, reader, SETTINGS)
    assert found.draws == pytest.approx(np.full(500, (100 - 20 - 0.1 * 50) / 0.8))
    assert found.value == 100
    sure = section(unsure=0, inflammatory=200, unsure_inflammatory=0, clearing=100, tissue=2.0)
    assert np.ptp(read_density(at(100.0), sure, reader, SETTINGS).draws) == 0
