"""What every reader offers, whatever the format: levels of RGB pixels, the pixel sizes the file states, and what was understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from biopsy_analyzer.slide.pixel_size import Stated


class Level(Protocol):
    """One resolution of a slide, decoded tile by tile.

    shape    (height, width) in px
    tile     (height, width) of what is decoded at once; tiles start at the level's top-left corner
    decoded  stored tiles decoded so far; damaged: of these, tiles that can't be decoded; missing: tiles met that are not stored
    met      different tiles met so far, whatever became of them
    """

    shape: tuple[int, int]
    tile: tuple[int, int]

    @property
    def decoded(self) -> int: ...

    @property
    def damaged(self) -> int: ...

    @property
    def missing(self) -> int: ...

    @property
    def met(self) -> int: ...

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) of a part that lies inside the level; white where nothing is stored or readable."""
        ...


@dataclass(frozen=True)
class Facts:
    """What was understood of a slide's files; never anything about the patient.

    format      as users call it: "Aperio SVS"
    reader      the library that reads it: "tifffile"
    compression of level 0
    files       all files the slide consists of, the one that was named first
    icc_sha256  of the embedded colour profile, which is not applied; None where there is none
    magnification  of the image, not of the objective, where the file states it (Aperio's AppMag)
    """

    format: str
    reader: str
    compression: str
    files: tuple[Path, ...]
    icc_sha256: str | None = None
    magnification: float | None = None


class Reader(Protocol):
    """An open file, or set of files. Threads may read its levels side by side, and so may forks."""

    @property
    def facts(self) -> Facts: ...

    @property
    def levels(self) -> Sequence[Level]: ...

    @property
    def stated(self) -> Sequence[Stated]: ...

    def close(self) -> None: ...
