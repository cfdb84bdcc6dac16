import json

import cv2
import numpy as np
import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.training.draw import draw_section, render, write_sections
from biopsy_analyzer.training.draw.write import write_pyramid


def test_a_slide_with_its_truth_beside_it(tmp_path):
    (path,) = write_sections(tmp_path, seed=4, difficulty="clean", disease="necrotizing", size_px=600)
    drawn = draw_section(4, (600, 600), "clean", "necrotizing")
    facts = json.loads(path.with_suffix(".json").read_text())
    fibres = cv2.imread(str(tmp_path / f"{path.stem}_fibres.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(fibres, drawn.fibres)
    assert facts["drawn"] is True
    assert facts["um_per_px"] == 0.5
    assert len(facts["nucleus_types"]) == drawn.nuclei.max()
    with open_slide(path) as slide:
        assert slide.um_per_px == pytest.approx(0.5)
        assert slide.shape == (600, 600)
        shown = slide.read(slide.grid()).astype(int)
    assert np.abs(shown - render(drawn, 4, "clean")).mean() < 4  # JPEG


def test_a_colour_survives_the_pyramid(tmp_path):
    colour = np.zeros((1100, 1100, 3), np.uint8) + np.array([200, 80, 140], np.uint8)
    write_pyramid(tmp_path / "flat.tif", colour, 0.5)
    with open_slide(tmp_path / "flat.tif") as slide:
        for um_per_px in (0.5, 1.0, 2.0):
            # away from the last tiles, which JPEG fills up with a hard edge
            assert np.abs(slide.read(slide.grid(um_per_px)).astype(int)[:250, :250] - colour[0, 0]).max() <= 3


def test_unknown_words_are_named(tmp_path):
    with pytest.raises(UsageError, match="clean, usual, hard"):
        write_sections(tmp_path, difficulty="easy")
    with pytest.raises(UsageError, match="necrotizing"):
        write_sections(tmp_path, disease="flu")
