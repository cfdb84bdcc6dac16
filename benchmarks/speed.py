"""Where the time of a section goes, how fast it is against the networks and JPEG decoding alone, and how much memory it takes.

    python benchmarks/speed.py [--mpx 17 67 268] [--um-per-px 0.5] [--tissue 1.0] [--models DIR] [--device auto] [--precision auto]
                               [-o speed.json] [--plot speed.png]

For each size a tiled JPEG pyramid of repeated drawn fields is written (big_slide.py) and read from file to finished result folder, in a
process of its own, whose peak memory is told. All figures are CPU seconds: on a shared machine seconds of the clock mean little. The
parts are exclusive, and add up: torch computes in one thread, so that "network" is what its thread takes, and "rest" is what remains of the
process's CPU time: threads that compress and write files, and what is in no part. Start-up (imports, loading, a first small section) stands
apart. The yardsticks are measured in the same process on one field of 1 Mpx:
both networks alone, in one piece without halo, and decoding its JPEG. "Mpx" are those of 0.5 um/px, whatever the slide's pixels.
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
PARTS = ("decode", "tissue, stain", "network", "labelling", "measures", "classify, score", "report", "rest")
AFTER = PARTS[3:]
PART_OF_MODULE = {
    "tissue": "tissue, stain",
    "canvas": "tissue, stain",
    "segment": "labelling",
    "objects": "measures",
    "collection": "measures",
    "measure": "measures",
    "stain": "measures",
    "classify": "classify, score",
    "clusters": "classify, score",
    "score": "classify, score",
    "report": "report",
}
NOT_TIMED = ("front", "predict", "network", "blocks", "tiles")  # of segment: the network's side


class Stopwatch:
    """Exclusive CPU seconds by part, of all threads that run timed functions: while an inner part runs, the outer one stands still."""

    def __init__(self) -> None:
        self.cpu: defaultdict[str, float] = defaultdict(float)
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
        now, own = time.thread_time(), self._own
        if not hasattr(own, "running"):
            own.running, own.since = [], now
        if own.running:
            self.cpu[own.running[-1]] += now - own.since
        own.since = now


def instrument(watch: Stopwatch) -> None:
    """Time every function of the package where another part has imported it, reading, the networks, and the overlay, drawn in a thread."""
    from biopsy_analyzer.report import writing
    from biopsy_analyzer.segment.front import Front
    from biopsy_analyzer.slide import Slide

    for module_name, module in list(sys.modules.items()):
        if not module_name.startswith("biopsy_analyzer"):
            continue
        for name, value in list(vars(module).items()):
            part = _part(getattr(value, "__module__", None))
            if part and part != _part(module_name) and callable(value) and not isinstance(value, type):
                setattr(module, name, watch.timed(part, value))
    Slide.read = watch.timed("decode", Slide.read)  # type: ignore[method-assign]
    Front.view = watch.timed("network", Front.view)  # type: ignore[method-assign]
    writing._overlay = watch.timed("report", writing._overlay)


def _part(module_name: str | None) -> str | None:
    _, _, inside = str(module_name).partition("biopsy_analyzer.")
    names = inside.split(".")
    return None if names[0] == "segment" and names[-1] in NOT_TIMED else PART_OF_MODULE.get(names[0])


def analyse(path: Path, models: Any, watch: Stopwatch) -> dict[str, Any]:
    """CPU seconds of one slide, from file to written results, by part, and what was found."""
    import biopsy_analyzer.pipeline as pipeline
    import biopsy_analyzer.report.writing as writing
    import biopsy_analyzer.slide as slides

    watch.cpu.clear()
    start = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as out, slides.open_slide(path) as slide:
        result = pipeline.analyze_slide(slide, models)
        decoded = slide.tiles_decoded
        watch.timed("report", writing.write_result)(result, Path(out))
        mpx = slide.shape[0] * slide.shape[1] * (slide.um_per_px / UM_PER_PX) ** 2 / 1e6
        stored = sum(-(-level.shape[0] // level.tile[0]) * -(-level.shape[1] // level.tile[1]) for level in slide.levels[:1])
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    parts = {part: watch.cpu[part] for part in PARTS}
    parts["rest"] = cpu - sum(parts.values())
    objects = len(result.fibres) + len(result.nuclei)
    return {
        "mpx": mpx,
        "tissue_mm2": result.tissue_area_mm2,
        "wall_s": wall,
        "cpu_s": cpu,
        "parts_cpu_s": parts,
        "objects": objects,
        "tiles_decoded_per_stored": decoded / stored,
    }


def one(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one slide, in this process."""
    start = time.process_time()
    import torch

    from biopsy_analyzer.models import load_models
    from biopsy_analyzer.pipeline import analyze_slide  # noqa: F401  (imports belong to the start-up)

    torch.set_num_threads(1)  # its own threads would be in no part
    models = load_models(options.models, options.device, options.precision)
    watch = Stopwatch()
    instrument(watch)
    analyse(path.with_name("first.tif"), models, watch)
    start_up = time.process_time() - start
    found = analyse(path, models, watch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    network = {"device": models.fibres.device, "precision": models.fibres.precision}
    return {**found, **network, "start_up_cpu_s": start_up, "peak_memory_mib": peak, **yardsticks(path.with_name("first.tif"), models)}


def yardsticks(path: Path, models: Any) -> dict[str, float]:
    """Median CPU seconds per Mpx of both networks alone, without tiles or halo, and of decoding JPEG alone, on one field."""
    import cv2
    import numpy as np

    from biopsy_analyzer.slide import open_slide

    with open_slide(path) as slide:
        rgb = slide.read(slide.grid())
    mpx = rgb.shape[0] * rgb.shape[1] / 1e6
    jpeg = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    alone = 0.0
    for network in (models.fibres, models.nuclei):
        edge = round(rgb.shape[0] * UM_PER_PX / network.um_per_px / network.stride) * network.stride
        pixels = np.ascontiguousarray(cv2.resize(rgb, (edge, edge), interpolation=cv2.INTER_AREA))[None]
        alone += _median(functools.partial(network.maps, pixels))
    return {"networks_alone_cpu_s_per_mpx": alone / mpx, "jpeg_cpu_s_per_mpx": _median(lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) / mpx}


def _median(function: Callable[[], Any], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One process for each size."""
    from big_slide import write_slide

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_slide(Path(folder) / "first.tif", 1, UM_PER_PX)
        for mpx in options.mpx:
            path = Path(folder) / "slide.tif"
            write_slide(path, mpx, options.um_per_px, options.tissue)
            command = [sys.executable, __file__, *sys.argv[1:], "--one", str(path)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout))
    machine = {"processor": _processor(), "cores": len(os.sched_getaffinity(0)), "load_average": os.getloadavg()[0]}
    return {"machine": machine, "um_per_px": options.um_per_px, "tissue": options.tissue, "sizes": rows}


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

    rows = report["sizes"]
    table = Table(
        "", *(f"{row['mpx']:.0f} Mpx" for row in rows), title=f"CPU seconds per Mpx of 0.5 um/px, slide of {report['um_per_px']} um/px"
    )
    for part in PARTS:
        table.add_row(
            part, *(f"{row['parts_cpu_s'][part] / row['mpx']:.3f} ({row['parts_cpu_s'][part] / row['cpu_s']:.0%})" for row in rows)
        )
    table.add_row("whole", *(f"{row['cpu_s'] / row['mpx']:.3f}" for row in rows), style="bold")
    table.add_row("networks alone", *(f"{row['networks_alone_cpu_s_per_mpx']:.3f}" for row in rows))
    table.add_row("whole / networks alone", *(f"{row['cpu_s'] / row['mpx'] / row['networks_alone_cpu_s_per_mpx']:.2f}" for row in rows))
    table.add_row("JPEG decoding alone", *(f"{row['jpeg_cpu_s_per_mpx']:.4f}" for row in rows))
    table.add_row("after the network, s per 4 Mpx", *(f"{4 * _after(row) / row['mpx']:.2f}" for row in rows))
    table.add_row("after the network, ms per object", *(f"{1000 * _after(row) / max(row['objects'], 1):.2f}" for row in rows))
    table.add_row("Mpx/s on 2 cores, if both are free", *(f"{2 * row['mpx'] / row['cpu_s']:.2f}" for row in rows))
    table.add_row("clock, s (shared machine)", *(f"{row['wall_s']:.1f}" for row in rows))
    table.add_row("stored tiles decoded, times", *(f"{row['tiles_decoded_per_stored']:.2f}" for row in rows))
    table.add_row("peak memory, MiB", *(f"{row['peak_memory_mib']:.0f}" for row in rows))
    table.add_row("start-up, CPU s", *(f"{row['start_up_cpu_s']:.1f}" for row in rows))
    console = Console(width=max(100, 40 + 22 * len(rows)))
    console.print(table)
    machine = report["machine"]
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load_average']:.1f}; {rows[0]['device']}, {rows[0]['precision']}"
    )


def _after(row: dict[str, Any]) -> float:
    return sum(row["parts_cpu_s"][part] for part in AFTER)


def plot(report: dict[str, Any], path: Path) -> None:
    """Shares of the time, time after the network against objects, and memory, over the sizes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = report["sizes"]
    figure, (shares, objects, memory) = plt.subplots(1, 3, figsize=(13, 4.6), constrained_layout=True)
    bottom = [0.0] * len(rows)
    names = [f"{row['mpx']:.0f}" for row in rows]
    for part in PARTS:
        heights = [row["parts_cpu_s"][part] / row["mpx"] for row in rows]
        shares.bar(names, heights, bottom=bottom, label=part)
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    shares.axhline(rows[-1]["networks_alone_cpu_s_per_mpx"], color="black", linestyle="--", linewidth=1, label="networks alone")
    shares.set(xlabel="Mpx at 0.5 um/px", ylabel="CPU s per Mpx")
    shares.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=3)
    objects.plot([row["objects"] for row in rows], [_after(row) for row in rows], "o-")
    objects.locator_params(axis="x", nbins=5)
    objects.set(xlabel="fibres and nuclei", ylabel="CPU s after the network", xlim=(0, None), ylim=(0, None))
    memory.plot([row["mpx"] for row in rows], [row["peak_memory_mib"] for row in rows], "o-")
    memory.axhline(2560, color="grey", linestyle=":", linewidth=1)
    memory.set(xlabel="Mpx at 0.5 um/px", ylabel="peak memory, MiB", xlim=(0, None), ylim=(0, 2700))
    figure.savefig(path, dpi=110)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mpx", type=float, nargs="+", default=[17, 67, 268], help="sizes in million pixels of the slide")
    parser.add_argument("--um-per-px", type=float, default=UM_PER_PX)
    parser.add_argument("--tissue", type=float, default=1.0, help="share of the slide that is tissue")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("-o", "--out", type=Path, help="write the report as JSON")
    parser.add_argument("--plot", type=Path, help="write the plot as PNG")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)  # the process of one size
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parsed(arguments)
    if options.one:
        print(json.dumps(one(options.one, options)))
        return
    report = measure(options)
    show(report)
    if options.out:
        options.out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if options.plot:
        plot(report, options.plot)


if __name__ == "__main__":
    main(sys.argv[1:])
