"""A written result is read back as it was, and a damaged one is refused in one line."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.errors import OlderResult, ResultError
from biopsy_analyzer.report.pictures import read_pictures
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.saved import read_document, read_saved
from biopsy_analyzer.report.scores_json import SCHEMA_VERSION, scores_document
from biopsy_analyzer.report.writing import write_result


@pytest.fixture
def folder(result: Result, tmp_path: Path) -> Path:
    return write_result(result, tmp_path)


def test_what_was_written_is_read(result: Result, folder: Path) -> None:
    saved = read_saved(folder)
    assert saved.folder == folder
    assert saved.document == scores_document(result)
    for name in ("fibres", "nuclei", "clusters"):
        pd.testing.assert_frame_equal(getattr(saved, name), getattr(result, name))


@pytest.mark.fault(16)
def test_a_folder_whose_name_is_no_utf_8(folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / os.fsdecode(b"o\xff"))
    assert len(read_saved(moved).fibres) > 0
    assert read_pictures(moved)[0].kind == "section"


@pytest.mark.parametrize("name", ["scores.json", "fibres.parquet", "nuclei.parquet", "clusters.parquet"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ResultError, match=rf"{name}: missing.*[Rr]un analyze again"):
        read_saved(folder)


@pytest.mark.fault(37)
@pytest.mark.parametrize("name", ["scores.json", "fibres.parquet", "nuclei.parquet", "clusters.parquet"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00nothing", b"half"])
def test_a_damaged_file_is_named(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[: len(content) * 20] if content == b"half" else content)
    with pytest.raises(ResultError, match=rf"{name}: damaged"):
        read_saved(folder)


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="nowhere: no such folder"):
        read_saved(tmp_path / "nowhere")


@pytest.mark.fault(37)
def test_another_schema_is_older(folder: Path) -> None:
    document = json.loads((folder / "scores.json").read_text())
    (folder / "scores.json").write_text(json.dumps({**document, "schema_version": "0.9"}))
    with pytest.raises(OlderResult, match=r"schema_version '0\.9'"):
        read_saved(folder)
    (folder / "scores.json").write_text("[1]")
    with pytest.raises(ResultError, match="no schema_version"):
        read_saved(folder)


@pytest.mark.fault(37)
def test_a_table_of_other_columns_is_older(folder: Path) -> None:
    table = pd.read_parquet(folder / "fibres.parquet")
    table.drop(columns="solidity").assign(zeal=1.0).to_parquet(folder / "fibres.parquet")
    with pytest.raises(OlderResult, match=r"missing \['solidity'\], unknown \['zeal'\]"):
        read_saved(folder)


def test_a_table_of_other_types_is_damaged(folder: Path) -> None:
    pd.read_parquet(folder / "nuclei.parquet").assign(y_um="a").to_parquet(folder / "nuclei.parquet")
    with pytest.raises(ResultError, match=r"nuclei\.parquet: column y_um holds str; wanted numbers"):
        read_saved(folder)


def test_a_document_of_1_0_is_read_in_todays_form(tmp_path: Path) -> None:
    kept = Path(__file__).with_name("scores_1.0.json").read_text(encoding="utf-8")
    (tmp_path / "scores.json").write_text(kept)
    document = read_document(tmp_path)
    assert (document["schema_version"], document["evidence"]) == (SCHEMA_VERSION, None)
    assert document["fibres"] == json.loads(kept)["fibres"]
    (tmp_path / "scores.json").write_text(json.dumps({**json.loads(kept), "status": "fine"}))
    with pytest.raises(ResultError, match=r"scores\.json: damaged at status"):
        read_document(tmp_path)


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("name", "column", "value", "told"),
    [
        ("fibres", "y_um", np.nan, r"column y_um, row 2: nan; wanted a finite number from 0 to 100"),
        ("fibres", "x_um", 126.0, r"column x_um, row 2: 126; wanted a finite number from 0 to 125"),
        ("fibres", "area_um2", np.inf, "column area_um2, row 2: inf; wanted a finite number from 0 to 12500"),
        ("fibres", "min_feret_um", -1.0, "column min_feret_um, row 2: -1; wanted a finite number from 0 to 225, or none"),
        ("fibres", "p_necrotic", 1.5, "column p_necrotic, row 2: 1.5; wanted a finite number from 0 to 1"),
        ("fibres", "state", "dead", "column state, row 2: 'dead'; wanted normal, necrotic, pale-fragmented, regenerating"),
        ("fibres", "fibre_id", 1, "column fibre_id, row 2: 1; wanted each id once"),
        ("nuclei", "nucleus_id", 0, "column nucleus_id, row 2: 0; wanted a whole number from 1"),
        ("nuclei", "type", "muscle", "column type, row 2: 'muscle'; wanted myonucleus"),
        ("nuclei", "fibre_id", 9, "column fibre_id, row 2: 9; wanted 0 or a fibre_id of its table"),
        ("nuclei", "cluster_id", 2, "column cluster_id, row 2: 2; wanted 0 or a cluster_id of its table"),
        ("nuclei", "reason", None, "column reason, row 2: nan; wanted text"),
    ],
)
def test_a_value_that_no_analysis_wrote_is_named(folder: Path, name: str, column: str, value: object, told: str) -> None:
    """As somebody's spreadsheet or script leaves a table: everything else is as it was."""
    table = pd.read_parquet(folder / f"{name}.parquet")
    table.loc[1, column] = value
    table.to_parquet(folder / f"{name}.parquet")
    with pytest.raises(ResultError, match=rf"{name}\.parquet: {told}.*run analyze again$"):
        read_saved(folder)


def test_a_fibre_that_fills_the_section_may_be_larger_by_its_last_bits(folder: Path) -> None:
    table = pd.read_parquet(folder / "fibres.parquet")
    table.loc[1, "area_um2"] = 12500.000000000002
    table.to_parquet(folder / "fibres.parquet")
    assert read_saved(folder).fibres["area_um2"][1] > 12500


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [("fibre_id", [1.0, 2.5, 3.0], "float64; wanted whole numbers"), ("assessable", ["yes"] * 3, "str; wanted true or false")],
)
def test_a_column_of_another_kind_is_not_made_to_fit(folder: Path, column: str, values: list[object], told: str) -> None:
    pd.read_parquet(folder / "fibres.parquet").assign(**{column: values}).to_parquet(folder / "fibres.parquet")
    with pytest.raises(ResultError, match=rf"fibres\.parquet: column {column} holds {told}"):
        read_saved(folder)


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("fibres", "necrotic"), -3, "fibres.necrotic is -3; input should be greater than or equal to 0"),
        (("fibres", "necrotic"), "3", "fibres.necrotic is '3'; input should be a valid integer"),
        (("area_fractions", "necrotic"), 1.2, "area_fractions.necrotic is 1.2; input should be less than or equal to 1"),
        (("slide", "um_per_px"), 0, "slide.um_per_px is 0; input should be greater than 0"),
        (("quality", "tissue_area_mm2"), float("nan"), r"damaged \(NaN is no number in JSON"),
        (("pattern", "label"), "fine", "pattern.label is 'fine'; input should be 'necrosis-predominant'"),
        (("scores", "verdict"), 1, "scores.verdict: extra inputs are not permitted, so it is of another version"),
    ],
)
def test_a_number_that_no_analysis_wrote_is_named(folder: Path, place: tuple[str, ...], value: object, told: str) -> None:
    document = part = json.loads((folder / "scores.json").read_text())
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (folder / "scores.json").write_text(json.dumps(document))
    with pytest.raises(ResultError, match=rf"scores\.json: {told}"):
        read_document(folder)
