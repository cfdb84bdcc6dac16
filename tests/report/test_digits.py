"""Numbers stamped digit by digit look as Pillow writes them at once."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from biopsy_analyzer.report.digits import FONT_PX, number_masks


@pytest.mark.parametrize("number", [0, 7, 46, 1111, 908_172_635])
def test_a_number_looks_as_if_written_at_once(number: int) -> None:
    rim, fill = number_masks(number)
    assert rim.shape == fill.shape
    for mask, stroke in ((rim, 1), (fill, 0)):
        image = Image.new("L", mask.shape[::-1])
        pen = ImageDraw.Draw(image)
        pen.text((1, mask.shape[0] - 1), str(number), 255, ImageFont.load_default(FONT_PX), anchor="lb", stroke_width=stroke)
        assert np.abs(mask.astype(int) - np.asarray(image)).mean() < 3  # where rims of neighbours meet
        assert mask.max() > 200


def test_the_rim_surrounds_the_digit() -> None:
    rim, fill = number_masks(8)
    assert np.all(rim >= fill)
    assert not fill[[0, -1]].any()
    assert not fill[:, [0, -1]].any()
