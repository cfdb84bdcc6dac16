"""The slide of the analysed section."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from biopsy_analyzer.slide import Slide, open_slide
from sections import UM_PER_PX


@pytest.fixture
def slide(analysed: tuple[Path, Path]) -> Iterator[Slide]:
    with open_slide(analysed[0], um_per_px=UM_PER_PX) as opened:
        yield opened
