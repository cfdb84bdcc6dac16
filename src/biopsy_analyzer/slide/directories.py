"""The directories of a TIFF, walked before a decoder sees them: finds cut files, circles and absurd lengths in a few reads."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from biopsy_analyzer.errors import NotASlide

MAX_DIRECTORIES = 1000  # whole slides have about ten
MAX_ENTRIES = 4096
MAX_TEXT = 4 * 2**20  # longest description that is looked into; Philips slides carry their label in it
PUBLIC_TAGS = 32768  # private ones above may hold anything
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
STORED = ((324, 325), (273, 279))  # offsets and byte counts of tiles, of strips
SAMPLED = 64  # tiles whose beginnings are looked at: an unfinished copy has zeros there
ZERO_RUN = 16  # bytes; no compressed tile begins with so many zeros
MAX_EMPTY_SHARE = 0.01  # of the sample, and one: a single bad tile is counted when it is read
DESCRIPTION, SOFTWARE, XMP, COMPRESSION, NDPI = 270, 305, 700, 259, 65420


class _Layout(NamedTuple):
    length: str  # struct format of the number of entries
    entry: str
    pointer: str
    value_bytes: int


CLASSIC, BIG = _Layout("H", "HHII", "I", 4), _Layout("Q", "HHQQ", "Q", 8)


class FirstDirectory(NamedTuple):
    """What tells the vendor: texts as bytes, empty where absent. They may name the patient and go nowhere else."""

    description: bytes
    software: bytes
    xmp: bytes
    compression: int
    is_ndpi: bool


def check_directories(path: Path) -> FirstDirectory:
    """The vendor's marks in the first directory.

    NotASlide if a directory of the chain, a public value in it, or a tile lies outside the file; if directories run in a circle or are
    too many; if many compressed tiles begin with zeros. Of NDPI, whose offsets above 4 GB only its readers know, the chain alone.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(16)
        if len(head) < 16:
            raise NotASlide(f"{path.name}: cut off after {size} bytes. Copy it again.")
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\x00", b"\x00+")
        layout = BIG if big else CLASSIC
        is_ndpi = not big and _is_ndpi(file, head, size)
        if is_ndpi:
            layout = layout._replace(pointer="Q")
        layout = layout._replace(length=order + layout.length, entry=order + layout.entry, pointer=order + layout.pointer)
        (offset,) = struct.unpack_from(layout.pointer, head, 8 if big else 4)
        first, seen = offset, set[int]()
        while offset:
            if offset in seen or len(seen) >= MAX_DIRECTORIES:
                raise NotASlide(f"{path.name}: its image directories run in a circle or are more than {MAX_DIRECTORIES}. Copy it again.")
            seen.add(offset)
            following = _next(file, offset, size, layout, checked=not is_ndpi)
            if following is None:
                raise NotASlide(f"{path.name}: cut off or damaged, an image directory lies outside the file. Copy it again.")
            if not is_ndpi:
                _check_stored(path.name, file, _entries(file, offset, layout), size, layout)
            offset = following
        if not seen:
            raise NotASlide(f"{path.name}: a TIFF without an image. Copy it again.")
        return _marks(file, first, layout, is_ndpi)


def _is_ndpi(file: BinaryIO, head: bytes, size: int) -> bool:
    """Hamamatsu's variant: a classic TIFF whose directories are found by 8-byte offsets, so that it may exceed 4 GB."""
    (offset,) = struct.unpack_from("<Q", head, 4)
    if head[:2] != b"II" or not 0 < offset < size - 2:
        return False
    file.seek(offset)
    (count,) = struct.unpack("<H", file.read(2))
    entries = file.read(min(count, MAX_ENTRIES) * 12)
    return any(struct.unpack_from("<H", entries, at)[0] == NDPI for at in range(0, len(entries) - 11, 12))


