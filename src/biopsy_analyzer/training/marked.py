"""A picture of one judged image: hits, misses and false finds, and classes that were called wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.training.agreement import UNKNOWN
from biopsy_analyzer.training.judge import Judged

HIT, MISS, FALSE, VOID = (0, 158, 115), (213, 94, 0), (204, 0, 204), (128, 128, 128)
_KEY = (("found", HIT), ("missed (true outline)", MISS), ("false find", FALSE), ("does not count", VOID))
_MAX_PX = 6000
_FILL = 0.25
_RIM_PX = 40


def marked_picture(rgb: np.ndarray, judged: Judged) -> np.ndarray:
    """`rgb` (H, W, 3) uint8 with every object outlined by what became of it; fibres left, nuclei right, a key below.

    Green: found (the outline found). Vermillion, filled: missed (the true outline). Magenta, filled: a false find. Grey: does not
    count. A class called wrong is written on the object as true > found. Cut to the part of which the truth is known, and shrunk
    to at most 6000 px a side.
    """
    truth, known = judged.truth, _known_part(judged.truth.ignore)
    sides = [(judged.fibres, truth.fibres, judged.fibre_pixels), (judged.nuclei, truth.nuclei, judged.nucleus_pixels)]
    panels = [
        _panel(rgb, units, true, found, known)
        for units, true, found in sides
        if units is not None and true is not None and found is not None
    ]
    picture = np.concatenate([_with_key(panel) for panel in panels or [rgb[known]]], axis=1)
    scale = _MAX_PX / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def _known_part(ignore: np.ndarray | None) -> tuple[slice, slice]:
    """The rows and columns that hold everything of which the truth is known, and a rim; all, where nothing or all is ignored."""
    if ignore is None or ignore.all():
        return slice(None), slice(None)
    rows, columns = (np.flatnonzero(~ignore.all(axis=axis)) for axis in (1, 0))
    return slice(max(0, rows[0] - _RIM_PX), rows[-1] + 1 + _RIM_PX), slice(max(0, columns[0] - _RIM_PX), columns[-1] + 1 + _RIM_PX)


def _panel(rgb: np.ndarray, units: pd.DataFrame, truth: np.ndarray, found: np.ndarray, known: tuple[slice, slice]) -> np.ndarray:
    """The part `known`, one colour a unit, painted by label look-up."""
    fate = np.select([units.void, units.pred_id == 0, units.truth_id == 0], [3, 1, 2], 0)
    of_truth, of_found = (np.full(int(labels.max(initial=0)) + 1, -1) for labels in (truth, found))
    only_truth = (units.pred_id == 0).to_numpy()
    of_truth[units.truth_id[only_truth]] = fate[only_truth]
    of_found[units.pred_id[~only_truth]] = fate[~only_truth]
    picture = rgb.copy()
    for labels, fates in ((found, of_found), (truth, of_truth)):
        by_pixel, edge = fates[labels], _edges(labels)
        for code, (_, colour) in enumerate(_KEY):
            inside = by_pixel == code
            if code in (1, 2):
                picture[inside] = ((1 - _FILL) * picture[inside] + _FILL * np.array(colour)).astype(np.uint8)
            picture[inside & edge] = colour
    picture = picture[known]
    _write_wrong_classes(picture, units, found[known])
    return picture


def _edges(labels: np.ndarray) -> np.ndarray:
    """Pixels of an object that touch another label, and those one further in: outlines two pixels wide."""
    values = labels.astype(np.float32)  # exact up to 2^24 objects; OpenCV has no integer morphology of this size
    low, high = cv2.erode(values, np.ones((3, 3))), cv2.dilate(values, np.ones((3, 3)))
    return (labels > 0) & ((low != values) | (high != values))


def _write_wrong_classes(picture: np.ndarray, units: pd.DataFrame, found: np.ndarray) -> None:
    if "truth_class" not in units:
        return
    pairs = units[(units.truth_id > 0) & (units.pred_id > 0) & ~units.void]
    wrong = pairs[(pairs.truth_class != pairs.pred_class) & (pairs.truth_class != UNKNOWN) & pairs.truth_class.notna()]
    for unit in wrong.itertuples():
        y, x = np.argwhere(found == unit.pred_id).mean(axis=0).astype(int)
        ink, rim = _stamp(f"{unit.truth_class[:6]}>{unit.pred_class[:6]}")
        top, left = (max(0, min(middle - n // 2, most - n)) for middle, n, most in zip((y, x), ink.shape, picture.shape, strict=False))
        under = picture[top : top + ink.shape[0], left : left + ink.shape[1]]
        ink, rim = (part[: under.shape[0], : under.shape[1], None] for part in (ink, rim))
        under[:] = ((under + (255 - under) * rim) * (1 - ink)).astype(np.uint8)


def _stamp(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Its ink and a rim of a pixel round that, shares 0..1 (h, w), as small as they can be."""
    drawn = np.zeros((30, 20 * len(text)), dtype=np.uint8)
    cv2.putText(drawn, text, (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    grown = cv2.dilate(drawn, np.ones((3, 3)))  # not drawn with a thicker pen, whose letters may be wider
    rows, columns = (np.flatnonzero(grown.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return drawn[box] / 255, grown[box] / 255


def _with_key(panel: np.ndarray) -> np.ndarray:
    strip = np.full((26, panel.shape[1], 3), 255, dtype=np.uint8)
    left = 6
    for name, colour in _KEY:
        cv2.rectangle(strip, (left, 7), (left + 12, 19), colour, -1)
        cv2.putText(strip, name, (left + 18, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        left += 30 + 8 * len(name)
    return np.concatenate([panel, strip])
