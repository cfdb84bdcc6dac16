"""What a slide costs in a batch at three sizes: CPU seconds, wall seconds, memory, bytes written, by one command.

    python benchmarks/slide_cost.py [--device cuda] [--edges 1024 2048 4096] [-o FOLDER]

The slides are mosaics or parts of the shipped drawn section, mirrored from tile to tile so that no seam is a border: content of one kind at
every size, tiled JPEG at 0.5 um/px as scanners write it. Start-up (torch, models) is measured apart, with a slide before them.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from biopsy_analyzer.batch.one import analyze_file
from biopsy_analyzer.slide import open_slide

SAMPLE = Path(__file__).resolve().parents[1] / "sample_slides" / "necrotizing.tif"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--edges", type=int, nargs="+", default=[1024, 2048, 4096], help="Edges in px of 0.5 um.")
    parser.add_argument("-o", "--out", type=Path, help="Folder for slides and results; without it they are thrown away.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scrap:
        folder = given.out or Path(scrap)
        folder.mkdir(parents=True, exist_ok=True)
        slides = [mosaic(folder / f"mosaic_{edge}.tif", edge) for edge in given.edges]
        cold = measured(SAMPLE, folder / "cold", given.device)
        print(f"the sample, with start-up: {cold[0]:.1f} s, {cold[1]:.1f} CPU s; {os.cpu_count()} cores, device {given.device}\n")
        print("| tissue mm2 | Mpx at 0.5 um/px | wall s | CPU s | CPU s per mm2 | fibres | peak GiB so far | MB read | MB written |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for slide in slides:
            print(row(slide, folder / "out", given.device), flush=True)


def mosaic(path: Path, edge: int) -> Path:
    """`edge` x `edge` px of samples side by side, every second one mirrored, as a tiled JPEG pyramid of two levels."""
    with open_slide(SAMPLE) as slide:
        rgb = slide.read(slide.grid(0.5))
    more = max(0, edge - rgb.shape[0])
    whole = np.pad(rgb, ((0, more), (0, more), (0, 0)), mode="symmetric")[:edge, :edge]
    options = {"tile": (512, 512), "photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": 90}, "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(whole, resolution=(20_000, 20_000), resolutionunit="CENTIMETER", **options)
        writer.write(whole[::4, ::4], subfiletype=1, **options)
    return path


def measured(slide: Path, out: Path, device: str) -> tuple[float, float, dict]:
    """Wall and CPU seconds of one analysis with its files, and its document."""
    began, cpu = time.monotonic(), cpu_s()
    document = analyze_file(slide, out, device=device).document
    return time.monotonic() - began, cpu_s() - cpu, document


def cpu_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def row(slide: Path, out: Path, device: str) -> str:
    wall, cpu, document = measured(slide, out, device)
    area = document["quality"]["tissue_area_mm2"]
    megapixels = document["slide"]["width_px"] * document["slide"]["height_px"] / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    written = sum(file.stat().st_size for file in (out / slide.stem).rglob("*") if file.is_file()) / 1e6
    figures = f"{area:.2f} | {megapixels:.1f} | {wall:.1f} | {cpu:.1f} | {cpu / area:.2f} | {document['fibres']['segmented']}"
    return f"| {figures} | {peak:.2f} | {slide.stat().st_size / 1e6:.1f} | {written:.1f} |"


if __name__ == "__main__":
    main()
