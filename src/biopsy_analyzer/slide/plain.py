"""PNG, JPEG and JPEG 2000: one level, decoded whole."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.slide.convert import to_rgb
from biopsy_analyzer.slide.pixel_size import Stated, from_resolution
from biopsy_analyzer.slide.reader import Facts
from biopsy_analyzer.slide.tiles import ArrayLevel

MAX_PX = 150_000_000  # 450 MB of RGB; larger images belong into a tiled pyramid
MODES = {"RGB", "RGBA", "L", "LA", "P", "PA"}


def check_budget(name: str, height: int, width: int) -> None:
    """NotASlide if decoding an image of this size at once would take too much memory."""
    if height * width > MAX_PX:
        raise NotASlide(f"{name}: {width} x {height} px decode to more than {MAX_PX // 10**6} Mpx. Save it as a tiled pyramidal TIFF.")


def digest(profile: bytes | None) -> str | None:
    """SHA-256 of a colour profile, in hexadecimal; None where there is none."""
    return hashlib.sha256(profile).hexdigest() if profile else None


class Plain:
    """A decoded image; NotASlide if damaged, too large, or of a kind that is not read. See `reader.Reader`."""

    def __init__(self, path: Path, format_name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the budget below decides
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF, which is not used
            try:
                with Image.open(path, formats=("PNG", "JPEG", "JPEG2000")) as image:
                    pixels = _decoded(path.name, image)
                    profile = image.info.get("icc_profile")
                    self.stated = _stated(image)
            except Image.DecompressionBombError:
                raise NotASlide(f"{path.name}: decodes to more than {MAX_PX // 10**6} Mpx. Save it as a tiled pyramidal TIFF.") from None
            except (OSError, SyntaxError, ValueError, EOFError) as error:
                raise NotASlide(f"{path.name}: damaged or cut off ({type(error).__name__}). Copy it again.") from error
        self.levels = [ArrayLevel(to_rgb(pixels))]
        self.facts = Facts(format_name, "Pillow", format_name, (path,), digest(profile))

    def close(self) -> None:
        """Nothing is open: the image lies in memory."""


def _decoded(name: str, image: Image.Image) -> np.ndarray:
    check_budget(name, image.height, image.width)
    if image.mode not in MODES:
        raise NotASlide(f"{name}: pixels are {image.mode}; 8-bit RGB is wanted. Export the H&E image as RGB.")
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if transparent else "RGB"))


def _stated(image: Image.Image) -> list[Stated]:
    """Density of a PNG (pHYs), a JPEG (JFIF) or a JPEG 2000 (its resolution box)."""
    if image.format == "JPEG":
        x, y = image.info.get("jfif_density", (0, 0))
        unit = {1: 2, 2: 3}.get(image.info.get("jfif_unit", 0), 1)
        return [size._replace(where="JPEG density") for size in from_resolution(y, x, unit)]
    x, y = image.info.get("dpi", (0, 0))
    where = "PNG density" if image.format == "PNG" else "JPEG 2000 resolution"
    return [size._replace(where=where) for size in from_resolution(y, x, 2)]
