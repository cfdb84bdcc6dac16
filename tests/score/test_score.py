"""Hand-known answers of the whole score, and what it does when something is missing."""

import json
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.score import score
from biopsy_analyzer.score.model import Scores, Spread
from biopsy_analyzer.score.pattern import LABELS, find_pattern, pattern_codes
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import CLUSTERS, empty

SETTINGS = Settings()
MODELS = Path(__file__).parents[2] / "models"
NO_CLUSTERS = empty(CLUSTERS)


def numbers(part):
    """Every value of a nested dict of JSON, flat."""
    for value in part.values() if isinstance(part, dict) else part:
        if isinstance(value, dict | list):
            yield from numbers(value)
        else:
            yield value


def test_by_hand(fibres_of, nuclei_of):
    states = ["normal"] * 85 + ["necrotic"] * 3 + ["pale-fragmented"] * 2 + ["regenerating"] * 10
    fibres = fibres_of(states, area_um2=[4000.0] * 85 + [8000.0] * 3 + [2000.0] * 2 + [1000.0] * 10)
    fibres.loc[:4, "internal_nuclei_count"] = 1.0
    nuclei = nuclei_of(
        ["lymphocyte"] * 20 + ["macrophage"] * 40,
        fibre_id=[0] * 50 + [86] * 10,
        necrosis_distance_um=[50.0] * 45 + [10.0] * 5 + [0.0] * 10,
        y_um=np.arange(60) * 11.0,
    )
    found = score(fibres, nuclei, NO_CLUSTERS, 0.5, SETTINGS, nuclei_assessed=True)
    assert found.scores.necrosis.measured == pytest.approx(0.05)
    assert found.scores.necrosis.value == pytest.approx(0.5)
    assert found.scores.regeneration.value == pytest.approx(0.10 / 0.15)
    # 20 lymphocytes and the 25 macrophages that neither lie in nor at a necrotic fibre, in 0.5 mm2
    assert found.scores.inflammation.measured == pytest.approx(90)
    assert found.scores.inflammation.value == pytest.approx(90 / 190)
    assert found.scores.balance.value == pytest.approx(0.5 - 90 / 190)
    assert found.inflammation.model_dump() == {
        "macrophages_per_mm2": 60.0,
        "macrophages_at_necrosis_per_mm2": 10.0,
        "lymphocytes_per_mm2": 40.0,
        "macrophages_in_necrotic_fibres": 10,
    }
    assert found.area_fractions.necrotic == pytest.approx(24 / 378)
    counts = found.fibres
    assert (counts.segmented, counts.assessable, counts.normal, counts.necrotic, counts.pale_fragmented) == (100, 100, 85, 3, 2)
    assert (counts.regenerating, counts.with_internal_nuclei) == (10, 5)
    assert (counts.area_um2.p10, counts.area_um2.median) == (pytest.approx(1900), 4000)
    assert found.warnings == ()


def test_intervals_hold_their_values(fibres_of, nuclei_of):
    rng = np.random.default_rng(0)
    fibres = fibres_of(rng.choice(["normal", "necrotic", "regenerating"], 300, p=[0.8, 0.1, 0.1]).tolist())
    nuclei = nuclei_of(["lymphocyte"] * 80, y_um=rng.uniform(0, 1200, 80), x_um=rng.uniform(0, 1200, 80))
    scores = score(fibres, nuclei, NO_CLUSTERS, 1.5, SETTINGS, nuclei_assessed=True).scores
    for axis in (scores.necrosis, scores.regeneration, scores.inflammation, scores.balance):
        assert axis.ci95[0] < axis.value < axis.ci95[1]


@pytest.mark.parametrize(
    ("dead", "cells", "label"),
    [
        (30, 5, "necrosis-predominant"),
        (1, 400, "inflammation-predominant"),
        (60, 400, "mixed"),
        (120, 300, "mixed"),  # the balance says necrosis, but inflammation is not little
        (0, 3, "inactive"),
        (9, 0, "indeterminate"),
    ],
)
def test_patterns(fibres_of, nuclei_of, dead, cells, label):
    """300 fibres and `cells` lymphocytes spread evenly over 1.5 mm2."""
    states = np.array(["normal"] * 300, dtype=object)
    states[np.random.default_rng(0).permutation(300)[:dead]] = "necrotic"
    at = np.random.default_rng(1).uniform(0, 1260, (cells, 2))
    nuclei = nuclei_of(["lymphocyte"] * cells, y_um=at[:, 0], x_um=at[:, 1])
    pattern = score(fibres_of(states.tolist()), nuclei, NO_CLUSTERS, 1.5, SETTINGS, nuclei_assessed=True).pattern
    assert pattern.label == label
    assert pattern.reasons


