"""Levels whose stored tiles are decoded once, and kept in a bounded memory that all levels of a slide share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from biopsy_analyzer.errors import BiopsyAnalyzerError, NotASlide
from biopsy_analyzer.slide.forks import renew_after_fork

CACHE_MIB = 128  # prior: a row of 256 px tiles across a 160,000 px wide level
DAMAGED_SHARE = 0.01  # of a level's tiles; more and the slide is refused
Decode = Callable[[int, int], np.ndarray | None]


class TileCache:
    """Decoded tiles, the least recently used dropped first. Threads that want the same tile wait for one decoding of it."""

    def __init__(self, mib: float = CACHE_MIB) -> None:
        self._limit = int(mib * 2**20)
        self._tiles: OrderedDict[tuple[int, int, int], np.ndarray] = OrderedDict()
        self._bytes = 0
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._coming: dict[tuple[int, int, int], Future[np.ndarray]] = {}

    def get(self, key: tuple[int, int, int], decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The tile of `key` (level, row, column), by `decode` unless it is here or on its way; errors of `decode` pass on."""
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
            coming = self._coming.get(key)
            if coming is None:
                mine = self._coming[key] = Future()
        if coming is not None:
            return coming.result()
        try:
            pixels = decode()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._coming[key]
            self._keep(key, pixels)
        mine.set_result(pixels)
        return pixels

    def _keep(self, key: tuple[int, int, int], pixels: np.ndarray) -> None:
        self._tiles[key] = pixels
        self._bytes += held(pixels)
        while self._bytes > self._limit and len(self._tiles) > 1:
            _, dropped = self._tiles.popitem(last=False)
            self._bytes -= held(dropped)


def held(pixels: np.ndarray) -> int:
    """Bytes of memory behind an array; a white tile is one value seen many times."""
    return 0 if not any(pixels.strides) else pixels.nbytes


class TiledLevel:
    """A level by a function `decode(row, column)` of its tiles; see `reader.Level`.

    `decode` returns RGB uint8 of a whole tile or, at the lower and right edge, of what lies inside the level; None for a tile that
    is not stored. Whatever it raises, but our own errors and MemoryError, means that the tile is damaged: it is read as white and counted;
    more than 1 % of a level's tiles raise NotASlide.
    """

    def __init__(self, name: str, number: int, shape: tuple[int, int], tile: tuple[int, int], decode: Decode, cache: TileCache) -> None:
        self.shape, self.tile = shape, tile
        self._name, self._number, self._decode, self._cache = name, number, decode, cache
        self._decoded: dict[tuple[int, int], int] = {}
        self._damaged: set[tuple[int, int]] = set()
        self._missing: set[tuple[int, int]] = set()
        self._white = np.broadcast_to(np.uint8(255), (*tile, 3))

    @property
    def decoded(self) -> int:
        """Decodings of stored tiles so far; a tile that was dropped and decoded again counts twice."""
        return sum(self._decoded.values())

    @property
    def damaged(self) -> int:
        """Tiles met that can't be decoded."""
        return len(self._damaged)

    @property
    def met(self) -> int:
        """Different tiles met so far, whatever became of them."""
        return len(self._decoded) + len(self._damaged) + len(self._missing)

    @property
    def missing(self) -> int:
        """Tiles met that are not stored: background."""
        return len(self._missing)

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) of a part that lies inside the level; missing and damaged tiles are white."""
        tile_h, tile_w = self.tile
        out = np.empty((height, width, 3), np.uint8)
        for row in range(top // tile_h, -(-(top + height) // tile_h)):
            for column in range(left // tile_w, -(-(left + width) // tile_w)):
                pixels = self._cache.get((self._number, row, column), lambda at=(row, column): self._load(*at))  # type: ignore[misc]
                y0, x0 = max(top, row * tile_h), max(left, column * tile_w)
                y1, x1 = min(top + height, (row + 1) * tile_h), min(left + width, (column + 1) * tile_w)
                part = pixels[y0 - row * tile_h : y1 - row * tile_h, x0 - column * tile_w : x1 - column * tile_w]
                out[y0 - top : y1 - top, x0 - left : x1 - left] = part
        return out

    def _load(self, row: int, column: int) -> np.ndarray:
        try:
            pixels = self._decode(row, column)
        except (BiopsyAnalyzerError, MemoryError):  # without memory a good tile would be white, too
            raise
        except Exception as error:  # codecs raise of every kind; all mean that these bytes are no tile
            self._count_damage(row, column, error)
            return self._white
        if pixels is None:
            self._missing.add((row, column))
            return self._white
        self._decoded[row, column] = self._decoded.get((row, column), 0) + 1
        return pixels if pixels.shape == self._white.shape else self._padded(pixels)

    def _padded(self, pixels: np.ndarray) -> np.ndarray:
        full = np.full(self._white.shape, 255, np.uint8)
        height, width = min(pixels.shape[0], self.tile[0]), min(pixels.shape[1], self.tile[1])
        full[:height, :width] = pixels[:height, :width]
        return full

    def _count_damage(self, row: int, column: int, error: Exception) -> None:
        self._damaged.add((row, column))
        tiles = tile_count(self.shape, self.tile)
        if len(self._damaged) > DAMAGED_SHARE * tiles:
            found = f"{len(self._damaged)} of {tiles} tiles can't be decoded ({type(error).__name__})"
            raise NotASlide(f"{self._name}: damaged, {found}. Copy it again.") from error


def tile_count(shape: tuple[int, int], tile: tuple[int, int]) -> int:
    """Tiles of a level."""
    return -(-shape[0] // tile[0]) * -(-shape[1] // tile[1])


class ArrayLevel:
    """A level that lies decoded in memory: RGB uint8 (H, W, 3)."""

    decoded = 1
    met = 1
    damaged = 0
    missing = 0

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels
        self.shape = self.tile = (int(pixels.shape[0]), int(pixels.shape[1]))

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) of a part that lies inside the level."""
        return self._pixels[top : top + height, left : left + width]
