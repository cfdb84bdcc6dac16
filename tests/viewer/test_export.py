"""Copies of a result's files: whole, in the place of older ones, each fault in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from biopsy_analyzer.errors import OutputError
from biopsy_analyzer.viewer.export import copy_files


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    (folder / "labels.ome.zarr" / "fibres").mkdir(parents=True)
    (folder / "labels.ome.zarr" / "fibres" / "c0").write_bytes(b"chunk")
    (folder / "scores.json").write_text("{}")
    return folder


def test_labels_of_another_section_leave_nothing_behind(result: Path, tmp_path: Path) -> None:
    """A chunk that holds background alone is not stored: one of an older copy would be taken for it."""
    into = tmp_path / "copy"
    (into / "labels.ome.zarr" / "fibres").mkdir(parents=True)
    (into / "labels.ome.zarr" / "fibres" / "c1").write_bytes(b"of another")
    (into / "notes.txt").write_text("mine")
    copied = copy_files(result, ["scores.json", "labels.ome.zarr", "fibres.csv"], into)
    assert copied == [into / "scores.json", into / "labels.ome.zarr"]
    files = {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}
    assert files == {"scores.json", "labels.ome.zarr/fibres/c0", "notes.txt"}


def test_what_cannot_be_written_is_said(result: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"can't write into .*file: File exists"):
        copy_files(result, ["scores.json"], tmp_path / "file")
    with pytest.raises(OutputError, match="itself"):
        copy_files(result, ["scores.json"], result / ".." / "result")
    into = tmp_path / "copy"
    (into / "scores.json").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"scores\.json"):
        copy_files(result, ["scores.json"], into)
    assert [path.name for path in into.iterdir()] == ["scores.json"]
