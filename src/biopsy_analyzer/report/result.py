"""What one analysis gives: everything that is written, as objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.outlines import Rings, outlines
from biopsy_analyzer.score.model import Axes, Scores
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tissue.flags import Flag

if TYPE_CHECKING:
    from biopsy_analyzer.segment.stored_labels import StoredLabels

Status = Literal["ok", "review", "refused"]
"""`review`: read with the flags in mind. `refused`: nothing that could be scored; all numbers are null."""


@dataclass(frozen=True)
class SlideInfo:
    """The section as it was read; width and height of level 0. Nothing of the file's own metadata but the pixel size."""

    id: str
    file_name: str
    sha256: str
    um_per_px: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    um_per_px_source: str
    width_px: Annotated[int, Field(gt=0)]
    height_px: Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class ModelInfo:
    """A model that took part, told apart by the SHA-256 of its weights; `precision`: the numbers a network computed in, null for others."""

    name: str
    version: str
    sha256: str
    precision: str | None = None


@dataclass(frozen=True)
class Labels:
    """A label image and where it lies: int32 (H, W) on `grid`, 0 background, k is the table's row with id k.

    pixels  an array, or compressed: then take slices, for the whole of a slide won't fit into memory
    rings   the outlines, where they are known already
    """

    pixels: np.ndarray | StoredLabels
    grid: PixelGrid
    rings: Rings | None = None

    def outlines(self) -> Rings:
        """The outline of each label in the table's order."""
        return outlines(np.asarray(self.pixels), self.grid) if self.rings is None else self.rings


@dataclass(frozen=True)
class Picture:
    """The section in a size for looking: RGB uint8 (H, W, 3) on `grid`."""

    rgb: np.ndarray
    grid: PixelGrid


CropKind = Literal["fibre", "nucleus", "cluster"]


@dataclass(frozen=True)
class Crop:
    """One object and what surrounds it at full detail, for a reader's eye: RGB uint8 (H, W, 3) on `grid`; `id` is that of its table."""

    kind: CropKind
    id: int
    rgb: np.ndarray
    grid: PixelGrid


@dataclass(frozen=True)
class Result:
    """One section, analysed. Tables have the columns of `biopsy_analyzer.tables`."""

    status: Status
    slide: SlideInfo
    models: tuple[ModelInfo, ...]
    settings: Settings
    tissue_area_mm2: float
    flags: tuple[Flag, ...]
    fibres: pd.DataFrame
    nuclei: pd.DataFrame
    clusters: pd.DataFrame
    fibre_labels: Labels
    nucleus_labels: Labels
    picture: Picture
    scores: Scores
    crops: tuple[Crop, ...] = ()
    region_um: tuple[tuple[float, float], ...] | None = None

    @property
    def axes(self) -> Axes:
        """Necrosis, regeneration and inflammation (0 to 1) and their balance (-1 to 1): what stands under `scores` in scores.json."""
        return self.scores.scores
