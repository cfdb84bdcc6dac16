import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biopsy_analyzer.segment.runs import Runs
from biopsy_analyzer.segment.sheet import Sheet


def whole(regions: np.ndarray) -> Sheet:
    runs = Runs(regions)
    chosen = np.unique(regions[regions > 0]).astype(np.int64)
    numbers = np.zeros(runs.n + 1, np.int64)
    numbers[chosen] = np.arange(1, len(chosen) + 1)
    return Sheet(regions, chosen, runs.with_labels(numbers[runs.label]).boxes())


@given(arrays(np.int32, (9, 11), elements=st.integers(0, 5)))
def test_regions_lie_on_the_sheet_once_and_come_back_to_their_place(regions: np.ndarray) -> None:
    image = np.arange(1, regions.size + 1).reshape(regions.shape)
    sheet = whole(regions)
    taken = sheet.take(image)
    assert sorted(taken[taken > 0].tolist()) == image[regions > 0].tolist()
    back = np.zeros_like(image)
    sheet.put(taken, back)
    assert np.array_equal(back, np.where(regions > 0, image, 0))


def test_far_regions_come_near_without_touching() -> None:
    regions = np.zeros((60, 70), np.int32)
    regions[0:10, 0:10], regions[30:35, 30:60], regions[50:60, 5:9] = 1, 2, 3
    taken = whole(regions).take(regions)
    assert np.bincount(taken.ravel())[1:].tolist() == [100, 150, 40]
    for one, other in ((taken[1:], taken[:-1]), (taken[:, 1:], taken[:, :-1]), (taken[1:, 1:], taken[:-1, :-1])):
        assert ((one == other) | (one == 0) | (other == 0)).all()
    assert taken.size < 2 * np.count_nonzero(taken)


def test_regions_that_wind_round_each_other_stay_as_they_lie() -> None:
    regions = (np.minimum(*np.ogrid[:40, :40]) % 2 + 1).astype(np.int32)  # two hooks in turn
    sheet = whole(regions)
    assert sheet.shape == regions.shape
    assert np.array_equal(sheet.take(regions), regions)


def test_only_the_regions_are_laid_over() -> None:
    image = np.full((3, 3), 7)
    regions = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], np.int32)
    sheet = whole(regions)
    sheet.put(np.zeros(sheet.shape, np.int64), image)
    assert image.tolist() == [[0, 7, 7], [0, 0, 7], [7, 7, 7]]
