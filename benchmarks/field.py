"""Time of one drawn field, 2048 x 2048 px of 0.5 um, through the whole pipeline: a table, and JSON with -o.

    python benchmarks/field.py [--models DIR] [--device auto|cpu|cuda] [--threads N] [--repeats N] [--size PX] [-o field.json]

Start-up (imports, loading the models, a first field that warms up) stands apart. The times of the parts are exclusive and add up
to the whole; they are those of the repeat with the median total. Because machines and their load differ, the total is also given
as a ratio to two yardsticks measured in the same run: the two networks alone on the same pixels (once each, untiled), and
decoding the field's JPEG. Memory is the process's peak; the field is drawn in another process, so that drawing doesn't count.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

UM_PER_PX = 0.5
SEED = 9_300_000  # a section that neither training nor `evaluate` draws
PARTS = ("decode", "tissue, stain", "fibre network", "nucleus network", "labelling", "measures", "classify, score", "report", "other")
PART_OF_MODULE = {
    "tissue": "tissue, stain",
    "stain": "tissue, stain",
    "canvas": "tissue, stain",
    "segment": "labelling",
    "measure": "measures",
    "classify": "classify, score",
    "clusters": "classify, score",
    "score": "classify, score",
    "report": "report",
}


class Stopwatch:
    """Exclusive seconds by part: while an inner part runs, the outer one of the same thread stands still.

    Each thread has its own clock. Fibres and nuclei are found side by side, so the parts may add up to more than the whole.
    """

    def __init__(self) -> None:
        self.wall: defaultdict[str, float] = defaultdict(float)
        self._own = threading.local()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, whose time counts for `part`."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._own.running.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._own.running.pop()

        return wrapper

    def _switch(self) -> None:
        now, own = time.perf_counter(), self._own
        if not hasattr(own, "running"):
            own.running, own.since = [], now
        if own.running:
            self.wall[own.running[-1]] += now - own.since
        own.since = now


def instrument(watch: Stopwatch, models: Any) -> None:
    """Time reading the slide, both networks, and every function of the package where another part has imported it."""
    from biopsy_analyzer.slide import Slide

    for module_name, module in list(sys.modules.items()):
        if not module_name.startswith("biopsy_analyzer"):
            continue
        for name, value in list(vars(module).items()):
            part = _part(getattr(value, "__module__", None))
            if part and part != _part(module_name) and callable(value) and not isinstance(value, type):
                setattr(module, name, watch.timed(part, value))
    Slide.read = watch.timed("decode", Slide.read)
    models.fibres.maps = watch.timed("fibre network", models.fibres.maps)
    models.nuclei.maps = watch.timed("nucleus network", models.nuclei.maps)


def _part(module_name: str | None) -> str | None:
    _, _, inside = str(module_name).partition("biopsy_analyzer.")
    return PART_OF_MODULE.get(inside.split(".")[0])


def draw_field(path: Path, size: int) -> None:
    """Write the field as JPEG: a necrotizing section of the usual difficulty."""
    import cv2

    from biopsy_analyzer.training.draw import draw_section, render

    rgb = render(draw_section(SEED, (size, size), "usual", "necrotizing"), SEED, "usual")
    cv2.imwrite(str(path), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def analyse(path: Path, models: Any, watch: Stopwatch) -> dict[str, Any]:
    """Seconds of one field, from file to written results, by part, and what was found."""
    import biopsy_analyzer.pipeline as pipeline
    import biopsy_analyzer.report as report
    import biopsy_analyzer.slide as slide_package

    def whole() -> Any:
        with tempfile.TemporaryDirectory() as out, watch.timed("decode", slide_package.open_slide)(path, um_per_px=UM_PER_PX) as slide:
            result = pipeline.analyze_slide(slide, models)
            watch.timed("report", report.write_result)(result, Path(out))
            return result

    watch.wall.clear()
    start = (time.perf_counter(), time.process_time())
    result = watch.timed("other", whole)()
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    parts = {part: watch.wall[part] for part in PARTS}
    found = {"fibres": len(result.fibres), "nuclei": len(result.nuclei), "clusters": len(result.clusters)}
    return {"wall_s": wall, "cpu_s": cpu, "parts_s": parts, "found": found}


def yardsticks(path: Path, models: Any, repeats: int) -> dict[str, float]:
    """Median seconds of decoding the JPEG, and of both networks alone on the field, without tiles or halo."""
    import cv2
    import numpy as np

    from biopsy_analyzer.slide import open_slide

    content = np.fromfile(path, np.uint8)
    result = {"jpeg_decoding_s": _median(lambda: cv2.imdecode(content, cv2.IMREAD_COLOR), repeats)}
    alone = 0.0
    with open_slide(path, um_per_px=UM_PER_PX) as slide:
        for network in (models.fibres, models.nuclei):
            grid = slide.grid(network.um_per_px)
            height, width = (-(-n // network.stride) * network.stride for n in grid.shape)
            rgb = slide.read(grid.crop(0, 0, height, width))[None]
            alone += _median(functools.partial(network.maps, rgb), repeats)
    return {**result, "networks_alone_s": alone}


def _median(function: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def set_threads(threads: int) -> dict[str, Any]:
    """Give torch and OpenCV that many threads and state what is in force."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    stated = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return {"cores": len(os.sched_getaffinity(0)), "torch": torch.get_num_threads(), "opencv": cv2.getNumThreads(), **stated}


