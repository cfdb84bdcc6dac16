"""NDPI, MIRAX, SCN, BIF, VMS, Philips and what else only OpenSlide reads, always in a process of its own.

OpenSlide can end the process that it runs in (a TIFF whose tiles are 2^31 - 1 px wide), and no `except` helps. So it runs in children that
send pixels through pipes; a crash, a hang or a bomb is one error here.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import select
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from biopsy_analyzer.errors import NotASlide, ReaderMissing
from biopsy_analyzer.slide.forks import renew_after_fork
from biopsy_analyzer.slide.kind import files_in
from biopsy_analyzer.slide.pixel_size import Stated, magnification_from
from biopsy_analyzer.slide.reader import Facts
from biopsy_analyzer.slide.tiles import Decode, TileCache, TiledLevel

CHILD = Path(__file__).with_name("openslide_child.py")
MEMORY_BYTES = 3 * 2**30  # prior: of address space, of which the libraries alone take about 0.5 GB
REPLY_S = 25.0  # prior: a child that says nothing for so long hangs
ENDS_S = 5.0  # prior: between the end of its pipe and that of a child that crashed
CHILDREN = 4  # prior: at most so many threads of one slide read side by side
MAX_LEVELS, MAX_SIDE_PX = 64, 5_000_000
MIN_TILE, MAX_TILE, CROPPED_TILE = 128, 4096, 1024
REPLY, REQUEST = struct.Struct("<cq"), struct.Struct("<5q")
WHERE = {
    "hamamatsu": "Hamamatsu resolution",
    "mirax": "Slidedat.ini MICROMETER_PER_PIXEL",
    "leica": "SCN view size",
    "ventana": "Ventana ScanRes",
    "philips": "Philips DICOM_PIXEL_SPACING",
    "aperio": "Aperio MPP",
}


class _Child:
    """One child process with one open slide; one request at a time."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        command = [sys.executable, "-P", str(CHILD), os.path.abspath(path), str(MEMORY_BYTES)]
        # unbuffered: a fork must not inherit half a request and send it again
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "bufsize": 0}
        self._process = subprocess.Popen(command, **pipes)
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none: a hang is not noticed there
        if self._poll:
            self._poll.register(self._process.stdout, select.POLLIN)  # type: ignore[arg-type]
        try:
            kind, body = self._reply()
        except BaseException:
            self.close()
            raise
        if kind != b"J":
            self.close()
            found = f"OpenSlide can't open it ({body.decode()}): damaged, cut off or without its other files"
            raise NotASlide(f"{path.name}: {found}. Copy it again.")
        self.facts: dict[str, Any] = json.loads(body)

    def read(self, *request: int) -> tuple[bytes, bytearray]:
        """(P, pixels), (W, nothing) or (B, nothing) for (level, x, y, width, height); NotASlide where the child ends or hangs."""
        try:
            self._process.stdin.write(REQUEST.pack(*request))  # type: ignore[union-attr]
        except OSError as error:
            raise self._gone() from error
        return self._reply()

    def _reply(self) -> tuple[bytes, bytearray]:
        head = self._receive(REPLY.size)
        kind, length = REPLY.unpack(head)
        return kind, self._receive(length)

    def _receive(self, length: int) -> bytearray:
        """`length` bytes; NotASlide where the child has ended or says nothing for too long."""
        received, at = bytearray(length), 0
        view = memoryview(received)
        while at < length:
            if self._poll and not self._poll.poll(REPLY_S * 1000):
                raise self._gone(f"hung for {REPLY_S:g} s")
            count = self._process.stdout.readinto(view[at:])  # type: ignore[union-attr]
            if not count:
                raise self._gone()
            at += count
        return received

    def _gone(self, how: str = "") -> NotASlide:
        try:
            code = self._process.wait(0 if how else ENDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self.close()
        how = how or f"crashed ({f'signal {-code}' if code < 0 else f'exit {code}'})"
        return NotASlide(f"{self._name}: reader {how}, the file is damaged or takes too much memory. Copy it again.")

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        self.close_pipes()

    def close_pipes(self) -> None:
        """Lets go of the pipes only: all that a forked process may do to its parent's child."""
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()  # type: ignore[union-attr]


class OpenSlideReader:
    """A slide read by OpenSlide in child processes, more of them while several threads read; see `reader.Reader`.

    Where the slide states bounds (MIRAX, SCN, BIF), the image is the part within them, as QuPath shows it.
    """

    def __init__(self, path: Path, format_name: str, cache: TileCache) -> None:
        if importlib.util.find_spec("openslide") is None:
            raise ReaderMissing(f"{path.name}: {format_name} is read by OpenSlide, not installed: pip install 'biopsy-analyzer[openslide]'")
        self._path = path
        self._children: list[_Child] = []
        self.after_fork()
        renew_after_fork(self)
        try:
            self._idle.append(self._new())
            found = self._idle[0].facts
            self.levels = _levels(path.name, found, self, cache)
            self.stated = _stated(found)
            files = slide_files(path, found["vendor"])
            magnification = magnification_from(found["magnification"])
            self.facts = Facts(format_name, f"OpenSlide {found['version']}", "the vendor's", files, found["icc_sha256"], magnification)
        except BaseException:
            self.close()
            raise

    def after_fork(self) -> None:
        """Children belong to the process that started them."""
        for child in self._children:
            child.close_pipes()
        self._children = []
        self._idle: list[_Child] = []
        self._slots = threading.BoundedSemaphore(CHILDREN)

    def region(self, *request: int) -> np.ndarray | None:
        """RGB uint8 of (level, x, y, width, height), x and y in level-0 px; None where nothing is stored; ValueError if damaged."""
        with self._slots:
            try:
                child = self._idle.pop()
            except IndexError:
                child = self._new()
            try:
                kind, body = child.read(*request)
            except BaseException:
                child.close()
                raise
            self._idle.append(child)
        if kind == b"B":
            raise ValueError("a tile that OpenSlide can't decode")
        return np.frombuffer(body, np.uint8).reshape(request[4], request[3], 3) if kind == b"P" else None

    def _new(self) -> _Child:
        child = _Child(self._path)
        self._children.append(child)
        return child

    def close(self) -> None:
        """Ends the children."""
        for child in self._children:
            child.close()
        self._children, self._idle = [], []


def _levels(name: str, found: dict[str, Any], reader: OpenSlideReader, cache: TileCache) -> list[TiledLevel]:
    width, height = found["levels"][0]
    if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX) or len(found["levels"]) > MAX_LEVELS:
        raise NotASlide(f"{name}: says it has {width} x {height} px, {len(found['levels'])} levels. Copy it again.")
    y0, x0, rows, columns = _bounds(found["bounds"], height, width)
    cropped = (rows, columns) != (height, width)
    levels = []
    for number, (scale, stored) in enumerate(zip(found["downsamples"], found["tiles"], strict=True)):
        shape = max(1, round(rows / scale)), max(1, round(columns / scale))
        if number and min(rows, columns) / scale < 1:
            break
        tile = _tile(stored, cropped)
        levels.append(TiledLevel(name, number, shape, tile, _decoder(reader, number, (y0, x0), scale, shape, tile), cache))
    return levels


