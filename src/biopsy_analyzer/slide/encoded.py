"""What an encoded tile says before a decoder sees it: decoders take a cut JPEG without a word, and 15 kB for 3 GB of pixels."""

from __future__ import annotations

import io

from PIL import Image

JPEG_END = b"\xff\xd9"


def check_jpeg(data: bytes, shape: tuple[int, int]) -> None:
    """ValueError for a JPEG of another size (a small file must not decode to gigabytes) or without its end, which decoders accept."""
    if _jpeg_shape(data) != shape:
        raise ValueError("a tile of another size")
    if JPEG_END not in data[-64:] and JPEG_END not in data:
        raise ValueError("a tile without its end")


def check_image(data: bytes, shape: tuple[int, int]) -> None:
    """ValueError for a JPEG 2000, PNG or WebP of another size; raises whatever Pillow raises for what is none."""
    with Image.open(io.BytesIO(data), formats=("JPEG2000", "PNG", "WEBP")) as image:  # reads no pixels
        if (image.height, image.width) != shape:
            raise ValueError("a tile of another size")


def _jpeg_shape(data: bytes) -> tuple[int, int] | None:
    """(height, width) that a JPEG says it has; None where its frame header is not found."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + length
    return None
