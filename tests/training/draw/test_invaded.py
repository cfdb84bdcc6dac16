from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from biopsy_analyzer.training.draw import draw_recipe, draw_section
from biopsy_analyzer.training.draw.bank import focused
from biopsy_analyzer.training.draw.invaded import tiles
from biopsy_analyzer.training.draw.layout import INFILTRATE, border_distance
from biopsy_analyzer.training.draw.nuclei import MACROPHAGE
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES, STAGES
from biopsy_analyzer.training.draw.sarcoplasm import NECROTIC

SHAPE = (320, 320)
HYALINE, PHAGOCYTOSED = STAGES.index("hyaline") + 1, STAGES.index("phagocytosed") + 1


@pytest.fixture(scope="module")
def sections():
    recipes = [focused(np.random.default_rng(k), draw_recipe(np.random.default_rng(k), "usual"), "invaded") for k in range(6)]
    return [draw_section(k, SHAPE, recipe=replace(recipe, artefacts=frozenset())) for k, recipe in enumerate(recipes)]


def dead_fibres(drawn, stage):
    return np.flatnonzero(drawn.fibre_stage == stage)


def test_no_recipe_of_a_judging_section_asks_for_it():
    """So the sections that judge stay what they were."""
    assert not any(draw_recipe(np.random.default_rng(seed), level).invaded > 0 for seed in range(40) for level in DIFFICULTIES)


def test_labels_are_whole_fibres_in_one_piece(sections):
    for drawn in sections:
        assert np.array_equal(np.unique(drawn.fibres[drawn.fibres > 0]), np.arange(1, len(drawn.fibre_stage)))
        assert all(ndimage.label(drawn.fibres == label, np.ones((3, 3)))[1] == 1 for label in range(1, len(drawn.fibre_stage)))


def test_cells_inside_the_outline_belong_to_the_fibre_and_are_macrophages(sections):
    invaded = [(drawn, label) for drawn in sections for label in dead_fibres(drawn, PHAGOCYTOSED)]
    inside = [drawn.nucleus_kind[drawn.nucleus_fibre == label] for drawn, label in invaded]
    assert all(drawn.fibre_state[label] == NECROTIC for drawn, label in invaded)
    assert np.mean([(kinds == MACROPHAGE).sum() >= 2 for kinds in inside]) > 0.7  # slivers and clefts have no room for any


def test_glass_is_dense_and_even_and_invaded_fibres_are_not(sections):
    glassy, eaten = [], []
    for drawn in sections:
        inside = border_distance(drawn.fibres) > 5
        for stage, found in ((HYALINE, glassy), (PHAGOCYTOSED, eaten)):
            for label in dead_fibres(drawn, stage):
                eosin = drawn.concentrations[1][(drawn.fibres == label) & inside & (drawn.nuclei == 0)]
                if eosin.size > 100:
                    low, middle, high = np.percentile(eosin, (20, 50, 80))
                    found.append((middle, (high - low) / middle))
    assert np.median([uneven for _, uneven in glassy]) < 0.4 * np.median([uneven for _, uneven in eaten])
    assert np.median([amount for amount, _ in glassy]) > np.median([amount for amount, _ in eaten])


def test_packed_cells_lie_between_the_fibres_too(sections):
    assert np.mean([(drawn.zone == INFILTRATE).any() for drawn in sections]) > 0.7
    packed = sum(int(((drawn.nucleus_cluster > 0) & (drawn.nucleus_fibre == 0)).sum()) for drawn in sections)
    assert packed > 100


def test_same_seed_same_section():
    recipe = replace(draw_recipe(np.random.default_rng(1), "usual"), invaded=0.6)
    first, second = (draw_section(3, (160, 160), recipe=recipe) for _ in range(2))
    assert np.array_equal(first.concentrations, second.concentrations)
    assert np.array_equal(first.nuclei, second.nuclei)


def test_a_section_without_fibres_is_drawn():
    recipe = replace(draw_recipe(np.random.default_rng(1), "usual"), invaded=0.6, missing_share=1.0)
    drawn = draw_section(3, (128, 128), recipe=recipe)
    assert drawn.fibres.max() == 0
    assert np.isfinite(drawn.concentrations).all()


def test_tiles_cover_the_plane_at_the_spacing_asked_for():
    labels = tiles(np.random.default_rng(0), (300, 400), 20.0, 0.2)
    assert labels.shape == (300, 400)
    assert labels.min() >= 1
    found = len(np.unique(labels))
    wanted = 300 * 400 / (0.866 * 20**2)
    assert 0.8 * wanted < found < 1.4 * wanted
