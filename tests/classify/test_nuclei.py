import numpy as np
import pytest

from biopsy_analyzer.classify.nuclei import classify_nuclei, dead_look, mark_hidden_nuclei
from biopsy_analyzer.settings import ClassifySettings

SETTINGS = ClassifySettings()
DOUBT = {"map_muscle": 0.5, "map_macrophage": 0.4, "map_lymphocyte": 0.05, "map_other": 0.05}  # the network can't tell an internal nucleus


def section(fibres_of):
    """Twenty ordinary fibres, then number 21 that looks dead, then number 22 that looks regenerating."""
    n = 20
    return fibres_of(
        ["normal"] * (n + 2),
        map_normal=[0.9] * n + [0.2, 0.2],
        map_necrotic=[0.03] * n + [0.6, 0.1],
        map_regenerating=[0.04] * n + [0.1, 0.65],
    )


def test_the_trap_macrophages_in_a_dead_fibre_are_no_internal_nuclei(fibres_of, nuclei_of):
    nuclei = nuclei_of(["other"] * 3, fibre_id=[21, 22, 1], depth_um=12.0, fibre_distance_um=0.0, **DOUBT)
    assert classify_nuclei(nuclei, section(fibres_of), SETTINGS)["type"].tolist() == ["macrophage", "internal", "internal"]


def test_dead_look_ranks_dead_over_regenerating_over_ordinary(fibres_of):
    look = dead_look(section(fibres_of))
    assert look[21] > 0.7 > 0.2 > look[22] > look[1]


def test_where_all_look_dead_all_look_dead(fibres_of):
    """A section that is dead throughout is no measure of the living."""
    look = dead_look(fibres_of(["normal"] * 20, map_normal=0.02, map_necrotic=0.97, map_regenerating=0.01))
    assert look.min() > 0.9


@pytest.mark.parametrize(("depth", "type_"), [(1.0, "myonucleus"), (5.0, "myonucleus"), (5.01, "internal"), (20.0, "internal")])
def test_depth_splits_muscle_nuclei(fibres_of, nuclei_of, depth, type_):
    nuclei = nuclei_of(["myonucleus"], fibre_id=3, depth_um=depth, fibre_distance_um=0.0)
    assert classify_nuclei(nuclei, section(fibres_of), SETTINGS)["type"].tolist() == [type_]


def test_a_crescent_along_the_border_is_no_internal_nucleus(fibres_of, nuclei_of):
    """Its centre lies deep in the fibre, itself at the border."""
    nuclei = nuclei_of(["internal"] * 2, fibre_id=3, depth_um=8.0, fibre_distance_um=0.0, solidity=[0.2, 0.9])
    assert classify_nuclei(nuclei, section(fibres_of), SETTINGS)["type"].tolist() == ["myonucleus", "internal"]


def test_far_from_any_fibre_there_is_no_muscle_nucleus(fibres_of, nuclei_of):
    nuclei = nuclei_of(["other"] * 3, fibre_distance_um=[1.0, 30.0, np.nan], **DOUBT)
    assert classify_nuclei(nuclei, section(fibres_of), SETTINGS)["type"].tolist() == ["myonucleus", "macrophage", "macrophage"]


def test_thin_nucleus_between_fibres_is_no_inflammation(fibres_of, nuclei_of):
    look = {"map_muscle": 0.05, "map_macrophage": 0.05, "map_lymphocyte": 0.5, "map_other": 0.4}
    nuclei = nuclei_of(["other"] * 2, eccentricity=[0.5, 0.98], **look)
    found = classify_nuclei(nuclei, section(fibres_of), SETTINGS)
    assert found["type"].tolist() == ["lymphocyte", "other"]
    assert "thin" in found["reason"][1]


def test_a_mere_tip_of_a_nucleus_is_no_inflammation_and_the_reason_says_so(fibres_of, nuclei_of):
    look = {"map_muscle": 0.02, "map_macrophage": 0.03, "map_lymphocyte": 0.75, "map_other": 0.2}
    found = classify_nuclei(nuclei_of(["other"] * 2, area_um2=[11.0, 30.0], **look), section(fibres_of), SETTINGS)
    assert found["type"].tolist() == ["other", "lymphocyte"]
    assert "called other for its place or shape" in found["reason"][0]
    assert "mere tip (11 um2)" in found["reason"][0]


def test_the_smaller_a_sliver_the_less_it_is_an_inflammatory_cell(fibres_of, nuclei_of):
    look = {"map_muscle": 0.02, "map_macrophage": 0.03, "map_lymphocyte": 0.75, "map_other": 0.2}
    found = classify_nuclei(nuclei_of(["other"] * 5, area_um2=[8.0, 12.0, 14.0, 19.9, 20.0], **look), section(fibres_of), SETTINGS)
    assert found["type"].tolist() == ["other", "other", "lymphocyte", "lymphocyte", "lymphocyte"]
    assert found["p_lymphocyte"].is_monotonic_increasing
    far = 0.02 * 0.02  # a muscle nucleus 20 um from any fibre
    assert found["p_lymphocyte"][0] == found["p_lymphocyte"][1] == pytest.approx(0.75 * 0.05 / (0.78 * 0.05 + 0.2 + far))
    assert found["p_lymphocyte"][4] == pytest.approx(0.75 / (0.98 + far))
    assert "a mere sliver (14 um2)" in found["reason"][2]
    assert "mere" not in found["reason"][4]


def test_what_ink_or_a_fold_hides_is_no_inflammation_and_says_so(fibres_of, nuclei_of):
    found = classify_nuclei(nuclei_of(["lymphocyte", "macrophage", "lymphocyte"]), section(fibres_of), SETTINGS)
    hidden = mark_hidden_nuclei(found, {"ink": np.array([True, False, False]), "a fold": np.array([False, True, False])})
    assert hidden["type"].tolist() == ["other", "other", "lymphocyte"]
    assert hidden[["p_muscle", "p_macrophage", "p_lymphocyte", "p_other"]].iloc[0].tolist() == [0, 0, 0, 1]
    assert hidden["reason"][1] == f"under a fold, not judged; {found['reason'][1]}"
    assert hidden.iloc[2].equals(found.iloc[2])


def test_probabilities_sum_to_one_and_name_the_type(fibres_of, nuclei_of):
    rng = np.random.default_rng(0)
    maps = rng.dirichlet(np.ones(4), 200)
    names = ("muscle", "macrophage", "lymphocyte", "other")
    inside = rng.random(200) < 0.5
    nuclei = nuclei_of(
        ["other"] * 200,
        fibre_id=np.where(inside, rng.integers(1, 23, 200), 0),
        depth_um=np.where(inside, rng.uniform(0, 30, 200), np.nan),
        **{f"map_{name}": maps[:, i] for i, name in enumerate(names)},
    )
    found = classify_nuclei(nuclei, section(fibres_of), SETTINGS)
    p = found[[f"p_{name}" for name in names]].to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(found["probability"], p.max(axis=1))
    kind = found["type"].replace({"internal": "muscle", "myonucleus": "muscle"})
    assert kind.tolist() == [names[i] for i in p.argmax(axis=1)]


def test_no_nuclei_or_no_fibres(fibres_of, nuclei_of):
    assert classify_nuclei(nuclei_of([]), section(fibres_of), SETTINGS).empty
    alone = nuclei_of(["lymphocyte"], fibre_distance_um=np.nan)
    assert classify_nuclei(alone, fibres_of([]), SETTINGS)["type"].tolist() == ["lymphocyte"]
