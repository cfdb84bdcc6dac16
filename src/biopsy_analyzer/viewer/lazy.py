"""An array of which only the window that is sliced exists: what napari wants of a level of a pyramid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np


class LazyArray(ABC):
    """Indexed as a NumPy array, by integers, by slices with positive steps and by `...`; each time `window` is asked."""

    def __init__(self, shape: tuple[int, ...], dtype: type) -> None:
        self.shape, self.dtype, self.ndim = shape, np.dtype(dtype), len(shape)
        self.size = int(np.prod(shape))

    @abstractmethod
    def window(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """The part (bottom - top, right - left, ...) that lies inside and is not empty."""

    def __getitem__(self, key: Any) -> Any:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim + 1 - len(keys))
        keys += [slice(None)] * (self.ndim - len(keys))
        (top, bottom), (left, right) = (_span(k, n) for k, n in zip(keys[:2], self.shape[:2], strict=True))
        if top < bottom and left < right:
            pixels = self.window(top, left, bottom, right)
        else:
            pixels = np.empty((bottom - top, right - left, *self.shape[2:]), self.dtype)
        inner = [slice(None, None, k.step) if isinstance(k, slice) else 0 for k in keys[:2]]
        return pixels[(*inner, *keys[2:])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:, :], dtype=dtype)


def _span(key: Any, size: int) -> tuple[int, int]:
    """First and past-the-last of what an index or slice takes of an axis."""
    if isinstance(key, slice):
        start, stop, step = key.indices(size)
        if step < 1:
            raise IndexError(f"step {step}; 1 or more is wanted")
        return start, max(start, stop)
    index = range(size)[int(key)]
    return index, index + 1
