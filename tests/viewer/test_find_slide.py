"""A result finds its slide by name and size, and knows it by its content."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from biopsy_analyzer.errors import ResultError
from biopsy_analyzer.viewer.find_slide import find_slide, same_content, slide_of
from biopsy_analyzer.viewer.session import Session
from painted_slide import write_pyramid


def test_the_slide_beside_the_results_is_found(session: Session) -> None:
    slide = find_slide(session.folder, session.document)
    assert slide is not None
    with slide:
        assert slide.path == session.folder.parents[1] / "section.tif"
        assert same_content(slide, session.document)


def test_one_of_the_same_name_and_size_is_told_by_its_content(session: Session, tmp_path: Path) -> None:
    rgb = cv2.flip(cv2.imread(str(tmp_path / "section.tif")), 0)
    slide = slide_of(write_pyramid(rgb, tmp_path / "other.tif"), session.document)
    with slide:
        assert not same_content(slide, session.document)


def test_one_of_another_size_is_refused(session: Session, tmp_path: Path) -> None:
    write_pyramid(np.full((300, 400, 3), 200, np.uint8), tmp_path / "section.tif")
    assert find_slide(session.folder, session.document) is None
    with pytest.raises(ResultError, match=r"another slide, 400 x 300 px, the result's slide has 1008 x 1008"):
        slide_of(tmp_path / "section.tif", session.document)


def test_without_a_slide_there_is_none(session: Session, tmp_path: Path) -> None:
    (tmp_path / "section.tif").unlink()
    assert find_slide(session.folder, session.document) is None