def measure(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything the report holds."""
    start = time.perf_counter()
    from biopsy_analyzer.models import load_models
    from biopsy_analyzer.pipeline import analyze_slide  # noqa: F401  (its import belongs to the start-up)

    threads = set_threads(arguments.threads)
    models = load_models(arguments.models, arguments.device)
    start_up = time.perf_counter() - start
    sticks = yardsticks(path, models, arguments.repeats)  # before the networks are instrumented; also warms them up
    watch = Stopwatch()
    instrument(watch, models)
    first = analyse(path, models, watch)
    runs = [analyse(path, models, watch) for _ in range(arguments.repeats)]
    median = sorted(runs, key=lambda run: float(run["wall_s"]))[len(runs) // 2]
    wall, mpx = median["wall_s"], arguments.size**2 / 1e6
    return {
        "field": {"size_px": arguments.size, "um_per_px": UM_PER_PX, "mpx": mpx, "jpeg_bytes": path.stat().st_size, "seed": SEED},
        "machine": {
            "processor": _processor(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "device": models.fibres.device,
        },
        "threads": threads,
        "load_average": os.getloadavg()[0],
        "start_up_s": start_up,
        "first_field_s": first["wall_s"],
        **median,
        "repeats_wall_s": [run["wall_s"] for run in runs],
        "mpx_per_s": mpx / wall,
        "mpx_per_cpu_s": mpx / median["cpu_s"],
        **sticks,
        "ratio_to_networks_alone": wall / sticks["networks_alone_s"],
        "ratio_to_jpeg_decoding": wall / sticks["jpeg_decoding_s"],
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "models": [
            {"name": network.name, "version": network.version, "sha256": network.sha256} for network in (models.fibres, models.nuclei)
        ],
    }


def _processor() -> str:
    """The processor's name on Linux, where `platform` doesn't tell it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    from rich.console import Console
    from rich.table import Table

    field, threads, wall = report["field"], report["threads"], report["wall_s"]
    table = Table(
        "part",
        "s",
        "share",
        title=f"{field['size_px']} x {field['size_px']} px at {field['um_per_px']} um/px, {report['machine']['device']}",
    )
    for part, seconds in report["parts_s"].items():
        table.add_row(part, f"{seconds:.3f}", f"{seconds / wall:.0%}")
    table.add_row("whole", f"{wall:.3f}", f"{report['mpx_per_s']:.2f} Mpx/s", style="bold")
    console = Console()
    console.print(table)
    for line in (
        "fibres and nuclei are found side by side: the parts add up to more than the whole",
        f"{report['cpu_s']:.2f} CPU s, {report['mpx_per_cpu_s']:.2f} Mpx per CPU s; peak memory {report['peak_memory_mib']:.0f} MiB",
        f"{report['ratio_to_networks_alone']:.2f} x the networks alone ({report['networks_alone_s']:.3f} s)",
        f"{report['ratio_to_jpeg_decoding']:.0f} x decoding the JPEG ({report['jpeg_decoding_s']:.3f} s)",
        f"start-up {report['start_up_s']:.2f} s and first field {report['first_field_s']:.2f} s, not counted",
        f"threads: torch {threads['torch']}, OpenCV {threads['opencv']}; {threads['cores']} cores, load {report['load_average']:.1f}",
        f"found: {', '.join(f'{n} {name}' for name, n in report['found'].items())}",
    ):
        console.print(line)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("-o", "--out", type=Path, help="write the report as JSON")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)  # the other process
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parsed(arguments)
    if options.draw:
        draw_field(options.draw, options.size)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "field.jpg"
        subprocess.run([sys.executable, __file__, "--draw", str(path), "--size", str(options.size)], check=True)
        report = measure(path, options)
    show(report)
    if options.out:
        options.out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
