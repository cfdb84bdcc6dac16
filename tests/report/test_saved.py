"""A written result is read back as it was, and a damaged one is refused in one line."""

import json
from pathlib import Path

import pandas as pd
import pytest

from biopsy_analyzer.errors import OlderResult, ResultError
from biopsy_analyzer.report import write_result
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.saved import read_document, read_saved
from biopsy_analyzer.report.scores_json import SCHEMA_VERSION, scores_document


@pytest.fixture
def folder(result: Result, tmp_path: Path) -> Path:
    return write_result(result, tmp_path)


def test_what_was_written_is_read(result: Result, folder: Path) -> None:
    saved = read_saved(folder)
    assert saved.folder == folder
    assert saved.document == scores_document(result)
    for name in ("fibres", "nuclei", "clusters"):
        pd.testing.assert_frame_equal(getattr(saved, name), getattr(result, name))


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
    with pytest.raises(ResultError, match=r"nuclei\.parquet: damaged"):
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
