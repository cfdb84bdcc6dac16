"""The plugin in real napari windows: real files dragged in, real clicks, real keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt

from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from biopsy_analyzer.viewer.layers import OWN
from hand import CONTROL, SHIFT, Hand
from painted_slide import STATES, centre, write_pyramid


def test_a_result_opens_with_its_slide_in_um(opened: BiopsyAnalyzer) -> None:
    viewer = opened.workspace.viewer
    assert [layer.name for layer in viewer.layers] == ["section.tif", "fibres", "nuclei", "clusters"]
    assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"micrometer"}
    slide = viewer.layers["section.tif"]
    assert np.allclose(slide.extent.world[:, -2:], [[0.25, 0.25], [503.75, 503.75]])  # centres of the outermost pixels of 0.5 um
    assert viewer.canvas.overlays.scale_bar.visible
    assert opened.workspace.session is not None
    assert opened.workspace.session.slide is slide.metadata[OWN]
    assert "section.tif" in opened.head.text()


def test_a_slide_of_other_content_is_taken_away(
    make_napari_viewer: Callable[..., napari.Viewer], qtbot: Any, folder: Path, tmp_path: Path
) -> None:
    rgb = cv2.flip(cv2.imread(str(tmp_path / "section.tif")), 0)
    write_pyramid(rgb, tmp_path / "section.tif")
    dock = BiopsyAnalyzer(make_napari_viewer())
    dock.workspace.viewer.open(str(folder), plugin="biopsy-analyzer")
    qtbot.waitUntil(lambda: "content differs" in dock.status.text(), timeout=30_000)
    assert [layer.name for layer in dock.workspace.viewer.layers] == ["fibres", "nuclei", "clusters"]
    assert dock.workspace.session is not None
    assert dock.workspace.session.slide is None
    dock.close()


def test_the_picture_shows_slide_and_contours_where_they_belong(opened: BiopsyAnalyzer, qtbot: Any) -> None:
    """Rendered pixels: a necrotic fibre's middle is the slide's colour, its rim the class's; coarse levels lie where fine ones do."""
    viewer = opened.workspace.viewer
    viewer.canvas.overlays.scale_bar.visible = False
    opened.workspace.layers.nuclei.visible = opened.workspace.layers.clusters.visible = False  # type: ignore[union-attr]
    for zoom in (0.8, 3.0):
        viewer.scene.camera.center, viewer.scene.camera.zoom = (0.0, *centre(27)), zoom
        qtbot.wait(50)
        picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        top, left, bottom, _ = opened.workspace.view_um()
        per_px = (bottom - top) / picture.shape[0]

        def at(y: float, x: float, picture: np.ndarray = picture, origin: tuple[float, float] = (top, left), per_px: float = per_px) -> Any:
            return picture[round((y - origin[0]) / per_px), round((x - origin[1]) / per_px)]

        y, x = centre(27)
        assert np.abs(at(y, x) - cv2.imread(str(opened.workspace.session.slide.path))[round(y * 2), round(x * 2), ::-1]).max() < 12  # type: ignore[union-attr]
        reddish = (picture[..., 0] > 190) & (picture[..., 1] > 80) & (picture[..., 1] < 110) & (picture[..., 2] < 30)  # vermillion
        rows = np.flatnonzero(reddish[:, round((x - left) / per_px)]) * per_px + top
        near = rows[np.abs(rows - y) < 24]
        assert abs(near.min() - (y - 20)) < 2.5
        assert abs(near.max() - (y + 20)) < 2.5


def test_a_click_finds_row_reason_and_outline(opened: BiopsyAnalyzer, hand: Hand) -> None:
    session, fibres = opened.workspace.session, opened.pages["Fibres"]
    opened.tabs.setCurrentWidget(fibres)
    assert session is not None
    for number, state in STATES.items():
        opened.workspace.layers.nuclei.visible = False  # type: ignore[union-attr]
        hand.click(centre(number))
        kind, (chosen,) = session.selected
        row = session.row(kind, chosen)
        assert row is not None
        assert (kind, row["state"]) == ("fibres", state)
        assert row["reason"] in fibres.about.text()
        (index,) = fibres.view.selectionModel().selectedRows()
        assert fibres.model.id_at(index.row()) == chosen
        assert len(opened.workspace.layers.selected.data) == len(session.outline(kind, chosen))  # type: ignore[union-attr,arg-type]
    hand.click((3.0, 3.0))
    assert session.selected[1] == []
    assert fibres.view.selectionModel().selectedRows() == []


