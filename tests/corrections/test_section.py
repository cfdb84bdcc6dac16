"""Corrections on a real result folder: after each edit everything is as a whole new measurement of the corrected section would have it."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.classify.features import count_nuclei
from biopsy_analyzer.clusters import distance_to_necrosis, find_clusters, necrotic_border, necrotic_fibre_ids
from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.corrections.follow import told_types
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.measure.nuclei_in_fibres import assign
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.score import score
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import CLUSTERS, COLOUR, FIBRES, NUCLEI, SHAPE
from painted_result import centre, fibre_at

COUNTS = ["nuclei_count", "internal_nuclei_count", "macrophages_inside", "deepest_nucleus_um", "nuclear_fraction"]


def check_whole(corrections: Corrections) -> None:
    """Everything that follows from labels and calls, measured again from the whole image by the analysis' own functions."""
    fibres, nuclei = corrections.fibres, corrections.nuclei
    for table, columns in ((fibres, FIBRES), (nuclei, NUCLEI), (corrections.clusters, CLUSTERS)):
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == columns
    labels, grid = np.asarray(corrections.labels["fibres"].pixels), corrections.labels["fibres"].grid
    assert sorted(set(np.unique(labels)) - {0}) == fibres["fibre_id"].tolist()
    assert sorted(set(np.unique(np.asarray(corrections.labels["nuclei"].pixels))) - {0}) == nuclei["nucleus_id"].tolist()
    ids = fibres["fibre_id"].to_numpy()
    numbered = np.searchsorted(ids, labels).astype(np.int32) + (labels > 0)
    pd.testing.assert_frame_equal(fibres[list(SHAPE)], measure_shape(numbered.astype(np.int32), grid), check_exact=False, rtol=1e-9)
    where = assign(nuclei, labels, grid)
    pd.testing.assert_frame_equal(nuclei[list(where)], where, rtol=1e-9)
    assert nuclei["type"].tolist() == told_types(nuclei, Settings()).tolist()
    pd.testing.assert_frame_equal(fibres[COUNTS], count_nuclei(fibres, nuclei)[COUNTS])
    border = necrotic_border(necrotic_fibre_ids(fibres), labels, grid)
    np.testing.assert_allclose(nuclei["necrosis_distance_um"], distance_to_necrosis(nuclei, fibres, border), atol=1e-9)
    clusters, number = find_clusters(nuclei, fibres, border, Settings().clusters)
    pd.testing.assert_frame_equal(corrections.clusters, clusters)
    assert nuclei["cluster_id"].tolist() == number.tolist()
    assert corrections.scores() == score(fibres, nuclei, clusters, corrections.tissue_area_mm2, Settings(), True)


def square(number: int, half: float) -> np.ndarray:
    return centre(number) + half * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])


def test_a_result_opens_as_the_machine_left_it(folder):
    corrections = Corrections.open(folder)
    pd.testing.assert_frame_equal(corrections.fibres, corrections.saved.fibres)
    pd.testing.assert_frame_equal(corrections.nuclei, corrections.saved.nuclei)
    check_whole(corrections)
    assert not (folder / "corrections.jsonl").exists()
    assert corrections.scores().fibres.necrotic == corrections.saved.document["fibres"]["necrotic"] == 3


def test_a_state_and_what_hangs_on_it(folder):
    corrections = Corrections.open(folder, who="reader")
    fibre = fibre_at(corrections, 10)
    at_it = corrections.clusters["necrotic_fibres"].sum()
    change = corrections.set_state([fibre], "normal")
    row = corrections.fibres.set_index("fibre_id").loc[fibre]
    assert (row["state"], row["probability"], row["p_normal"], row["p_necrotic"]) == ("normal", 1.0, 1.0, 0.0)
    assert row["reason"].startswith("by hand: normal; before necrotic (0.")
    assert change.fibre_ids == (fibre,)
    assert corrections.scores().fibres.necrotic == 2
    assert corrections.clusters["necrotic_fibres"].sum() == at_it - 1  # three macrophages around it were a cluster
    check_whole(corrections)
    corrections.set_state([fibre, fibre_at(corrections, 0)], "unassessable")
    assert corrections.scores().fibres.assessable == 79
    check_whole(corrections)


def test_every_fibre_healthy_and_one_dead_again(folder):
    corrections = Corrections.open(folder)
    dead = [int(i) for i in necrotic_fibre_ids(corrections.fibres)]
    corrections.set_state(dead, "normal")
    assert corrections.nuclei["necrosis_distance_um"].isna().all()
    check_whole(corrections)
    corrections.set_state(dead[:1], "pale-fragmented")
    check_whole(corrections)


