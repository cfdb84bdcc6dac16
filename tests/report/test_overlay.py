"""Colours lie where the objects lie, and the legend beside the section."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report import legend
from biopsy_analyzer.report import overlay as module
from biopsy_analyzer.report.legend import scale_bar_um
from biopsy_analyzer.report.overlay import draw_overlay
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS, NUCLEUS_MARKERS
from biopsy_analyzer.report.result import Labels, Picture, Result
from biopsy_analyzer.report.scores_json import scores_document
from biopsy_analyzer.report.summary import summary_text
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.score import score
from biopsy_analyzer.tables import CLUSTER_KINDS, CLUSTERS, FIBRE_STATES, FIBRES, NUCLEI, NUCLEUS_TYPES, empty
from biopsy_analyzer.tissue.flags import Flag
from made_tables import make_fibres, make_nuclei


def overlay(result: Result, folder: Path) -> np.ndarray:
    return cv2.imread(str(write_result(result, folder) / "overlay.png"))[..., ::-1]


def test_every_class_has_a_colour() -> None:
    assert set(FIBRE_COLOURS) == {*FIBRE_STATES, "unassessable"}
    assert set(NUCLEUS_COLOURS) == set(NUCLEUS_TYPES)
    assert set(CLUSTER_COLOURS) == set(CLUSTER_KINDS)


def test_contours_and_fills_lie_on_the_objects(result: Result, tmp_path: Path) -> None:
    drawn = overlay(result, tmp_path)
    section = result.picture.rgb[0, 0]
    # fibre 2, necrotic: y 32..128, x 160..288 px of the picture
    assert tuple(drawn[100, 288]) == FIBRE_COLOURS["necrotic"]
    assert tuple(drawn[128, 200]) == FIBRE_COLOURS["necrotic"]
    expected = 0.92 * section.astype(float) + 0.08 * np.array(FIBRE_COLOURS["necrotic"])
    assert np.abs(drawn[110, 250] - expected).max() <= 1
    assert tuple(drawn[32, 60]) == FIBRE_COLOURS["normal"]
    assert tuple(drawn[120, 40]) == tuple(section)  # inside fibre 1: as it was
    assert tuple(drawn[380, 480]) == tuple(section)  # between the fibres: as it was


def test_nothing_but_the_strip_is_added(result: Result, tmp_path: Path) -> None:
    drawn = overlay(result, tmp_path)
    assert drawn.shape[1] == 1000  # a narrow picture is widened with white, so that the legend can be read
    assert np.all(drawn[:400, 500:] == 255)
    assert drawn.shape[0] > 400
    assert np.any(drawn[400:] < 100)


def test_an_empty_result_is_the_section_alone(result: Result, tmp_path: Path) -> None:
    nothing = Labels(np.zeros((1, 1), np.int32), PixelGrid((1, 1), 0.5))
    tables = {"fibres": empty(FIBRES), "nuclei": empty(NUCLEI), "clusters": empty(CLUSTERS)}
    drawn = overlay(dataclasses.replace(result, fibre_labels=nothing, nucleus_labels=nothing, **tables), tmp_path)
    assert np.array_equal(drawn[:400, :500], result.picture.rgb)


def test_a_coarse_picture_still_shows_the_classes(result: Result, tmp_path: Path) -> None:
    rgb = np.full((50, 62, 3), 220, np.uint8)
    drawn = overlay(dataclasses.replace(result, picture=Picture(rgb, PixelGrid((50, 62), 2.0))), tmp_path)
    assert np.any(np.all(drawn[:50, :62] == FIBRE_COLOURS["necrotic"], axis=2))


def test_sick_and_unassessable_fibres_bear_their_number_ordinary_ones_do_not(result: Result, tmp_path: Path) -> None:
    drawn = overlay(result, tmp_path)
    # y, x in px of the lower halves of fibres 1 (normal), 2 (necrotic) and 3 (unassessable), the contour left out
    halves = [drawn[80:124, 36:112], drawn[96:124, 200:284], drawn[260:316, 68:188]]
    assert [bool(np.any(half.min(axis=2) > 225)) for half in halves] == [False, True, True]


@pytest.mark.parametrize(("edge", "inner"), [(0.0, 150.0), (320.0, 150.0)], ids=["left", "right"])
def test_the_edge_of_the_image_cuts_no_number(edge: float, inner: float) -> None:
    """Fibre 314, wedged so that its number would lie over the edge, must not read as 14 or 31."""

    def white(left: float) -> int:
        corner = 0.0 if left < 320 else 80.0
        ring = np.array([[10.0, left], [10.0, left + 80], [120.0, left + corner]])
        nuclei, clusters = ((empty(columns), []) for columns in (NUCLEI, CLUSTERS))
        fibres = make_fibres(["necrotic"], fibre_id=314)
        drawn = draw_overlay(np.zeros((200, 400, 3), np.uint8), PixelGrid((200, 400), 1.0), (fibres, [ring]), nuclei, clusters, "")
        return int(np.count_nonzero(drawn[:200, :400].min(axis=2) > 200))

    assert white(edge) == pytest.approx(white(inner), rel=0.1)  # but for how the pixels fall
    assert white(inner) > 20


def test_fibres_may_reach_beyond_the_picture_or_lie_outside() -> None:
    """Corners (y, x) as far out as a picture of a part of the section gives them."""
    section = np.full((60, 80, 3), 200, np.uint8)
    nuclei, clusters = ((empty(columns), []) for columns in (NUCLEI, CLUSTERS))

    def drawn(top: float, left: float, bottom: float, right: float) -> np.ndarray:
        ring = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
        fibres = make_fibres(["necrotic"], fibre_id=7)
        return draw_overlay(section, PixelGrid((60, 80), 1.0), (fibres, [ring]), nuclei, clusters, "")[:60, :80]

    tint = np.round(0.92 * 200 + 0.08 * np.array(FIBRE_COLOURS["necrotic"]))
    assert np.all(drawn(-50.0, -50.0, 150.0, 150.0) == tint)
    for outside in ((-90.0, 5.0, -20.0, 70.0), (90.0, 5.0, 200.0, 70.0), (5.0, -90.0, 50.0, -20.0), (5.0, 120.0, 50.0, 190.0)):
        left = drawn(*outside)
        assert np.mean(np.any(left != section, axis=2)) < 0.02  # but for a number, which stays within the picture's sides


def test_nuclei_that_were_not_assessed_are_not_counted_as_0(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    text = legend._Pen.text
    monkeypatch.setattr(legend._Pen, "text", lambda pen, x, y, words: (written.append(words), text(pen, x, y, words)))
    overlay(result, tmp_path)
    assert {"macrophage: 2", "pattern: indeterminate", "necrosis: not assessed"} <= set(written)
    written.clear()
    coarse = score(result.fibres, empty(NUCLEI), empty(CLUSTERS), 0.0125, result.settings, nuclei_assessed=False)
    nothing = Labels(np.zeros((1, 1), np.int32), PixelGrid((1, 1), 0.5))
    tables = {"nuclei": empty(NUCLEI), "clusters": empty(CLUSTERS)}
    overlay(dataclasses.replace(result, nucleus_labels=nothing, scores=coarse, **tables), tmp_path)
    assert {"Nuclei: not assessed", "Clusters: not assessed", "macrophage", "inflammation: not assessed"} <= set(written)


def test_a_sheet_is_told_in_words_and_not_counted_as_a_cluster(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    text = legend._Pen.text
    monkeypatch.setattr(legend._Pen, "text", lambda pen, x, y, words: (written.append(words), text(pen, x, y, words)))
    outlined = np.all(overlay(result, tmp_path)[:400, :500] == CLUSTER_COLOURS["mixed"], axis=2)
    assert "mixed: 1" in written
    written.clear()
    settings = result.settings.model_copy(update={"clusters": result.settings.clusters.model_copy(update={"sheet_um2": 40.0})})
    scores = score(result.fibres, result.nuclei, result.clusters, 0.0125, settings, nuclei_assessed=True)
    sheet = dataclasses.replace(result, settings=settings, scores=scores)
    assert (
        np.all(overlay(sheet, tmp_path)[:400, :500] == CLUSTER_COLOURS["mixed"], axis=2).sum() < outlined.sum() - 100
    )  # numbers are white too
    assert "mixed: 0" in written
    assert any("sheets of cells, not outlined: 1" in words for words in written)
    assert "0 mixed (0 at necrotic fibres), besides 1 confluent (3 cells on " in summary_text(scores_document(sheet))


def test_the_legend_names_what_forbids_a_pattern(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are read without the report."""
    written: list[str] = []
    text = legend._Pen.text
    monkeypatch.setattr(legend._Pen, "text", lambda pen, x, y, words: (written.append(words), text(pen, x, y, words)))
    codes = ("blurred", "thin-cover", "no-ordinary-fibres")
    plain, doubted = (dataclasses.replace(result, flags=tuple(Flag(code, 0.1, 0.5, "m") for code in some)) for some in (codes[:1], codes))
    low = overlay(plain, tmp_path)
    assert not any("doubtful" in words for words in written)
    high = overlay(doubted, tmp_path)
    assert "doubtful: thin-cover, no-ordinary-fibres" in written
    assert high.shape[0] > low.shape[0], "a line of its own, nothing written over another"


