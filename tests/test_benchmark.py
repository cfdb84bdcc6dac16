"""The benchmark of speed runs on tiny slides; no times are asserted."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from tiny_models import write_tiny_models

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "speed.py"


@pytest.fixture
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_tiny_slide(tmp_path: Path) -> None:
    write_tiny_models(tmp_path / "models")
    out, picture = tmp_path / "speed.json", tmp_path / "speed.png"
    command = [sys.executable, str(SCRIPT), "--mpx", "1", "--device", "cpu", "--models", str(tmp_path / "models")]
    done = subprocess.run([*command, "-o", str(out), "--plot", str(picture)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "after the network, s per 4 Mpx" in done.stdout
    (row,) = json.loads(out.read_text())["sizes"]
    assert row["mpx"] == pytest.approx(1024 * 1024 / 1e6)
    assert sum(row["parts_cpu_s"].values()) == pytest.approx(row["cpu_s"])
    assert all(seconds > 0 for seconds in row["parts_cpu_s"].values())
    assert 1 <= row["tiles_decoded_per_stored"] < 4  # the picture and the close-ups of so small a slide read its finest level, too
    with Image.open(picture) as plot:
        assert plot.size[0] > 1000


def test_times_of_parts_are_exclusive(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 4.0, 9.0])
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    watch = benchmark.Stopwatch()
    inner = watch.timed("inner", lambda: None)
    watch.timed("outer", lambda: inner())()
    assert dict(watch.cpu) == {"outer": 1.0 + 5.0, "inner": 3.0}
