"""GeoJSON as QuPath exports it, and what is damaged in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation_files import feature, square, write
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.qupath import class_key, parsed, read_collection

RING = [[1, 1], [9, 1], [9, 9], [1, 1]]
WANTED = {"fibre": ("Polygon",), "nucleus": ("Polygon", "Point")}


def read(path: Path, features: list[dict]) -> list:
    return list(parsed(path, read_collection(write(path, features))[1], WANTED))


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("geometry", "found"),
    [
        ("all", "is a 'all'"),
        ({}, "is a {}"),
        ({"type": "LineString", "coordinates": RING}, "is a LineString; wanted a Polygon: draw it anew"),
        ({"type": "Point", "coordinates": [1, 1]}, "is a Point; wanted a Polygon"),
        ({"type": "Polygon"}, "coordinates None, wanted rings"),
        ({"type": "Polygon", "coordinates": []}, r"coordinates \[\], wanted rings"),
        ({"type": "Polygon", "coordinates": [[]]}, "a ring of 0 different positions|wanted finite positions"),
        ({"type": "Polygon", "coordinates": [RING[:2]]}, "a ring of 2 different positions, wanted at least 3"),
        ({"type": "Polygon", "coordinates": [[*RING[:3], [float("nan"), 1]]]}, "wanted finite positions"),
        ({"type": "Polygon", "coordinates": [[*RING[:3], [1]]]}, "wanted finite positions"),
        ({"type": "Polygon", "coordinates": RING}, "wanted finite positions"),
        ({"type": "MultiPolygon", "coordinates": [[RING], []]}, "wanted rings"),
    ],
)
def test_a_damaged_outline_is_told_by_file_and_number_in_one_line(tmp_path: Path, geometry: object, found: str) -> None:
    with pytest.raises(UsageError, match=found) as refused:
        read(tmp_path / "a.geojson", [square("Fibre", 0, 0, 2, 2), feature("Fibre", geometry)])
    assert str(refused.value).startswith(f"{tmp_path / 'a.geojson'}: feature 2 ('Fibre')")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("coordinates", [[], [1], None, [1, float("inf")], ["a", 1], {"x": 1}])
def test_a_damaged_point_is_refused_in_one_line(tmp_path: Path, coordinates: object) -> None:
    with pytest.raises(UsageError, match=r"feature 1 \('Nucleus'\): .*; mend or delete it in QuPath") as refused:
        read(tmp_path / "a.geojson", [feature("Nucleus", {"type": "Point", "coordinates": coordinates})])
    assert "\n" not in str(refused.value)


def test_rings_may_be_open_and_have_a_third_coordinate(tmp_path: Path) -> None:
    open_ring = [[*xy, 0] for xy in RING[:3]]
    one, two, other, bare = read(
        tmp_path / "a.geojson",
        [
            feature("Fibre", {"type": "Polygon", "coordinates": [open_ring]}),
            feature("Fibre", {"type": "Polygon", "coordinates": [RING]}),
            feature("Tumor", {"type": "Polygon", "coordinates": "damaged, but nobody reads it"}),
            feature("Fibre", None),
        ],
    )
    assert one.polygons[0][0].tolist() == two.polygons[0][0].tolist() == [[1, 1], [1, 9], [9, 9]]
    assert (other.name, other.polygons, bare.kind) == ("Tumor", [], None)


@pytest.mark.parametrize("text", ["", "{", "3", '"a"', "[3]", '{"type": "FeatureCollection"}', '{"features": {}}', "\xff", "[" * 100_000])
def test_what_is_no_geojson_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.geojson").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"a\.geojson: not an annotation file") as refused:
        read_collection(tmp_path / "a.geojson")
    assert "\n" not in str(refused.value)


def test_one_feature_is_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text(json.dumps(square("Fibre", 0, 0, 2, 2)))
    assert len(read_collection(tmp_path / "a.geojson")[1]) == 1


def test_names_of_classes_are_compared_without_case_blanks_and_spelling() -> None:
    assert {class_key(name) for name in ("Fibre: Normal", "fiber:normal", "FIBRE : normal ")} == {"fibre: normal"}
