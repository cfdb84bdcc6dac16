import numpy as np
import pytest

from biopsy_analyzer.segment.half import reaches, widened

EVERY = np.arange(0x7C00, dtype=np.uint16).view(np.float16)  # all finite ones from 0 on, the smallest subnormals too


def test_every_half_is_widened_as_numpy_does() -> None:
    assert np.array_equal(widened(EVERY), EVERY.astype(np.float32))
    assert np.array_equal(widened(EVERY.reshape(-1, 31)[::2, 1:]), EVERY.reshape(-1, 31)[::2, 1:].astype(np.float32))
    assert widened(np.array([[0.25]])).dtype == np.float32


@pytest.mark.parametrize("threshold", [0.4, 0.5, 1e-7, 0.0])
def test_every_half_is_compared_as_numpy_does(threshold: float) -> None:
    assert np.array_equal(reaches(EVERY, threshold), np.greater_equal(EVERY, threshold))
    assert reaches(np.float32([0.4, 0.39]), 0.4).tolist() == [True, False]
