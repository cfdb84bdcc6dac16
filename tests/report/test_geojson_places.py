"""Outlines lie on the fibres of the slide's level 0, however the slide is laid out: moved, cut, in levels, at another pixel size."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from shapely.geometry import Polygon, box

from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.slide import open_slide
from sections import FIBRE_UM, GLASS, UM_PER_PX, Plan, colour_models, paint


@pytest.fixture(scope="module")
def plan() -> Plan:
    return paint(2, 3, {1: "necrotic"}, [(80.0, 80.0, "muscle")])


def write_pyramid(path: Path, rgb: np.ndarray, levels: int, um_per_px: float = UM_PER_PX) -> Path:
    """A tiled TIFF of `levels` resolutions, each half of the one before."""
    with tifffile.TiffWriter(path) as writer:
        for number in range(levels):
            per_cm = 10_000 / um_per_px / 2**number
            kind = {"subfiletype": 1 if number else 0, "tile": (128, 128), "photometric": "rgb", "metadata": None}
            writer.write(rgb, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", **kind)
            rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return path


def outlined(path: Path, out: Path) -> list[tuple[str, Polygon]]:
    """Class and outline of each fibre, in level-0 pixels."""
    with open_slide(path) as slide:
        folder = write_result(analyze_slide(slide, colour_models()), out)
    features = json.loads((folder / "objects.geojson").read_text())["features"]
    named = ((feature["properties"]["classification"]["name"], feature["geometry"]["coordinates"][0]) for feature in features)
    return [(name, Polygon(ring)) for name, ring in named if name.startswith("Fibre")]


def lie_on(found: list[tuple[str, Polygon]], plan: Plan, down_px: float, right_px: float, um_per_px: float = UM_PER_PX) -> None:
    """Each painted fibre, moved by so many pixels, has an outline that covers it and hardly more."""
    assert len(found) == len(plan.fibres)
    for y, x, state in plan.fibres:
        half = FIBRE_UM / 2
        corners = (np.array([x - half, y - half, x + half, y + half]) / um_per_px + [right_px, down_px] * 2).tolist()
        square = box(*corners)
        overlaps = [(outline.intersection(square).area / outline.union(square).area, name) for name, outline in found]
        overlap, name = max(overlaps)
        assert overlap > 0.93, (state, overlap)  # outlines are on pixels of 0.8 um
        assert name == f"Fibre: {state}"


def test_one_level(plan: Plan, tmp_path: Path) -> None:
    lie_on(outlined(write_pyramid(tmp_path / "flat.tif", plan.rgb, 1), tmp_path), plan, 0, 0)


def test_many_levels(plan: Plan, tmp_path: Path) -> None:
    """A size that does not halve evenly: the last rows and columns of coarse levels are cut off."""
    rgb = np.concatenate([plan.rgb, np.tile(GLASS, (13, plan.rgb.shape[1], 1))])
    lie_on(outlined(write_pyramid(tmp_path / "levels.tif", rgb, 3), tmp_path), plan, 0, 0)


@pytest.mark.parametrize(("down", "right"), [(37, 101), (0, 515)])
def test_a_shifted_section(plan: Plan, tmp_path: Path, down: int, right: int) -> None:
    height, width = plan.rgb.shape[:2]
    rgb = np.tile(GLASS, (height + down, width + right, 1))
    rgb[down:, right:] = plan.rgb
    lie_on(outlined(write_pyramid(tmp_path / "shifted.tif", rgb, 2), tmp_path), plan, down, right)


def test_a_cropped_section(plan: Plan, tmp_path: Path) -> None:
    """Cut off at the top and at the left within the glass and the rim of the tissue."""
    lie_on(outlined(write_pyramid(tmp_path / "cropped.tif", plan.rgb[91:, 53:], 1), tmp_path), plan, -91, -53)


def test_finer_pixels(plan: Plan, tmp_path: Path) -> None:
    """A slide of twice the resolution: the networks read a coarser level, outlines are in the finest one's pixels."""
    rgb = plan.rgb.repeat(2, axis=0).repeat(2, axis=1)
    lie_on(outlined(write_pyramid(tmp_path / "fine.tif", rgb, 2, UM_PER_PX / 2), tmp_path), plan, 0, 0, UM_PER_PX / 2)
