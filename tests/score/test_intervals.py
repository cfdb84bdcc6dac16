import numpy as np
import pytest
from scipy.stats import binomtest

from biopsy_analyzer.score.axes import Observed
from biopsy_analyzer.score.intervals import block_sums, bootstrap, density_interval, difference_interval, share_interval
from biopsy_analyzer.settings import ScoreSettings

SETTINGS = ScoreSettings()
NO_DRAWS = np.empty(0)


def observed(yx, necrotic, cells=(), doubt=0.0):
    n = len(yx)
    cells = np.reshape(np.asarray(cells, dtype=float), (-1, 2))
    zero = np.zeros(n)
    return Observed(yx, necrotic, np.full(n, doubt), zero, zero, cells, np.ones(len(cells)), np.zeros(len(cells)))


def lattice(side, step=70.0):
    return np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2) * step + step / 2


def test_exact_binomial_is_scipy_s():
    low, high = share_interval(0.1, 50, NO_DRAWS)
    expected = binomtest(5, 50).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert share_interval(0.0, 50, NO_DRAWS) == pytest.approx((0, binomtest(0, 50).proportion_ci(method="exact").high))
    assert share_interval(1.0, 50, NO_DRAWS)[1] == 1


def test_exact_poisson_of_ten_and_of_none():
    assert density_interval(5.0, 2.0, NO_DRAWS) == pytest.approx((4.7954 / 2, 18.3904 / 2), rel=1e-4)  # Garwood's table, 10 events
    assert density_interval(0.0, 1.0, NO_DRAWS) == pytest.approx((0, 3.6889), rel=1e-4)


def test_difference_by_hand():
    assert difference_interval(0.6, (0.56, 0.63), 0.2, (0.16, 0.23), NO_DRAWS) == pytest.approx((0.35, 0.45))  # 3-4-5 triangles


def test_blocks_lose_nothing():
    rng = np.random.default_rng(0)
    yx = rng.uniform(0, 3000, (500, 2))
    necrotic = (rng.random(500) < 0.2).astype(float)
    sums, doubts = block_sums(observed(yx, necrotic, rng.uniform(0, 3000, (70, 2)), doubt=0.1), 9.0, SETTINGS)
    assert sums.sum(axis=0) == pytest.approx([necrotic.sum(), 0, 70, 500, 9.0])
    assert doubts.sum(axis=0) == pytest.approx([50, 0, 0])
    assert len(sums) > 100


def test_full_blocks_have_equal_tissue():
    sums, _ = block_sums(observed(lattice(40), np.zeros(1600)), 7.84, SETTINGS)
    full = sums[sums[:, 3] > 10, 4]
    assert full.std() / full.mean() < 0.15


def test_a_small_section_still_has_blocks():
    sums, _ = block_sums(observed(lattice(8), np.zeros(64)), 0.3, SETTINGS)
    assert len(sums) >= SETTINGS.min_blocks


def test_grouped_necrosis_is_less_certain_than_scattered():
    yx = lattice(40)
    scattered = (np.random.default_rng(1).random(1600) < 0.1).astype(float)
    grouped = (np.hypot(*(yx - 900).T) < 500).astype(float)
    spread = [bootstrap(observed(yx, n), 7.84, SETTINGS)[:, 0].std() / np.sqrt(n.mean() * (1 - n.mean())) for n in (scattered, grouped)]
    assert spread[1] > 2 * spread[0]


def test_scattered_spread_is_that_of_the_binomial():
    yx = lattice(60)
    necrotic = (np.random.default_rng(2).random(3600) < 0.1).astype(float)
    draws = bootstrap(observed(yx, necrotic), 17.6, SETTINGS)[:, 0]
    assert draws.mean() == pytest.approx(necrotic.mean(), abs=0.001)
    assert draws.std() == pytest.approx(np.sqrt(0.1 * 0.9 / 3600), rel=0.2)


def test_doubt_adds_its_variance():
    yx = lattice(60)
    none = np.zeros(3600)
    none[:1800] = 1.0
    sure, doubtful = (bootstrap(observed(yx, none, doubt=d), 17.6, SETTINGS)[:, 0].var() for d in (0.0, 0.25))
    assert doubtful - sure == pytest.approx(0.25 / 3600, rel=0.5)


@pytest.mark.parametrize("turn", ["rows", "quarter", "mirror", "shift"])
def test_draws_do_not_depend_on_how_the_section_lies(turn):
    rng = np.random.default_rng(5)
    yx, cells = rng.uniform(0, 2000, (300, 2)), rng.uniform(0, 2000, (40, 2))
    necrotic = (rng.random(300) < 0.3).astype(float)
    straight = bootstrap(observed(yx, necrotic, cells), 4.0, SETTINGS)
    order = rng.permutation(300) if turn == "rows" else np.arange(300)
    move = {"rows": lambda p: p, "quarter": lambda p: p[:, ::-1] * [-1, 1], "mirror": lambda p: p * [1, -1], "shift": lambda p: p + 37.0}[
        turn
    ]
    np.testing.assert_allclose(bootstrap(observed(move(yx)[order], necrotic[order], move(cells)), 4.0, SETTINGS), straight)
