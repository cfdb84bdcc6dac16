from dataclasses import replace

import numpy as np
import pytest

from biopsy_analyzer.training.draw import DIFFICULTIES, draw_section, render
from biopsy_analyzer.training.draw.optics import expose, random_stains


def test_same_seed_same_picture():
    drawn = draw_section(1, (96, 96))
    assert np.array_equal(render(drawn, 4), render(drawn, 4))
    assert not np.array_equal(render(drawn, 4), render(drawn, 5))


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_no_stain_is_glass(difficulty):
    drawn = draw_section(1, (96, 96))
    glass = render(replace(drawn, concentrations=np.zeros_like(drawn.concentrations)), 2, difficulty)
    assert glass.dtype == np.uint8
    assert glass.shape == (96, 96, 3)
    assert np.median(glass) > 150


def test_densities_add_up():
    """Beer-Lambert: with no randomness left, transmitted light falls by 10 for each unit of density."""

    class Still:
        def random(self):
            return 1.0

        def normal(self, mean, spread, size=None):
            return np.zeros(size) + mean

        def exponential(self, scale, size=None):
            return np.zeros(size) if size else 0.0

    one, two = (expose(np.full((8, 8, 3), od, np.float32), Still(), 0.0).mean() for od in (0.3, 0.6))
    assert one == pytest.approx(255 * 10**-0.3, abs=1)
    assert two == pytest.approx(255 * 10**-0.6, abs=1)


def test_stains_keep_their_order_of_hue():
    """Haematoxylin takes more red light than eosin does, in every stain that is drawn (unless faded to grey)."""
    vectors = [random_stains(np.random.default_rng(seed), 0.6) for seed in range(200)]
    share = np.mean([v[0, 0] / v[0].sum() > v[1, 0] / v[1].sum() for v in vectors])
    assert share > 0.95
