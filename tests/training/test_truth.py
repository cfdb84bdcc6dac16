"""Folders of images with truth, and what is refused of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from annotation_files import feature, square, write
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.evaluate import evaluate_folder
from biopsy_analyzer.training.truth import images_without_truth, read_folder, read_labels
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


def test_what_counts_for_nothing_is_told_in_a_line_each(with_truth: Path) -> None:
    assert read_folder(with_truth)[0].notes == ()
    assert images_without_truth(with_truth) == []
    write_image(with_truth / "section_fibres.png", np.where(read_labels(with_truth / "section_fibres.png") > 0, 255, 0).astype(np.uint8))
    shutil.copy(with_truth / "section_fibres.png", with_truth / "section_fibres.TIF")
    for name in ("bare.PNG", "other.jpg", "section_marked.png"):
        shutil.copy(with_truth / "section.png", with_truth / name)
    second, mask = read_folder(with_truth)[0].notes
    assert second == "section_fibres.png is read as the truth, not section_fibres.TIF"
    assert mask.startswith("section_fibres.png: one object in 9 pieces (every one has the value 255); a binary mask?")
    assert images_without_truth(with_truth) == ["images without truth beside them, not judged: bare.PNG, other.jpg"]
    drawing = {"type": "FeatureCollection", "features": [square("Fibre: normal", 1, 1, 9, 9)]}
    (with_truth / "section.GeoJSON").write_text(json.dumps(drawing))
    (truth,) = read_folder(with_truth)
    assert truth.notes[-1] == "section.GeoJSON is read as the truth, not section_fibres.png, section_fibres.TIF, section_nuclei.png"
    assert truth.grid.um_per_px == 0.5
    assert np.count_nonzero(np.asarray(truth.fibres)) == 64


def test_outlines_beyond_the_image_and_under_others_are_told(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    small = [square("Fibre: normal", x, 2, x + 4, 6) for x in (2, 8, 8, 40)]  # the third is the second once more
    (truth,) = read_folder(write(tmp_path / "a.geojson", [*small, square("Region: annotated", 0, 0, 30, 20)]).parent)
    beyond, covered = truth.notes
    assert beyond == "a.geojson: fibres without a pixel of a.png (30 x 20 px): 1 of 4 (4 of the file)"
    assert covered.startswith("a.geojson: fibres mostly under earlier ones of the file, which keep an overlap: 1 of 4 (3); outlined twice")
    write(tmp_path / "a.geojson", [square("Fibre: normal", 0, 0, 30, 20), *small[:2], square("Region: annotated", 0, 0, 30, 20)])
    assert "2 of 3 (2, 3)" in read_folder(tmp_path)[0].notes[0]
    write(tmp_path / "a.geojson", [small[3]])
    with pytest.raises(UsageError, match=r"a.geojson: none of its 1 fibres lies on a.png \(30 x 20 px\); wanted the image"):
        read_folder(tmp_path)


def test_no_fibre_outlined_means_none_only_where_a_region_says_so(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    point = feature("Nucleus: internal", {"type": "Point", "coordinates": [4, 4]})
    untold = feature("Nucleus", {"type": "Point", "coordinates": [9, 9]})
    (truth,) = read_folder(write(tmp_path / "a.geojson", [point, untold]).parent)
    assert truth.fibres is None
    assert truth.marks is not None
    assert truth.marks["name"].tolist() == ["internal", ""]
    write(tmp_path / "a.geojson", [point, square("Region: annotated", 0, 0, 30, 20)])
    assert not np.asarray(read_folder(tmp_path)[0].fibres).any()


def test_one_image_named_is_that_of_one_truth(with_truth: Path, tmp_path: Path) -> None:
    image = with_truth / "section.png"
    (tmp_path / "objects.geojson").write_text(json.dumps([square("Fibre: unassessable", 1, 1, 9, 9), square("Cluster: sheet", 0, 0, 9, 9)]))
    (truth,) = read_folder(tmp_path, images=image, um_per_px=0.5)
    assert (truth.image, truth.fibre_state) == (image, ["", ""])
    assert "1 of class 'Cluster: sheet'" in truth.notes[0]
    (tmp_path / "b.geojson").write_text("[]")
    with pytest.raises(UsageError, match="one image for 2 truths"):
        read_folder(tmp_path, images=image)


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
