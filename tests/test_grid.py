"""What lies at a place in um."""

import numpy as np

from biopsy_analyzer.grid import PixelGrid


def test_values_at_positions_pixel_by_pixel() -> None:
    grid = PixelGrid((3, 4), 2.0, (10.0, 20.0))
    values = np.arange(12.0).reshape(3, 4)
    # pixel (0, 0) covers y 10..12 and x 20..22 um
    at = np.array([[10.0, 20.0], [11.9, 21.9], [12.0, 20.0], [15.9, 27.9], [16.0, 20.0], [9.99, 20.0], [10.0, 28.0], [1e9, -1e9]])
    assert grid.at(values, at, beyond=-1.0).tolist() == [0, 0, 4, 11, -1, -1, -1, -1]
    assert grid.at(values > 3, at.reshape(2, 4, 2), beyond=True).tolist() == [[False, False, True, True], [True] * 4]
    assert grid.at(values, at[:0], beyond=0.0).shape == (0,)
