"""The strip below the overlay: scale bar, what each colour means with its count, the findings in short, and the caption."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, FIBRE_FILLS, NUCLEUS_COLOURS, NUCLEUS_MARKERS, Colour

_LEAST_WIDTH = 1000  # px; narrower than this the legend can't be read
_INK = (20, 20, 20)
_HINT = "Numbers: fibre_id in fibres.csv, where the reason for each call stands."


def add_legend(
    picture: np.ndarray,
    um_per_px: float,
    fibre_classes: pd.Series,
    nucleus_types: pd.Series | None,
    cluster_kinds: pd.Series | None,
    caption: str,
    facts: Sequence[str] = (),
    notes: Sequence[str] = (),
    open_markers: bool = False,
) -> np.ndarray:
    """`picture` (RGB uint8) with a white strip added below; nothing is drawn over the picture, narrow ones are widened with white.

    None for nuclei or clusters: not assessed.  facts: up to four short lines under the scale bar.  notes: lines above the caption.
    open_markers: those of nuclei are outlines on this section.
    """
    height, width = picture.shape[:2]
    full_width = max(width, _LEAST_WIDTH)
    size = round(np.clip(full_width / 72, 15, 44))
    lines = (_HINT, *notes, caption)
    strip = Image.new("RGB", (full_width, round(size * (10.6 + 1.4 * len(lines)))), "white")
    pen = _Pen(strip, size, open_markers)
    columns = [round(full_width * share) + size for share in (0.0, 0.27, 0.52, 0.76)]
    _scale_bar(pen, columns[0], full_width * 0.20, um_per_px)
    _column(pen, columns[1], "Muscle fibres", FIBRE_COLOURS, fibre_classes)
    _column(pen, columns[2], "Nuclei", NUCLEUS_COLOURS, nucleus_types)
    _column(pen, columns[3], "Clusters", CLUSTER_COLOURS, cluster_kinds)
    for row, fact in enumerate(facts):
        pen.text(columns[0], (4.3 + 1.35 * row) * size, fact)
    for row, line in enumerate(lines):
        pen.text(columns[0], (10.1 + 1.4 * row) * size, line)
    whole = np.empty((height + strip.height, full_width, 3), np.uint8)
    whole[:height, :width], whole[:height, width:], whole[height:] = picture, 255, strip
    return whole


class _Pen:
    """A drawing surface with its font, and how markers of nuclei are drawn."""

    def __init__(self, image: Image.Image, size: int, open_markers: bool) -> None:
        self.draw, self.size, self.open_markers = ImageDraw.Draw(image), size, open_markers
        self.font = ImageFont.load_default(size)

    def text(self, x: float, y: float, text: str) -> None:
        self.draw.text((x, y), text, _INK, self.font)


def _scale_bar(pen: _Pen, x: int, room_px: float, um_per_px: float) -> None:
    length_um = scale_bar_um(room_px * um_per_px)
    pen.draw.rectangle((x, 2 * pen.size, x + length_um / um_per_px, 2.35 * pen.size), fill=_INK)
    pen.text(x, 2.7 * pen.size, f"{length_um:g} um" if length_um < 1000 else f"{length_um / 1000:g} mm")


def scale_bar_um(room_um: float) -> float:
    """The longest of 1, 2, 5 times a power of ten that fits into `room_um` (um, > 0)."""
    power = 10.0 ** math.floor(math.log10(room_um))
    return max(step * power for step in (1, 2, 5) if step * power <= room_um * (1 + 1e-9))


def _column(pen: _Pen, x: int, title: str, colours: dict[str, Colour], classes: pd.Series | None) -> None:
    """A row for each class with its count; without counts where `classes` is None, for those are unknown and not 0."""
    pen.text(x, 0.6 * pen.size, title if classes is not None else f"{title}: not assessed")
    counts = classes.value_counts() if classes is not None else None
    for row, (name, colour) in enumerate(colours.items()):
        y = (2.2 + 1.45 * row) * pen.size
        _swatch(pen, x, y, title, name, colour)
        pen.text(x + 2 * pen.size, y, name if counts is None else f"{name}: {counts.get(name, 0)}")


def _swatch(pen: _Pen, x: float, y: float, title: str, name: str, colour: Colour) -> None:
    """The mark as it stands on the section: box for fibres (filled where they are), marker or ring for nuclei, rimmed box for clusters."""
    size = pen.size
    box = (x, y + 0.15 * size, x + 1.3 * size, y + 1.05 * size)
    centre = (x + 0.65 * size, y + 0.6 * size)
    if name in NUCLEUS_MARKERS and title == "Nuclei":
        angles = np.arange(NUCLEUS_MARKERS[name].corners) * 2 * np.pi / NUCLEUS_MARKERS[name].corners
        points = [(centre[0] + 0.5 * size * math.sin(a), centre[1] - 0.5 * size * math.cos(a)) for a in angles]
        if pen.open_markers:
            pen.draw.polygon(points, outline=colour, width=max(2, size // 7))
        else:
            pen.draw.polygon(points, fill=colour, outline=_INK)
    elif title == "Nuclei":
        pen.draw.circle(centre, 0.4 * size, outline=colour, width=max(1, size // 9))
    elif title == "Clusters":
        pen.draw.rectangle(box, outline=_INK, width=max(5, size // 3))
        pen.draw.rectangle((box[0] + 2, box[1] + 2, box[2] - 2, box[3] - 2), outline=colour, width=max(2, size // 6))
    else:
        opacity = 2 * FIBRE_FILLS.get(name, 0.0)  # on white it would hardly be seen
        fill = tuple(round(255 + opacity * (channel - 255)) for channel in colour)
        pen.draw.rectangle(box, fill=fill, outline=colour, width=max(2, size // (5 if opacity else 8)))
