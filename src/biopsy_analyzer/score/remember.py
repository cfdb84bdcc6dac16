"""The last answer of a function of arrays, kept: a correction leaves most positions as they are, and what follows from them with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

MOST_BYTES = 128 * 2**20
"""Questions and answers above this are not kept: that of a section with a million nuclei is below it."""

Function = TypeVar("Function", bound=Callable[..., Any])


def remember_last(function: Function) -> Function:
    """`function`, answering at once when it is asked the same twice in a row.

    It must depend on its positional arguments alone, arrays or values with ==, and give an array, or a tuple of arrays and values.
    Arrays are compared by content and given read-only, so no answer can differ from a new one.
    """
    kept: list[tuple[tuple[Any, ...], Any]] = []

    @wraps(function)
    def ask(*asked: Any) -> Any:
        for before, answer in list(kept):
            if len(before) == len(asked) and all(_same(one, other) for one, other in zip(before, asked, strict=True)):
                return answer
        answer = function(*asked)
        parts = answer if isinstance(answer, tuple) else (answer,)
        arrays = [part for part in parts if isinstance(part, np.ndarray)]
        for array in arrays:
            array.flags.writeable = False
        size = sum(part.nbytes for part in (*arrays, *asked) if isinstance(part, np.ndarray))
        kept[:] = [(tuple(_copied(part) for part in asked), answer)] if size <= MOST_BYTES else []
        return answer

    return ask  # type: ignore[return-value]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def _copied(part: Any) -> Any:
    return part.copy() if isinstance(part, np.ndarray) else part
