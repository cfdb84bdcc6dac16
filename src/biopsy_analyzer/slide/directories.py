"""The directories of a TIFF, walked before a decoder sees them: finds cut files, circles and absurd lengths in a few reads."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from biopsy_analyzer.errors import NotASlide

MAX_DIRECTORIES = 1000  # whole slides have about ten
MAX_ENTRIES = 4096
PUBLIC_TAGS = 32768  # private ones above may hold anything
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


class _Layout(NamedTuple):
    length: str  # struct format of the number of entries
    entry: str
    pointer: str


CLASSIC, BIG = ("H", "HHII", "I"), ("Q", "HHQQ", "Q")


def check_directories(path: Path) -> None:
    """NotASlide if a directory of the chain, or a public value in it, lies outside the file; if they run in a circle or are too many."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(16)
        if len(head) < 16:
            raise NotASlide(f"{path.name}: cut off after {size} bytes. Copy it again.")
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\x00", b"\x00+")
        layout = _Layout(*(order + part for part in (BIG if big else CLASSIC)))
        (offset,) = struct.unpack_from(layout.pointer, head, 8 if big else 4)
        seen: set[int] = set()
        while offset:
            if offset in seen or len(seen) >= MAX_DIRECTORIES:
                raise NotASlide(f"{path.name}: its image directories run in a circle or are more than {MAX_DIRECTORIES}. Copy it again.")
            seen.add(offset)
            following = _next(file, offset, size, layout)
            if following is None:
                raise NotASlide(f"{path.name}: cut off or damaged, an image directory lies outside the file. Copy it again.")
            offset = following


def _next(file: BinaryIO, offset: int, size: int, layout: _Layout) -> int | None:
    """Offset of the directory after the one at `offset`, 0 after the last; None if this one does not lie within `size` bytes."""
    head, entry, pointer = (struct.calcsize(part) for part in layout)
    if offset + head > size:
        return None
    file.seek(offset)
    (count,) = struct.unpack(layout.length, file.read(head))
    if not 0 < count <= MAX_ENTRIES or offset + head + count * entry + pointer > size:
        return None
    for tag, kind, number, value in struct.iter_unpack(layout.entry, file.read(count * entry)):
        length = TYPE_BYTES.get(kind, 1) * number
        if tag < PUBLIC_TAGS and length > pointer and value + length > size:
            return None
    (following,) = struct.unpack(layout.pointer, file.read(pointer))
    return int(following)
