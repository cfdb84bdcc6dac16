"""What is written as PNG is what readers of PNG see."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from biopsy_analyzer.report.png import png_bytes


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (37, 53)])
def test_two_other_readers_see_every_pixel(shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    content = png_bytes(rgb)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), rgb)
    assert np.array_equal(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], rgb)
    assert png_bytes(rgb) == content


def test_views_are_written_as_they_look() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for view in (rgb[::2, ::3], rgb[:, ::-1], rgb[..., ::-1]):
        assert png_bytes(view) == png_bytes(np.ascontiguousarray(view))


def test_checksums_are_those_of_the_chunks() -> None:
    content = png_bytes(np.full((4, 4, 3), 7, np.uint8))
    at, names = 8, []
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunk = content[at + 4 : at + 8 + length]
        assert zlib.crc32(chunk) == int.from_bytes(content[at + 8 + length : at + 12 + length], "big")
        names.append(chunk[:4])
        at += 12 + length
    assert names == [b"IHDR", b"IDAT", b"IEND"]