def test_shift_click_adds_and_takes_away(opened: BiopsyAnalyzer, hand: Hand) -> None:
    session = opened.workspace.session
    assert session is not None
    first, second = (session.at(*centre(number), nuclei=False)[1] for number in (1, 2))  # type: ignore[index]
    hand.click(centre(1))
    hand.click(centre(2), SHIFT)
    assert session.selected == ("fibres", [first, second])
    hand.click(centre(1), SHIFT)
    assert session.selected == ("fibres", [second])


def test_an_outline_that_was_deleted_comes_back_with_the_next_click(opened: BiopsyAnalyzer, hand: Hand) -> None:
    hand.click(centre(1))
    opened.workspace.viewer.layers.remove("selected")
    hand.click(centre(2))
    assert len(opened.workspace.viewer.layers["selected"].data) > 3


def test_a_nucleus_is_told_before_its_fibre(opened: BiopsyAnalyzer, hand: Hand) -> None:
    hand.click(centre(0))
    assert opened.workspace.session.selected[0] == "nuclei"  # type: ignore[union-attr]
    assert "lymphocyte, probability" in opened.pages["Fibres"].about.text()
    opened.legend.boxes["lymphocyte"].click()
    opened.workspace.layers.nuclei.visible = False  # type: ignore[union-attr]
    hand.click(centre(0))
    assert opened.workspace.session.selected[0] == "fibres"  # type: ignore[union-attr]


