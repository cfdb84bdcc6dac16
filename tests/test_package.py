"""What is published works where nothing else of this project is: sdist to wheel to a fresh environment to a result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import biopsy_analyzer

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel made from what the sdist holds."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, which sees this one's other packages and none of its own source."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", built[1], folder=folder)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.mark.slow
def test_the_wheel_holds_code_weights_and_a_sample(built: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(built[1]).namelist())
    source = ROOT / "src" / "biopsy_analyzer"
    tracked = {
        f"biopsy_analyzer/{path.relative_to(source)}" for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert tracked <= names
    assert {f"biopsy_analyzer/models/{kind}/weights.safetensors" for kind in ("fibres", "nuclei", "states")} <= names
    assert {"biopsy_analyzer/py.typed", "biopsy_analyzer/sample_slides/necrotizing.tif"} <= names
    assert not [name for name in names if "test" in name.split("/")[0] or name.endswith((".pyc", ".log"))]


@pytest.mark.slow
def test_the_sdist_holds_what_its_tests_need(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "CITATION.cff", "constraints.txt", "tests/test_package.py", "sample_slides/necrotizing.json"} <= names


@pytest.mark.slow
def test_a_fresh_environment_does_the_main_job(installed: Path) -> None:
    command = installed / "venv" / "bin" / "biopsy-analyzer"
    where = run(installed / "venv" / "bin" / "python", "-c", "import biopsy_analyzer; print(biopsy_analyzer.__file__)", folder=installed)
    assert where.startswith(str(installed))
    assert f"biopsy-analyzer {biopsy_analyzer.__version__}" in run(command, "--version", folder=installed)
    sample = run(command, "sample", "inflammatory", folder=installed).strip()
    assert sample.startswith(str(installed))
    document = json.loads(run(command, "analyze", sample, "--json", folder=installed))
    assert document["status"] in ("ok", "review")
    assert document["fibres"]["segmented"] > 50
    assert document["software"]["biopsy-analyzer"] == biopsy_analyzer.__version__
    assert (installed / "out" / "inflammatory" / "report.html").is_file()
