"""Stored pixels -> RGB uint8: the one table of what is read, and how.

| stored                              | read as                                  |
| ----------------------------------- | ---------------------------------------- |
| RGB 8 bit                           | as it is                                 |
| RGBA 8 or 16 bit                    | composited on white                      |
| RGB 16 bit                          | scaled, 65535 -> 255                     |
| grey 8 bit (black or white is zero) | three equal channels                     |
| palette 8 bit                       | its colours                              |
| CMYK, CIELab, float, grey 16 bit, bilevel, several channels, depths or times | refused by name |

EXIF and TIFF orientation tags are not applied: pixels are read as they are stored, so that coordinates in every result are
those of the stored raster (as QuPath reads them). ICC profiles are not applied.
"""

from __future__ import annotations

import numpy as np

from biopsy_analyzer.errors import NotASlide

PHOTOMETRIC = {0: "white is zero", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}


def check_format(name: str, photometric: int, samples: int, dtype: np.dtype | None) -> None:
    """NotASlide that names the kind of pixels, unless the table above reads them."""
    kind = PHOTOMETRIC.get(photometric, f"photometric {photometric}")
    depth = "unknown depth" if dtype is None else str(dtype)
    if photometric in (2, 6) and samples in (3, 4) and depth in ("uint8", "uint16"):
        return
    if photometric in (0, 1, 3) and samples == 1 and depth == "uint8":
        return
    if photometric in (0, 1) and (samples > 1 or depth == "uint16"):
        kind = f"{kind}, probably fluorescence"
    raise NotASlide(f"{name}: pixels are {kind}, {samples} x {depth}; 8-bit RGB is wanted. Export the H&E image as RGB.")


def to_rgb(
    pixels: np.ndarray, photometric: int = 2, colormap: np.ndarray | None = None, associated_alpha: bool = False, has_alpha: bool = True
) -> np.ndarray:
    """Pixels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16, as RGB uint8 (H, W, 3)."""
    if photometric == 3 and colormap is not None:
        pixels = np.moveaxis(colormap >> 8, 0, -1).astype(np.uint8)[pixels.reshape(pixels.shape[:2])]
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32768) >> 16).astype(np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        grey = pixels.reshape(pixels.shape[:2])
        return np.repeat((255 - grey if photometric == 0 else grey)[..., None], 3, axis=2)
    if pixels.shape[2] == 4 and has_alpha:
        return _on_white(pixels, associated_alpha)
    return np.ascontiguousarray(pixels[..., :3])


def _on_white(rgba: np.ndarray, associated: bool) -> np.ndarray:
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    covered = colour * 255 if associated else colour * alpha
    return np.minimum((covered + (255 - alpha) * 255 + 127) // 255, 255).astype(np.uint8)