@pytest.mark.parametrize(("room", "bar"), [(1.0, 1), (199.0, 100), (200.0, 200), (499.0, 200), (4999.0, 2000), (0.03, 0.02)])
def test_scale_bars_are_round(room: float, bar: float) -> None:
    assert scale_bar_um(room) == pytest.approx(bar)


def nuclei_at(kind: str, yx_um: np.ndarray, radius_um: float) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Nuclei with square outlines."""
    corners = radius_um * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    return make_nuclei([kind] * len(yx_um), y_um=yx_um[:, 0], x_um=yx_um[:, 1]), [centre + corners for centre in yx_um]


def draw(
    um_per_px: float, side_px: int, nuclei: tuple[pd.DataFrame, list[np.ndarray]], fibres: tuple[pd.DataFrame, list[np.ndarray]]
) -> np.ndarray:
    section, grid = np.full((side_px, side_px, 3), 200, np.uint8), PixelGrid((side_px, side_px), um_per_px)
    return draw_overlay(section, grid, fibres, nuclei, (empty(CLUSTERS), []), "")[:side_px, :side_px]


@pytest.mark.parametrize("kind", NUCLEUS_MARKERS)
def test_a_nucleus_is_seen_through_its_marker_where_it_is_large_in_pixels(kind: str) -> None:
    nucleus, no_fibres = nuclei_at(kind, np.array([[20.0, 20.0]]), 4.0), (empty(FIBRES), [])
    large, small = draw(0.2, 200, nucleus, no_fibres), draw(0.5, 80, nucleus, no_fibres)
    assert np.all(large[98:102, 98:102] == 200)
    within = np.all(large[85:115, 85:115] == NUCLEUS_COLOURS[kind], axis=2)  # the contour lies beyond
    assert np.count_nonzero(within) > 20
    assert tuple(small[40, 40]) == NUCLEUS_COLOURS[kind]


def test_of_very_many_cells_so_many_are_marked_that_the_tissue_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    text = legend._Pen.text
    monkeypatch.setattr(legend._Pen, "text", lambda pen, x, y, words: (written.append(words), text(pen, x, y, words)))
    placed: list[np.ndarray] = []
    monkeypatch.setattr(module, "draw_markers", lambda drawn, centres, *look: placed.append(centres))
    lattice = np.stack(np.meshgrid(*[np.arange(60) * 5.0 + 2.6] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    for cells in (lattice[:3000], lattice):
        draw(0.5, 600, nuclei_at("macrophage", cells, 2.0), (empty(FIBRES), []))
    _, few, _, many, _, _ = placed  # internal, macrophage, lymphocyte; a crowd first
    assert len(few) == 3000
    apart = cdist(many, many) + 1e9 * np.eye(len(many))
    assert apart.min() > 4 * 4 - 2  # two diameters of a marker of 2 um = 4 px radius, to whole pixels
    assert cdist(lattice / 0.5, many).min(axis=1).max() < 4 * 4 + 2  # and none is left out that had room
    notes = [words for words in written if "thinned" in words]
    assert notes == [f"Markers are thinned out where cells are too many to see the tissue: {len(many)} of 3600 macrophage."]


def test_a_crowd_of_cells_lies_under_the_outlines_of_necrotic_fibres_and_a_single_cell_above() -> None:
    fibre = make_fibres(["necrotic"]), [np.array([[10.0, 10.0], [10.0, 70.0], [70.0, 70.0], [70.0, 10.0]])]
    on_it = np.array([[70.0, x] for x in range(20, 65, 5)])
    few = draw(0.5, 160, nuclei_at("macrophage", on_it, 3.0), fibre)
    elsewhere = np.tile([[75.0, 75.0]], (3001, 1))
    many = draw(0.5, 160, nuclei_at("macrophage", np.concatenate([on_it, elsewhere]), 3.0), fibre)
    assert np.count_nonzero(np.all(few[136:144, 40:120] == NUCLEUS_COLOURS["macrophage"], axis=2)) > 50
    assert np.all(many[140, 40:120] == FIBRE_COLOURS["necrotic"])
