"""scores.json keeps its contract."""

import dataclasses
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from biopsy_analyzer.errors import OutputError
from biopsy_analyzer.report.html.render import interval
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.scores_json import ScoresDocument, scores_document, to_text
from biopsy_analyzer.report.summary import summary_text
from biopsy_analyzer.report.writing import write_result

HEADER = ["schema_version", "intended_use", "status", "slide", "software", "models", "settings", "quality", "region_um", "corrections"]
SCORES = ["fibres", "area_fractions", "clusters", "inflammation", "sheets"]
SCORES += ["scores", "pattern", "stages", "space", "evidence", "warnings"]


def test_the_contract(result: Result, tmp_path: Path) -> None:
    document = json.loads((write_result(result, tmp_path) / "scores.json").read_text())
    assert list(document) == HEADER + SCORES
    assert document["schema_version"] == "1.1"
    assert document["intended_use"] == "research_use_only"
    assert document["status"] == "review"
    assert document["slide"] == {
        "id": "section_a",
        "file_name": "section_a.tif",
        "sha256": "ab" * 32,
        "um_per_px": 0.25,
        "um_per_px_source": "given",
        "width_px": 500,
        "height_px": 400,
    }
    assert document["models"] == [{"name": "fibres", "version": "1", "sha256": "cd" * 32, "precision": None}]
    assert document["quality"] == {
        "tissue_area_mm2": 0.0125,
        "flags": [{"code": "small", "value": 0.0125, "threshold": 0.1, "message": "little tissue", "boxes_um": []}],
    }
    assert document["settings"]["classify"]["internal_depth_um"] == 5.0
    assert document["software"].keys() >= {"python", "biopsy-analyzer", "numpy", "torch"}
    assert (document["fibres"]["segmented"], document["fibres"]["assessable"], document["fibres"]["necrotic"]) == (3, 2, 1)
    assert document["clusters"]["mixed"]["count"] == 1
    assert document["scores"]["necrosis"]["value"] is None  # three fibres are no score
    assert document["warnings"]


def test_it_reads_back_and_refuses_what_is_not_in_it(result: Result) -> None:
    document = scores_document(result)
    assert ScoresDocument.model_validate(json.loads(to_text(document))).model_dump(mode="json") == document
    with pytest.raises(ValueError, match="extra"):
        ScoresDocument.model_validate({**document, "surprise": 1})


@pytest.mark.fault(26)
def test_nan_is_never_written(result: Result) -> None:
    with pytest.raises(ValueError, match="finite"):
        to_text(scores_document(dataclasses.replace(result, tissue_area_mm2=float("nan"))))


def test_all_files_are_there_and_written_twice_the_same(result: Result, tmp_path: Path) -> None:
    folder = write_result(result, tmp_path)
    assert folder == tmp_path / "section_a"
    tables = [f"{name}.{kind}" for name in ("clusters", "evidence", "fibres", "nuclei") for kind in ("csv", "parquet")]
    others = ["labels.ome.zarr", "objects.geojson", "overlay.png", "pictures.parquet", "report.html", "scores.json"]
    assert sorted(os.listdir(folder)) == sorted([*tables, *others])
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_result(result, tmp_path)
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "fibres.parquet"), result.fibres)


def test_without_scores_json_the_folder_is_not_complete(result: Result, tmp_path: Path) -> None:
    folder = write_result(result, tmp_path)
    (folder / "overlay.png").unlink()
    (folder / "overlay.png").mkdir()  # so that writing it fails
    with pytest.raises(OutputError, match=r"overlay\.png"):
        write_result(result, tmp_path)
    assert not (folder / "scores.json").exists()


def test_a_strange_name_is_written_as_it_is(result: Result, tmp_path: Path) -> None:
    name = '"><img src=x onerror=1>\x1b[31m.tif'
    strange = dataclasses.replace(result, slide=dataclasses.replace(result.slide, file_name=name))
    text = (write_result(strange, tmp_path) / "scores.json").read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert json.loads(text)["slide"]["file_name"].startswith('"><img src=x onerror=1>\x1b[31m')


def test_the_summary_says_what_is_not_assessed(result: Result) -> None:
    text = summary_text(scores_document(result))
    assert "3 found, 2 assessable: 1 normal, 1 necrotic, 0 pale-fragmented, 0 regenerating" in text
    assert "necrosis      not assessed" in text
    # of the living, one: the other two are necrotic and unassessable; nuclei of the table name no fibre
    assert "0 of 1 normal and regenerating fibres with internal nuclei (0%)" in text
    assert "0 inside necrotic fibres; 160 per mm2 between the fibres, 0 of these at necrotic fibres" in text
    assert "lymphocytes   80 per mm2 between the fibres" in text
    assert "little tissue" in text
    assert text.splitlines()[-1].strip() == "Research use only, not for diagnosis."


def test_a_balance_that_rounds_to_zero_has_no_sign(result: Result) -> None:
    document = scores_document(result)
    document["scores"]["balance"].update(value=-0.001, ci95=[-0.004, 0.9])
    assert "balance       0.00  (95 % interval 0.00 to 0.90)" in summary_text(document)
    assert interval((-0.004, 0.9), "axis") == "0.00 to 0.90"
