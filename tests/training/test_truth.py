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


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ("{", r"section\.json: Invalid JSON"),
        ("[]", r"section\.json: Input should be an object"),
        ("\xff", r"section\.json: Invalid JSON"),
        ('{"um_per_px": "0.5"}', "um_per_px is '0.5': Input should be a valid number"),
        ('{"um_per_px": true}', "um_per_px is True: Input should be a valid number"),
        ('{"um_per_px": -1}', "-1 um/px"),
        ('{"fibre_states": ["normal"]}', r"fibre_states is \['normal'\]: Input should be an object"),
        ('{"fibre_states": {"1": null}}', r"fibre_states\.1 is None: Input should be a valid string"),
        ('{"um_per_px": 0.5, "fibre_states": {"\u00b2": "normal"}}', "fibre_states has '\u00b2': 'normal'; wanted a label"),
        ('{"held_out": "yes"}', "held_out is 'yes': Input should be a valid boolean"),
        ('{"drawn": "no"}', "drawn is 'no': Input should be a valid boolean"),
    ],
)
def test_facts_of_the_wrong_kind_are_told_with_their_file(facts: str, message: str, with_truth: Path) -> None:
    (with_truth / "section.json").write_bytes(facts.encode("latin-1" if facts == "\xff" else "utf-8"))
    with pytest.raises(UsageError, match=message) as told:
        read_folder(with_truth)
    assert "section" in str(told.value)
    assert "\n" not in str(told.value)
