import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biopsy_analyzer.segment.runs import Runs


@given(arrays(np.int32, (7, 9), elements=st.integers(0, 4)))
def test_sums_per_label_as_a_mask_per_label_gives_them(labels: np.ndarray) -> None:
    values = np.arange(63).reshape(7, 9)
    runs = Runs(labels, n=4)
    assert runs.total(runs.width).tolist() == [(labels == k).sum() for k in range(1, 5)]
    assert runs.inside_total(values.ravel()[runs.inside]).tolist() == [values[labels == k].sum() for k in range(1, 5)]


def test_a_run_never_goes_on_in_the_next_row() -> None:
    runs = Runs(np.array([[0, 5, 5], [5, 5, 0]], np.int32))
    assert runs.n == 5
    assert runs.label.tolist() == [0, 5, 5, 0]
    assert runs.row.tolist() == [0, 0, 1, 1]
    assert runs.left.tolist() == [0, 1, 0, 2]
    assert runs.width.tolist() == [1, 2, 2, 1]


@given(arrays(np.int32, (7, 9), elements=st.integers(0, 4)))
def test_positions_inside_are_those_of_labelled_pixels(labels: np.ndarray) -> None:
    assert Runs(labels).inside.tolist() == np.flatnonzero(labels).tolist()


def test_a_box_holds_its_label_whole_and_nothing_more() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[1, 2:5] = labels[4, 3] = 1
    labels[2:4, 7] = 2
    assert Runs(labels).boxes().tolist() == [[1, 2, 5, 5], [2, 7, 4, 8]]


def test_no_labels_give_empty_sums_and_boxes() -> None:
    runs = Runs(np.zeros((3, 4), np.int32))
    assert runs.inside_total(np.ones(0)).shape == (0,)
    assert runs.boxes().shape == (0, 4)


def test_areas_and_centroids_are_those_of_pixels_as_squares() -> None:
    runs = Runs(np.array([[1, 1, 0], [1, 0, 3]], np.int32))
    assert runs.area.tolist() == [3, 0, 1]
    y, x = runs.centroid()
    assert [y[0], y[2], x[0], x[2]] == [5 / 6, 1.5, 5 / 6, 2.5]
    assert np.isnan([y[1], x[1]]).all()


@given(arrays(np.int32, (7, 9), elements=st.integers(0, 4)))
def test_runs_make_the_image_again_also_with_other_labels(labels: np.ndarray) -> None:
    numbers = np.array([0, 2, 2, 0, 1], np.int32)
    runs = Runs(labels)
    assert np.array_equal(runs.image(), labels)
    other, whole = runs.with_labels(numbers[runs.label]), Runs(numbers[labels])
    assert np.array_equal(other.image(), numbers[labels])
    assert other.n == whole.n
    assert np.array_equal(other.start, whole.start)


@given(arrays(np.int32, (7, 9), elements=st.integers(0, 3)), st.sampled_from((-1, 1)), st.integers(0, 2))
def test_runs_that_meet_share_a_column_or_lie_so_near(labels: np.ndarray, rows: int, reach: int) -> None:
    runs = Runs(labels)
    some = np.flatnonzero(runs.label)
    found = set(zip(*(side.tolist() for side in runs.meeting(some, rows, reach)), strict=True))
    right = runs.left + runs.width
    near = (runs.left[:, None] < right + reach) & (runs.left < right[:, None] + reach) & (runs.row[:, None] + rows == runs.row)
    assert found == {(a, b) for a, b in np.argwhere(near).tolist() if a in some}


@given(arrays(np.int32, (7, 9), elements=st.integers(0, 3)))
def test_neighbours_as_they_are_counted_in_the_image(labels: np.ndarray) -> None:
    pairs = [
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ]
    wanted = [[int(((one == k) & (other == k)).sum()) for k in (1, 2, 3)] for one, other in pairs]
    assert Runs(labels, n=3).neighbours().tolist() == wanted
