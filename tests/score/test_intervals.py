import numpy as np
import pytest
from scipy.stats import beta, chi2

from biopsy_analyzer.score.axes import Observed
from biopsy_analyzer.score.intervals import Drawn, Resampled, block_sums, resample
from biopsy_analyzer.settings import ScoreSettings

SETTINGS = ScoreSettings(bootstrap_rounds=4000)


def observed(yx, necrotic, cells=(), doubt=0.0):
    n = len(yx)
    cells = np.reshape(np.asarray(cells, dtype=float), (-1, 2))
    fibres = {"fibres": np.ones(n), "necrotic": np.asarray(necrotic, dtype=float)}
    return Observed(yx, cells, fibres, {"inflammatory": np.ones(len(cells))}, {"necrotic": np.full(n, doubt)})


def drawn_again(seen, area=7.84, settings=SETTINGS):
    return resample(block_sums(seen, area, settings), settings)


def lattice(side, step=70.0):
    return np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2) * step + step / 2


def constant(blocks=10_000, **totals):
    """A section whose blocks are all alike: the bootstrap adds nothing to counting."""
    totals = np.array(list(totals.values()), dtype=float), tuple(totals)
    return Resampled(totals[1], totals[0], np.tile(totals[0], (4000, 1)), blocks)


def test_equal_blocks_give_the_jeffreys_interval():
    found = constant(fibres=400, necrotic=40).share("necrotic", "fibres").interval()
    # the spread is known from 40 events, so t of 39 degrees stands instead of the normal
    assert found == pytest.approx(beta.interval(0.95, 40.5, 360.5), abs=0.003)
    assert constant(fibres=50, necrotic=0).share("necrotic", "fibres").interval() == pytest.approx(
        (0, beta.ppf(0.975, 0.5, 50.5)), abs=1e-3
    )
    assert constant(fibres=50, necrotic=50).share("necrotic", "fibres").interval()[1] == 1
    assert constant(fibres=0, necrotic=0).share("necrotic", "fibres") is None


def test_equal_blocks_give_the_jeffreys_interval_of_a_poisson_count():
    found = constant(tissue=2.0, cells=100).density("cells").interval()
    assert found == pytest.approx(chi2.ppf([0.025, 0.975], 201) / 2 / 2, rel=0.02)
    assert constant(tissue=2.0, cells=0).density("cells").interval() == pytest.approx((0, chi2.ppf(0.975, 1) / 2 / 2), abs=1e-2)
    assert constant(tissue=0.0, cells=0).density("cells") is None


def test_cells_that_come_in_groups_are_fewer_events():
    low, high = constant(tissue=2.0, cells=100).density("cells", least_design=4.0).interval()
    assert (low, high) == pytest.approx(chi2.ppf([0.025, 0.975], 51) / 2 * 4 / 2, rel=0.05)


def test_the_count_lies_in_its_own_interval():
    assert Drawn(0.5, np.linspace(0.6, 0.7, 100)).interval()[0] == 0.5
    assert Drawn(0.9, np.linspace(0.6, 0.7, 100)).interval()[1] == 0.9


def test_blocks_lose_nothing():
    rng = np.random.default_rng(0)
    yx = rng.uniform(0, 6000, (500, 2))
    necrotic = (rng.random(500) < 0.2).astype(float)
    blocks = block_sums(observed(yx, necrotic, rng.uniform(0, 6000, (70, 2)), doubt=0.1), 9.0, SETTINGS)
    assert blocks.names == ("fibres", "necrotic", "inflammatory", "tissue")
    assert blocks.sums.sum(axis=0) == pytest.approx([500, necrotic.sum(), 70, 9.0])
    assert blocks.doubts.sum(axis=0) == pytest.approx([0, 50, 0, 0])
    assert len(blocks.sums) > 90


def test_full_blocks_have_equal_tissue():
    sums = block_sums(observed(lattice(60), np.zeros(3600)), 17.6, SETTINGS).sums
    full = sums[sums[:, 0] > 60, 3]
    assert len(full) > 20
    assert full.std() / full.mean() < 0.15


def test_a_small_section_still_has_blocks():
    assert len(block_sums(observed(lattice(8), np.zeros(64)), 0.3, SETTINGS).sums) >= SETTINGS.min_blocks


def test_grouped_necrosis_is_less_certain_than_scattered():
    yx = lattice(60)
    scattered = (np.random.default_rng(1).random(3600) < 0.1).astype(float)
    grouped = (np.hypot(*(yx - 1400).T) < 750).astype(float)
    width = []
    for necrotic in (scattered, grouped):
        low, high = drawn_again(observed(yx, necrotic)).share("necrotic", "fibres").interval()
        width.append((high - low) / np.sqrt(necrotic.mean() * (1 - necrotic.mean())))
    assert width[1] > 2 * width[0]


def test_scattered_spread_is_that_of_the_binomial():
    necrotic = (np.random.default_rng(2).random(3600) < 0.1).astype(float)
    draws = drawn_again(observed(lattice(60), necrotic), 17.6).share("necrotic", "fibres").draws
    assert draws.mean() == pytest.approx(necrotic.mean(), abs=0.002)
    assert draws.std() == pytest.approx(np.sqrt(0.1 * 0.9 / 3600), rel=0.3)


def test_doubt_adds_its_variance():
    necrotic = np.zeros(3600)
    necrotic[::2] = 1.0
    sure, doubtful = (drawn_again(observed(lattice(60), necrotic, doubt=d)).rounds[:, 1].var() for d in (0.0, 0.25))
    assert doubtful - sure == pytest.approx(0.25 * 3600, rel=0.3)


def test_what_varies_together_stays_together():
    """Necrosis and cells in the same half of the section: rounds with more of one have more of the other."""
    yx = lattice(60)
    necrotic = (yx[:, 0] < 2100) * (np.random.default_rng(0).random(3600) < 0.3)
    cells = np.random.default_rng(1).uniform(0, 1, (500, 2)) * [2100, 4200]
    seen = drawn_again(observed(yx, necrotic, cells))
    assert np.corrcoef(seen.share("necrotic", "fibres").draws, seen.density("inflammatory").draws)[0, 1] > 0.6


@pytest.mark.parametrize("turn", ["rows", "quarter", "mirror", "shift"])
def test_draws_do_not_depend_on_how_the_section_lies(turn):
    rng = np.random.default_rng(5)
    yx, cells = rng.uniform(0, 2000, (300, 2)), rng.uniform(0, 2000, (40, 2))
    necrotic = (rng.random(300) < 0.3).astype(float)
    order = rng.permutation(300) if turn == "rows" else np.arange(300)
    move = {"rows": lambda p: p, "quarter": lambda p: p[:, ::-1] * [-1, 1], "mirror": lambda p: p * [1, -1], "shift": lambda p: p + 37.0}[
        turn
    ]
    straight, turned = drawn_again(observed(yx, necrotic, cells)), drawn_again(observed(move(yx)[order], necrotic[order], move(cells)))
    np.testing.assert_allclose(turned.rounds, straight.rounds)
