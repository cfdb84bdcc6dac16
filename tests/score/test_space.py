from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import hypergeom

from biopsy_analyzer.score import model
from biopsy_analyzer.score.basis import Basis
from biopsy_analyzer.score.doubts import Doubts
from biopsy_analyzer.score.judged import Judged, not_judged
from biopsy_analyzer.score.places import find_places, neighbours
from biopsy_analyzer.score.space import NOTHING_CONFLUENT, UNTESTED, _at_least, _name, find_confluent, find_space, join_count
from biopsy_analyzer.settings import Settings, SpaceSettings
from made_tables import make_fibres, make_nuclei, two_fascicles

SETTINGS = Settings()
BASIS = Basis(model.Pattern(label="indeterminate", support=None, reasons=()))
PRESENT = Judged(0.1, (0.05, 0.2), 0.03, "present", "")


def space_of(fibres):
    """The space block, and the fibres in confluent areas."""
    pairs = neighbours(fibres[fibres["assessable"]], SETTINGS.space)
    confluent, rows = find_confluent(fibres, pairs, SETTINGS.space)
    return find_space(fibres, find_places(fibres, make_nuclei([]), SETTINGS.space), pairs, confluent, BASIS, PRESENT, SETTINGS), rows


def lattice(necrotic):
    return make_fibres(np.where(necrotic, "necrotic", "normal").tolist())


def test_join_count_by_hand():
    """A square of four with its sides: two labelled at random share a side in 4 of 6 cases."""
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    side, diagonal = (join_count(np.array(labels, dtype=bool), pairs) for labels in ([1, 1, 0, 0], [1, 0, 1, 0]))
    assert (side.observed, side.expected, side.ratio) == (1, pytest.approx(4 / 6), pytest.approx(1.5))
    assert diagonal.observed == 0
    assert diagonal.p > side.p
    for labels in ([1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]):
        assert join_count(np.array(labels, dtype=bool), pairs).ratio is None
    assert join_count(np.array([1, 1, 0, 0], dtype=bool), pairs[:0]).p is None


@pytest.mark.filterwarnings("ignore")  # esda itself, by what pandas is about to take away
@pytest.mark.parametrize("pulled", [0.0, 0.6, 1.5])
def test_join_count_is_that_of_esda(pulled):
    """Count, mean and p of PySAL's permutation test on the same graph, for necrosis drawn at random and towards one side."""
    from esda.join_counts import Join_Counts
    from libpysal.weights import W

    rng = np.random.default_rng(3)
    fibres = make_fibres(["normal"] * 400)
    chance = 0.15 * np.exp(pulled * (fibres["x_um"].to_numpy() / 700 - 1))
    labelled = rng.random(400) < chance
    pairs = neighbours(fibres, SpaceSettings())
    near = {i: [] for i in range(400)}
    for i, j in pairs.tolist():
        near[i].append(j)
        near[j].append(i)
    np.random.seed(0)  # noqa: NPY002 - esda draws from the global generator
    theirs = Join_Counts(labelled.astype(int), W(near, silence_warnings=True), permutations=999)
    ours = join_count(labelled, pairs)
    assert ours.observed == theirs.bb
    assert ours.expected == pytest.approx(theirs.mean_bb, rel=0.05)
    assert ours.p == pytest.approx(theirs.p_sim_bb, abs=0.03)


def test_scattered_grouped_and_too_few():
    side = 30
    y, x = np.divmod(np.arange(side**2), side)
    scattered, _ = space_of(lattice((y % 4 == 1) & (x % 4 == 1)))  # no two are neighbours
    grouped, in_area = space_of(lattice(np.hypot(y - 10, x - 10) < 4.5))
    few, _ = space_of(lattice(np.arange(side**2) < 9))
    assert (scattered.arrangement, scattered.confluent.count) == ("scattered", 0)
    assert (grouped.arrangement, grouped.confluent.count) == ("grouped", 1)
    assert grouped.confluent.largest_fibres == grouped.confluent.fibres == in_area.sum() == (np.hypot(y - 10, x - 10) < 4.5).sum()
    assert grouped.confluent.largest_um2 == in_area.sum() * 4000
    assert grouped.confluent.share == 1
    assert few.arrangement == "not_assessable"
    assert "9 necrotic fibres; at least 10" in few.reasons[0]
    assert (scattered.fascicles, scattered.perifascicular.p) == (None, None)


@pytest.mark.parametrize(
    ("observed", "p", "ratio", "arrangement"),
    [
        (14, 0.03, 1.4, "not_assessable"),  # more than chance, though not at alpha
        (13, 0.12, 1.3, "not_assessable"),  # so few pairs that a third more may be chance
        (11, 0.04, 1.1, "not_assessable"),
        (12, 0.05, 1.2, "scattered"),
        (16, 0.009, 1.6, "grouped"),
    ],
)
def test_scattered_is_said_only_where_grouping_is_ruled_out(observed, p, ratio, arrangement):
    grouping = model.Tested(ratio=ratio, observed=observed, expected=10.0, p=p)
    name, reasons = _name(30, grouping, UNTESTED, PRESENT, Doubts(), SETTINGS.space)
    assert name == arrangement
    assert (reasons[0] == "not settled: grouping is neither shown nor ruled out") is (arrangement == "not_assessable")
    assert any(f"{observed} pairs of necrotic neighbours, 10.0 by chance" in reason for reason in reasons)


