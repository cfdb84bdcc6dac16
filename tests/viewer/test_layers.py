"""Layers of a session: where flags lie, colours of nuclei, one level of labels made two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from napari.layers import Layer

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.viewer.layers import fibre_levels, flag_boxes, nucleus_look, placed, result_layers, sides
from biopsy_analyzer.viewer.session import Session


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
