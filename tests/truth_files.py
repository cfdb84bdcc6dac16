"""Images with truth, for the tests of the evaluation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

PINK, BLUE = (225, 130, 180), (70, 50, 130)
UM_PER_PX = 0.5


def discs(*centres: tuple[int, int], radius: int, shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, dtype=np.uint16)
    for label, (cy, cx) in enumerate(centres, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = label
    return labels


def write_image(path: Path, image: np.ndarray) -> None:
    assert cv2.imwrite(str(path), image if image.ndim == 2 else image[..., ::-1])