def test_what_false_calls_may_give_is_no_pattern():
    """Mixed in all draws, but as many cells as were counted false calls alone may give."""
    draws = np.tile([[0.55, 0.52]], (100, 1))
    found = find_pattern(0.55, 0.48, draws, SETTINGS.score, ())
    assert found.label == "indeterminate"
    assert found.reasons[0] == "inflammation is not above what false calls alone may give (100 cells per mm2)"


def test_the_likeliest_pattern_is_named_whatever_was_counted():
    """Calls that are not firm count, but don't decide: 95 of 100 draws are inactive."""
    draws = np.repeat([[0.1, 0.1], [0.6, 0.1]], [95, 5], axis=0)
    found = find_pattern(0.5, 0.1, draws, SETTINGS.score, ())
    assert (found.label, found.support, found.fits) == ("inactive", pytest.approx(0.95), ("inactive", "necrosis-predominant"))


def test_the_patterns_that_fit_are_named_the_likeliest_first():
    """100 rounds by hand; floors are 0.375 of necrosis and 0.5 of inflammation."""
    draws = np.repeat([[0.1, 0.1], [0.8, 0.1], [0.8, 0.7], [0.1, 0.8]], [4, 60, 31, 5], axis=0)
    found = find_pattern(0.8, 0.1, draws, SETTINGS.score, ("a fact",))
    assert (found.label, found.support) == ("indeterminate", pytest.approx(0.6))
    assert found.fits == ("necrosis-predominant", "mixed", "inflammation-predominant")
    assert found.reasons[0] == "not settled: necrosis-predominant or mixed or inflammation-predominant fit this section"
    assert find_pattern(0.8, 0.1, draws[:64], SETTINGS.score, ()).fits == ("necrosis-predominant", "inactive")
    doubted = find_pattern(0.8, 0.1, draws, SETTINGS.score, (), ("one field",))
    assert (doubted.fits, doubted.reasons[0]) == ((), "one field")
    assert not any("this section" in reason for reason in doubted.reasons)  # no pattern is named as one that fits


def test_one_pattern_that_fits_is_one():
    """88 rounds of 100 agree, and the others fall on three patterns: each is rarer than one round in twenty."""
    draws = np.repeat([[0.8, 0.1], [0.1, 0.1], [0.8, 0.7], [0.1, 0.8]], [88, 4, 4, 4], axis=0)
    found = find_pattern(0.8, 0.1, draws, SETTINGS.score, ())
    assert found.reasons[0] == "not settled: necrosis-predominant fits this section"


@pytest.mark.parametrize(
    ("necrosis", "inflammation", "label"),
    [
        (0.375, 0.5, "inactive"),  # at the floors, 3 % of fibres and 100 cells per mm2
        (0.376, 0.0, "necrosis-predominant"),
        (0.0, 0.501, "inflammation-predominant"),
        (0.7, 0.51, "mixed"),
        (0.9, 0.51, "mixed"),  # the balance alone would say necrosis-predominant
        (0.9, 0.5, "necrosis-predominant"),  # up to grade 1
        (0.45, 0.3, "necrosis-predominant"),
        (0.4, 0.31, "mixed"),
        (0.45, 0.51, "mixed"),
        (0.376, 0.51, "inflammation-predominant"),
    ],
)
def test_the_rule_by_hand(necrosis, inflammation, label):
    values = np.array([necrosis]), np.array([inflammation])
    assert LABELS[pattern_codes(*values, SETTINGS.score)[0]] == label


def test_the_floor_of_necrosis_covers_the_shipped_models_false_calls():
    card = json.loads((MODELS / "states" / "card.json").read_text())
    wrong, normal = card["metrics"]["sections_left_out"]["normal_called_sick"].split(" of ")
    assert int(wrong) / int(normal) <= SETTINGS.score.necrosis_floor


def test_tissue_that_is_hardly_covered_by_fibres_gets_no_pattern(fibres_of, nuclei_of):
    states = ["necrotic"] * 30 + ["normal"] * 70  # 0.4 mm2 of fibres
    covered, bare = (score(fibres_of(states), nuclei_of([]), NO_CLUSTERS, area, SETTINGS, nuclei_assessed=True) for area in (0.6, 1.3))
    assert (covered.pattern.label, covered.warnings) == ("necrosis-predominant", ())
    assert bare.pattern.label == "indeterminate"
    assert "fibres cover 30.8% of the tissue" in bare.pattern.reasons[0]
    assert bare.scores.necrosis.measured == covered.scores.necrosis.measured


def test_a_single_field_gets_no_pattern(fibres_of, nuclei_of):
    states = ["necrotic"] * 20 + ["normal"] * 40
    pattern = score(fibres_of(states, area_um2=4000.0), nuclei_of([]), NO_CLUSTERS, 0.29, SETTINGS, nuclei_assessed=True).pattern
    assert pattern.label == "indeterminate"
    assert "0.29 mm2 of tissue is one field, at least 0.3 mm2 is wanted" in pattern.reasons[0]
    assert not any("predominant" in reason for reason in pattern.reasons)  # none is named where none may be read


