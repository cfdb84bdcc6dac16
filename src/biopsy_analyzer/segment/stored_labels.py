"""Labels of a whole section in little memory: compressed chunks, of which windows are read as arrays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import pyarrow as pa

CHUNK_PX = 512


class StoredLabels:
    """A label image (H, W), int32, 0 background, that is written window by window and read by slices: ``labels[10:20, :]``.

    Chunks are compressed about a hundredfold; those without labels take no memory. ``numpy.asarray`` gives the whole image, which a
    whole slide's memory won't hold: take slices, along `chunks`. Safe to write from several threads.
    """

    dtype = np.dtype(np.int32)
    ndim = 2

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.chunks = (CHUNK_PX, CHUNK_PX)
        self._chunks: dict[tuple[int, int], bytes] = {}
        self._numbers: pa.Array | None = None
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(map(len, self._chunks.values()))

    def write(self, top: int, left: int, labels: np.ndarray, most: int | None = None, add: int = 0) -> None:
        """Lay the labels of a window over what is there; its background leaves it. The window lies inside the image.

        most  larger labels count as background (None: none do);  add  to each label
        """
        with self._lock:
            for key, here, there in _pieces(slice(top, top + labels.shape[0]), slice(left, left + labels.shape[1])):
                new = labels[there]
                laid = new > 0 if most is None else (new > 0) & (new <= most)
                if laid.any():
                    chunk = self._chunk(key).copy()
                    np.copyto(chunk[here], new + np.int32(add), where=laid)
                    self._chunks[key] = bytes(imagecodecs.zstd_encode(chunk.tobytes(), 1))

    def renumber(self, numbers: np.ndarray) -> None:
        """From now on label k reads as ``numbers[k]``, int32; numbers[0] is 0."""
        self._numbers = pa.array(numbers.astype(np.int32))

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple) and len(key) == 2 and all(isinstance(k, slice) and k.step in (None, 1) for k in key):
            rows, columns = (slice(*k.indices(n)[:2]) for k, n in zip(key, self.shape, strict=True))
            return self._window(rows, columns)
        return np.asarray(self)[key]

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self._window(slice(0, self.shape[0]), slice(0, self.shape[1])).astype(dtype or self.dtype, copy=False)  # type: ignore[call-overload]

    def _window(self, rows: slice, columns: slice) -> np.ndarray:
        window = np.zeros((max(rows.stop - rows.start, 0), max(columns.stop - columns.start, 0)), np.int32)
        for key, here, there in _pieces(rows, columns):
            if key in self._chunks:
                piece = self._chunk(key)[here]
                window[there] = piece if self._numbers is None else _taken(self._numbers, piece)
        return window

    def _chunk(self, key: tuple[int, int]) -> np.ndarray:
        """What is stored there, to be read only."""
        if key not in self._chunks:
            return np.zeros(self.chunks, np.int32)
        return np.frombuffer(imagecodecs.zstd_decode(self._chunks[key]), np.int32).reshape(self.chunks)


def _taken(numbers: pa.Array, piece: np.ndarray) -> np.ndarray:
    """``numbers[piece]``, in a third of numpy's time."""
    return np.asarray(numbers.take(pa.array(piece.ravel()))).reshape(piece.shape)


def _pieces(rows: slice, columns: slice) -> Iterator[tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice]]]:
    """The chunks that a window touches: the chunk's key, where the piece lies in the chunk, and where in the window."""
    for i in range(rows.start // CHUNK_PX, -(-rows.stop // CHUNK_PX)):
        for j in range(columns.start // CHUNK_PX, -(-columns.stop // CHUNK_PX)):
            here, there = [], []
            for k, part in ((i, rows), (j, columns)):
                low, high = max(k * CHUNK_PX, part.start), min((k + 1) * CHUNK_PX, part.stop)
                here.append(slice(low - k * CHUNK_PX, high - k * CHUNK_PX))
                there.append(slice(low - part.start, high - part.start))
            yield (i, j), (here[0], here[1]), (there[0], there[1])
