"""Faults of a section: how they are told, and those that its tables show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.settings import TissueSettings

RIGHT_SIZE = "is the pixel size right? Give the true one with --mpp."
MIN_SIZED, MIN_NUCLEI = 20, 50  # fibres, nuclei; fewer say nothing of the pixel size. Prior.


@dataclass(frozen=True)
class Flag:
    """One fault of a section: what was measured, and the value beyond which it is reported.

    boxes_um  where it lies, if it lies anywhere: the largest places, each (top, left, bottom, right) in um
    """

    code: str
    value: float
    threshold: float
    message: str
    boxes_um: tuple[tuple[float, float, float, float], ...] = ()


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def percent(share: float) -> str:
    """A share 0..1 in percent, three significant digits."""
    return f"{100 * share:.3g}%"


def below(code: str, value: float, threshold: float, text: str, shown: Callable[[float], str] = number) -> Flag | None:
    """A flag if `value` is below `threshold`; in `text` {found} and {wanted} stand for both, as `shown` writes them."""
    return Flag(code, value, threshold, text.format(found=shown(value), wanted=shown(threshold))) if value < threshold else None


def above(code: str, value: float, threshold: float, text: str, shown: Callable[[float], str] = number) -> Flag | None:
    """The same if `value` is above `threshold`."""
    return Flag(code, value, threshold, text.format(found=shown(value), wanted=shown(threshold))) if value > threshold else None


def size_flags(min_feret_um: np.ndarray, cut: int, settings: TissueSettings) -> list[Flag]:
    """A flag if the median least diameter of whole fibres (n,) is implausible, or many of all were too long; fewer than 20 tell nothing.

    cut  pieces that fibres longer than a block's margin were cut into: they run along the section, or the pixel size is far too large
    """
    if len(min_feret_um) < MIN_SIZED:
        return []
    text = "{found} pieces of fibres too long for a cross-section come on each whole fibre, at most {wanted} is usual: cut lengthwise, "
    if too_long := above("long-fibres", cut / len(min_feret_um), settings.max_cut_share, text + "or is the pixel size wrong?"):
        return [too_long]
    median, text = float(np.median(min_feret_um)), "Fibres measure {found} um across in the middle, at %s {wanted} um is usual: %s"
    flags = (
        below("fibre-size", median, settings.min_fibre_um, text % ("least", RIGHT_SIZE)),
        above("fibre-size", median, settings.max_fibre_um, text % ("most", RIGHT_SIZE)),
    )
    return [flag for flag in flags if flag]


def oblique_flags(fibres: pd.DataFrame, settings: TissueSettings) -> list[Flag]:
    """A flag if whole fibres are long in the middle: cut obliquely or lengthwise, so that counts by area and sizes but the least are off.

    fibres  `min_feret_um`, `max_feret_um`, `touches_border`; fewer than 20 whole ones tell nothing
    """
    least, greatest = (fibres[name].to_numpy() for name in ("min_feret_um", "max_feret_um"))
    whole = ~fibres["touches_border"].to_numpy() & (least > 0)
    if np.count_nonzero(whole) < MIN_SIZED:
        return []
    long = float(np.median(greatest[whole] / least[whole]))
    text = (
        "Fibres are {found} times as long as wide in the middle, at most {wanted} is usual: cut obliquely? Areas are then too large, least "
    )
    flag = above("oblique-fibres", long, settings.max_elongation, text + "diameters hold.")
    return [flag] if flag else []


def nucleus_size_flags(area_um2: np.ndarray, settings: TissueSettings) -> list[Flag]:
    """A flag if the nuclei's median area is not that of nuclei: then the pixel size is wrong. area_um2 (n,); fewer than 50 tell nothing.

    Nuclei are the better ruler: fibres are 20 to 100 um wide in health and disease, so a pixel size wrong by two hides among them. A
    mouse's section taken for twice its size still has the nuclei of a human one.
    """
    if len(area_um2) < MIN_NUCLEI:
        return []
    median, text = float(np.median(area_um2)), "Nuclei measure {found} um2 in the middle, at %s {wanted} um2 is usual: %s"
    low, high = settings.min_median_nucleus_um2, settings.max_median_nucleus_um2
    flags = (
        below("pixel-size-doubtful", median, low, text % ("least", RIGHT_SIZE)),
        above("pixel-size-doubtful", median, high, text % ("most", RIGHT_SIZE)),
    )
    return [flag for flag in flags if flag]


def reference_flags(fibres: pd.DataFrame, nuclei: pd.DataFrame, settings: TissueSettings) -> list[Flag]:
    """A flag if many of the whole fibres called normal show no nucleus of their own: then dead fibres may be what is ordinary here.

    fibres  `fibre_id`, `state`, `touches_border`, `nuclei_count` (NaN: not assessed); fewer than 20 such fibres tell nothing
    nuclei  `fibre_id`, `type`: myonuclei and internal ones are a fibre's own, cells that lie on it are not
    """
    ordinary = fibres[(fibres["state"] == "normal") & ~fibres["touches_border"] & fibres["nuclei_count"].notna()]
    if len(ordinary) < MIN_SIZED:
        return []
    others = nuclei.loc[~nuclei["type"].isin(("myonucleus", "internal")), "fibre_id"].value_counts()
    own = ordinary["nuclei_count"].to_numpy() - others.reindex(ordinary["fibre_id"], fill_value=0).to_numpy()
    bare = float((own <= 0).mean())
    text = "{found} of the fibres called normal show no nucleus of their own, at most {wanted} is usual: dead ones may pass as ordinary."
    flag = above("reference-doubtful", bare, settings.max_bare_share, text, percent)
    return [flag] if flag else []


def cell_flags(nuclei: pd.DataFrame, counted: np.ndarray, settings: TissueSettings) -> list[Flag]:
    """A flag if many of the cells that count as inflammation are hardly told from others: then their number, or their kind, may be wrong.

    nuclei  `probability`;  counted bool (n,): interstitial lymphocytes and macrophages; fewer than 20 tell nothing
    """
    if np.count_nonzero(counted) < MIN_SIZED:
        return []
    unsure = float((nuclei["probability"].to_numpy()[counted] < settings.unsure_cell).mean())
    unsure_cells = f"are called with a probability below {settings.unsure_cell:g}"
    text = "{found} of the inflammatory cells " + unsure_cells + ", at most {wanted} is wanted: cell kinds are doubtful."
    flag = above("cells-doubtful", unsure, settings.max_unsure_cells, text, percent)
    return [flag] if flag else []
