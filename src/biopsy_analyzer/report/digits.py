"""Numbers to stamp on a picture: each digit is drawn once, for a section has thousands of numbers."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_PX = 15  # the least that reads on a screen


def number_masks(number: int) -> np.ndarray:
    """How much (0..255) of each pixel is rim, and how much is the number itself: uint8 (2, h, w), without a margin. The number is >= 0."""
    drawn = [_digit(digit) for digit in str(number)]
    height, wide = drawn[0].shape[1:]
    step = wide - 2  # the rim, a pixel at either side, lies over the neighbour
    masks = np.zeros((2, height, step * len(drawn) + 2), np.uint8)
    for place, digit in enumerate(drawn):
        here = masks[:, :, step * place : step * place + wide]
        np.maximum(here, digit, out=here)
    return masks


@cache
def _digit(digit: str) -> np.ndarray:
    """One digit with room for its rim all round, uint8 (2, h, w) as `number_masks`; all ten are of one size."""
    font = ImageFont.load_default(FONT_PX)
    _, top, _, bottom = font.getbbox("0123456789", anchor="ls")
    step = round(max(font.getlength(other) for other in "0123456789"))
    masks = []
    for stroke in (1, 0):
        image = Image.new("L", (step + 2, round(bottom - top) + 2))
        ImageDraw.Draw(image).text((1, 1 - top), digit, 255, font, anchor="ls", stroke_width=stroke)
        masks.append(np.asarray(image))
    return np.stack(masks)
