"""Objects land in QuPath where they are on the slide."""

import dataclasses
import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report import geojson
from biopsy_analyzer.report.geojson import feature_collection
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.writing import write_result


def features(result: Result, folder: Path) -> list[dict]:
    return json.loads((write_result(result, folder) / "objects.geojson").read_text())["features"]


def ring(feature: dict) -> list[tuple[float, float]]:
    return [tuple(point) for point in feature["geometry"]["coordinates"][0]]


def test_squares_land_in_level_0_pixels(result: Result, tmp_path: Path) -> None:
    found = features(result, tmp_path)
    fibre, nucleus = found[1], found[3]
    # fibre 2: rows 10..40, columns 50..90 of 0.8 um are y 8..32 um, x 40..72 um, at 0.25 um/px
    assert set(ring(fibre)) == {(160, 32), (288, 32), (288, 128), (160, 128)}
    # nucleus 1: rows and columns 20..30 of 0.5 um from (10, 20) um on: y 20..25 um, x 30..35 um
    assert set(ring(nucleus)) == {(120, 80), (140, 80), (140, 100), (120, 100)}


def test_rings_are_closed_polygons(result: Result, tmp_path: Path) -> None:
    for feature in features(result, tmp_path):
        assert feature["geometry"]["type"] == "Polygon"
        assert ring(feature)[0] == ring(feature)[-1]
        assert len(ring(feature)) >= 4


def test_classes_colours_and_kinds(result: Result, tmp_path: Path) -> None:
    found = features(result, tmp_path)
    names = [feature["properties"]["classification"]["name"] for feature in found]
    assert names[:3] == ["Fibre: normal", "Fibre: necrotic", "Fibre: unassessable"]
    assert names[3:] == ["Nucleus: macrophage", "Nucleus: macrophage", "Nucleus: lymphocyte", "Cluster: mixed"]
    assert [feature["properties"]["objectType"] for feature in found] == ["detection"] * 6 + ["annotation"]
    for feature in found:
        colour = feature["properties"]["classification"]["color"]
        assert len(colour) == 3
        assert all(isinstance(channel, int) and 0 <= channel <= 255 for channel in colour)


def test_measurements_are_finite_numbers(result: Result, tmp_path: Path) -> None:
    fibre, *_ = features(result, tmp_path)
    assert fibre["properties"]["measurements"]["area_um2"] == 576
    assert "max_feret_um" not in fibre["properties"]["measurements"]  # NaN in the table
    for feature in features(result, tmp_path):
        assert all(isinstance(value, float) for value in feature["properties"]["measurements"].values())


def test_ids_are_uuids_that_stay(result: Result, tmp_path: Path) -> None:
    first = [feature["id"] for feature in features(result, tmp_path / "a")]
    assert first == [feature["id"] for feature in features(result, tmp_path / "b")]
    assert len({uuid.UUID(identity) for identity in first}) == len(first) == 7


def test_a_cluster_surrounds_its_nuclei(result: Result, tmp_path: Path) -> None:
    *_, cluster = features(result, tmp_path)
    xs, ys = zip(*ring(cluster), strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (120, 180, 80, 140)


def test_the_text_does_not_depend_on_how_many_are_written_at_once(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (write_result(result, tmp_path / "a") / "objects.geojson").read_bytes()
    monkeypatch.setattr(geojson, "_ROWS", 2)
    assert (write_result(result, tmp_path / "b") / "objects.geojson").read_bytes() == whole


def test_a_corner_that_is_no_number_is_refused(result: Result) -> None:
    rings = list(result.fibre_labels.outlines())
    rings[1] = np.where(rings[1] == rings[1].max(), np.nan, rings[1])
    nothing = result.nuclei[:0], []
    with pytest.raises(ValueError, match="no number"):
        list(feature_collection("ab", 0.25, (result.fibres, rings), nothing, (result.clusters[:0], [])))


def test_values_are_the_tables_to_six_decimals(result: Result, tmp_path: Path) -> None:
    tiny = dataclasses.replace(result, fibres=result.fibres.assign(mottling=[0.0000125, 123456.1234567, np.inf]))
    found = [feature["properties"]["measurements"] for feature in features(tiny, tmp_path)[:3]]
    assert [one.get("mottling") for one in found] == [0.000012, 123456.123457, None]
    far = dataclasses.replace(result, fibre_labels=dataclasses.replace(result.fibre_labels, grid=PixelGrid((125, 156), 0.8, (0.001, 0.0))))
    # at 0.25 um/px a corner at 8.001 um lies at 32.004 px, told to a hundredth
    assert ring(features(far, tmp_path / "far")[0])[0][1] == 32.0