def _decoder(
    reader: OpenSlideReader, number: int, origin: tuple[int, int], scale: float, shape: tuple[int, int], tile: tuple[int, int]
) -> Decode:
    """Tile (row, column) of a level as a region of OpenSlide, whose positions are in level-0 px."""

    def decode(row: int, column: int) -> np.ndarray | None:
        top, left = row * tile[0], column * tile[1]
        size = min(tile[1], shape[1] - left), min(tile[0], shape[0] - top)
        return reader.region(number, origin[1] + round(left * scale), origin[0] + round(top * scale), *size)

    return decode


def _bounds(stated: list[str], height: int, width: int) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the part that the slide says holds pixels, else the whole."""
    if all(text.lstrip("-").isdigit() for text in stated):
        top, left, rows, columns = (int(text) for text in stated)
        if 0 <= top < top + rows <= height and 0 <= left < left + columns <= width:
            return top, left, rows, columns
    return 0, 0, height, width


def _tile(stored: list[str], cropped: bool) -> tuple[int, int]:
    """What is read at once: stored tiles of usual size as they are; several of narrow ones, and of tiles that no grid aligns with."""
    least = CROPPED_TILE if cropped else MIN_TILE
    sides = [int(side) if side.isdigit() and 0 < int(side) <= MAX_TILE else 256 for side in stored]
    height, width = (side * math.ceil(least / side) if side < least else side for side in sides)
    return height, width


def _stated(found: dict[str, Any]) -> list[Stated]:
    try:
        y, x = (float(text) for text in found["mpp"])
    except ValueError:
        return []
    return [Stated(y, x, WHERE.get(found["vendor"], f"{found['vendor']} resolution"))]


def slide_files(path: Path, vendor: str) -> tuple[Path, ...]:
    """All files of a slide: for MIRAX the data folder's too, for VMS and VMU the ones that it names."""
    if vendor == "mirax":
        return (path, *files_in(path.with_suffix("")))
    if vendor == "hamamatsu" and b"Virtual Microscope Specimen]" in path.read_bytes()[:512]:
        return (path, *named_files(path))
    return (path,)


def named_files(path: Path) -> list[Path]:
    """Files beside a VMS or VMU that it names, by name."""
    with path.open("rb") as file:
        text = file.read(65536).decode("latin-1")
    names = {line.partition("=")[2].strip() for line in text.splitlines() if "=" in line}
    return sorted(beside for name in names if name and Path(name).name == name and (beside := path.parent / name).is_file())
