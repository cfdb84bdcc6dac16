from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from biopsy_analyzer.segment.stored_labels import CHUNK_PX, StoredLabels

SHAPE = (CHUNK_PX + 70, 2 * CHUNK_PX + 30)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    labels = np.zeros(SHAPE, np.int32)
    for number in range(1, 200):
        y, x = 29 * number % (SHAPE[0] - 20), 41 * number % (SHAPE[1] - 20)
        labels[y : y + 17, x : x + 15] = number
    return labels


@pytest.fixture(scope="module")
def stored(image: np.ndarray) -> StoredLabels:
    store = StoredLabels(SHAPE)
    windows = [(y, x) for y in range(0, SHAPE[0], 200) for x in range(0, SHAPE[1], 333)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: store.write(*at, image[at[0] : at[0] + 200, at[1] : at[1] + 333]), windows))
    return store


def test_what_was_written_is_read(stored: StoredLabels, image: np.ndarray) -> None:
    assert np.array_equal(stored, image)
    for key in (np.s_[:, :], np.s_[500:530, 1000:], np.s_[-5:, 3:4], np.s_[40:40, :], np.s_[900:5000, :7], np.s_[510], np.s_[::50, ::50]):
        assert np.array_equal(stored[key], image[key])
    assert stored[3:5, 7:10].dtype == np.int32
    assert stored.nbytes < image.nbytes / 20


def test_background_leaves_what_is_there() -> None:
    store = StoredLabels((30, 30))
    store.write(0, 0, np.full((10, 10), 4, np.int32))
    store.write(5, 5, np.array([[0, 6], [6, 0]], np.int32))
    assert store[5:7, 5:7].tolist() == [[4, 6], [6, 4]]
    assert not store[10:, :].any()


def test_renumbered(stored: StoredLabels, image: np.ndarray) -> None:
    store = StoredLabels((4, 4))
    store.write(1, 1, np.array([[1, 2, 3]], np.int32))
    store.renumber(np.array([0, 3, 1, 2]))
    assert store[1:2, :].tolist() == [[0, 3, 1, 2]]


def test_labels_are_renumbered_and_larger_ones_left_out_as_they_are_laid_down() -> None:
    stored = StoredLabels((6, 8))
    stored.write(0, 0, np.full((6, 8), 9, np.int32))
    stored.write(1, 2, np.array([[0, 1, 2], [3, 4, 1]], np.int32), most=2, add=10)
    wanted = np.full((6, 8), 9)
    wanted[1, 3:5], wanted[2, 4] = (11, 12), 11
    assert np.array_equal(stored[:, :], wanted)
