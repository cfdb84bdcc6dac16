import numpy as np
import pytest

from biopsy_analyzer.classify.features import (
    COMPARED,
    FEATURES,
    NUCLEAR_FEATURES,
    count_nuclei,
    ordinary_fibres,
    ordinary_look,
    relative_to_section,
    state_features,
)


def test_counts_by_hand(fibres_of, nuclei_of):
    fibres = fibres_of(["normal"] * 3, area_um2=[1000.0, 400.0, 1000.0])
    nuclei = nuclei_of(
        ["internal", "macrophage", "macrophage", "myonucleus", "lymphocyte"],
        fibre_id=[2, 2, 2, 1, 0],
        depth_um=[9.0, 6.0, 1.0, 1.5, np.nan],
        area_um2=50.0,
    )
    counted = count_nuclei(fibres, nuclei)
    assert counted["nuclei_count"].tolist() == [1, 3, 0]
    assert counted["internal_nuclei_count"].tolist() == [0, 1, 0]
    assert counted["macrophages_inside"].tolist() == [0, 1, 0]  # the one 1 um under the border may lie on the fibre
    assert counted["nuclear_fraction"].tolist() == [0.05, 0.375, 0.0]
    np.testing.assert_array_equal(counted["deepest_nucleus_um"], [1.5, 9.0, np.nan])


def test_without_nuclei_everything_nuclear_is_unknown(fibres_of):
    features = state_features(relative_to_section(count_nuclei(fibres_of(["normal"] * 4), None)))
    assert features[list(NUCLEAR_FEATURES)].isna().all(axis=None)
    assert features.drop(columns=list(NUCLEAR_FEATURES)).notna().all(axis=None)


def test_sick_majority_does_not_become_ordinary(fibres_of):
    normal, eosin = [0.9] * 3 + [0.1] * 7, [0.30] * 3 + [0.15] * 7  # 70 % of the fibres pale
    relative = relative_to_section(fibres_of(["normal"] * 10, map_normal=normal, eosin_od=eosin))
    assert ordinary_fibres(relative)[:3].all()
    pale = relative_to_section(fibres_of(["normal"] * 5, map_normal=[0.9] * 3 + [0.1] * 2, eosin_od=[0.30] * 3 + [0.15] * 2))
    np.testing.assert_allclose(pale["eosin_rel"], [0, 0, 0, -0.15, -0.15])


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_features_do_not_see_stain_strength(fibres_of, strength):
    rng = np.random.default_rng(0)
    stains = {name: rng.uniform(0.1, 0.4, 30) for name in ("haematoxylin_od", "eosin_od", "haematoxylin_sd", "eosin_sd")}
    one = state_features(relative_to_section(fibres_of(["normal"] * 30, **stains)))
    other = state_features(relative_to_section(fibres_of(["normal"] * 30, **{name: strength * v for name, v in stains.items()})))
    np.testing.assert_allclose(one, other)


def test_eosin_by_hand(fibres_of):
    """Ordinary: 0.3, 0.3, 0.32 (map_normal 0.9), with haematoxylin 0.1, so their density is 0.4 and the spread 1.48 * 0 + 0.012."""
    fibres = fibres_of(
        ["normal"] * 12,
        map_normal=[0.9] * 3 + [0.1] * 9,
        eosin_od=[0.30, 0.30, 0.32] + [0.15, 0.0, 0.60] + [0.2] * 6,
        haematoxylin_od=0.1,
    )
    found = state_features(relative_to_section(count_nuclei(fibres, None)))
    assert found["eosin"][3:6].tolist() == pytest.approx([-0.375, -0.75, 0.75])
    assert found["eosin_ratio"][3:6].tolist() == pytest.approx([np.log2(0.154 / 0.304), np.log2(0.004 / 0.304), np.log2(0.604 / 0.304)])
    assert found["eosin_spreads"][3:6].tolist() == pytest.approx([-12.5, -25.0, 25.0])
    varied = fibres.assign(eosin_od=[0.26, 0.30, 0.34, *fibres["eosin_od"][3:]])  # the same middle, a spread of 1.48 * 0.04 + 0.012
    found = state_features(relative_to_section(count_nuclei(varied, None)))
    assert found["eosin_spreads"][3] == pytest.approx(-0.15 / 0.0712)
    assert found["eosin_ratio"][3] == pytest.approx(np.log2(0.154 / 0.304))


@pytest.mark.parametrize(("normal", "compared"), [(0.51, True), (0.5, True), (0.49, False)])
def test_where_no_fibre_looks_ordinary_none_is_compared(fibres_of, nuclei_of, normal, compared):
    """Three of twelve are ordinary; what the network says of each and nuclei are told all the same."""
    fibres = fibres_of(["normal"] * 12, map_normal=[0.9, normal, normal] + [0.1] * 9, map_necrotic=0.45)
    found = state_features(relative_to_section(count_nuclei(fibres, nuclei_of(["internal"], fibre_id=3, depth_um=9.0, area_um2=50.0))))
    assert ordinary_look(fibres) == pytest.approx(normal)
    assert found[list(COMPARED)].notna().all(axis=None) == compared
    assert found[list(COMPARED)].notna().any(axis=None) == compared
    assert found.drop(columns=list(COMPARED)).notna().all(axis=None)


def test_no_fibres_no_rows(fibres_of, nuclei_of):
    features = state_features(relative_to_section(count_nuclei(fibres_of([]), nuclei_of([]))))
    assert features.shape == (0, len(FEATURES))
