"""Banks of training patches on disk: memory-mapped, drawn (concentrations) or real (RGB)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biopsy_analyzer.errors import UsageError

BANK_UM_PER_PX = 0.5
OD_STEPS = 80
"""Concentrations are stored as optical density times this, uint8."""

_HOLD_OUT_EVERY = 20
_RASTERS = ("fibres", "nuclei", "states", "kinds", "ignore")
_LABELS = {"fibres": ("fibres", "states"), "nuclei": ("nuclei", "kinds")}


@dataclass(frozen=True)
class Patch:
    """One patch of a bank at BANK_UM_PER_PX.

    pixels  uint8 (H, W, 3): haematoxylin, eosin, red cells in OD * OD_STEPS if `drawn`, otherwise RGB
    labels  (H, W) objects of the wanted kind; codes uint8 (H, W) their classes; ignore bool (H, W)
    """

    pixels: np.ndarray
    drawn: bool
    labels: np.ndarray
    codes: np.ndarray
    ignore: np.ndarray


class Bank:
    """A folder of patches: concentrations.npy (N, 3, H, W) or rgb.npy (N, H, W, 3), and the label rasters (N, H, W).

    training   rows to train on; rows that are all zero are still being drawn and are left out
    held_out   every twentieth row, which stays the same while a bank is being drawn; none where there is a single patch
    UsageError when a file is missing, the files disagree in number or size, or nothing is drawn yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.drawn = (self.folder / "concentrations.npy").is_file()
        names = ("concentrations" if self.drawn else "rgb", *_RASTERS)
        try:
            arrays = {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in names}
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.folder}: not a bank of patches ({error})") from error
        self._pixels, self._rasters = arrays.pop(names[0]), arrays
        shape = (len(self._pixels), *(self._pixels.shape[2:] if self.drawn else self._pixels.shape[1:3]))
        wrong = [name for name, raster in arrays.items() if raster.shape != shape]
        if wrong:
            raise UsageError(f"{self.folder}: {', '.join(wrong)} differ in shape from the patches' {shape}; draw the bank again")
        ready = np.array([row for row in range(shape[0]) if self._pixels[row, ..., ::16, :].any()], np.intp)
        if not len(ready):
            raise UsageError(f"{self.folder}: holds no patches yet")
        apart = (ready % _HOLD_OUT_EVERY == 0) & (len(ready) > 1)
        self.training, self.held_out = ready[~apart], ready[apart]

    def patch(self, index: int, kind: str) -> Patch:
        """Row `index` with the objects of `kind` "fibres" or "nuclei"."""
        labels, codes = (np.asarray(self._rasters[name][index]) for name in _LABELS[kind])
        pixels = np.asarray(self._pixels[index])
        if self.drawn:
            pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
        return Patch(pixels, self.drawn, labels, codes, np.asarray(self._rasters["ignore"][index]))

    def class_counts(self, kind: str, patches: int = 200) -> np.ndarray:
        """Pixels (4,) of the classes 1..4 in up to `patches` evenly spread training patches."""
        chosen = self.training[np.unique(np.linspace(0, len(self.training) - 1, patches).astype(int))]
        counts = sum(np.bincount(np.asarray(self._rasters[_LABELS[kind][1]][i]).ravel(), minlength=256) for i in chosen)
        return np.asarray(counts)[1:5]
