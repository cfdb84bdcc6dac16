"""Annotations: drawn squares with known answers, and every shipped file held to the format."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation_files import feature, square, write
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.annotations import Annotation, rasterise, read_annotations

SHIPPED = sorted((Path(__file__).parents[2] / "annotations").rglob("*.geojson"))
HELD_OUT = {"mdx_field_04", "toxin_border", "toxin_border2", "lymphocytes_right"}


RING = [[1, 1], [9, 1], [9, 9], [1, 1]]


@pytest.mark.parametrize(
    ("geometry", "facts"),
    [
        (None, {}),
        ({}, {}),
        ({"type": "Polygon"}, {}),
        ({"type": "Polygon", "coordinates": None}, {}),
        ({"type": "Polygon", "coordinates": []}, {}),
        ({"type": "Polygon", "coordinates": [[]]}, {}),
        ({"type": "Polygon", "coordinates": [RING[:3]]}, {}),
        ({"type": "Polygon", "coordinates": [[[*xy, 0] for xy in RING]]}, {}),
        ({"type": "Polygon", "coordinates": [[*RING[:3], [float("nan"), 1]]]}, {}),
        ({"type": "Polygon", "coordinates": [[*RING[:3], [1]]]}, {}),
        ({"type": "Polygon", "coordinates": [RING]}, {"um_per_px": "0.5"}),
        ({"type": "Polygon", "coordinates": [RING]}, {"um_per_px": float("nan")}),
        ({"type": "Polygon", "coordinates": [RING]}, {"um_per_px": None}),
        ({"type": "Polygon", "coordinates": [RING]}, {"um_per_px": 0}),
        ({"type": "Polygon", "coordinates": [RING]}, {"shape": [float("inf"), 1]}),
    ],
)
def test_a_damaged_outline_or_scale_is_refused_in_one_line(tmp_path: Path, geometry: object, facts: dict) -> None:
    path = write(tmp_path / "a.geojson", [feature("Fibre: normal", geometry)], **facts)
    with pytest.raises(UsageError, match="not an annotation file") as refused:
        read_annotations(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("coordinates", [[], [1], [1, 2, 3], None, [1, float("inf")], ["a", 1]])
def test_a_damaged_point_is_refused_in_one_line(tmp_path: Path, coordinates: object) -> None:
    path = write(tmp_path / "a.geojson", [feature("Nucleus: internal", {"type": "Point", "coordinates": coordinates})])
    with pytest.raises(UsageError, match="not an annotation file"):
        read_annotations(path)


def test_labels_states_and_ignore(annotated: Path) -> None:
    annotation = read_annotations(annotated)
    raster = rasterise(annotation, (20, 30))
    wanted = np.zeros((20, 30), int)
    wanted[3:9, 2:8], wanted[3:9, 8:16], wanted[3:9, 22:28] = 1, 2, 3
    np.testing.assert_array_equal(raster.fibres, wanted)
    assert raster.fibre_state.tolist() == [0, 2, 5, 1]
    ignore = np.zeros((20, 30), bool)
    ignore[:, 14:] = True
    ignore[3:9, 14:16] = False  # an outlined fibre is truth even where its neighbourhood is unsure
    np.testing.assert_array_equal(raster.ignore, ignore)
    assert raster.nuclei["fibre_id"].tolist() == [1, 0, 0]
    assert raster.nuclei["kind"].tolist() == [1, 3, 2]
    assert annotation.source.shape == (20, 30)


def test_another_pixel_size_and_origin(annotated: Path) -> None:
    raster = rasterise(read_annotations(annotated), (20, 40), um_per_px=0.25, origin_px=(2, 10))
    whole = rasterise(read_annotations(annotated), (40, 60), um_per_px=0.25)
    assert (whole.fibres[6:18, 4:16] == 1).all()
    np.testing.assert_array_equal(raster.fibres, whole.fibres[2:22, 10:50])
    assert raster.nuclei[["y_px", "x_px"]].to_numpy().tolist() == []  # 4.5 * 2 - 10 is left of it, 15 * 2 - 2 below


def test_nothing_annotated_is_all_ignored(tmp_path: Path) -> None:
    raster = rasterise(read_annotations(write(tmp_path / "a.geojson", [])), (4, 5))
    assert raster.ignore.all()
    assert raster.fibres.sum() == 0
    assert len(raster.nuclei) == 0


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([square("Fibre: sick", 0, 0, 2, 2)], "unknown class 'Fibre: sick'"),
        ([feature("Nucleus: internal", {"type": "LineString", "coordinates": [[0, 0], [2, 2]]})], "wanted a Polygon or Point"),
        ([{"type": "Feature"}], "not an annotation file"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, features: list[dict], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_annotations(write(tmp_path / "a.geojson", features))


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an annotation file"):
        read_annotations(tmp_path / "none.geojson")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_files_are_valid(path: Path) -> None:
    annotation = read_annotations(path)
    height, width = annotation.source.shape
    assert annotation.source.held_out == (path.stem in HELD_OUT)
    assert not Path(annotation.source.file).is_absolute()
    for outline in annotation.fibres + annotation.nucleus_outlines + [outline for _, outline in annotation.regions]:
        assert len(outline) >= 3
        assert (outline >= 0).all()
        assert (outline <= (height, width)).all()
        assert crossings(outline) == 0
    assert annotation.nuclei.y_px.between(0, height).all()
    assert annotation.nuclei.x_px.between(0, width).all()
    assert sum(name == "Region: annotated" for name, _ in annotation.regions) == 1
    assert deepest_overlap(annotation.fibres, (height, width)) <= 2


def test_all_files_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} >= HELD_OUT | {"mdx_field_01", "toxin_hyaline", "toxin_nerve"}


def test_windows_for_training_keep_60_px_from_those_held_out_on_the_same_section() -> None:
    toxin = [read_annotations(path) for path in SHIPPED if path.parent.name == "annotations" and path.stem.startswith("toxin_")]
    corners = [(window.min(axis=0), window.max(axis=0), each.source) for each in toxin for window in annotated_windows(each)]
    held_out = [(low, high) for low, high, source in corners if source.held_out]
    assert len(held_out) == 2
    for low, high, source in corners:
        if source.held_out:
            continue
        assert not source.teach_states  # all of that section is necrotic: there are no ordinary fibres to compare with
        for held_low, held_high in held_out:
            assert max((held_low - high).max(), (low - held_high).max()) >= 60


def annotated_windows(annotation: Annotation) -> list[np.ndarray]:
    return [outline for name, outline in annotation.regions if name == "Region: annotated"]


def crossings(outline: np.ndarray) -> int:
    """How many pairs of edges of a closed outline cross properly."""
    start, end = outline, np.roll(outline, -1, axis=0)

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.sign((b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0]))

    a, b, c, d = start[:, None], end[:, None], start[None], end[None]
    return int(((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).sum() // 2)


def deepest_overlap(fibres: list[np.ndarray], shape: tuple[int, int]) -> float:
    """Half the width in px of the thickest area that two fibres share, drawn one by one."""
    count = np.zeros(shape, np.uint8)
    for outline in fibres:
        mask = np.zeros(shape, np.uint8)
        cv2.fillPoly(mask, [(outline[:, ::-1] - 0.5).round().astype(np.int32)], 1)
        count += mask
    return float(cv2.distanceTransform((count > 1).astype(np.uint8), cv2.DIST_L2, 5).max())
