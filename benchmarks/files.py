"""CPU seconds of a result's files, and of `biopsy-analyzer score` from its tables.

    python benchmarks/files.py [--mpx 4.2] [--models DIR]

A slide of repeated drawn fields, tissue everywhere (big_slide.py), is analysed once and its result written six times in this process;
the least counts, as a shared machine only adds. All threads are in it, and what the disk takes is not. `score` runs ten times, each in
a process of its own from start to end, as it is typed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from big_slide import write_slide

UM_PER_PX = 0.5


def written(mpx: float, models: Path | None, folder: Path) -> tuple[float, int, Path]:
    """CPU seconds of writing the result of a slide of `mpx` million pixels, how many objects it has, and where it lies."""
    from biopsy_analyzer.models import load_models
    from biopsy_analyzer.pipeline import analyze_slide
    from biopsy_analyzer.report.writing import write_result
    from biopsy_analyzer.slide import open_slide

    path = folder / "slide.tif"
    write_slide(path, mpx, UM_PER_PX, 1.0)
    with open_slide(path) as slide:
        result = analyze_slide(slide, load_models(models))
    taken = []
    for _ in range(6):
        start = time.process_time()
        out = write_result(result, folder)
        taken.append(time.process_time() - start)
    return min(taken), len(result.fibres) + len(result.nuclei), out


def scored(result: Path) -> float:
    """Least CPU seconds of ten runs of `biopsy-analyzer score`."""
    taken = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "biopsy_analyzer", "score", str(result)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mpx", type=float, default=4.2, help="size in million pixels of 0.5 um")
    parser.add_argument("--models", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        seconds, objects, result = written(options.mpx, options.models, Path(folder))
        print(f"files  {seconds:.2f} CPU s, {seconds / options.mpx:.3f} per Mpx, {1000 * seconds / objects:.2f} ms per object ({objects})")
        print(f"score  {scored(result):.2f} CPU s;  load {os.getloadavg()[0]:.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])
