"""Seconds by the clock for one field of 2048 x 2048 px at 0.5 um/px through the whole pipeline, start-up apart, in 32 bits and in bfloat16.

    python benchmarks/field.py [--threads 2] [--repeats 3]

Best of the repeats after one to warm up; only on a machine with nothing else to do. Where the time goes: speed.py.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.slide import open_slide

SLIDE = Path(__file__).parents[1] / "sample_slides" / "necrotizing.tif"


def seconds(models: Models) -> tuple[float, float]:
    """Time of one analysis, and millions of pixels of the slide."""
    with open_slide(SLIDE) as slide:
        started = time.perf_counter()
        analyze_slide(slide, models)
        return time.perf_counter() - started, slide.shape[0] * slide.shape[1] / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for precision in ("float32", "bfloat16"):
        models = load_models(None, "cpu", precision=precision)
        best, mpx = min([seconds(models) for _ in range(arguments.repeats + 1)][1:])
        print(f"{precision:<9} {best:.2f} s, {mpx / best:.2f} Mpx/s")


if __name__ == "__main__":
    main()