def _entries(file: BinaryIO, offset: int, layout: _Layout) -> list[tuple[int, int, int, int]]:
    """(tag, type, count, value or its offset) of a directory that is known to lie inside the file."""
    file.seek(offset)
    (count,) = struct.unpack(layout.length, file.read(struct.calcsize(layout.length)))
    return list(struct.iter_unpack(layout.entry, file.read(count * struct.calcsize(layout.entry))))


def _next(file: BinaryIO, offset: int, size: int, layout: _Layout, *, checked: bool) -> int | None:
    """Offset of the directory after the one at `offset`, 0 after the last; None if this one does not lie within `size` bytes."""
    head, entry, pointer = (struct.calcsize(part) for part in layout[:3])
    if offset + head > size:
        return None
    file.seek(offset)
    (count,) = struct.unpack(layout.length, file.read(head))
    if not 0 < count <= MAX_ENTRIES or offset + head + count * entry + pointer > size:
        return None
    for tag, kind, number, value in _entries(file, offset, layout):
        length = TYPE_BYTES.get(kind, 1) * number
        if checked and tag < PUBLIC_TAGS and length > layout.value_bytes and value + length > size:
            return None
    (following,) = struct.unpack(layout.pointer, file.read(pointer))
    return int(following)


def _check_stored(name: str, file: BinaryIO, entries: list[tuple[int, int, int, int]], size: int, layout: _Layout) -> None:
    found = {tag: _numbers(file, kind, number, value, layout) for tag, kind, number, value in entries if tag in sum(STORED, (COMPRESSION,))}
    for offset_tag, count_tag in STORED:
        offsets, counts = found.get(offset_tag), found.get(count_tag)
        if offsets is None or counts is None or len(offsets) != len(counts):
            continue
        if np.any(counts > size) or np.any(offsets > size - np.minimum(counts, size)):
            raise NotASlide(f"{name}: cut off, its pixels reach beyond the end of the file. Copy it again.")
        stored = np.sort(offsets[counts >= ZERO_RUN])
        if not len(stored) or found.get(COMPRESSION, np.ones(1))[0] == 1:
            continue
        sample = stored[np.unique(np.linspace(0, len(stored) - 1, SAMPLED).astype(int))]
        empty = sum(_begins_with_zeros(file, int(offset)) for offset in sample)
        if empty > MAX_EMPTY_SHARE * len(sample) + 1:
            raise NotASlide(f"{name}: an unfinished copy, {empty} of {len(sample)} tiles looked at are zeros. Copy it again.")


def _numbers(file: BinaryIO, kind: int, number: int, value: int, layout: _Layout) -> np.ndarray:
    """The whole numbers of an entry, as uint64."""
    width = TYPE_BYTES.get(kind, 1)
    order = layout.entry[0]
    if width * number <= layout.value_bytes:
        data = struct.pack(f"{order}{'Q' if layout.value_bytes == 8 else 'I'}", value)[: width * number]
    else:
        file.seek(value)
        data = file.read(width * number)
    return np.frombuffer(data, f"{order}u{width}").astype(np.uint64)


def _begins_with_zeros(file: BinaryIO, offset: int) -> bool:
    file.seek(offset)
    return not any(file.read(ZERO_RUN))


def _marks(file: BinaryIO, offset: int, layout: _Layout, is_ndpi: bool) -> FirstDirectory:
    texts = {DESCRIPTION: b"", SOFTWARE: b"", XMP: b""}
    compression = 1
    for tag, kind, number, value in _entries(file, offset, layout):
        if tag == COMPRESSION and number == 1:
            compression = int(_numbers(file, kind, number, value, layout)[0])
        elif tag in texts and TYPE_BYTES.get(kind) == 1 and number > layout.value_bytes:
            file.seek(value)
            texts[tag] = file.read(min(number, MAX_TEXT))
    return FirstDirectory(texts[DESCRIPTION], texts[SOFTWARE], texts[XMP], compression, is_ndpi)
