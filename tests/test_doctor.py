"""A broken installation is found out, and a sound one is said to be sound."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import biopsy_analyzer
from biopsy_analyzer import doctor
from biopsy_analyzer.segment.model_folder import default_folder

GOLDEN = sorted(doctor.GOLDEN.iterdir())


def test_this_installation_is_sound(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}
    command = [sys.executable, "-m", "biopsy_analyzer", "doctor", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith("failed")]
    readers = {line.split(" by ")[1].split()[0].rstrip(":") for line in lines if line.split()[1] == "reader"}
    assert readers == {"Pillow", "tifffile", "OpenSlide", "wsidicom"}
    (models,) = (line for line in lines if line.split()[1] == "models")
    assert json.loads((default_folder() / "fibres" / "card.json").read_text())["sha256"][:12] in models


@pytest.mark.parametrize("broken", ["turned", "swapped", "grey", "shifted"])
def test_wrong_pixels_are_noticed(broken: str) -> None:
    right = doctor.golden_picture()
    assert doctor.colours_off(right) == 0
    wrong = {
        "turned": right[::-1],
        "swapped": right[..., ::-1],
        "grey": np.repeat(right[..., 1:2], 3, axis=2),
        "shifted": np.clip(right.astype(int) + 5, 0, 255).astype(np.uint8),
    }[broken]
    assert doctor.colours_off(wrong) > doctor.MOST_OFF


def test_a_picture_of_another_size_is_wrong() -> None:
    assert doctor.colours_off(doctor.golden_picture()[1:]) == float("inf")


def test_a_reader_that_fails_is_one_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of one format swapped for a damaged one and a picture of other colours."""
    for path in GOLDEN:
        shutil.copy(path, tmp_path)
    (tmp_path / "golden.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    turned = tmp_path / "golden.jpg"
    from PIL import Image

    Image.open(turned).transpose(Image.Transpose.ROTATE_90).save(turned, quality=95)
    monkeypatch.setattr(doctor, "GOLDEN", tmp_path)
    findings = [finding for finding in doctor.examine(device="cpu") if finding.part == "reader"]
    assert len(findings) == len(GOLDEN)
    assert sorted(finding.said.split(":")[0].split(" ")[0] for finding in findings if finding.state == "failed") == ["JPEG", "golden.png"]


def test_damaged_models_end_with_code_5(tmp_path: Path) -> None:
    shutil.copytree(default_folder(), tmp_path / "models")
    with (tmp_path / "models" / "fibres" / "weights.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        last = weights.read(1)
        weights.seek(-1, os.SEEK_END)
        weights.write(bytes([last[0] ^ 1]))
    environment = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}
    command = [sys.executable, "-m", "biopsy_analyzer", "doctor", "--models", str(tmp_path / "models"), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 5
    assert done.stderr.startswith("ERROR doctor: models: ")
    assert [finding["part"] for finding in json.loads(done.stdout) if finding["state"] == "failed"] == ["models"]


def test_the_golden_files_are_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN) < 40_000
