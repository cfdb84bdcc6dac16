"""The benchmark runs on a tiny field; no times are asserted."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from biopsy_analyzer.classify.state_model import StateModel, save_state_model
from biopsy_analyzer.segment.network import CHANNELS, UNet
from biopsy_analyzer.training.export import write_model

NETWORKS = ("fibre network", "nucleus network")
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "field.py"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Tiny networks with random weights and a state model without features."""
    torch.manual_seed(0)
    folder = tmp_path / "models"
    for kind, um_per_px in (("fibres", 0.8), ("nuclei", 0.5)):
        write_model(UNet((4, 8), 1, len(CHANNELS[kind]), folded=False).eval(), kind, um_per_px, folder / kind, {"version": "0"})
    about = {"name": "states", "version": "0"}
    save_state_model(StateModel((), np.zeros(0), np.ones(0), np.zeros((4, 0)), np.zeros((4, 0)), np.zeros(4), about), folder / "states")
    return folder


@pytest.fixture
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("field", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tiny_field(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "field.json"
    command = [sys.executable, str(SCRIPT), "--size", "256", "--repeats", "1", "--device", "cpu", "--models", str(models), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Mpx/s" in done.stdout
    report = json.loads(out.read_text())
    assert report["mpx_per_s"] * report["wall_s"] == pytest.approx(256 * 256 / 1e6)
    assert set(report["parts_s"]) == {"decode", "tissue, stain", *NETWORKS, "labelling", "measures", "classify, score", "report", "other"}
    for part in ("decode", "tissue, stain", *NETWORKS, "report"):
        assert report["parts_s"][part] > 0, part


def test_times_of_parts_are_exclusive(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 4.0, 9.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    watch = benchmark.Stopwatch()
    inner = watch.timed("inner", lambda: None)
    watch.timed("outer", lambda: inner())()
    assert dict(watch.wall) == {"outer": 1.0 + 5.0, "inner": 3.0}