def test_a_type_and_the_cluster_it_makes(folder):
    corrections = Corrections.open(folder)
    row = corrections.nuclei[corrections.nuclei["cluster_id"] > 0]
    ids = row.loc[row["type"] == "lymphocyte", "nucleus_id"].tolist()[2:9]
    before = len(corrections.clusters)
    corrections.set_type([int(i) for i in ids], "other")
    assert len(corrections.clusters) < before
    check_whole(corrections)
    internal = int(corrections.nuclei.loc[corrections.nuclei["type"] == "internal", "nucleus_id"].iloc[0])
    corrections.set_type([internal], "macrophage")
    check_whole(corrections)
    corrections.set_type([internal], "myonucleus")  # deep in its fibre, but a reader says so
    assert corrections.nuclei.set_index("nucleus_id").loc[internal, "type"] == "myonucleus"
    check_whole(corrections)
    corrections.undo()
    corrections.undo()
    corrections.undo()
    pd.testing.assert_frame_equal(corrections.clusters, corrections.saved.clusters)
    check_whole(corrections)


def test_deleting(folder):
    corrections = Corrections.open(folder)
    fibre = fibre_at(corrections, 41)
    inside = corrections.nuclei.loc[corrections.nuclei["fibre_id"] == fibre_at(corrections, 40), "nucleus_id"].tolist()
    corrections.delete("fibres", [fibre])
    assert fibre not in corrections.fibres["fibre_id"].tolist()
    check_whole(corrections)
    corrections.delete("nuclei", [int(i) for i in inside])
    check_whole(corrections)
    corrections.undo()
    corrections.undo()
    pd.testing.assert_frame_equal(corrections.fibres, corrections.saved.fibres)
    pd.testing.assert_frame_equal(corrections.nuclei, corrections.saved.nuclei)
    check_whole(corrections)
    with pytest.raises(UsageError, match="no fibres"):
        corrections.delete("fibres", [99_999])


def test_cut_in_two_and_joined_again(folder, slide):
    corrections = Corrections.open(folder, slide=slide)
    fibre = fibre_at(corrections, 40)
    before = corrections.fibres.set_index("fibre_id").loc[fibre]
    line = centre(40) + np.array([[-30.0, 4], [0, 5], [30, 4]])
    change = corrections.split(fibre, line)
    (new,) = set(corrections.fibres["fibre_id"]) - set(corrections.saved.fibres["fibre_id"])
    assert new == 82
    assert str(new) in change.text
    rows = corrections.fibres.set_index("fibre_id").loc[[fibre, new]]
    assert rows["area_um2"].sum() == pytest.approx(before["area_um2"])
    assert rows["area_um2"].iloc[0] == pytest.approx(before["area_um2"] * 25 / 40, rel=0.05)
    assert rows["state"].tolist() == ["necrotic"] * 2
    np.testing.assert_allclose(rows["eosin_od"], before["eosin_od"], atol=0.02)  # painted in one colour
    np.testing.assert_allclose(rows["eosin_rel"], before["eosin_rel"], atol=0.02)
    check_whole(corrections)
    corrections.merge([new, fibre])
    row = corrections.fibres.set_index("fibre_id").loc[fibre]
    assert row["area_um2"] == pytest.approx(before["area_um2"])
    np.testing.assert_allclose(
        row[list(COLOUR)].astype(float), before[list(COLOUR)].astype(float), atol=1e-9
    )  # as the analysis measured it
    assert row["map_necrotic"] == pytest.approx(before["map_necrotic"])
    check_whole(corrections)


def test_neighbours_merge_over_their_cleft_and_strangers_do_not(folder):
    corrections = Corrections.open(folder)
    pair = [fibre_at(corrections, 20), fibre_at(corrections, 21)]
    corrections.merge(pair)
    row = corrections.fibres.set_index("fibre_id").loc[pair[0]]
    assert row["area_um2"] == pytest.approx(40 * 88, rel=0.06)  # two squares of 40 um and the cleft of 8 um between them
    assert np.isnan(row["eosin_od"])
    assert "the slide was not at hand" in row["reason"]
    check_whole(corrections)
    with pytest.raises(UsageError, match="next to each other"):
        corrections.merge([fibre_at(corrections, 0), fibre_at(corrections, 8)])
    check_whole(corrections)
    assert len(corrections.journal.lines) == 1


def test_drawn_anew_and_drawn_first(folder, slide):
    corrections = Corrections.open(folder, slide=slide)
    fibre = fibre_at(corrections, 22)
    corrections.redraw(fibre, square(22, 10))
    row = corrections.fibres.set_index("fibre_id").loc[fibre]
    assert row["area_um2"] == pytest.approx(400, rel=0.05)
    check_whole(corrections)
    corrections.delete("fibres", [fibre])
    corrections.draw(square(22, 22), "regenerating")
    row = corrections.fibres.iloc[-1]
    assert (row["fibre_id"], row["state"], row["assessable"]) == (82, "regenerating", True)
    assert row["area_um2"] == pytest.approx(44**2, rel=0.03)
    assert np.isnan(row["map_necrotic"])
    check_whole(corrections)
    with pytest.raises(UsageError, match="free of other fibres"):
        corrections.draw(square(22, 15), "normal")
    with pytest.raises(UsageError, match="beside the section"):
        corrections.draw(square(22, 15) - 10_000, "normal")


