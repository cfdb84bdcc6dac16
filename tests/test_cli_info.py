"""`info` as a user meets it: real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import biopsy_analyzer
from dicom_slides import write_dicom
from vendor_slides import write_philips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Philips slide and a DICOM series, half tissue of one pink and half glass; a PNG without a pixel size; a web page."""
    pytest.importorskip("openslide")
    place = tmp_path_factory.mktemp("info")
    image = np.full((1024, 2048, 3), 245, np.uint8)
    noise = np.random.default_rng(0).integers(-20, 20, (64, 64, 3))
    small = (noise + np.array([205, 110, 160])).astype(np.uint8)
    image[:, :1024] = cv2.resize(small, (1024, 1024), interpolation=cv2.INTER_LINEAR)
    write_philips(place / "philips.tiff", image)
    write_dicom(place / "dicom", image)
    cv2.imwrite(str(place / "plain.png"), image)
    (place / "page.svs").write_text("<html>")
    return place


def info(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "biopsy_analyzer", "info", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment, check=False)


@pytest.mark.fault(31)
def test_what_was_understood_and_nothing_about_the_patient(folder: Path) -> None:
    done = info(folder, "philips.tiff", "dicom", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "CANARY" not in done.stdout
    philips, dicom = json.loads(done.stdout)
    for found in (philips, dicom):
        assert found["size_px"] == [2048, 1024]
        assert found["um_per_px"] == pytest.approx(0.5)
        assert found["size_mm"] == pytest.approx([1.024, 0.512])
        assert [level["size_px"] for level in found["levels"]] == [[2048, 1024], [1024, 512], [512, 256]]
        assert [level["um_per_px"] for level in found["levels"]] == pytest.approx([0.5, 1.0, 2.0])
        assert found["tissue_mm2"] == pytest.approx(0.262, abs=0.03)
        assert (found["problem"], found["icc_applied"], found["decoded_bytes"]) == (None, False, 2048 * 1024 * 3)
    assert (philips["format"], philips["um_per_px_source"]) == ("Philips TIFF", "file: Philips DICOM_PIXEL_SPACING")
    assert (dicom["format"], dicom["reader"], dicom["files"]) == ("DICOM", "wsidicom", 3)
    assert (philips["icc_sha256"], len(dicom["icc_sha256"])) == (None, 64)


def test_what_is_wrong_is_named_and_the_rest_still_shown(folder: Path) -> None:
    done = info(folder, "plain.png", "page.svs", "missing.svs", "philips.tiff")
    assert done.returncode == 3
    assert "pixel size   unknown" in done.stdout
    assert "2048 x 1024 px, 1.024 x 0.512 mm" in done.stdout
    assert done.stdout.count("problem      none found") == 1
    errors = done.stderr.splitlines()
    assert [line.split(":")[0] for line in errors] == ["ERROR plain.png", "ERROR page.svs", "ERROR missing.svs"]
    assert "--mpp" in errors[0]
    assert "HTML" in errors[1]
    assert not {"page.svs", "missing.svs"} & set(done.stdout.splitlines())  # said once: there is nothing to show of them


def test_glass_is_what_analyze_would_refuse(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "glass.png"), np.full((300, 300, 3), 243, np.uint8))
    done = info(tmp_path, "glass.png", "--mpp", "0.5")
    assert done.returncode == 3
    assert done.stderr == (
        "ERROR glass.png: No tissue was found, or its stain is too faint to be told from glass. Give a section with tissue on it.\n"
    )
    assert "tissue       about 0 mm2" in done.stdout


def test_a_given_pixel_size_answers_the_question(folder: Path) -> None:
    done = info(folder, "plain.png", "--mpp", "0.25", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)
    assert (found["um_per_px"], found["um_per_px_source"], found["problem"]) == (0.25, "given", None)
    assert info(folder, "plain.png", "--mpp", "250").returncode == 2
