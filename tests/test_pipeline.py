"""A painted section goes through the whole method, and everything painted comes out where it was painted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from biopsy_analyzer import walk
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.scores_json import scores_document
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.segment import front
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import NUCLEI
from sections import FIBRE_UM, FIBRES, GLASS, UM_PER_PX, Plan, colour_models, paint, save

ROWS, COLUMNS = 8, 9
STATES = {12: "necrotic", 13: "necrotic", 40: "pale-fragmented", 60: "regenerating"}
# fibre 12 lies at row 1, column 3: x 204..244 um, y 108..148 um; clefts are 8 um wide
INTERNAL = [(80.0, 80.0, "muscle"), (80.0, 128.0, "muscle")]
HUGGING = [(152.0, x, "macrophage") for x in (206.0, 216.0, 226.0, 236.0)]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return paint(ROWS, COLUMNS, STATES, INTERNAL + HUGGING)


def analyse(rgb: np.ndarray, folder: Path, um_per_px: float = UM_PER_PX) -> Result:
    with open_slide(save(rgb, folder / "painted.png"), um_per_px=um_per_px) as slide:
        return analyze_slide(slide, colour_models())


@pytest.fixture(scope="module")
def result(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return analyse(plan.rgb, tmp_path_factory.mktemp("painted"))


def test_every_fibre_is_found_where_it_is(plan: Plan, result: Result) -> None:
    assert len(result.fibres) == ROWS * COLUMNS
    found = result.fibres.sort_values(["y_um", "x_um"], key=lambda column: column.round(-1))
    np.testing.assert_allclose(found[["y_um", "x_um"]], [fibre[:2] for fibre in plan.fibres], atol=0.5)
    assert found["state"].tolist() == [fibre[2] for fibre in plan.fibres]
    np.testing.assert_allclose(found["area_um2"], FIBRE_UM**2, rtol=0.06)
    assert not found["touches_border"].any()


def test_nuclei_clusters_and_counts(result: Result) -> None:
    assert sorted(result.nuclei["type"]) == ["internal"] * 2 + ["macrophage"] * 4
    assert result.clusters["kind"].tolist() == ["macrophage"]
    assert result.clusters["necrotic_fibres"].tolist() == [1]
    document = scores_document(result)
    assert document["fibres"]["necrotic"] == 2
    assert document["fibres"]["with_internal_nuclei"] == 2
    assert document["clusters"]["macrophage"]["around_necrotic_fibres"] == 1
    assert document["scores"]["necrosis"]["measured"] == pytest.approx(3 / 72)
    assert document["status"] in ("ok", "review")


def test_labels_and_tables_have_the_same_numbers(result: Result) -> None:
    for labels, table, column in ((result.fibre_labels, result.fibres, "fibre_id"), (result.nucleus_labels, result.nuclei, "nucleus_id")):
        assert np.unique(labels.pixels).tolist() == [0, *table[column]]


def test_geojson_lands_on_the_painted_fibres(plan: Plan, result: Result, tmp_path: Path) -> None:
    features = json.loads((write_result(result, tmp_path) / "objects.geojson").read_text())["features"]
    boxes = []
    for feature in features:
        if feature["properties"]["classification"]["name"].startswith("Fibre"):
            ring = np.array(feature["geometry"]["coordinates"][0])
            boxes.append([*ring.min(axis=0), *ring.max(axis=0)])
    half = FIBRE_UM / 2
    painted = [np.array([x - half, y - half, x + half, y + half]) / UM_PER_PX for y, x, _ in plan.fibres]
    assert len(boxes) == len(painted)
    np.testing.assert_allclose(sorted(boxes, key=_by_place), sorted(painted, key=_by_place), atol=1.7)  # a pixel of 0.8 um is 1.6 px


def _by_place(box: np.ndarray) -> tuple[int, int]:
    return round(box[1] / 40), round(box[0] / 40)


@pytest.mark.fault(28, 29)
@pytest.mark.parametrize(("block_um", "tile_px"), [(1536.0, 128), (150.0, 1536), (97.0, 104)])
def test_blocks_and_tiles_leave_no_seams(
    result: Result, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_um: float, tile_px: int
) -> None:
    monkeypatch.setattr(walk, "MOST_BLOCK_UM", block_um)
    monkeypatch.setattr(front, "MOST_TILE_PX", tile_px)
    cut = analyse(plan.rgb, tmp_path)
    assert np.array_equal(cut.fibre_labels.pixels, result.fibre_labels.pixels)
    assert np.array_equal(cut.nucleus_labels.pixels, result.nucleus_labels.pixels)
    for ours, theirs in ((cut.fibres, result.fibres), (cut.nuclei, result.nuclei), (cut.clusters, result.clusters)):
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, atol=1e-9)
    for ours, theirs in ((cut.fibre_labels, result.fibre_labels), (cut.nucleus_labels, result.nucleus_labels)):
        assert all(np.array_equal(a, b) for a, b in zip(ours.outlines(), theirs.outlines(), strict=True))
    assert scores_document(cut)["scores"] == scores_document(result)["scores"]


def test_a_fibre_longer_than_a_window_is_cut_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = paint(8, 9, {}, []).rgb
    rgb[300:340, 100:-100] = FIBRES["normal"]  # one fibre of 20 um, as long as the section
    whole = analyse(rgb, tmp_path)
    monkeypatch.setattr(walk, "MOST_BLOCK_UM", 250.0)
    cut = analyse(rgb, tmp_path)
    assert len(whole.fibres) < len(cut.fibres)
    assert np.array_equal(np.asarray(cut.fibre_labels.pixels) > 0, np.asarray(whole.fibre_labels.pixels) > 0)  # nothing lost, nothing twice
    assert cut.fibres["area_um2"].sum() == pytest.approx(whole.fibres["area_um2"].sum())
    pieces = cut.fibres[cut.fibres["touches_border"]]
    assert len(pieces) >= 2
    assert any(f"{len(pieces)} pieces of fibres longer than 192 um" in text for text in cut.scores.warnings)


def test_only_tissue_in_the_region_is_analysed(result: Result, plan: Plan, tmp_path: Path) -> None:
    region = np.array([[0.0, 0.0], [0.0, 250.0], [1000.0, 250.0], [1000.0, 0.0]])
    with open_slide(save(plan.rgb, tmp_path / "painted.png"), um_per_px=UM_PER_PX) as slide:
        part = analyze_slide(slide, colour_models(), region=region)
    assert part.region_um == tuple(map(tuple, region))
    assert len(part.fibres) == (result.fibres["x_um"] < 250).sum() > 0
    assert 0 < part.tissue_area_mm2 < result.tissue_area_mm2


@pytest.mark.fault(29)
def test_a_shifted_slide_gives_the_same_objects(result: Result, plan: Plan, tmp_path: Path) -> None:
    shifted = analyse(np.pad(plan.rgb, ((37, 0), (37, 0), (0, 0)), constant_values=int(GLASS[0])), tmp_path)
    order = [table.sort_values(["y_um", "x_um"], key=lambda column: column.round(-1)) for table in (shifted.fibres, result.fibres)]
    assert len(order[0]) == len(order[1])
    np.testing.assert_allclose(order[0]["y_um"].to_numpy() - 37 * UM_PER_PX, order[1]["y_um"].to_numpy(), atol=0.6)
    assert order[0]["state"].tolist() == order[1]["state"].tolist()
    assert sorted(shifted.nuclei["type"]) == sorted(result.nuclei["type"])


def test_a_coarse_image_has_fibres_but_no_nuclei(plan: Plan, tmp_path: Path) -> None:
    coarse = analyse(plan.rgb[::2, ::2], tmp_path, um_per_px=1.0)
    assert len(coarse.fibres) == ROWS * COLUMNS
    assert list(coarse.nuclei.columns) == list(NUCLEI)
    assert len(coarse.nuclei) == 0
    document = scores_document(coarse)
    assert document["inflammation"]["macrophages_per_mm2"] is None
    assert document["clusters"]["macrophage"]["count"] is None
    assert document["scores"]["balance"]["value"] is None
    assert document["scores"]["necrosis"]["value"] is not None
    assert any("too coarse" in warning for warning in document["warnings"])


@pytest.mark.fault(30, 37)
def test_glass_is_refused_and_not_scored(tmp_path: Path) -> None:
    blank = analyse(np.tile(GLASS, (300, 400, 1)), tmp_path)
    document = scores_document(blank)
    assert document["status"] == "refused"
    assert [flag["code"] for flag in document["quality"]["flags"]] == ["no-tissue"]
    assert all(document["scores"][axis]["value"] is None for axis in ("necrosis", "regeneration", "inflammation", "balance"))
    assert document["warnings"] == ["nothing is assessed: no tissue was found"]
    parts = ("fibres", "area_fractions", "clusters", "inflammation", "scores")
    assert [number for part in parts for number in _numbers(document[part])] == []
    assert sorted(path.name for path in write_result(blank, tmp_path / "out").iterdir())[-1] == "scores.json"


def _numbers(value: object) -> list[float]:
    """All numbers anywhere in a JSON value."""
    if isinstance(value, dict | list):
        return [number for part in (value.values() if isinstance(value, dict) else value) for number in _numbers(part)]
    return [value] if isinstance(value, int | float) else []


@pytest.mark.fault(6)
def test_damage_in_the_finest_level_is_reported(plan: Plan, tmp_path: Path) -> None:
    """The tissue is found on the coarse level, which is whole; the damaged tile is only met when fibres are looked for."""
    options = {"tile": (64, 64), "photometric": "rgb", "compression": "zlib", "metadata": None}
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(plan.rgb, **options)
        writer.write(plan.rgb[::4, ::4], subfiletype=1, **options)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        middle = len(page.dataoffsets) // 2
        place, count = page.dataoffsets[middle], page.databytecounts[middle]
    content = bytearray(path.read_bytes())
    content[place : place + count] = bytes(count)
    path.write_bytes(content)
    with open_slide(path, um_per_px=UM_PER_PX) as slide:
        result = analyze_slide(slide, colour_models())
    assert result.status == "review"
    assert [flag.value for flag in result.flags if flag.code == "damaged-tiles"] == [1.0]


def test_progress_is_told_by_stage(plan: Plan, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with open_slide(save(plan.rgb[:600, :600], tmp_path / "part.png"), um_per_px=UM_PER_PX) as slide:
        analyze_slide(slide, colour_models(), progress=lambda *step: told.append(step))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert set(stages[:2]) == {"fibres", "nuclei"}  # side by side
    assert stages[2:] == ["measure"]
    assert all(done <= total for _, done, total in told)
