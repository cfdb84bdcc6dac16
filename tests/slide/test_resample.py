import numpy as np
import pytest

from biopsy_analyzer.slide import resample as module
from biopsy_analyzer.slide.resample import edges, resample, weights

PIXELS = np.random.default_rng(4).integers(0, 256, (61, 83, 3)).astype(np.uint8)


@pytest.mark.parametrize(("start", "step"), [(-9.3, 1.6), (3.0, 1.024), (-200.0, 2.5), (0.0, 7.7), (1.2, 0.7)])
def test_strips_do_not_show(start: float, step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns = (edges(start, step, round((n + 20) / step)) for n in PIXELS.shape[:2])
    along_y, along_x = (weights(edge, n, step < 1) for edge, n in zip((rows, columns), PIXELS.shape[:2], strict=True))
    at_once = resample(PIXELS, along_y, along_x)
    assert at_once.shape == (len(rows) - 1, len(columns) - 1, 3)
    for strip_px in (1, 7 * PIXELS.shape[1]):
        monkeypatch.setattr(module, "STRIP_PX", strip_px)
        assert np.array_equal(resample(PIXELS, along_y, along_x), at_once)
