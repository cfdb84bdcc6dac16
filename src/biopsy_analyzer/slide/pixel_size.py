"""The size of a pixel, from what the file states; never a guess."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from biopsy_analyzer.errors import MissingPixelSize, UsageError

MIN_UM_PER_PX, MAX_UM_PER_PX = 0.05, 5.0  # microscopes lie within; 72, 96 and 300 dpi (353, 265, 85 um/px) do not
MAX_ANISOTROPY = 0.05
MAX_APART = 0.1  # prior: between two statements of one pixel size; roundings and measured against nominal lie within

UM_AT_1X = 10.0
"""um/px times Aperio's AppMag, which is the image's magnification, not the objective's: 20 at .49 to .50, 40 at .22 to .26 um/px."""
MOST_OFF = 1.4  # prior: between what AppMag leads to expect and the pixel size; half of the way to the factor of 2 that is looked for

UNIT_UM = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25_400.0}
TIFF_UNIT_UM = {2: 25_400.0, 3: 10_000.0}


class Stated(NamedTuple):
    """A pixel size as a file states it: um/px along y and x, and where it stands."""

    y: float
    x: float
    where: str


def choose(name: str, stated: Sequence[Stated], given: float | None = None) -> tuple[float, str]:
    """(um/px, source): `given` if there is one, else the first plausible of `stated`.

    Plausible: 0.05-5 um/px, y and x within 5 % (their geometric mean is taken).
    UsageError for an implausible `given`; MissingPixelSize, naming what was found, where the file states nothing plausible.
    """
    if given is not None:
        if not (math.isfinite(given) and MIN_UM_PER_PX <= given <= MAX_UM_PER_PX):
            raise UsageError(f"{name}: {given:g} um/px was given; {MIN_UM_PER_PX:g} to {MAX_UM_PER_PX:g} is wanted. Correct --mpp.")
        return float(given), "given"
    for size in stated:
        if _plausible(size):
            return math.sqrt(size.y * size.x), f"file: {size.where}"
    found = "; ".join(f"{size.where} {size.x:.6g} x {size.y:.6g} um/px" for size in stated) or "nothing"
    raise MissingPixelSize(
        f"{name}: no usable pixel size, found {found}; {MIN_UM_PER_PX:g} to {MAX_UM_PER_PX:g} um/px, x and y within 5 %, is wanted. "
        "Give it with --mpp."
    )


def doubts(um_per_px: float, source: str, stated: Sequence[Stated], magnification: float | None) -> list[str]:
    """What the file states against the pixel size that is used, a sentence each; none where all agree, or there is nothing else.

    source         "given", or where in the file it stands, as `choose` gives it
    magnification  of the image, as the file states it
    """
    used = f"{um_per_px:.4g} um/px ({source})"
    others = [(math.sqrt(size.y * size.x), size.where) for size in stated if _plausible(size)]
    found = [
        f"the pixel size used is {used}, but the file states {other:.4g} um/px ({where}); every length depends on which is right"
        for other, where in others
        if not 1 - MAX_APART < other / um_per_px < 1 + MAX_APART
    ]
    usual = UM_AT_1X / magnification if magnification else um_per_px
    if not 1 / MOST_OFF < usual / um_per_px < MOST_OFF:
        text = f"the pixel size used is {used}, but the file states a magnification of {magnification:g}, usual for {usual:.2g} um/px"
        found.append(f"{text}; every length depends on which is right")
    return found


def _plausible(size: Stated) -> bool:
    in_range = all(math.isfinite(v) and MIN_UM_PER_PX <= v <= MAX_UM_PER_PX for v in (size.y, size.x))
    return in_range and abs(size.y - size.x) <= MAX_ANISOTROPY * min(size.y, size.x)


def from_aperio(description: str) -> list[Stated]:
    """`MPP = 0.2520` of an Aperio description."""
    match = re.search(r"\bMPP\s*=\s*([-+.\w]{1,32})", description[:100_000])
    return _stated(match[1], match[1], "Aperio MPP") if match else []


def magnification_of_aperio(description: str) -> float | None:
    """`AppMag = 20` of an Aperio description; None where there is none, or none that a microscope has."""
    match = re.search(r"\bAppMag\s*=\s*(\d{1,3}(?:\.\d{1,3})?)\b", description[:100_000])
    return magnification_from(match[1] if match else "")


def magnification_from(text: str) -> float | None:
    """The magnification that a text states as a number from 1 to 200, else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 1 <= value <= 200 else None


def from_ome(description: str) -> list[Stated]:
    """PhysicalSizeX and Y with their units, of the first Pixels element of an OME-XML; the default unit is um."""
    element = re.search(r"<(?:\w{1,20}:)?Pixels\s([^>]{0,5000})", description[:1_000_000])
    if not element:
        return []
    values: dict[str, str] = dict(re.findall(r'(PhysicalSize[XY](?:Unit)?)\s*=\s*["\']([^"\']{0,64})["\']', element[1]))
    if "PhysicalSizeX" not in values:
        return []
    factors = [UNIT_UM.get(_plain_unit(values.get(f"PhysicalSize{axis}Unit", "µm")), math.nan) for axis in "YX"]
    sizes = _stated(values.get("PhysicalSizeY", values["PhysicalSizeX"]), values["PhysicalSizeX"], "OME PhysicalSize")
    return [Stated(size.y * factors[0], size.x * factors[1], size.where) for size in sizes]


def from_resolution(y: float, x: float, unit: int, description: str = "") -> list[Stated]:
    """TIFF resolution tags (pixels per unit): inch, cm, or the unit that ImageJ writes into its description."""
    where, factor = "TIFF resolution", TIFF_UNIT_UM.get(unit)
    if description.startswith("ImageJ"):
        match = re.search(r"^unit=(\S{1,20})", description[:100_000], re.MULTILINE)
        if match:
            where, factor = "ImageJ resolution", UNIT_UM.get(_plain_unit(match[1]))
    if factor is None or not (x > 0 and y > 0):
        return []
    return [Stated(factor / y, factor / x, where)]


def _plain_unit(unit: str) -> str:
    return unit.replace("\\u00B5", "µ").replace("&#181;", "µ").replace("&#xB5;", "µ").strip()


def _stated(y: str, x: str, where: str) -> list[Stated]:
    try:
        return [Stated(float(y), float(x), where)]
    except ValueError:
        return [Stated(math.nan, math.nan, where)]
