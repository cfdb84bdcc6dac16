"""Annotations of a real DICOM slide lie where its fibres are, and name nobody."""

import json
from pathlib import Path

import highdicom
import numpy as np
import pandas as pd
import pydicom
import pytest

from biopsy_analyzer.errors import ResultError, SlideError
from biopsy_analyzer.feed.dicom import write_annotations
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.slide import open_slide
from dicom_slides import write_dicom
from sections import Plan, colour_models, paint
from vendor_slides import CANARY


@pytest.fixture(scope="module")
def plan() -> Plan:
    return paint(2, 3, {1: "necrotic"}, [(80.0, 128.0, "macrophage"), (80.0, 80.0, "muscle")])


@pytest.fixture(scope="module")
def analysed(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The result of a painted section in DICOM, and the slide."""
    folder = tmp_path_factory.mktemp("dicom")
    series = write_dicom(folder / "series", plan.rgb)
    with open_slide(series[0]) as slide:
        result = analyze_slide(slide, colour_models())
    return write_result(result, folder / "out"), folder / "series"


def groups(path: Path) -> dict[str, highdicom.ann.AnnotationGroup]:
    read = highdicom.ann.MicroscopyBulkSimpleAnnotations.from_dataset(pydicom.dcmread(path))
    return {group.label: group for group in read.get_annotation_groups()}


def area_px(ring: np.ndarray) -> float:
    x, y = ring.astype(float).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def test_polygons_lie_where_the_fibres_were_painted(analysed: tuple[Path, Path], plan: Plan) -> None:
    found = groups(write_annotations(*analysed))
    fibres = pd.read_parquet(analysed[0] / "fibres.parquet")
    assert set(found) >= {"Fibre: normal", "Fibre: necrotic"}
    (necrotic,) = found["Fibre: necrotic"].get_graphic_data("2D")
    y_um, x_um, _ = plan.fibres[1]
    assert tuple(necrotic.mean(axis=0) * 0.5) == pytest.approx((x_um, y_um), abs=1)  # (column, row), 0.5 um a pixel
    rows = fibres[fibres["state"] == "normal"]
    for label, table in (("Fibre: normal", rows), ("Fibre: necrotic", fibres[fibres["state"] == "necrotic"])):
        names, values, units = found[label].get_measurements()
        assert [name.meaning for name in names] == ["Area", "Probability of the class"]
        assert [unit.value for unit in units] == ["um2", "1"]
        np.testing.assert_allclose(values[:, 0], table["area_um2"], rtol=1e-5)
        rings = found[label].get_graphic_data("2D")
        np.testing.assert_allclose([area_px(ring) * 0.25 for ring in rings], table["area_um2"], rtol=0.01)


def test_the_source_is_the_finest_image_of_the_slide(analysed: tuple[Path, Path]) -> None:
    written = pydicom.dcmread(write_annotations(*analysed))
    finest = pydicom.dcmread(sorted(analysed[1].glob("level0*.dcm"))[0])
    assert written.ReferencedImageSequence[0].ReferencedSOPInstanceUID == finest.SOPInstanceUID
    assert written.StudyInstanceUID == finest.StudyInstanceUID
    assert written.SOPClassUID == "1.2.840.10008.5.1.4.1.1.91.1"


def test_no_patient_is_named(analysed: tuple[Path, Path]) -> None:
    content = write_annotations(*analysed).read_bytes()
    assert CANARY.encode() in (analysed[1] / "level0-1.dcm").read_bytes()
    assert b"CANARY" not in content
    assert pydicom.dcmread(analysed[0] / "annotations.dcm").PatientName == ""


def test_written_twice_the_bytes_are_the_same(analysed: tuple[Path, Path]) -> None:
    first = write_annotations(*analysed).read_bytes()
    assert write_annotations(*analysed).read_bytes() == first


def test_another_slide_is_refused(analysed: tuple[Path, Path], plan: Plan, tmp_path: Path) -> None:
    write_dicom(tmp_path / "other", plan.rgb[:-8])
    with pytest.raises(SlideError, match="Give the slide that was analysed"):
        write_annotations(analysed[0], tmp_path / "other")
    sample = Path(__file__).parents[2] / "sample_slides" / "necrotizing.tif"
    with pytest.raises(SlideError, match="wanted a DICOM slide"):
        write_annotations(analysed[0], sample)


def test_a_result_without_objects_is_said(analysed: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_bytes((analysed[0] / "scores.json").read_bytes())
    with pytest.raises(ResultError, match=r"objects\.geojson"):
        write_annotations(tmp_path, analysed[1])
    (tmp_path / "objects.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with pytest.raises(ResultError, match="no fibres and no nuclei"):
        write_annotations(tmp_path, analysed[1])
