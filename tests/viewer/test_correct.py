"""Corrections in a real window: real clicks, keys and drags, a journal on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.models import default_folder
from biopsy_analyzer.report.saved import read_saved
from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from biopsy_analyzer.viewer.teach import ADAPTED
from hand import CONTROL, SHIFT, Hand, open_result
from painted_result import said_to_be_made_with
from painted_slide import STATES, centre


@pytest.fixture
def correcting(opened: BiopsyAnalyzer) -> BiopsyAnalyzer:
    """The window at its tab Correct, nuclei hidden so that clicks meet fibres."""
    opened.tabs.setCurrentWidget(opened.pages["Correct"])
    opened.workspace.layers.nuclei.visible = False  # type: ignore[union-attr]
    QApplication.processEvents()
    return opened


def state_at(dock: BiopsyAnalyzer, number: int) -> str:
    session = dock.workspace.session
    assert session is not None
    found = session.at(*centre(number), nuclei=False)
    assert found is not None
    row = session.row(*found)
    assert row is not None
    return str(row["state"]) if row["assessable"] else "unassessable"


def across(number: int, half: float) -> list[np.ndarray]:
    """A line through the middle of fibre `number`."""
    return [np.array(centre(number)) + np.array([0.0, x]) for x in np.linspace(-half, half, 12)]


def ring(number: int, half: float) -> list[np.ndarray]:
    """A way around fibre `number`, drawn by hand."""
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1], [-1, -1]]) * half
    steps = [a + (b - a) * t for a, b in pairwise(corners) for t in np.linspace(0, 1, 6)]
    return [np.array(centre(number)) + step for step in steps]


def test_one_key_calls_a_state_and_the_score_follows(correcting: BiopsyAnalyzer, hand: Hand, folder: Path) -> None:
    page = correcting.pages["Correct"]
    machine = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for key, state in (
        (Qt.Key.Key_2, "necrotic"),
        (Qt.Key.Key_3, "pale-fragmented"),
        (Qt.Key.Key_5, "unassessable"),
        (Qt.Key.Key_4, "regenerating"),
    ):
        hand.click(centre(9))
        hand.key(key)
        assert state_at(correcting, 9) == state
    assert "<b>" in page.scores.text()
    assert page.edits.count() == 4
    assert correcting.workspace.session.document["corrections"]["edits"] == 4
    lines = (folder / "corrections.jsonl").read_text().splitlines()
    assert [json.loads(line).get("state") for line in lines] == [None, "necrotic", "pale-fragmented", "unassessable", "regenerating"]
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert state_at(correcting, 9) == "unassessable"
    hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert state_at(correcting, 9) == "regenerating"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name in machine} == machine


def test_keys_work_whichever_layer_is_active(correcting: BiopsyAnalyzer, hand: Hand) -> None:
    """Labels paint with 2 and make new labels with M on their own."""
    viewer, wanted = correcting.workspace.viewer, ["necrotic", "regenerating", "normal", "pale-fragmented"]
    keys = {"necrotic": Qt.Key.Key_2, "regenerating": Qt.Key.Key_4, "normal": Qt.Key.Key_1, "pale-fragmented": Qt.Key.Key_3}
    for layer, state in zip(list(viewer.layers)[:4], wanted, strict=True):
        viewer.layers.selection.active = layer
        hand.click(centre(9))
        hand.key(keys[state])
        assert state_at(correcting, 9) == state, layer.name
        assert getattr(layer, "mode", "pan_zoom") == "pan_zoom"


def test_a_drawn_line_splits_and_m_merges(correcting: BiopsyAnalyzer, hand: Hand) -> None:
    session = correcting.workspace.session
    assert session is not None
    before = len(session.fibres)
    hand.click(centre(9))
    hand.key(Qt.Key.Key_S)
    hand.drag(across(9, 26))
    assert len(session.fibres) == before + 1
    assert "draw here" not in correcting.workspace.viewer.layers
    y, x = centre(9)
    hand.click((y - 8, x + 6))
    hand.click((y + 8, x + 6), SHIFT)
    assert len(session.selected[1]) == 2
    hand.key(Qt.Key.Key_M)
    assert len(session.fibres) == before
    row = session.row(*session.at(y, x, nuclei=False))  # type: ignore[misc]
    machine = session.saved.fibres.set_index("fibre_id").loc[row["fibre_id"]]  # type: ignore[index]
    assert row["area_um2"] == pytest.approx(machine["area_um2"])  # type: ignore[index]
    assert row["eosin_od"] == pytest.approx(machine["eosin_od"])  # type: ignore[index]  # the slide is at hand


def test_deleted_drawn_again_and_redrawn(correcting: BiopsyAnalyzer, hand: Hand) -> None:
    session = correcting.workspace.session
    assert session is not None
    hand.click(centre(9))
    hand.key(Qt.Key.Key_Delete)
    assert session.at(*centre(9), nuclei=False) is None
    hand.key(Qt.Key.Key_D)
    hand.drag(ring(9, 18))
    assert session.selected == ("fibres", [session.saved.fibres["fibre_id"].max() + 1])  # ready for its state
    hand.key(Qt.Key.Key_4)
    assert state_at(correcting, 9) == "regenerating"
    assert session.row(*session.at(*centre(9), nuclei=False))["area_um2"] == pytest.approx(36**2, rel=0.1)  # type: ignore[misc,index]
    hand.key(Qt.Key.Key_R)
    hand.drag(ring(9, 10))
    assert session.row(*session.at(*centre(9), nuclei=False))["area_um2"] == pytest.approx(20**2, rel=0.15)  # type: ignore[misc,index]
    assert state_at(correcting, 9) == "regenerating"


def test_escape_puts_the_pen_down(correcting: BiopsyAnalyzer, hand: Hand) -> None:
    hand.key(Qt.Key.Key_U)
    assert "draw here" in correcting.workspace.viewer.layers
    hand.key(Qt.Key.Key_Escape)
    assert "draw here" not in correcting.workspace.viewer.layers
    assert correcting.workspace.session.corrections.edits == []  # type: ignore[union-attr]


def test_what_cannot_be_done_is_said_and_changes_nothing(correcting: BiopsyAnalyzer, hand: Hand, folder: Path) -> None:
    hand.key(Qt.Key.Key_2)
    assert "select a fibre" in correcting.status.text()
    hand.click(centre(9))
    hand.key(Qt.Key.Key_M)
    assert "two or more" in correcting.status.text()
    hand.key(Qt.Key.Key_S)
    hand.drag(across(9, 4))  # ends within the fibre
    assert "one piece" in correcting.status.text()
    assert not (folder / "corrections.jsonl").exists()


def test_types_of_nuclei_by_the_same_keys(correcting: BiopsyAnalyzer, hand: Hand) -> None:
    session = correcting.workspace.session
    assert session is not None
    correcting.workspace.layers.nuclei.visible = True  # type: ignore[union-attr]
    hand.click(centre(0))
    assert session.selected[0] == "nuclei"
    assert correcting.pages["Correct"].buttons["class 2"].text() == "macrophage (3)"
    hand.key(Qt.Key.Key_3)
    assert session.row(*("nuclei", session.selected[1][0]))["type"] == "macrophage"  # type: ignore[index]


def test_a_result_with_a_journal_opens_corrected(make_napari_viewer: Callable[..., napari.Viewer], qtbot: Any, folder: Path) -> None:
    number = next(iter(STATES))
    corrections = Corrections.open(folder)
    fibres = corrections.fibres
    fibre = int(fibres["fibre_id"].iloc[np.hypot(*(fibres[["y_um", "x_um"]].to_numpy() - centre(number)).T).argmin()])
    corrections.set_state([fibre], "normal")
    dock = open_result(make_napari_viewer(show=True), qtbot, folder)
    assert state_at(dock, number) == "normal"
    assert dock.pages["Correct"].edits.count() == 1
    dock.pages["Correct"].write_corrected()
    qtbot.waitUntil(lambda: (folder / "corrected" / "scores.json").exists() and "written" in dock.status.text(), timeout=20_000)
    assert read_saved(folder / "corrected").document["corrections"]["edits"] == 1
    dock.close()


def test_a_region_is_left_out_by_drawing_around_it(correcting: BiopsyAnalyzer, hand: Hand) -> None:
    session, page = correcting.workspace.session, correcting.pages["Correct"]
    assert session is not None
    fibres, nuclei, area = len(session.fibres), len(session.nuclei), session.document["quality"]["tissue_area_mm2"]
    hand.press(page.buttons["region"])
    assert "Drag around" in correcting.status.text()
    hand.drag(ring(9, 30))  # fibre 9 and its macrophages, no neighbour's centre
    assert state_at(correcting, 9) == "unassessable"
    assert {number: state_at(correcting, number) for number in (1, 8, 10, 17)} == dict.fromkeys((1, 8, 10, 17), "normal")
    assert (len(session.fibres), len(session.nuclei)) == (fibres, nuclei - 4)
    assert session.document["quality"]["tissue_area_mm2"] == pytest.approx(area - 60**2 / 1e6, abs=25 * 60 * 2 / 1e6)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert state_at(correcting, 9) == "necrotic"
    assert (len(session.nuclei), session.document["quality"]["tissue_area_mm2"]) == (nuclei, area)
    hand.key(Qt.Key.Key_U)
    hand.drag([np.array((3.0, 3.0)), np.array((3.0, 12.0)), np.array((12.0, 12.0)), np.array((3.0, 3.0))])  # glass
    assert "nothing lies in this region" in correcting.status.text()


def test_missed_fibres_are_drawn_where_nothing_else_lies(correcting: BiopsyAnalyzer, hand: Hand) -> None:
    session, page = correcting.workspace.session, correcting.pages["Correct"]
    assert session is not None
    before = len(session.fibres)
    for number in (18, 19):
        hand.click(centre(number))
        hand.key(Qt.Key.Key_Delete)
    hand.press(page.buttons["draw"])
    hand.drag(ring(18, 24))  # its clefts too
    hand.key(Qt.Key.Key_D)
    hand.drag(ring(19, 30))  # over the cleft into what was drawn just now, which keeps its pixels
    assert len(session.fibres) == before
    first, second = (session.row(*session.at(*centre(number), nuclei=False)) for number in (18, 19))  # type: ignore[misc]
    assert first is not None
    assert second is not None
    assert first["area_um2"] == pytest.approx(48**2, rel=0.1)
    assert first["area_um2"] < second["area_um2"] < 60**2
    hand.key(Qt.Key.Key_D)
    hand.drag(ring(27, 12))  # a fibre lies there already
    assert "free of other fibres" in correcting.status.text()
    assert len(session.fibres) == before


def test_too_few_corrections_to_adapt_are_said_in_one_line(correcting: BiopsyAnalyzer, hand: Hand, qtbot: Any, folder: Path) -> None:
    said_to_be_made_with(default_folder(), folder)
    page = correcting.pages["Correct"]
    hand.click(centre(9))
    hand.key(Qt.Key.Key_1)
    hand.press(page.buttons["adapt"])
    assert page.buttons["adapt"].text() == "Stop adapting"
    hand.click(centre(10))
    hand.key(Qt.Key.Key_2)  # goes on working
    assert state_at(correcting, 10) == "necrotic"
    qtbot.waitUntil(lambda: page.buttons["adapt"].text() != "Stop adapting", timeout=120_000)
    said = page.teacher.said.text()
    assert "too few corrections" in said
    assert "wanted at least 20" in said
    assert "\n" not in said
    hand.press(page.buttons["adapt"])
    hand.press(page.buttons["adapt"])
    qtbot.waitUntil(lambda: "stopped" in page.teacher.said.text(), timeout=20_000)


def test_adapting_shows_before_and_after(correcting: BiopsyAnalyzer, hand: Hand, qtbot: Any, folder: Path) -> None:
    """A reader who calls ordinary fibres regenerating throughout: followed on his own calls, but drawn sections speak against it."""
    said_to_be_made_with(default_folder(), folder)
    session, page = correcting.workspace.session, correcting.pages["Correct"]
    assert session is not None
    ids = session.fibres.loc[session.fibres["state"] == "normal", "fibre_id"].tolist()
    session.select("fibres", ids[:34])
    hand.key(Qt.Key.Key_4)
    session.select("fibres", ids[34:40])
    hand.key(Qt.Key.Key_1)
    hand.press(page.buttons["adapt"])
    qtbot.waitUntil(lambda: page.buttons["adapt"].text() != "Stop adapting", timeout=900_000)
    said = page.teacher.said.text()
    assert said.startswith("fibre states: parent kept; on drawn sections the share of normal fibres called sick rises")
    assert "40 fibres called by a reader, 34 of them otherwise than by the parent" in said
    for title in ("right, all", "right, reader's calls", "log loss, reader's"):
        (line,) = [line for line in said.splitlines() if line.strip().startswith(title)]
        before, after = (float(part.split("(")[0]) for part in line.replace(title, "").split("->"))
        assert after < before if "loss" in title else after >= before
    report = json.loads((folder.parent / ADAPTED / "adaptation.json").read_text())
    assert report["states"]["fibres"]["decided"]["regenerating"] == 34
    assert str(folder.parent / ADAPTED) in said
