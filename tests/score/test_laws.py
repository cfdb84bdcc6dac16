"""Laws that the score keeps for any section."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.score import score
from biopsy_analyzer.score.pattern import LABELS, pattern_codes
from biopsy_analyzer.settings import ScoreSettings, Settings
from biopsy_analyzer.tables import CLUSTERS, FIBRE_STATES, NECROTIC_STATES, empty
from made_tables import make_fibres, make_nuclei

SETTINGS = Settings(score=ScoreSettings(bootstrap_rounds=100, min_fibres=10))
AREA = 1.0
EPS = 1e-12
AXES = ("necrosis", "regeneration", "inflammation", "balance")


@st.composite
def sections(draw):
    """Classified tables of 10 to 60 fibres and 0 to 60 nuclei, some of them inside fibres."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = rng.dirichlet(np.ones(4))
    fibres = make_fibres(rng.choice(FIBRE_STATES, draw(st.integers(10, 60)), p=shares).tolist())
    fibres["assessable"] = rng.random(len(fibres)) < 0.95
    fibres.loc[:9, "assessable"] = True
    m = draw(st.integers(0, 60))
    at = rng.uniform(0, 500, (m, 2))
    kinds = rng.choice(["macrophage", "lymphocyte", "other", "myonucleus"], m).tolist()
    owner = np.where(rng.random(m) < 0.4, rng.integers(1, len(fibres) + 1, m), 0)
    nuclei = make_nuclei(kinds, y_um=at[:, 0], x_um=at[:, 1], fibre_id=owner, necrosis_distance_um=rng.uniform(0, 60, m))
    return fibres, nuclei


def scored(fibres, nuclei, area=AREA, used=SETTINGS):
    return score(fibres, nuclei, empty(CLUSTERS), area, used, nuclei_assessed=True).scores


SHARES = st.floats(0, 1, exclude_max=True)


@given(SHARES, SHARES, SHARES)
def test_more_necrosis_never_takes_necrosis_away_from_the_pattern(necrosis, more, inflammation):
    """With the same inflammation: necrosis-predominant stays, and nothing becomes inactive or inflammation-predominant."""
    low, high = sorted((necrosis, more))
    before, after = (LABELS[int(pattern_codes(np.array(n), np.array(inflammation), SETTINGS.score))] for n in (low, high))
    assert after == "necrosis-predominant" or before != "necrosis-predominant"
    assert after == before or after not in ("inactive", "inflammation-predominant")


@given(SHARES, SHARES, SHARES)
def test_more_inflammation_never_makes_necrosis_predominant(necrosis, inflammation, more):
    low, high = sorted((inflammation, more))
    before, after = (LABELS[int(pattern_codes(np.array(necrosis), np.array(i), SETTINGS.score))] for i in (low, high))
    assert after == before or after not in ("inactive", "necrosis-predominant")
    assert after == "inflammation-predominant" or before != "inflammation-predominant"


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(20.0, 40.0))
def test_what_sizes_and_gaps_tell_depends_on_neither_rotation_nor_mirroring_nor_copies(seed, radius):
    """Turned, mirrored and twice: the same but for what falls on a line of the raster."""
    rng = np.random.default_rng(seed)
    y, x = np.divmod(np.arange(400), 20)
    wide = radius * rng.lognormal(0, 0.1, 400)
    at = {"y_um": y * 70.0 + rng.normal(0, 6, 400), "x_um": (x + y % 2 / 2) * 80.0 + rng.normal(0, 6, 400)}
    section = make_fibres(["normal"] * 400, **at, area_um2=np.pi * wide**2, min_feret_um=2 * wide), make_nuclei([])
    turned = [t.assign(y_um=-t["x_um"], x_um=t["y_um"]) for t in section]
    mirrored = [t.assign(x_um=-t["x_um"]) for t in section]
    one, *others = (
        {item.code: item.value for item in score(f, n, empty(CLUSTERS), 3.0, SETTINGS, nuclei_assessed=True).evidence}
        for f, n in (section, turned, mirrored, two_copies(*section))
    )
    for other in others:
        assert other["fibre-size-variation"] == pytest.approx(one["fibre-size-variation"])
        assert other["endomysium-widened"] == pytest.approx(one["endomysium-widened"], abs=0.5)


def add(table, row):
    return pd.concat([table, row], ignore_index=True)


