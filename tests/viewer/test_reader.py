"""What napari is told: the manifest, readers of slides and results, sample data."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import npe2
import pytest

import biopsy_analyzer.viewer
from biopsy_analyzer.errors import MissingPixelSize
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.viewer.layers import OWN
from biopsy_analyzer.viewer.reader import get_reader, inflammatory, necrotizing
from painted_slide import painted
from sections import save

MANIFEST = Path(biopsy_analyzer.viewer.__file__).with_name("napari.yaml")


def test_the_manifest_is_valid_and_all_it_names_exists() -> None:
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "biopsy-analyzer"
    assert [widget.display_name for widget in manifest.contributions.widgets or []] == ["Biopsy Analyzer"]


def test_an_installed_plugin_is_found() -> None:
    assert "biopsy_analyzer.viewer:napari.yaml" in [entry.value for entry in entry_points(group="napari.manifest")]


def test_slides_and_results_are_read_and_other_folders_left_to_others(folder: Path, tmp_path: Path) -> None:
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "nothing.tif")) is None
    for path in (folder, folder / "scores.json"):
        read = get_reader(str(path))
        assert read is not None
        assert [kind for _, _, kind in read(str(path))] == ["image", "labels", "points", "vectors"]
    read = get_reader([str(tmp_path / "section.tif")])
    assert read is not None
    ((levels, facts, kind),) = read([str(tmp_path / "section.tif")])
    assert kind == "image"
    assert [level.shape for level in levels] == [(1008, 1008, 3), (504, 504, 3)]
    assert facts["scale"] == (0.5, 0.5)


def test_a_result_without_its_slide_opens_when_nobody_answers(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "section.tif").unlink()
    read = get_reader(str(folder))
    assert read is not None
    layers = read(str(folder))
    assert [kind for _, _, kind in layers] == ["labels", "points", "vectors"]
    assert layers[0][1]["metadata"][OWN].slide is None


def test_a_slide_without_a_pixel_size_is_refused_when_nobody_answers(tmp_path: Path) -> None:
    path = save(painted().rgb, tmp_path / "section.png")
    read = get_reader(str(path))
    assert read is not None
    with pytest.raises(MissingPixelSize, match="no usable pixel size"):
        read(str(path))


@pytest.mark.parametrize("sample", [necrotizing, inflammatory])
def test_samples_open(sample: object) -> None:
    ((levels, facts, kind),) = sample()  # type: ignore[operator]
    assert kind == "image"
    assert levels[0].shape == (2048, 2048, 3)
    with open_slide(facts["metadata"][OWN].path) as slide:
        assert slide.um_per_px == 0.5
