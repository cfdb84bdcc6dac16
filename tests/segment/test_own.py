import cv2
import numpy as np
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.objects import Found, find_objects
from biopsy_analyzer.segment.fibres import fibre_labels
from biopsy_analyzer.segment.front import View
from biopsy_analyzer.segment.own import Own
from biopsy_analyzer.settings import SegmentSettings
from biopsy_analyzer.stain import RUIFROK
from biopsy_analyzer.tissue.mask import Tissue

OWN = Own(core=((20, 80), (20, 80)), largest=(50, 50), around=3)


def needed(*boxes: tuple[int, int, int, int], single: tuple[bool, ...] = ()) -> list[bool]:
    return OWN.needed(np.array(boxes).reshape(-1, 4), np.array(single or (True,) * len(boxes), bool)).tolist()


def test_what_has_its_middle_in_the_core_and_what_is_near_it() -> None:
    inside, outside, beside, far = (10, 30, 40, 40), (5, 42, 24, 60), (0, 42, 7, 48), (90, 90, 95, 95)
    assert needed(inside, outside, beside, far) == [True, True, False, False]  # up to row 7 and column 43 is seen
    assert needed(outside, far) == [False, False]
    assert needed((0, 0, 0, 0), single=(True,)) == [False]
    assert needed() == []


def test_a_piece_of_several_objects_is_needed_as_soon_as_it_reaches_into_the_core() -> None:
    assert needed((5, 50, 24, 60), single=(False,)) == [True]
    assert needed((0, 50, 20, 60), single=(False,)) == [False]


def test_a_piece_too_large_for_a_window_is_cut_so_each_core_has_its_part() -> None:
    assert needed((79, 20, 99, 71)) == [True]
    assert needed((79, 20, 99, 70)) == [False]


def test_what_lies_in_a_hole_of_a_neighbour_is_needed() -> None:
    own, ring, crumb, other = (60, 20, 82, 40), (84, 10, 99, 40), (88, 20, 95, 30), (88, 41, 95, 50)
    assert needed(own, ring, crumb, other) == [True, True, True, False]


def noise(seed: int, um: float = 2.0) -> View:
    """A window of a canvas of 4 x 4 blocks, with pieces of all sizes, holes, crumbs in them, and clefts."""
    rng = np.random.default_rng(seed)
    rough, fine = (cv2.GaussianBlur(rng.normal(size=(400, 400)).astype(np.float32), (0, 0), sigma) for sigma in (4, 2))
    depth = 0.3 + 0.3 * (rough / rough.std()) + 0.08 * (fine / fine.std())
    maps = np.stack([depth + 0.1, depth, depth, 1 - depth]).clip(0, 1).astype(np.float16)
    rgb = rng.integers(0, 256, (400, 400, 3)).astype(np.uint8)
    canvas = PixelGrid((1200, 1200), um)
    return View(maps, rgb, canvas.crop(300, 200, 400, 400), (300, 200), (1200, 1200), ((100, 300), (100, 300)), (100, 100))


def told(view: View, neighbours: bool) -> Found:
    tissue = Tissue(np.ones((100, 100), bool), PixelGrid((100, 100), 24.0), 1.0)
    return find_objects(view, ("fibre", "depth", "a", "b"), fibre_labels, tissue, RUIFROK, SegmentSettings(), None, neighbours)


@pytest.mark.parametrize("seed", range(8))
def test_a_window_finds_and_measures_its_own_objects_the_same_without_the_others(seed: int) -> None:
    view = noise(seed)
    whole, part = told(view, True), told(view, False)
    assert part.table.equals(whole.table)
    assert len(part.table) > 20
    assert np.array_equal(part.first, whole.first)
    assert part.cut == whole.cut
    assert part.at == whole.at
    assert all(np.array_equal(a, b) for a, b in zip(part.rings, whole.rings, strict=True))
    height, width = part.visible.shape
    own = np.where(whole.visible <= len(whole.table), whole.visible, 0)
    assert np.array_equal(np.where(part.visible <= len(part.table), part.visible, 0), own[:height, :width])
    assert not own[height:].any()
    assert not own[:, width:].any()
    assert (part.visible > 0).sum() < (whole.visible > 0).sum()
