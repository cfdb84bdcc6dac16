"""The direction of imports, and what importing loads."""

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