def test_a_row_brings_its_fibre_into_view(opened: BiopsyAnalyzer, qtbot: Any) -> None:
    fibres, session = opened.pages["Fibres"], opened.workspace.session
    opened.tabs.setCurrentWidget(fibres)
    fibres.only.setCurrentText("regenerating")
    assert fibres.model.rowCount() == 1
    place = fibres.view.visualRect(fibres.model.index(0, 1)).center()
    qtbot.mouseClick(fibres.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert session is not None
    assert session.row(*_single(session.selected))["state"] == "regenerating"  # type: ignore[index]
    assert np.allclose(opened.workspace.viewer.scene.camera.center[-2:], centre(20), atol=1)
    _, left, _, right = opened.workspace.view_um()
    assert right - left < 350


def _single(selected: tuple[str, list[int]]) -> tuple[str, int]:
    kind, (number,) = selected
    return kind, number


def test_columns_sort_by_a_click_on_their_heading(opened: BiopsyAnalyzer, qtbot: Any) -> None:
    fibres, session = opened.pages["Fibres"], opened.workspace.session
    opened.tabs.setCurrentWidget(fibres)
    header = fibres.view.horizontalHeader()
    assert session is not None
    for ascending in (True, False):
        place = QPoint(header.sectionViewportPosition(3) + 20, header.height() // 2)
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
        shown = [float(fibres.model.data(fibres.model.index(row, 3))) for row in range(fibres.model.rowCount())]
        assert shown == sorted(shown, reverse=not ascending)
        assert len(shown) == len(session.fibres)


def test_the_key_n_walks_the_doubtful_ones(opened: BiopsyAnalyzer, hand: Hand) -> None:
    session = opened.workspace.session
    assert session is not None
    doubtful = session.saved.fibres.assign(probability=1.0)
    doubtful.loc[[5, 11], "probability"] = 0.6, 0.3
    session.saved = type(session.saved)(session.folder, session.document, doubtful, session.nuclei, session.clusters)
    session.show(doubtful, session.nuclei, session.clusters, session.document)
    ids = doubtful["fibre_id"]
    for expected in (ids[11], ids[5], ids[11]):
        hand.key(Qt.Key.Key_N)
        assert session.selected == ("fibres", [expected])
    hand.key(Qt.Key.Key_N, SHIFT)
    assert session.selected == ("fibres", [ids[5]])


def test_where_only_cut_and_unassessable_fibres_are_doubtful_the_dock_says_what_is_not_asked(opened: BiopsyAnalyzer, hand: Hand) -> None:
    session = opened.workspace.session
    assert session is not None
    fibres = session.saved.fibres.assign(probability=1.0)
    fibres.loc[[5, 11], "probability"] = 0.66, 0.3
    fibres.loc[5, "touches_border"], fibres.loc[11, "assessable"] = True, False
    session.saved = type(session.saved)(session.folder, session.document, fibres, session.nuclei, session.clusters)
    session.show(fibres, session.nuclei, session.clusters, session.document)
    before = session.selected
    hand.key(Qt.Key.Key_N)
    assert session.selected == before
    assert "cut by the border and unassessable ones are not asked" in opened.status.text()


def test_the_legend_counts_and_hides(opened: BiopsyAnalyzer) -> None:
    boxes, workspace = opened.legend.boxes, opened.workspace
    assert boxes["necrotic"].text() == "necrotic 2"
    assert boxes["macrophage"].text() == "macrophage 4"
    colours = workspace.layers.fibres.colormap.color_dict  # type: ignore[union-attr]
    assert colours[2][3] == 0
    opened.legend.filled.click()
    assert workspace.layers.fibres.colormap.color_dict[2][3] > 0  # type: ignore[union-attr]
    boxes["necrotic"].click()
    assert workspace.layers.fibres.colormap.color_dict[7][3] == 0  # type: ignore[union-attr]
    before = len(workspace.layers.nuclei.data)  # type: ignore[union-attr]
    boxes["macrophage"].click()
    assert before - len(workspace.layers.nuclei.data) == 4  # type: ignore[union-attr]


def test_a_change_is_seen_at_once(opened: BiopsyAnalyzer) -> None:
    session, workspace = opened.workspace.session, opened.workspace
    assert session is not None
    found = session.at(*centre(0), nuclei=False)
    assert found is not None
    fibres = session.fibres.copy()
    fibres.loc[fibres["fibre_id"] == found[1], "state"] = "necrotic"
    y, x = (round(v / 0.8) for v in centre(0))
    levels = workspace.layers.fibres.data  # type: ignore[union-attr]
    assert levels[0][y, x] == 1
    session.show(fibres, session.nuclei, session.clusters, session.document)
    assert workspace.layers.fibres.data[0][y, x] == 2  # type: ignore[union-attr]
    assert opened.legend.boxes["necrotic"].text() == "necrotic 3"


def test_from_afar_a_change_is_seen_too(opened: BiopsyAnalyzer, hand: Hand, qtbot: Any) -> None:
    """Napari keeps the coarsest level; what is on the canvas must not be what it kept."""
    workspace = opened.workspace
    workspace.layers.nuclei.visible = workspace.layers.clusters.visible = False  # type: ignore[union-attr]

    def vermillion() -> int:
        picture = workspace.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        return int(((picture[..., 0] > 190) & (picture[..., 1] > 80) & (picture[..., 1] < 110) & (picture[..., 2] < 30)).sum())

    workspace.viewer.scene.camera.zoom = 0.4
    qtbot.waitUntil(lambda: workspace.layers.fibres.data_level == len(workspace.layers.fibres.data) - 1)  # type: ignore[union-attr,arg-type]
    two = vermillion()
    assert two > 20
    hand.click(centre(44))
    hand.key(Qt.Key.Key_2)
    workspace.session.select("fibres", [])  # type: ignore[union-attr]
    assert vermillion() > 1.3 * two
    hand.click(centre(44))
    hand.key(Qt.Key.Key_Delete)
    assert vermillion() == two


def test_scores_are_drawn(opened: BiopsyAnalyzer, qtbot: Any) -> None:
    page = opened.pages["Scores"]
    qtbot.waitUntil(lambda: page.pictures.count() == 3)
    assert opened.workspace.session.document["pattern"]["label"] in page.pattern.text()  # type: ignore[union-attr]
    for index in range(3):
        canvas = page.pictures.itemAt(index).widget()
        qtbot.waitUntil(lambda canvas=canvas: hasattr(canvas, "renderer") and np.asarray(canvas.buffer_rgba()).std() > 5)
    qtbot.waitUntil(lambda: page.inner.height() > page.viewport().height())


def test_the_view_is_saved_with_scale_bar_and_legend(opened: BiopsyAnalyzer, tmp_path: Path) -> None:
    opened.pages["Export"].save_view(tmp_path / "view.png")
    saved = cv2.imread(str(tmp_path / "view.png"))
    canvas = opened.workspace.viewer.screenshot(canvas_only=True, flash=False)
    assert saved.shape[0] > canvas.shape[0] + 100
    assert saved.shape[1] >= canvas.shape[1]
    bar = np.all(saved[canvas.shape[0] :] == 20, axis=2)  # ink
    longest = max(len(run) for row in bar for run in "".join("x" if ink else " " for ink in row).split() or [""])
    top, _, bottom, _ = opened.workspace.view_um()
    um = longest * (bottom - top) / canvas.shape[0]
    assert min(abs(um - length) / length for length in (20, 50, 100, 200)) < 0.03


def test_files_are_copied_and_never_onto_themselves(opened: BiopsyAnalyzer, tmp_path: Path) -> None:
    page, folder = opened.pages["Export"], opened.workspace.session.folder  # type: ignore[union-attr]
    page.boxes["nuclei.csv"].click()
    page.copy_into(tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} >= {"scores.json", "objects.geojson", "labels.ome.zarr", "fibres.csv"}
    assert not (tmp_path / "copy" / "nuclei.csv").exists()
    assert (tmp_path / "copy" / "scores.json").read_bytes() == (folder / "scores.json").read_bytes()
    page.copy_into(folder)
    assert "is the result folder itself" in page.message.text()


def test_of_a_corrected_section_the_corrected_files_are_copied(opened: BiopsyAnalyzer, hand: Hand, qtbot: Any, tmp_path: Path) -> None:
    page = opened.pages["Export"]
    opened.workspace.layers.nuclei.visible = False  # type: ignore[union-attr]

    def copied(name: str) -> dict[str, Any]:
        page.copy_into(tmp_path / name)
        qtbot.waitUntil(lambda: page.message.text().startswith("Copied"), timeout=60_000)
        return dict(json.loads((tmp_path / name / "scores.json").read_text()))

    for number, name in ((10, "one"), (11, "two")):  # the second time what the first time wrote is old
        hand.click(centre(number))
        hand.key(Qt.Key.Key_2)
        found = copied(name)
        assert found["corrections"]["edits"] == number - 9
        assert found["fibres"]["necrotic"] == 2 + number - 9
    for _ in range(2):
        hand.key(Qt.Key.Key_Z, CONTROL)
    assert copied("none")["corrections"] is None


def test_a_key_works_after_a_click_into_the_table(opened: BiopsyAnalyzer, hand: Hand, qtbot: Any) -> None:
    fibres, session = opened.pages["Fibres"], opened.workspace.session
    opened.tabs.setCurrentWidget(fibres)
    fibres.only.setCurrentText("regenerating")
    hand.press_at(fibres.view.viewport(), fibres.view.visualRect(fibres.model.index(0, 1)).center())
    assert session is not None
    number = _single(session.selected)[1]
    qtbot.keyClick(fibres.view, Qt.Key.Key_2)
    assert session.row("fibres", number)["state"] == "necrotic"  # type: ignore[index]
    hand.click(centre(19))  # its neighbour, normal
    assert "not among the regenerating fibres in the table" in fibres.about.text()


def test_closing_lets_go_of_the_viewer(opened: BiopsyAnalyzer) -> None:
    viewer = opened.workspace.viewer
    opened.close()
    assert opened.workspace.session is None
    viewer.layers.remove("fibres")
    viewer.scene.camera.zoom = 2.0


def test_a_dock_that_was_closed_comes_back(opened: BiopsyAnalyzer, qtbot: Any) -> None:
    """As by the cross of the dock: napari only takes the widget out of its frame."""
    viewer = napari.current_viewer()
    assert viewer is not None
    viewer.window.remove_dock_widget(opened)
    assert opened.workspace.session is None
    _, again = viewer.window.add_plugin_dock_widget("biopsy-analyzer", "Biopsy Analyzer")
    assert again is not opened
    hand = Hand(qtbot, again)
    hand.click(centre(1))
    hand.click(centre(2), SHIFT)
    assert len(again.workspace.session.selected[1]) == 2
    hand.key(Qt.Key.Key_N)
    again.close()


def test_a_slide_without_a_result_can_be_run_only(make_napari_viewer: Callable[..., napari.Viewer], analysed: Path) -> None:
    viewer = make_napari_viewer()
    dock = BiopsyAnalyzer(viewer)
    assert not dock.pages["Run"].run.isEnabled()
    viewer.open(str(analysed / "section.tif"), plugin="biopsy-analyzer")
    assert dock.pages["Run"].run.isEnabled()
    assert dock.pages["Run"].slide.text() == "section.tif"
    assert not dock.pages["Export"].copy.isEnabled()
    dock.close()
