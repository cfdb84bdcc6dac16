"""The direction of imports, what importing loads, and that tests stand where their module does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import biopsy_analyzer

SOURCE = Path(biopsy_analyzer.__file__).parent
ORDER = [
    "errors",
    "versions",
    "escaping",
    "interrupts",
    "csv_rows",
    "samples",
    "terminal",
    "grid",
    "settings",
    "settings_file",
    "tables",
    "slide",
    "stain",
]
ORDER += ["near", "tissue", "canvas"]
ORDER += ["segment", "measure", "classify", "clusters", "score", "agree", "report", "rescore", "corrections", "feed", "objects"]
ORDER += ["collection", "models", "walk", "pipeline", "batch", "doctor", "cli", "__main__"]
ANYWHERE = {"training", "viewer"}  # leaves: nothing imports them but cli, inside its commands
FILES = sorted(SOURCE.rglob("*.py"))
TESTS = Path(__file__).parent
TESTED_BY = {
    "batch/test_batch_command.py": "cli/batch terminal",
    "batch/test_cluster.py": "batch/worker",
    "batch/test_contained.py": "batch/local",
    "batch/test_inputs.py": "batch/folders batch/job batch/manifest csv_rows slide/identity",
    "corrections/test_section.py": "corrections/book corrections/edits corrections/follow corrections/measuring",
    "feed/test_fhir.py": "cli/feed feed/codes",
    "report/html/test_figures.py": "report/html/closeups report/html/maps report/html/material report/html/section report/html/svg",
    "report/html/test_page.py": "report/html/render report/html/words",
    "report/test_overlay.py": "report/legend report/palette report/shown",
    "report/test_saved.py": "report/checked",
    "report/test_scores_json.py": "report/result report/summary report/writing",
    "score/test_evidence.py": "score/traced",
    "score/test_score.py": "score/axes score/findings score/model score/pattern score/tallies",
    "score/test_space.py": "score/basis score/doubts score/fascicles",
    "segment/test_network.py": "segment/halo segment/model_folder segment/precision",
    "slide/test_refusals.py": "slide/convert slide/directories slide/encoded slide/kind slide/plain slide/reader slide/tiff",
    "slide/test_tiles.py": "slide/forks",
    "slide/test_vendors.py": "slide/describe slide/dicom slide/openslide_child slide/openslide_reader",
    "test_cli.py": "cli/analyze cli/training errors",
    "test_cli_info.py": "cli/slides",
    "test_cli_report.py": "cli/report",
    "test_doctor.py": "cli/environment versions",
    "test_pipeline.py": "segment/memory tables walk",
    "test_precision.py": "models",
    "test_rescore.py": "cli/score",
    "test_settings_file.py": "settings",
    "training/draw/test_section.py": "training/draw/artefacts training/draw/interstitium training/draw/noise training/draw/nuclei "
    "training/draw/recipe training/draw/sarcoplasm",
    "training/test_adapt.py": "cli/adapt",
    "training/test_judge.py": "training/marked training/summary",
    "viewer/test_correct.py": "viewer/pen viewer/teach viewer/current",
    "viewer/test_reader.py": "samples",
    "viewer/test_run.py": "viewer/run_tab viewer/worker",
    "viewer/test_window.py": "viewer/ask viewer/dock viewer/export_tab viewer/fibres_tab viewer/filling viewer/legend viewer/scores_tab "
    "viewer/workspace",
}
"""Modules without a test file of their own, by the tests that go through them."""


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "biopsy_analyzer" else {module}
    return names


def part(path: Path) -> str:
    inside = path.relative_to(SOURCE).parts
    return inside[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_to_the_left(path: Path) -> None:
    own = part(path)
    theirs = {name.split(".")[1] for name in imported(path) if name.startswith("biopsy_analyzer.")} - {own, "__version__"}
    if own == "training":
        assert "cli" not in theirs
    elif own == "cli":
        assert theirs <= set(ORDER) | ANYWHERE
    elif own != "__init__" and own not in ANYWHERE:
        assert own in ORDER, f"{own} has no place in the order"
        assert theirs <= set(ORDER[: ORDER.index(own)])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_torch_only_in_the_network_and_qt_only_in_the_viewer(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    inside = path.relative_to(SOURCE).as_posix()
    if inside != "segment/network.py" and part(path) != "training":
        assert "torch" not in roots
    if part(path) != "viewer":
        assert not roots & {"napari", "qtpy", "magicgui", "PySide6", "PyQt5", "PyQt6"}


def test_importing_the_package_loads_neither_torch_nor_napari() -> None:
    code = "import sys, biopsy_analyzer, biopsy_analyzer.tissue.quality; print({'torch', 'napari'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_each_module_has_its_tests() -> None:
    names = [path.relative_to(SOURCE).with_suffix("") for path in FILES if path.stem not in ("__init__", "__main__")]
    modules = {name.as_posix() for name in names}
    own = {name.as_posix() for name in names if (TESTS / name).with_name(f"test_{name.name}.py").is_file()}
    through = {name for names in TESTED_BY.values() for name in names.split()}
    assert modules - own - through == set(), "wanted: a test file of their own, or a place in TESTED_BY"
    assert through - modules == set(), "in TESTED_BY, but no modules"
    assert through & own == set(), "in TESTED_BY, and have a test file of their own"
    assert [test for test in TESTED_BY if not (TESTS / test).is_file()] == [], "in TESTED_BY, but no test files"
