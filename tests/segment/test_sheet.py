import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biopsy_analyzer.segment.sheet import Sheet


def box(top: int, left: int, height: int, width: int) -> tuple[int, int, int, int]:
    return top, left, min(top + height, 60), min(left + width, 70)


BOXES = st.lists(st.builds(box, st.integers(0, 59), st.integers(0, 69), st.integers(1, 30), st.integers(1, 30)), max_size=8)


@given(BOXES)
def test_what_lies_in_the_boxes_comes_back_to_its_place(boxes: list[tuple[int, int, int, int]]) -> None:
    image = np.arange(1, 60 * 70 + 1, dtype=np.int32).reshape(60, 70)
    sheet = Sheet(np.array(boxes, np.int64).reshape(-1, 4))
    taken = sheet.take(image)
    found = taken[taken > 0]
    assert len(np.unique(found)) == len(found)  # no pixel lies on it twice
    back = np.zeros_like(image)
    sheet.put(taken, back)
    for top, left, bottom, right in boxes:
        assert np.array_equal(back[top:bottom, left:right], image[top:bottom, left:right])


def test_boxes_do_not_touch_each_other_on_the_sheet() -> None:
    image = np.zeros((60, 70), np.int32)
    boxes = np.array([[0, 0, 10, 10], [30, 30, 35, 60], [50, 5, 60, 9]])
    for k, (top, left, bottom, right) in enumerate(boxes.tolist(), start=1):
        image[top:bottom, left:right] = k
    taken = Sheet(boxes).take(image)
    assert np.bincount(taken.ravel())[1:].tolist() == [100, 150, 40]
    for one, other in ((taken[1:], taken[:-1]), (taken[:, 1:], taken[:, :-1]), (taken[1:, 1:], taken[:-1, :-1])):
        assert ((one == other) | (one == 0) | (other == 0)).all()
    assert taken.size < 2 * np.count_nonzero(taken)


def test_what_is_not_laid_over_stays() -> None:
    sheet = Sheet(np.array([[0, 0, 2, 2]]))
    image = np.full((3, 3), 7)
    sheet.put(np.where(sheet.take(image) > 0, [[0, 1, 0]] * 3, 0), image)
    assert image.tolist() == [[7, 1, 7], [7, 1, 7], [7, 7, 7]]
