import numpy as np
import pytest
from scipy import ndimage

from biopsy_analyzer.training.draw import DIFFICULTIES, DISEASES, draw_recipe, draw_section
from biopsy_analyzer.training.draw.layout import INFILTRATE
from biopsy_analyzer.training.draw.nuclei import MACROPHAGE
from biopsy_analyzer.training.draw.recipe import STAGES
from biopsy_analyzer.training.draw.sarcoplasm import NECROTIC, PALE_FRAGMENTED, REGENERATING, UNASSESSABLE

SHAPE = (256, 320)


@pytest.fixture(scope="module")
def sections():
    return [draw_section(seed, SHAPE, difficulty) for seed, difficulty in enumerate(DIFFICULTIES * 3)]


def test_same_seed_same_section():
    first, second = draw_section(7, SHAPE, "hard"), draw_section(7, SHAPE, "hard")
    for name in ("concentrations", "fibres", "nuclei", "fibre_state", "nucleus_kind", "nucleus_cluster", "ignore"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


def test_other_seed_other_section():
    assert not np.array_equal(draw_section(7, SHAPE).fibres, draw_section(8, SHAPE).fibres)


def test_labels_run_from_one_and_match_their_lists(sections):
    for drawn in sections:
        for labels, entries in ((drawn.fibres, drawn.fibre_state), (drawn.nuclei, drawn.nucleus_kind)):
            assert np.array_equal(np.unique(labels)[np.unique(labels) > 0], np.arange(1, len(entries)))
        assert len(drawn.nucleus_kind) == len(drawn.nucleus_fibre) == len(drawn.nucleus_cluster)
        assert drawn.fibre_state[0] == drawn.nucleus_kind[0] == 0
        assert set(drawn.fibre_state[1:]) <= {1, 2, 3, 4, UNASSESSABLE}
        assert set(drawn.nucleus_kind[1:]) <= {1, 2, 3, 4}


def test_every_fibre_is_one_piece(sections):
    for drawn in sections:
        for label in range(1, len(drawn.fibre_state)):
            _, pieces = ndimage.label(drawn.fibres == label, structure=np.ones((3, 3)))
            assert pieces == 1


def test_concentrations_are_finite_and_not_negative(sections):
    for drawn in sections:
        assert drawn.concentrations.shape == (3, *SHAPE)
        assert drawn.concentrations.dtype == np.float32
        assert np.isfinite(drawn.concentrations).all()
        assert drawn.concentrations.min() >= 0


def test_nuclei_are_bluer_than_what_is_around_them(sections):
    for drawn in sections:
        seen = drawn.nuclei > 0
        blue = drawn.concentrations[0]
        assert blue[seen].mean() > 3 * blue[~seen & ~drawn.ignore].mean()


def all_of(stage, **changes):
    shares = {s: 0.0 for s in STAGES} | {stage: 1.0}
    base = draw_recipe(np.random.default_rng(3), "clean", "normal")
    values = base.__dict__ | {"state_shares": shares, "structures": {}, "glass_edge": False, "fibre_px": 90.0, "weakness": 0.0} | changes
    return draw_section(5, (400, 400), recipe=type(base)(**values))


@pytest.mark.parametrize(
    ("stage", "state"),
    [
        ("pale", PALE_FRAGMENTED),
        ("fragmented", PALE_FRAGMENTED),
        ("hyaline", NECROTIC),
        ("phagocytosed", NECROTIC),
        ("ghost", NECROTIC),
        ("regenerating", REGENERATING),
    ],
)
def test_stage_gives_its_state(stage, state):
    states = all_of(stage).fibre_state[1:]
    assert (states == state).sum() >= 3
    assert set(states) <= {1, state}


def sarcoplasm(drawn, layer, state):
    where = np.isin(drawn.fibres, np.flatnonzero(drawn.fibre_state == state)) & (drawn.nuclei == 0)
    return drawn.concentrations[layer][where].mean()


def test_pale_is_paler_hyaline_darker_regenerating_bluer():
    normal = {layer: sarcoplasm(all_of("pale"), layer, 1) for layer in (0, 1)}
    assert sarcoplasm(all_of("pale"), 1, PALE_FRAGMENTED) < 0.8 * normal[1]
    assert sarcoplasm(all_of("hyaline"), 1, NECROTIC) > 1.2 * normal[1]
    assert sarcoplasm(all_of("regenerating"), 0, REGENERATING) > normal[0] + 0.03


def test_macrophages_inside_belong_to_their_dead_fibre():
    drawn = all_of("phagocytosed")
    inside = (drawn.nucleus_kind == MACROPHAGE) & (drawn.nucleus_fibre > 0)
    assert inside.sum() >= 10
    assert (drawn.fibre_state[drawn.nucleus_fibre[inside]] == NECROTIC).all()


def test_freezing_holes_change_no_state():
    whole, holed = all_of("pale", holes_share=0.0), all_of("pale", holes_share=1.0)
    assert np.array_equal(whole.fibre_state, holed.fibre_state)
    assert (holed.concentrations[1] < 0.3 * whole.concentrations[1]).sum() > 200


def test_an_infiltrate_tiles_but_holds_no_fibres():
    drawn = all_of("pale", infiltrate_share=1.0, islands=0.0)
    infiltrate = drawn.zone == INFILTRATE
    assert infiltrate.mean() > 0.5
    assert not drawn.fibres[infiltrate].any()
    assert (drawn.nucleus_fibre[drawn.nucleus_kind == MACROPHAGE] == 0).mean() > 0.9


@pytest.mark.parametrize("disease", DISEASES)
def test_every_disease_can_be_drawn(disease):
    assert draw_section(1, (128, 128), disease=disease).fibres.shape == (128, 128)


def test_inflammatory_sections_hold_more_lymphocytes_than_normal_ones():
    def lymphocytes(disease):
        return sum((draw_section(seed, SHAPE, disease=disease).nucleus_kind == 3).sum() for seed in range(6))

    assert lymphocytes("inflammatory") > 2 * lymphocytes("normal")
