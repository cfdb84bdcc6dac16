"""Folders of images with truth, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.evaluate import evaluate_folder
from biopsy_analyzer.training.truth import read_folder
from truth_files import write_image


def test_what_is_wrong_with_a_folder_is_said(with_truth: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no truth found"):
        read_folder(tmp_path)
    with pytest.raises(UsageError, match="wanted models"):
        evaluate_folder(with_truth, None)
    with pytest.raises(UsageError, match="no label image for 'section'"):
        evaluate_folder(with_truth, None, labels=tmp_path)
    (with_truth / "section.json").write_text('{"um_per_px": 0.5, "fibre_states": {"1": "dead"}}')
    with pytest.raises(UsageError, match="'dead'"):
        read_folder(with_truth)
    (with_truth / "section.json").unlink()
    with pytest.raises(UsageError, match=r"section\.json"):
        read_folder(with_truth)
    assert read_folder(with_truth, um_per_px=0.7)[0].grid.um_per_px == 0.7
    write_image(with_truth / "section_nuclei.png", np.zeros((10, 10), dtype=np.uint8))
    with pytest.raises(UsageError, match="section_nuclei"):
        read_folder(with_truth, um_per_px=0.5)
    write_image(with_truth / "section_nuclei.png", np.zeros((600, 800, 3), dtype=np.uint8))
    with pytest.raises(UsageError, match="not a label image"):
        read_folder(with_truth, um_per_px=0.5)
    (with_truth / "section.png").unlink()
    with pytest.raises(UsageError, match="no image of it"):
        read_folder(with_truth)
