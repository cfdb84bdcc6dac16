"""What a JPEG's bytes say before a decoder sees them: decoders take a cut tile without a word."""

from __future__ import annotations

JPEG_END = b"\xff\xd9"


def check_jpeg(data: bytes, shape: tuple[int, int]) -> None:
    """ValueError for a JPEG of another size (a small file must not decode to gigabytes) or without its end, which decoders accept."""
    if _jpeg_shape(data) != shape:
        raise ValueError("a tile of another size")
    if JPEG_END not in data[-64:] and JPEG_END not in data:
        raise ValueError("a tile without its end")


def _jpeg_shape(data: bytes) -> tuple[int, int] | None:
    """(height, width) that a JPEG says it has; None where its frame header is not found."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + length
    return None
