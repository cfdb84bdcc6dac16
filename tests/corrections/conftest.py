"""A copy of a really analysed section for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from biopsy_analyzer.slide import Slide, open_slide
from painted_result import analyse_painted
from sections import UM_PER_PX


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The image and its result folder; not to be changed."""
    return analyse_painted(tmp_path_factory.mktemp("analysed"))


@pytest.fixture
def folder(analysed: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the result folder."""
    return Path(shutil.copytree(analysed[1], tmp_path / "section"))


@pytest.fixture
def slide(analysed: tuple[Path, Path]) -> Iterator[Slide]:
    with open_slide(analysed[0], um_per_px=UM_PER_PX) as opened:
        yield opened
