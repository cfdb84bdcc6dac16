"""Faults of slides as a batch meets them: real files, the real command, and what a laboratory then finds in its output folder."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file, save_file

import biopsy_analyzer
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.slide import open_slide
from sections import GLASS, NUCLEI, colour_models, paint, save
from tiny_models import write_tiny_models

TILE = {"tile": (64, 64), "photometric": "rgb", "compression": "zlib", "metadata": None}
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}


def batch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "biopsy_analyzer", "batch", *arguments, "--mpp", "0.5", "--workers", "1"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, env=ENVIRONMENT)


def pyramid(path: Path, rgb: np.ndarray, coarse: np.ndarray | None = None) -> Path:
    """A tiled TIFF of two levels, the second a quarter as wide."""
    with tifffile.TiffWriter(path) as writer:
        writer.write(rgb, **TILE)
        writer.write(rgb[::4, ::4] if coarse is None else coarse, subfiletype=1, **TILE)
    return path


def spoil(path: Path, tiles: list[int], tag: int | None = None) -> None:
    """Zero the beginnings of tiles of the first level, or their entries in a tag (325: they then take no bytes, and are not there)."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        places = [(page.dataoffsets[tile], 16) for tile in tiles]
        if tag is not None:
            size = struct.calcsize({3: "H", 4: "I"}[int(page.tags[tag].dtype)])
            places = [(page.tags[tag].valueoffset + size * tile, size) for tile in tiles]
    content = bytearray(path.read_bytes())
    for start, length in places:
        content[start : start + length] = bytes(length)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides with a fault each and one without, analysed by one batch into `out`."""
    folder = tmp_path_factory.mktemp("lab")
    write_tiny_models(folder / "models")
    (folder / "in").mkdir()
    rgb = paint(3, 4, {}, []).rgb  # 528 x 624 px: 9 x 10 tiles
    wide = np.tile(GLASS, (1408, 1408, 1))  # mostly glass: 22 x 22 tiles
    wide[: rgb.shape[0], : rgb.shape[1]] = rgb
    pyramid(folder / "in" / "whole.tif", wide)
    spoil(pyramid(folder / "in" / "one_tile.tif", np.tile(rgb, (2, 2, 1))), [45])
    spoil(pyramid(folder / "in" / "tissue_tiles.tif", wide), [22 * row + 4 for row in (3, 4, 5)])
    spoil(pyramid(folder / "in" / "left_out.tif", rgb), [0, 1], tag=325)
    pyramid(folder / "in" / "turned.tif", rgb, np.roll(rgb[::4, ::4], 12, axis=1))
    save(rgb[..., [1, 0, 2]], folder / "in" / "green.png")
    done = batch(folder, "in", "--models", "models", "-o", "out")
    assert done.returncode == 3
    (folder / "errors").write_text(done.stderr)
    return folder


def document(lab: Path, name: str) -> dict:
    return json.loads((lab / "out" / name / "scores.json").read_text())


def flags(lab: Path, name: str) -> dict[str, float]:
    return {flag["code"]: flag["value"] for flag in document(lab, name)["quality"]["flags"]}


@pytest.mark.fault(6)
def test_a_damaged_tile_is_told_and_too_many_of_the_tissue_are_refused(lab: Path) -> None:
    assert flags(lab, "one_tile")["damaged-tiles"] == 1
    assert document(lab, "one_tile")["status"] == "review"
    failures = {row["slide_id"]: row["error"] for row in json.loads((lab / "out" / "failures.json").read_text())["failures"]}
    assert failures["tissue_tiles"].startswith("damaged, 3 of the ")  # 0.6 % of the level, but not of its tissue
    assert not (lab / "out" / "tissue_tiles" / "scores.json").exists()
    assert "ERROR in/tissue_tiles.tif: damaged, 3 of the " in (lab / "errors").read_text()


@pytest.mark.fault(7)
def test_tiles_that_are_not_stored_are_glass(lab: Path) -> None:
    assert "damaged-tiles" not in flags(lab, "left_out")


@pytest.mark.fault(10)
def test_a_level_of_another_picture_is_not_used(lab: Path) -> None:
    assert any("another picture" in warning for warning in document(lab, "turned")["warnings"])


@pytest.mark.fault(30)
def test_another_stain_is_refused_with_what_was_measured(lab: Path) -> None:
    (line,) = [line for line in (lab / "errors").read_text().splitlines() if "green.png" in line]
    assert line.startswith("ERROR in/green.png: ")
    assert "Give an H&E section" in line


@pytest.mark.fault(9)
def test_a_pixel_size_that_is_wrong_by_four_is_doubted(tmp_path: Path) -> None:
    """Fibres of 40 um, measured on a slide whose pixel size was given wrongly."""
    wrong = 4.0
    path = save(paint(8, 9, {}, []).rgb, tmp_path / "section.png")
    with open_slide(path, um_per_px=0.5 * wrong) as slide:
        result = analyze_slide(slide, colour_models())
    (flag,) = [flag for flag in result.flags if flag.code == "fibre-size"]
    assert flag.value == pytest.approx(40 * wrong, rel=0.1)
    assert (result.status, "is the pixel size right?" in flag.message) == ("review", True)


@pytest.mark.fault(9)
def test_a_pixel_size_that_is_wrong_by_half_shows_in_the_nuclei(tmp_path: Path) -> None:
    """Fibres of 60 um are an adult's, but round nuclei of 12 um are nobody's."""
    plan = paint(8, 9, {}, [])
    for y, x, _ in plan.fibres:
        cv2.circle(plan.rgb, (round(x / 0.5), round((y - 16) / 0.5)), 8, NUCLEI["muscle"].tolist(), -1)
    path = save(plan.rgb, tmp_path / "section.png")
    codes = {}
    for um_per_px in (0.5, 0.75):
        with open_slide(path, um_per_px=um_per_px) as slide:
            codes[um_per_px] = {flag.code: flag.value for flag in analyze_slide(slide, colour_models()).flags}
    assert codes[0.75]["pixel-size-doubtful"] == pytest.approx(36 * np.pi, rel=0.1)
    assert not {"pixel-size-doubtful", "fibre-size"} & codes[0.5].keys()
    assert "fibre-size" not in codes[0.75]


@pytest.mark.fault(26)
def test_a_network_that_gives_nan_fails_its_slides(lab: Path) -> None:
    """Weights of NaN under a true SHA-256: nothing but the maps tells."""
    shutil.copytree(lab / "models", lab / "nan")
    weights, card = lab / "nan" / "fibres" / "weights.safetensors", lab / "nan" / "fibres" / "card.json"
    save_file({name: np.full_like(values, np.nan) for name, values in load_file(weights).items()}, weights)
    card.write_text(json.dumps({**json.loads(card.read_text()), "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}))
    done = batch(lab, "in/whole.tif", "--models", "nan", "-o", "out-nan")
    assert done.returncode == 4
    assert "NaN" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((lab / "out-nan").glob("*/scores.json"))
