"""Layers of a session: where flags lie, colours of nuclei, one level of labels made two."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer

from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.viewer.layers import fibre_levels, flag_boxes, follow, nucleus_look, placed, result_layers, same_section, sides
from biopsy_analyzer.viewer.session import Session, open_session
from biopsy_analyzer.viewer.shown_labels import EDGE


def test_a_grid_is_placed_by_the_centre_of_its_first_pixel() -> None:
    facts = placed(PixelGrid((10, 10), 0.8, (100.0, 20.0)))
    assert facts["scale"] == (0.8, 0.8)
    assert np.allclose(facts["translate"], (100.4, 20.4))


def test_faults_lie_where_the_result_says(session: Session) -> None:
    assert "shapes" not in [kind for _, _, kind in result_layers(session)]
    flags = [
        {"code": "pen", "value": 0.1, "threshold": 0.01, "message": "", "boxes_um": [[10.0, 20.0, 110.0, 220.0]]},
        {"code": "faded", "value": 0.1, "threshold": 0.1, "message": ""},
    ]
    session.document = session.document | {"quality": {"tissue_area_mm2": 1.0, "flags": flags}}
    ((corners,), look) = flag_boxes(session)
    assert np.array_equal(corners, [(10, 20), (10, 220), (110, 220), (110, 20)])
    assert list(look["features"]["flag"]) == ["pen"]
    assert [kind for _, _, kind in result_layers(session)] == ["labels", "points", "vectors", "shapes"]


def test_one_level_becomes_two(session: Session) -> None:
    labels = session.labels["fibres"]
    session.labels = session.labels | {"fibres": replace(labels, levels=labels.levels[:1], grids=labels.grids[:1])}
    fine, coarse = fibre_levels(session)
    assert coarse.shape == tuple((n + 1) // 2 for n in fine.shape)

    whole = np.asarray(fine)
    classes = np.where(whole > EDGE, whole - EDGE, whole)[::2, ::2]
    assert np.array_equal(np.where((half := np.asarray(coarse)) > EDGE, half - EDGE, half), classes)
    assert np.array_equal(coarse[20:40, 30:70], np.asarray(coarse)[20:40, 30:70])


@pytest.mark.parametrize("most", [1, 9])
def test_levels_that_follow_edits_are_those_made_anew(session: Session, folder: Path, most: int) -> None:
    now = Corrections.open(folder)
    for labels in now.labels.values():
        labels.levels, labels.grids = labels.levels[:most], labels.grids[:most]
    session.labels = now.labels
    levels = fibre_levels(session)
    ids = now.fibres["fibre_id"].tolist()
    middle = now.fibres.loc[9, ["y_um", "x_um"]].to_numpy(dtype=float)
    ring = np.array([[-15, -15], [-15, 15], [15, 15], [15, -15]]) + middle
    line = now.fibres.loc[3, ["y_um", "x_um"]].to_numpy(dtype=float) + np.array([[-40, 2], [40, 2]])
    edits = (
        lambda: now.split(ids[3], line),
        lambda: now.delete("fibres", [ids[9]]),
        lambda: now.draw(ring, "necrotic"),
        now.undo,
        lambda: now.redraw(ids[20], now.fibres.loc[now.fibres["fibre_id"] == ids[20], ["y_um", "x_um"]].to_numpy() + ring - middle),
        now.undo,
        now.undo,
    )
    seen = [np.asarray(level) for level in levels]
    for number, edit in enumerate(edits):
        change = edit()
        session.fibres = now.fibres
        follow(levels, session, change.boxes_um["fibres"])
        for level, new in zip(levels, fibre_levels(session), strict=True):
            assert np.array_equal(np.asarray(level), np.asarray(new)), number
        assert not np.array_equal(np.asarray(levels[0]), seen[0])


def test_sections_are_told_apart_by_their_files(session: Session, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copyfile(tmp_path / "section.tif", tmp_path / "elsewhere" / "section.tif")
    again = open_session(folder)
    with open_slide(tmp_path / "section.tif") as own, open_slide(tmp_path / "elsewhere" / "section.tif") as other:
        assert same_section(session, own)  # without its slide name and size are all that is known
        assert same_section(session, other)
        session.slide = own
        assert same_section(session, own)
        assert not same_section(session, other)
        assert not same_section(own, other)
        assert same_section(session, again)
        again.document = again.document | {"slide": again.document["slide"] | {"sha256": "0" * 64}}
        assert not same_section(session, again)


def test_nuclei_look_as_their_type(session: Session) -> None:
    look = nucleus_look(session.nuclei)
    lymphocyte = int(np.flatnonzero(session.nuclei["type"] == "lymphocyte")[0])
    assert look["symbol"][lymphocyte] == "disc"
    assert np.allclose(look["face_color"][lymphocyte], (86 / 255, 180 / 255, 233 / 255, 1))


def test_a_result_without_nuclei_has_layers_too(session: Session) -> None:
    session.nuclei, session.clusters = session.nuclei[:0], session.clusters[:0]
    assert [len(Layer.create(*layer).data) for layer in result_layers(session)[1:]] == [0, 0]


def test_sides_close_the_ring() -> None:
    square = np.array([(0, 0), (0, 2), (2, 2), (2, 0)], float)
    lines = sides([square])
    assert np.array_equal(lines[:, 0] + lines[:, 1], np.roll(square, -1, axis=0))
    assert sides([]).shape == (0, 2, 2)
