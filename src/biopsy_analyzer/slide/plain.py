"""PNG and JPEG: one level, decoded whole."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.slide.convert import to_rgb
from biopsy_analyzer.slide.pixel_size import Stated, from_resolution

MAX_PX = 150_000_000  # 450 MB of RGB; larger images belong into a tiled pyramid
MODES = {"RGB", "RGBA", "L", "LA", "P", "PA"}


class ArrayLevel:
    """A level that lies decoded in memory: RGB uint8 (H, W, 3)."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.shape = (pixels.shape[0], pixels.shape[1])

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) of a part that lies inside the level."""
        return self.pixels[top : top + height, left : left + width]


def check_budget(name: str, height: int, width: int) -> None:
    """NotASlide if decoding an image of this size at once would take too much memory."""
    if height * width > MAX_PX:
        raise NotASlide(f"{name}: {width} x {height} px decode to more than {MAX_PX // 10**6} Mpx. Save it as a tiled pyramidal TIFF.")


def read_plain(path: Path) -> tuple[ArrayLevel, list[Stated]]:
    """The image and the pixel sizes it states; NotASlide if damaged, too large, or of a kind that is not read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the budget below decides
        warnings.simplefilter("ignore", UserWarning)  # damaged EXIF, which is not used
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                check_budget(path.name, image.height, image.width)
                stated = _stated(image)
                if image.mode not in MODES:
                    raise NotASlide(f"{path.name}: pixels are {image.mode}; 8-bit RGB is wanted. Export the H&E image as RGB.")
                transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
                pixels = np.asarray(image.convert("RGBA" if transparent else "RGB"))
        except Image.DecompressionBombError:
            raise NotASlide(f"{path.name}: decodes to more than {MAX_PX // 10**6} Mpx. Save it as a tiled pyramidal TIFF.") from None
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise NotASlide(f"{path.name}: damaged or cut off ({type(error).__name__}). Copy it again.") from error
    return ArrayLevel(to_rgb(pixels)), stated


def _stated(image: Image.Image) -> list[Stated]:
    """Density of a PNG (pHYs) or a JPEG (JFIF), in pixels per inch or cm."""
    if image.format == "JPEG":
        x, y = image.info.get("jfif_density", (0, 0))
        unit = {1: 2, 2: 3}.get(image.info.get("jfif_unit", 0), 1)
        return [size._replace(where="JPEG density") for size in from_resolution(y, x, unit)]
    x, y = image.info.get("dpi", (0, 0))
    return [size._replace(where="PNG density") for size in from_resolution(y, x, 2)]
