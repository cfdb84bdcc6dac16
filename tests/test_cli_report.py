"""`biopsy-analyzer report` as a user meets it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import biopsy_analyzer
from biopsy_analyzer.batch.one import analyze_file
from sections import paint, save
from tiny_models import write_tiny_models


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "biopsy_analyzer", "report", *map(str, arguments)]
    path = {"PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **path, **environment})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `out` with the result of `painted.png`, which lies beside it."""
    folder = tmp_path_factory.mktemp("report")
    write_tiny_models(folder / "models")
    analyze_file(save(paint(2, 3, {}, []).rgb, folder / "painted.png"), folder / "out", um_per_px=0.5, models=folder / "models")
    return folder / "out"


@pytest.mark.fault(38)
def test_the_page_is_made_again_to_the_byte(out: Path, tmp_path: Path) -> None:
    done = run(out / "painted", "-o", tmp_path, PYTHONHASHSEED="7", TZ="Asia/Tokyo", LC_ALL="tr_TR.UTF-8")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{tmp_path / 'report.html'}\n")
    assert (tmp_path / "report.html").read_bytes() == (out / "painted" / "report.html").read_bytes()


def test_pictures_are_taken_again_from_the_slide(out: Path) -> None:
    before = (out / "painted" / "report.html").read_bytes()
    (out / "painted" / "pictures.parquet").unlink()
    missing = run(out / "painted")
    assert missing.returncode == 3
    assert "Run report again with --slide" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1
    assert run(out / "painted", "--slide", out.parent / "painted.png").returncode == 0
    assert (out / "painted" / "report.html").read_bytes() == before


def test_another_slide_is_refused(out: Path, tmp_path: Path) -> None:
    other = save(np.full((80, 80, 3), 200, np.uint8), tmp_path / "other.png")
    done = run(out / "painted", "--slide", other)
    assert done.returncode == 2
    assert "SHA-256" in done.stderr


def test_a_folder_of_results_gets_an_index(out: Path) -> None:
    done = run(out)
    assert (done.returncode, done.stdout) == (0, f"{out / 'index.html'}\n")
    assert "painted/report.html" in (out / "index.html").read_text("utf-8")
    assert run(out, "--slide", out.parent / "painted.png").returncode == 2


def test_a_folder_without_a_result_keeps_no_other_from_its_page(out: Path, tmp_path: Path) -> None:
    (out / "index.html").unlink(missing_ok=True)
    done = run(tmp_path, out / "painted", tmp_path / "nowhere", out)
    assert (done.returncode, done.stdout.splitlines()) == (3, [str(out / "painted" / "report.html"), str(out / "index.html")])
    first, second = done.stderr.splitlines()
    assert first.startswith(f"ERROR {tmp_path}: ")
    assert second.startswith(f"ERROR {tmp_path / 'nowhere'}: ")


def test_what_is_no_result_is_one_line(out: Path, tmp_path: Path) -> None:
    for arguments, code in (((tmp_path,), 3), ((tmp_path / "nowhere",), 3), ((out / "painted", out, "-o", tmp_path), 2)):
        done = run(*arguments)
        assert done.returncode == code
        assert done.stderr.startswith("ERROR ")
        assert len(done.stderr.splitlines()) == 1