@pytest.mark.parametrize("found", [0, 1, 2])
def test_perimysium_is_told_from_two_fascicles_on(found):
    """The same wide gap: of fewer than two fascicles none parts anything, whatever was found beside it."""
    fibres = two_fascicles(60.0)
    places = replace(find_places(fibres, make_nuclei([]), SETTINGS.space), fascicles=found)
    space = find_space(fibres, places, np.empty((0, 2), dtype=int), NOTHING_CONFLUENT, BASIS, PRESENT, SETTINGS)
    assert (space.fascicles, space.perifascicular_fibres is None) == ((2, False) if found == 2 else (None, True))


def test_a_p_below_what_the_tails_can_tell_is_a_bound():
    grouping = model.Tested(ratio=3.0, observed=30, expected=10.0, p=1.2e-35)
    reasons = _name(30, grouping, UNTESTED, PRESENT, Doubts(), SETTINGS.space)[1]
    assert reasons[0] == "30 pairs of necrotic neighbours, 10.0 by chance (p below 0.001)"


CHANCE = model.Tested(ratio=1.0, observed=10, expected=10.0, p=0.5)
MANY = model.Tested(ratio=2.0, observed=20, expected=10.0, p=1e-4)
THIN = Doubts(section=("few fibres",), cover=("few fibres",))


@pytest.mark.parametrize(
    ("grouping", "at_border", "necrosis", "doubts", "arrangement", "why"),
    [
        (CHANCE, CHANCE, PRESENT, Doubts(), "scattered", "10 pairs of necrotic neighbours"),
        (CHANCE, CHANCE, PRESENT, Doubts(section=("one field",)), "not_assessable", "groups may have been missed: one field"),
        (CHANCE, CHANCE, PRESENT, Doubts(reference=("dead",)), "not_assessable", "groups may have been missed: dead"),
        (CHANCE, MANY, PRESENT, Doubts(section=("one field",)), "perifascicular", "10 pairs"),
        (CHANCE, MANY, PRESENT, THIN, "not_assessable", "fascicle borders may be gaps of missed fibres: few fibres"),
        (MANY, MANY, PRESENT, THIN, "grouped", "20 pairs"),
        (MANY, MANY, PRESENT._replace(state="absent"), Doubts(), "not_assessable", "rests on necrotic fibres, which are absent ()"),
        (CHANCE, CHANCE, not_judged("few"), Doubts(), "not_assessable", "rests on necrotic fibres, which are not settled (few)"),
    ],
)
def test_the_arrangement_is_told_only_where_nothing_speaks_against_it(grouping, at_border, necrosis, doubts, arrangement, why):
    name, reasons = _name(30, grouping, at_border, necrosis, doubts, SETTINGS.space)
    assert name == arrangement
    assert reasons[0].startswith(why)
    assert any("of necrotic neighbours" in reason for reason in reasons)
    if name == "not_assessable":
        assert not any("(p " in reason for reason in reasons)  # what can't be assessed has no p to convince with


@pytest.mark.parametrize(
    ("observed", "n", "m", "k"), [(12, 72, 12, 12), (3, 72, 20, 12), (0, 72, 20, 12), (15, 40, 30, 25), (40, 900, 135, 200)]
)
def test_the_tail_at_the_border_is_hypergeometric(observed, n, m, k):
    assert _at_least(observed, n, m, k) == pytest.approx(hypergeom.sf(observed - 1, n, m, k), rel=1e-9)


def test_perifascicular():
    fibres = two_fascicles(60.0)
    facing = np.isin(fibres["x_um"], (300.0, 420.0))
    space, _ = space_of(fibres.assign(state=np.where(facing, "necrotic", "normal")))
    assert space.arrangement == "perifascicular"
    assert (space.perifascicular.observed, space.perifascicular.expected) == (12, pytest.approx(2))
    assert space.perifascicular_fibres == 12
    inner, _ = space_of(fibres.assign(state=np.where(facing, "normal", np.where(fibres["fibre_id"] % 4 == 0, "necrotic", "normal"))))
    assert inner.arrangement != "perifascicular"


def test_unassessable_fibres_are_left_out():
    fibres = lattice(np.arange(400) < 40).assign(assessable=np.arange(400) >= 20)
    space, rows = space_of(fibres)
    assert space.confluent.fibres == rows.sum() == 20
    assert not rows[:20].any()


def test_false_alarms_are_as_rare_as_stated():
    """Necrosis labelled at random on fibres in two fascicles: it is named grouped or perifascicular in about 1 of 50 (two tests of 1 %)."""
    rng = np.random.default_rng(1)
    y, x = (a.ravel() for a in np.mgrid[0:12, 0:24])
    fibres = make_fibres(["normal"] * 288, y_um=y * 60.0, x_um=x * 60.0 + np.where(x > 11, 60.0, 0.0), area_um2=np.pi * 33.0**2)
    places = find_places(fibres, make_nuclei([]), SETTINGS.space)
    names, pairs = [], neighbours(fibres, SETTINGS.space)
    for _ in range(150):
        labelled = fibres.assign(state=np.where(rng.permutation(288) < 30, "necrotic", "normal"))
        confluent = find_confluent(labelled, pairs, SETTINGS.space)[0]
        names.append(find_space(labelled, places, pairs, confluent, BASIS, PRESENT, SETTINGS).arrangement)
    assert names.count("grouped") + names.count("perifascicular") <= 7
    assert names.count("scattered") >= 90  # of the others 30 necrotic fibres don't settle a quarter to a third