@settings(max_examples=25, deadline=None)
@given(sections(), st.sampled_from(NECROTIC_STATES))
def test_one_more_necrotic_fibre_never_lowers_necrosis_or_balance(section, state):
    fibres, nuclei = section
    before, after = scored(*section), scored(add(fibres, make_fibres([state], fibre_id=len(fibres) + 1)), nuclei)
    assert after.necrosis.value >= before.necrosis.value - EPS
    assert after.balance.value >= before.balance.value - EPS


@settings(max_examples=25, deadline=None)
@given(sections(), st.integers(0, 59))
def test_a_normal_fibre_that_dies_never_lowers_necrosis_or_balance(section, which):
    fibres, nuclei = section
    died = fibres.copy()
    i = which % len(fibres)
    died.loc[i, ["state", "p_normal", "p_necrotic", "assessable"]] = ["necrotic", 0.0, 1.0, True]
    before, after = scored(*section), scored(died, nuclei)
    assert after.necrosis.value >= before.necrosis.value - EPS
    assert after.balance.value >= before.balance.value - EPS


@settings(max_examples=25, deadline=None)
@given(sections(), st.floats(0, 500), st.floats(0, 500))
def test_one_more_interstitial_lymphocyte_never_raises_balance(section, y, x):
    fibres, nuclei = section
    one = make_nuclei(["lymphocyte"], nucleus_id=len(nuclei) + 1, y_um=y, x_um=x, necrosis_distance_um=1.0)
    assert scored(fibres, add(nuclei, one)).balance.value <= scored(*section).balance.value + EPS


@settings(max_examples=25, deadline=None)
@given(sections())
def test_macrophages_moved_into_a_necrotic_fibre_never_raise_inflammation(section):
    fibres, nuclei = section
    fibres.loc[0, "state"] = "necrotic"
    moved = nuclei.copy()
    moved.loc[moved["type"] == "macrophage", ["fibre_id", "necrosis_distance_um"]] = [1, 0.0]
    assert scored(fibres, moved).inflammation.value <= scored(fibres, nuclei).inflammation.value + EPS


def two_copies(fibres, nuclei):
    n, m = len(fibres), len(nuclei)
    far_fibres = fibres.assign(fibre_id=fibres["fibre_id"] + n, x_um=fibres["x_um"] + 20_000)
    owner = np.where(nuclei["fibre_id"] > 0, nuclei["fibre_id"] + n, 0)
    far_nuclei = nuclei.assign(nucleus_id=nuclei["nucleus_id"] + m, x_um=nuclei["x_um"] + 20_000, fibre_id=owner)
    return add(fibres, far_fibres), add(nuclei, far_nuclei)


@settings(max_examples=10, deadline=None)
@given(sections())
def test_two_copies_give_the_same_values(section):
    one, two = scored(*section), scored(*two_copies(*section), 2 * AREA)
    for axis in AXES:
        assert getattr(two, axis).value == pytest.approx(getattr(one, axis).value)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.3), st.integers(60, 400))
def test_two_copies_give_narrower_intervals(seed, sick, cells):
    rng = np.random.default_rng(seed)
    fibres = make_fibres(rng.choice(FIBRE_STATES, 900, p=[1 - 1.5 * sick, sick / 2, sick / 2, sick / 2]).tolist())
    at = rng.uniform(0, 2100, (cells, 2))
    nuclei = make_nuclei(["lymphocyte"] * cells, y_um=at[:, 0], x_um=at[:, 1])
    many = Settings(score=ScoreSettings(bootstrap_rounds=400, min_fibres=10))
    one, two = scored(fibres, nuclei, 4.4, many), scored(*two_copies(fibres, nuclei), 8.8, many)
    widths = [[np.diff(getattr(scores, axis).ci95)[0] for axis in AXES] for scores in (one, two)]
    narrower = np.divide(widths[1], widths[0])
    # sampling alone gives 1 / sqrt(2); the reader's own errors do not shrink with the section, and hold the balance's width the most
    assert narrower.mean() < 0.95
    assert narrower.max() < 1.12  # 400 rounds give or take 6 %


