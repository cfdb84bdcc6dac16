"""Annotations: drawn squares with known answers, and every shipped file held to the format."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation_files import feature, square, write
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.annotations import Annotation, Source, rasterise, read_annotations
from truth_files import write_image

SHIPPED = sorted((Path(__file__).parents[2] / "annotations").rglob("*.geojson"))
HELD_OUT = {"mdx_field_04", "toxin_border", "toxin_border2", "lymphocytes_right"}


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"um_per_px": "0.5"}, "source.um_per_px is '0.5'"),
        ({"um_per_px": float("nan")}, "source.um_per_px is nan"),
        ({"um_per_px": 0}, "source.um_per_px is 0"),
        ({"shape": [float("inf"), 1]}, "source.shape.0 is inf"),
        ({"shape": [0, 1]}, "source.shape.0 is 0"),
        ({"held_out": "perhaps"}, "source.held_out is 'perhaps'"),
    ],
)
def test_a_damaged_source_is_refused_in_one_line(tmp_path: Path, facts: dict, found: str) -> None:
    path = write(tmp_path / "a.geojson", [square("Fibre: normal", 1, 1, 9, 9)], **facts)
    with pytest.raises(UsageError, match=found) as refused:
        read_annotations(path)
    assert "\n" not in str(refused.value)


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


def test_without_an_annotated_region_the_whole_image_is_and_that_is_said(tmp_path: Path) -> None:
    annotation = read_annotations(write(tmp_path / "a.geojson", [square("Fibre: normal", 2, 3, 8, 9)]))
    assert not annotation.region_stated
    assert not rasterise(annotation, (20, 30)).ignore.any()
    (note,) = annotation.notes
    assert note.startswith("a.geojson: no 'Region: annotated' in it, so the whole image counts as annotated")


def test_what_is_not_known_is_left_out_and_told_in_one_line(tmp_path: Path) -> None:
    features = [
        square("Fibre: normal", 2, 3, 8, 9),
        square("Tumor", 0, 0, 9, 9),
        square("Tumor", 0, 0, 9, 9),
        square("Cluster: macrophages", 0, 0, 9, 9),
        {"type": "Feature", "geometry": {"type": "Polygon"}, "properties": {"classification": None}},
        {"type": "Feature"},
        feature("Fibre: normal", None),
        square("Region: annotated", 0, 0, 30, 20),
    ]
    annotation = read_annotations(write(tmp_path / "a.geojson", features))
    assert len(annotation.fibres) == 1
    (note,) = annotation.notes
    told = "features left out: 2 of class 'Tumor', 2 without a class, 1 of class 'Cluster: macrophages', 1 without geometry"
    assert note.startswith(f"a.geojson: {told}; classes that are read: Fibre: ...")


@pytest.mark.parametrize(
    ("features", "found"),
    [
        ([], "it holds none"),
        ([square("Fibre: sick", 0, 0, 2, 2)] * 3, "3 of class 'Fibre: sick'"),
        ([{"type": "Feature"}], "1 without a class"),
    ],
)
@pytest.mark.fault(33)
def test_a_file_of_which_nothing_can_be_used_is_refused(tmp_path: Path, features: list[dict], found: str) -> None:
    with pytest.raises(UsageError, match=f"none of its {len(features)} features can be used .{found}.; wanted classes such as"):
        read_annotations(write(tmp_path / "a.geojson", features))


def test_pieces_are_one_fibre_holes_of_fibres_are_filled_and_those_of_regions_are_not(tmp_path: Path) -> None:
    def ring(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
        return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]

    region = [[ring(0, 0, 30, 20), ring(10, 5, 25, 15)], [ring(15, 8, 20, 12)]]  # with a hole, and an island in that
    features = [
        feature("Region: annotated", {"type": "MultiPolygon", "coordinates": region}),
        feature("Fibre: normal", {"type": "MultiPolygon", "coordinates": [[ring(0, 0, 2, 2)], [ring(4, 0, 9, 5), ring(5, 1, 8, 4)]]}),
    ]
    annotation = read_annotations(write(tmp_path / "a.geojson", features))
    raster = rasterise(annotation, (20, 30))
    wanted = np.zeros((20, 30), int)
    wanted[:2, :2] = wanted[:5, 4:9] = 1
    np.testing.assert_array_equal(raster.fibres, wanted)
    assert len(annotation.fibres[0]) == 4  # the larger piece is its outline
    assert annotation.fibres[0][:, 1].max() == 9
    ignore = np.zeros((20, 30), bool)
    ignore[5:15, 10:25] = True
    ignore[8:12, 15:20] = False
    np.testing.assert_array_equal(raster.ignore, ignore)
    assert annotation.notes == ("a.geojson: objects with holes, which are filled: 1",)


def test_what_qupath_writes_of_a_slide_takes_size_and_pixels_from_the_image(tmp_path: Path) -> None:
    path = tmp_path / "case.geojson"
    state = square("Fibre: normal", 2, 3, 8, 9)
    state["properties"]["classification"] = {"names": ["Fibre", "necrotic"], "color": [1, 2, 3]}
    many = feature("Nucleus: internal", {"type": "MultiPoint", "coordinates": [[4.5, 5.5, 0], [1, 1]]})
    plain = [state, many, square("Fiber : Normal", 10, 3, 16, 9), square("fibre", 18, 3, 24, 9)]
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(plain).encode())  # a list of features, and a byte order mark before it
    with pytest.raises(UsageError, match="truth for 'case' but no image of it"):
        read_annotations(path)
    write_image(tmp_path / "case.PNG", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(UsageError, match=r"""case\.PNG.*Give it with --mpp, or write {"um_per_px": \.\.\.} to .*case\.json"""):
        read_annotations(path)
    annotation = read_annotations(path, um_per_px=0.5)
    assert annotation.fibre_state.tolist() == [0, 2, 1, 5]
    assert annotation.nuclei["name"].tolist() == ["internal"] * 2
    assert annotation.source == Source(str(tmp_path / "case.PNG"), 0.5, (20, 30), "", "", None)
    (tmp_path / "case.json").write_text('{"um_per_px": 0.4, "held_out": true}')
    (tmp_path / "elsewhere").mkdir()
    named = (tmp_path / "case.PNG").rename(tmp_path / "elsewhere" / "case.PNG")
    for images in (named, named.parent):
        source = read_annotations(path, images).source
        assert (source.file, source.um_per_px, source.held_out) == (str(named), 0.4, True)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
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
