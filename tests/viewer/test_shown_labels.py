"""Class codes against a slower way to say the same."""

from __future__ import annotations

import numpy as np
import pytest

from biopsy_analyzer.viewer.shown_labels import CLASSES, EDGE, ClassOfFibre, ShownLevel, colours
from made_tables import make_fibres

FIBRES = make_fibres(["normal", "necrotic", "regenerating", "pale-fragmented"], assessable=[True, True, False, True])
CODE = {0: 0, 1: 1, 2: 2, 3: 5, 4: 3, 9: 0}
"""Fibre 3 is unassessable; no row has the id 9."""


def slow_codes(labels: np.ndarray) -> np.ndarray:
    out = np.zeros(labels.shape, np.uint8)
    for y, x in np.ndindex(labels.shape):
        near = [
            labels[v, u]
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
            if v in range(labels.shape[0]) and u in range(labels.shape[1])
        ]
        code = CODE[labels[y, x]]
        out[y, x] = code + EDGE if code and any(n != labels[y, x] for n in near) else code
    return out


@pytest.fixture
def labels() -> np.ndarray:
    """Rectangles, some touching, on 700 x 600 px: more than one block."""
    image = np.zeros((700, 600), np.int32)
    image[10:300, 20:400], image[300:600, 20:200], image[480:530, 490:540], image[600:700, 500:600], image[0:40, 550:600] = 1, 2, 3, 4, 9
    return image


def test_codes_tell_class_and_edge(labels: np.ndarray) -> None:
    level = ShownLevel(labels, ClassOfFibre(FIBRES))
    expected = slow_codes(labels)
    assert level.shape == labels.shape
    assert np.array_equal(np.asarray(level), expected)
    assert set(np.unique(expected)) == {0, 1, 2, 3, 5, 6, 7, 8, 10}


def test_a_window_is_what_the_whole_has_there(labels: np.ndarray) -> None:
    whole = slow_codes(labels)
    level = ShownLevel(labels, ClassOfFibre(FIBRES))
    for key in (
        (slice(290, 620), slice(100, 550)),
        (slice(0, 700, 7), slice(3, None, 5)),
        (305, slice(None)),
        (299, 60),
        (..., 25),
        (slice(5, 5), slice(None)),
    ):
        assert np.array_equal(level[key], whole[key]), key


def test_wide_edges_lie_inside_too(labels: np.ndarray) -> None:
    narrow, wide = (np.asarray(ShownLevel(labels, ClassOfFibre(FIBRES), edge_px=n)) for n in (1, 2))
    assert np.array_equal(wide[100, 18:30], [0, 0, 6, 6, 1, 1, 1, 1, 1, 1, 1, 1])
    assert np.array_equal(narrow[100, 18:30], [0, 0, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    assert np.array_equal(wide > 0, narrow > 0)


def test_without_fibres_nothing_is_shown(labels: np.ndarray) -> None:
    assert not np.asarray(ShownLevel(labels, ClassOfFibre(FIBRES[:0]))).any()


def test_colours_hide_and_fill() -> None:
    plain, filled, hidden = colours(False), colours(True), colours(True, frozenset({"necrotic"}))
    necrotic = CLASSES.index("necrotic") + 1
    assert plain[necrotic][3] == 0 < filled[necrotic][3] < 1
    assert plain[necrotic + EDGE][3] == 1
    assert hidden[necrotic][3] == hidden[necrotic + EDGE][3] == 0
    assert hidden[1 + EDGE] == filled[1 + EDGE]
