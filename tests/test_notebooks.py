"""Notebooks run from start to end with the models that come with this version, and were committed as run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
FILES = sorted(NOTEBOOKS.glob("*.ipynb"))


def test_there_are_a_tutorial_and_the_score_explained() -> None:
    assert {path.name for path in FILES} >= {"one_slide.ipynb", "score_explained.ipynb"}


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    """Its kernel is spoken to through files: a port that was free is another program's by the time that a kernel takes it."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:  # of a short name, which is all that a socket's may have
        kernel = Config(KernelManager={"transport": "ipc", "ip": f"{folder}/k", "connection_file": f"{folder}/k.json"})
        place = {"metadata": {"path": str(NOTEBOOKS)}}
        client = NotebookClient(notebook, timeout=1800, startup_timeout=600, kernel_name="python3", resources=place, config=kernel)
        client.execute()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_notebook_is_committed_as_run_and_small(path: Path) -> None:
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_notebook_uses_public_names_only(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        for line in cell.source.splitlines() if cell.cell_type == "code" else []:
            if "biopsy_analyzer" in line and "import" in line:
                assert line.startswith("from biopsy_analyzer import ")
