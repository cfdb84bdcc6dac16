import cv2
import numpy as np
import pytest
from skimage.segmentation import watershed

from biopsy_analyzer.segment import flood as module
from biopsy_analyzer.segment.flood import flood


def landscape(seed: int, rough: float, height: float, shape: tuple[int, int] = (130, 90)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Foreground, depth and seeds: the peaks above `height`; lower peaks have none."""
    rng = np.random.default_rng(seed)
    depth = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), rough)
    depth = (depth - depth.min()) / np.ptp(depth)
    foreground = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), 5) > -0.04
    seeds = cv2.connectedComponents((foreground & (depth > height)).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1]
    return foreground, depth, seeds


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("rough", "height"), [(4.0, 0.6), (2.0, 0.8), (1.0, 0.9), (1.0, 0.6)])
def test_it_is_the_plain_watershed_also_where_peaks_have_no_seed(seed: int, rough: float, height: float) -> None:
    foreground, depth, seeds = landscape(seed, rough, height)
    plain = watershed(-depth, seeds, mask=foreground)
    assert 0 < (plain > 0).sum() < foreground.sum() or plain.max() > 1
    assert np.array_equal(flood(foreground, depth, seeds), plain)


def test_only_what_leads_to_a_peak_without_a_seed_goes_through_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    depth = np.array([[0.9, 0.5, 0.2, 0.6, 0.3, 0.4, 0.8]], np.float32)
    lost: list[list[list[bool]]] = []
    monkeypatch.setattr(module, "_pour", lambda foreground, depth, labels, lost_: lost.append(lost_.tolist()))
    assert flood(np.ones(depth.shape, bool), depth, np.array([[1, 0, 0, 0, 0, 0, 2]], np.int32)).tolist() == [[1, 1, 0, 0, 0, 2, 2]]
    assert lost == [[[False, False, True, True, True, False, False]]]


def test_plateaus_are_shared_and_what_no_seed_reaches_stays_empty() -> None:
    foreground = np.ones((3, 9), bool)
    foreground[:, 6] = False
    depth = np.full((3, 9), 0.5, np.float32)
    seeds = np.zeros((3, 9), np.int32)
    seeds[1, 0], seeds[1, 5] = 4, 9
    labels = flood(foreground, depth, seeds)
    assert labels.dtype == np.int32
    assert labels.tolist() == [[4, 4, 4, 9, 9, 9, 0, 0, 0]] * 3
    assert not flood(np.zeros((3, 9), bool), depth, np.zeros((3, 9), np.int32)).any()