def test_at_the_edge_of_the_image_an_outline_is_cut(folder):
    corrections = Corrections.open(folder)
    corrections.draw(np.array([[-20.0, 200], [-20, 240], [30, 240], [30, 200]]), "normal")
    row = corrections.fibres.iloc[-1]
    assert row["touches_border"]
    assert row["area_um2"] == pytest.approx(30 * 40, rel=0.05)
    check_whole(corrections)


def test_a_region_that_cannot_be_judged(folder):
    corrections = Corrections.open(folder)
    ring = square(40, 60)
    inside = (np.abs(corrections.fibres[["y_um", "x_um"]].to_numpy() - centre(40)) < 60).all(axis=1)
    corrections.mark_unassessable(ring)
    assert (corrections.fibres["assessable"] == ~inside).all()
    assert inside.sum() == 9
    assert not (np.abs(corrections.nuclei[["y_um", "x_um"]].to_numpy() - centre(40)) < 60).all(axis=1).any()
    whole = corrections.saved.document["quality"]["tissue_area_mm2"]
    assert whole - corrections.tissue_area_mm2 == pytest.approx(0.125**2)  # five squares of 25 um each way
    check_whole(corrections)
    corrections.undo()
    assert corrections.tissue_area_mm2 == whole
    check_whole(corrections)
    with pytest.raises(UsageError, match="nothing lies"):
        corrections.mark_unassessable(ring - 5000)


def test_undo_redo_and_a_new_edit_after_undo(folder):
    corrections = Corrections.open(folder)
    one, other = fibre_at(corrections, 1), fibre_at(corrections, 2)
    corrections.set_state([one], "necrotic")
    corrections.split(other, centre(2) + np.array([[-30.0, 0], [30, 0]]))
    after = corrections.fibres
    corrections.undo()
    corrections.undo()
    pd.testing.assert_frame_equal(corrections.fibres, corrections.saved.fibres)
    assert corrections.can_redo
    corrections.redo()
    corrections.redo()
    pd.testing.assert_frame_equal(corrections.fibres, after)
    check_whole(corrections)
    corrections.undo()
    corrections.set_state([one], "regenerating")
    assert not corrections.can_redo
    with pytest.raises(UsageError, match="redo"):
        corrections.redo()
    assert [line["edit"] for line in corrections.edits] == ["state", "state"]
    again = Corrections.open(folder)
    pd.testing.assert_frame_equal(again.fibres, corrections.fibres)


def any_edit(corrections: Corrections, rng: np.random.Generator) -> None:
    """One edit drawn at random; UsageError where it can't be done."""
    ids, nuclei = corrections.fibres["fibre_id"].to_numpy(), corrections.nuclei["nucleus_id"].to_numpy()
    some, cells = rng.choice(ids, 2, replace=False).tolist(), rng.choice(nuclei, 3, replace=False).tolist()
    at = corrections.fibres.set_index("fibre_id").loc[some[0], ["y_um", "x_um"]].to_numpy(dtype=float)
    ring = at + rng.uniform(8, 26) * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    edits = [
        lambda: corrections.set_state(some, rng.choice(["normal", "necrotic", "unassessable"])),
        lambda: corrections.set_type(cells, rng.choice(["macrophage", "lymphocyte", "other", "internal"])),
        lambda: corrections.delete("fibres", some),
        lambda: corrections.delete("nuclei", cells),
        lambda: corrections.split(some[0], at + np.array([[-40.0, 0], [40, 5]])),
        lambda: corrections.merge(some),
        lambda: corrections.redraw(some[0], ring),
        lambda: corrections.draw(ring + 24, "necrotic"),
        lambda: corrections.mark_unassessable(ring),
        corrections.undo,
        corrections.redo,
    ]
    rng.choice(edits)()


@pytest.mark.parametrize("seed", range(3))
def test_many_edits_in_any_order_then_opened_again(folder, slide, seed):
    """Every edit is followed everywhere, every undo takes it back, and the journal gives the same state again."""
    rng = np.random.default_rng(seed)
    corrections = Corrections.open(folder, slide=slide)
    done = 0
    for _ in range(12):
        with suppress(UsageError):
            any_edit(corrections, rng)
            done += 1
        check_whole(corrections)
    assert done > 5
    again = Corrections.open(folder, slide=slide)
    for name in ("fibres", "nuclei", "clusters"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(corrections, name))
    while corrections.can_undo:
        corrections.undo()
    pd.testing.assert_frame_equal(corrections.fibres, corrections.saved.fibres)
    pd.testing.assert_frame_equal(corrections.nuclei, corrections.saved.nuclei)
    pd.testing.assert_frame_equal(corrections.clusters, corrections.saved.clusters)