@settings(max_examples=10, deadline=None)
@given(sections(), st.randoms())
def test_order_of_rows_changes_nothing(section, random):
    fibres, nuclei = section
    rows, cells = list(range(len(fibres))), list(range(len(nuclei)))
    random.shuffle(rows)
    random.shuffle(cells)
    one, other = scored(*section), scored(fibres.iloc[rows].reset_index(drop=True), nuclei.iloc[cells].reset_index(drop=True))
    for axis in AXES:
        assert getattr(one, axis).value == pytest.approx(getattr(other, axis).value)
        assert getattr(one, axis).ci95 == pytest.approx(getattr(other, axis).ci95)


def test_fibres_on_the_lines_between_blocks_fall_alike_in_a_mirrored_section():
    """A lattice with an odd number of columns: the middle one lies exactly on a line."""
    states = np.where(np.arange(63) % 7 < 3, "necrotic", "normal").tolist()
    y, x = np.divmod(np.arange(63), 7)
    fibres = make_fibres(states, y_um=y * 70.0, x_um=x * 70.0)
    one, other = (scored(table, make_nuclei([])) for table in (fibres, fibres.assign(x_um=-fibres["x_um"])))
    assert one.necrosis.ci95 == pytest.approx(other.necrosis.ci95, abs=0.01)  # the raster of tissue has lines too


@settings(max_examples=10, deadline=None)
@given(sections())
def test_rotation_and_mirror_change_nothing(section):
    fibres, nuclei = section
    turned = [t.assign(y_um=-t["x_um"], x_um=t["y_um"]) for t in section]
    mirrored = [t.assign(x_um=-t["x_um"]) for t in section]
    one = scored(fibres, nuclei)
    for other in (scored(*turned), scored(*mirrored)):
        for axis in AXES:
            assert getattr(one, axis).value == pytest.approx(getattr(other, axis).value)
            # a fibre whose centre lies exactly on the line between two blocks may change block
            assert getattr(one, axis).ci95 == pytest.approx(getattr(other, axis).ci95, abs=0.1)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_another_pixel_size_changes_nothing(seed, times):
    """The same labels in pixels of a half, a third, a quarter of the size: the same tables in um, so the same score."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((360, 420), dtype=np.int32)
    for k, (row, column) in enumerate(np.argwhere(np.ones((6, 7))), start=1):
        height, width = rng.integers(20, 55, 2)
        labels[row * 60 + 3 : row * 60 + 3 + height, column * 60 + 4 : column * 60 + 4 + width] = k
    states = rng.choice(FIBRE_STATES, 42).tolist()
    found = []
    for factor in (1, times):
        pixels = labels.repeat(factor, axis=0).repeat(factor, axis=1)
        shape = measure_shape(pixels, PixelGrid(pixels.shape, 1.0 / factor))
        columns = {name: shape[name].to_numpy() for name in ("y_um", "x_um", "area_um2")}
        found.append(scored(make_fibres(states, **columns), make_nuclei(["lymphocyte"] * 5, y_um=100.0), 0.15))
    for axis in AXES:
        assert getattr(found[0], axis).value == pytest.approx(getattr(found[1], axis).value)
        assert getattr(found[0], axis).ci95 == pytest.approx(getattr(found[1], axis).ci95, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 12), st.integers(0, 5), st.sampled_from([0.0, 0.2, float("nan"), -1.0]), st.booleans())
def test_empty_and_tiny_sections_give_null_with_a_reason(fibres, cells, area, nuclei_assessed):
    tables = make_fibres(["necrotic", "normal"] * (fibres // 2) + ["normal"] * (fibres % 2)), make_nuclei(["lymphocyte"] * cells)
    found = score(*tables, empty(CLUSTERS), area, SETTINGS, nuclei_assessed)
    told = " ".join(found.warnings)
    few, blind, nowhere = fibres < SETTINGS.score.min_fibres, not nuclei_assessed, not area > 0
    assert (found.scores.necrosis.value is None) == (found.scores.regeneration.value is None) == few
    assert (found.scores.inflammation.value is None) == (found.scores.balance.value is None) == (few or blind or nowhere)
    assert (f"{fibres} assessable fibres, 10 are needed" in told) == few
    assert ("too coarse for nuclei" in told) == blind
    assert ("no tissue area" in told) == (nowhere and not blind)
    assert found.pattern.label == "indeterminate"
    assert found.pattern.reasons
    assert all(item.reason for item in found.evidence)
    json.dumps(found.model_dump(mode="json"), allow_nan=False)