def test_few_fibres_are_told_in_the_reasons(fibres_of, nuclei_of):
    few, many = (score(fibres_of(["normal"] * n), nuclei_of([]), NO_CLUSTERS, n * 0.005, SETTINGS, True).pattern for n in (100, 600))
    assert any("100 fibres; figures settle at about 600" in reason for reason in few.reasons)
    assert not any("settle" in reason for reason in many.reasons)


def test_doubtful_calls_widen_the_interval(fibres_of, nuclei_of):
    states = ["normal"] * 90 + ["necrotic"] * 10
    sure = fibres_of(states)
    doubtful = sure.assign(p_necrotic=np.where(sure["state"] == "necrotic", 0.6, 0.4))
    width = [np.diff(score(f, nuclei_of([]), NO_CLUSTERS, 0.5, SETTINGS, True).scores.necrosis.ci95)[0] for f in (sure, doubtful)]
    assert width[1] > width[0]


def test_too_few_fibres_give_null_with_a_reason(fibres_of, nuclei_of):
    found = score(fibres_of(["necrotic"] * 49), nuclei_of(["lymphocyte"]), NO_CLUSTERS, 0.2, SETTINGS, nuclei_assessed=True)
    assert found.scores.necrosis.value is None
    assert found.scores.balance.ci95 is None
    assert found.pattern.label == "indeterminate"
    assert found.fibres.necrotic == 49
    assert found.inflammation.lymphocytes_per_mm2 == pytest.approx(5)
    assert any("49 assessable fibres, 50 are needed" in warning for warning in found.warnings)


def test_without_nuclei_everything_nuclear_is_null(fibres_of, nuclei_of):
    found = score(fibres_of(["normal"] * 90 + ["necrotic"] * 10), nuclei_of([]), NO_CLUSTERS, 0.5, SETTINGS, nuclei_assessed=False)
    assert found.scores.necrosis.measured == pytest.approx(0.1)
    assert found.fibres.with_internal_nuclei is None
    assert {*numbers(found.inflammation.model_dump()), *numbers(found.clusters.model_dump())} == {None}
    assert found.scores.inflammation.value is found.scores.balance.value is None
    assert found.pattern.label == "indeterminate"
    assert any("too coarse for nuclei" in warning for warning in found.warnings)


@pytest.mark.parametrize("area", [0.0, float("nan")])
def test_without_tissue_area_no_densities(fibres_of, nuclei_of, area):
    found = score(fibres_of(["normal"] * 100), nuclei_of(["lymphocyte"]), NO_CLUSTERS, area, SETTINGS, nuclei_assessed=True)
    assert found.inflammation.lymphocytes_per_mm2 is None
    assert found.scores.inflammation.value is None
    assert found.scores.necrosis.value == 0
    assert found.clusters.mixed.count == 0
    assert any("no tissue area" in warning for warning in found.warnings)


def test_nothing_at_all(fibres_of, nuclei_of):
    found = score(fibres_of([]), nuclei_of([]), NO_CLUSTERS, 0.0, SETTINGS, nuclei_assessed=True)
    assert found.fibres.segmented == 0
    assert found.area_fractions.necrotic is None
    assert found.fibres.min_feret_um == Spread(median=None, p10=None, p90=None)
    assert len(found.warnings) == 4


def test_cut_fibres_count_by_state_not_by_size(fibres_of, nuclei_of):
    fibres = fibres_of(["normal"] * 60, touches_border=[True] * 20 + [False] * 40, area_um2=[100.0] * 20 + [5000.0] * 40)
    counts = score(fibres, nuclei_of([]), NO_CLUSTERS, 0.5, SETTINGS, nuclei_assessed=True).fibres
    assert (counts.normal, counts.area_um2.p10) == (60, 5000)


def test_clusters_by_kind(fibres_of, nuclei_of):
    clusters = NO_CLUSTERS.reindex(range(3)).assign(
        cluster_id=[1, 2, 3], kind=["macrophage", "macrophage", "mixed"], necrotic_fibres=[2, 0, 1]
    )
    found = score(fibres_of([]), nuclei_of([]), clusters, 0.5, SETTINGS, nuclei_assessed=True).clusters
    assert found.macrophage.model_dump() == {"count": 2, "per_mm2": 4.0, "around_necrotic_fibres": 1}
    assert found.mixed.around_necrotic_fibres == 1
    assert found.lymphocytic.count == 0


def test_json_round_trip_and_no_nan(fibres_of, nuclei_of):
    found = score(fibres_of(["normal"] * 80), nuclei_of([]), NO_CLUSTERS, 0.5, SETTINGS, nuclei_assessed=True)
    text = found.model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert Scores.model_validate_json(text) == found
    with pytest.raises(ValueError, match="finite"):
        Spread(median=float("nan"), p10=None, p90=None)
