"""Do scores move when a network computes in bfloat16? The same sections read in float32 and in bfloat16: a table, and JSON with -o.

    python benchmarks/precision.py [--sections 8] [--real DIR] [--models DIR] [-o precision.json]

Drawn sections are 1536 x 1536 px of 0.5 um from seeds that neither training nor `evaluate` draws; DIR is a folder with real images as
in ../shared/real. Objects are paired where their pixels overlap by half (IoU); shares are of float32's objects. A score's shift is
given beside half its own 95 % interval: far below it, the numbers' precision says nothing that the section could tell.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.result import Labels, Result
from biopsy_analyzer.slide import open_slide

FIRST_SEED = 9_310_000
SIZE_PX = 1536
AXES = ("necrosis", "regeneration", "inflammation")
DIFFICULTIES = ("clean", "usual", "hard")


def drawn_sections(count: int, folder: Path) -> Iterator[tuple[str, Path, float]]:
    from biopsy_analyzer.training.draw import draw_section, render

    for k in range(count):
        seed, difficulty = FIRST_SEED + k, DIFFICULTIES[k % len(DIFFICULTIES)]
        rgb = render(draw_section(seed, (SIZE_PX, SIZE_PX), difficulty), seed, difficulty)
        path = folder / f"{seed}.png"
        cv2.imwrite(str(path), rgb[..., ::-1])
        yield f"drawn {difficulty} {seed}", path, 0.5


def real_sections(real: Path, folder: Path) -> Iterator[tuple[str, Path, float]]:
    for name in ("field_01", "field_04"):
        yield f"real mdx {name}", real / "mdx_fields" / f"{name}.tif", 0.277
    section = cv2.imread(str(real / "toxin_injury" / "section.jpg"))
    path = folder / "toxin.png"
    cv2.imwrite(str(path), section[1000:2200, 900:2100])
    yield "real toxin, 1200 x 1200 px of it", path, 0.65


def paired(ours: Labels, theirs: Labels) -> np.ndarray:
    """For each label of `ours` 1..n the label of `theirs` that overlaps it by an IoU of a half or more; 0 for none."""
    a, b = np.asarray(ours.pixels), np.asarray(theirs.pixels)
    m = int(b.max(initial=0)) + 1
    both = np.bincount(a.ravel().astype(np.int64) * m + b.ravel(), minlength=(int(a.max(initial=0)) + 1) * m).reshape(-1, m)
    union = both.sum(axis=1)[1:, None] + both.sum(axis=0)[None, 1:] - both[1:, 1:]
    overlap = both[1:, 1:] / np.maximum(union, 1)
    return np.where(overlap.max(axis=1, initial=0) >= 0.5, overlap.argmax(axis=1) + 1, 0) if overlap.size else np.zeros(len(overlap), int)


def shares(ours: Result, theirs: Result) -> dict[str, float]:
    """Of float32's objects: how many bfloat16 has too, and of these how many it calls alike."""
    found = {}
    for kind, column in (("fibre", "state"), ("nucleus", "type")):
        table = {"fibre": "fibres", "nucleus": "nuclei"}[kind]
        pair = paired(getattr(ours, f"{kind}_labels"), getattr(theirs, f"{kind}_labels"))
        a, b = getattr(ours, table)[column].to_numpy(), getattr(theirs, table)[column].to_numpy()
        has = pair > 0
        found[f"{table}"] = len(pair)
        found[f"{table}_found"] = float(has.mean()) if len(pair) else 1.0
        found[f"{table}_called_otherwise"] = int((a[has] != b[pair[has] - 1]).sum())
        found[f"{table}_called_alike"] = float((a[has] == b[pair[has] - 1]).mean()) if has.any() else 1.0
    return found


def shifts(ours: Result, theirs: Result) -> dict[str, dict[str, float] | None]:
    """For each axis the shift of its value, 0..1, and half its 95 % interval."""
    found: dict[str, dict[str, float] | None] = {}
    for axis in AXES:
        a, b = getattr(ours.scores.scores, axis), getattr(theirs.scores.scores, axis)
        if a.value is None or b.value is None:
            found[axis] = None
        else:
            found[axis] = {"float32": a.value, "shift": b.value - a.value, "half_interval": (a.ci95[1] - a.ci95[0]) / 2}
    return found


def compare(name: str, path: Path, um_per_px: float, exact: Models, fast: Models) -> dict[str, Any]:
    with open_slide(path, um_per_px=um_per_px) as slide:
        ours, theirs = analyze_slide(slide, exact), analyze_slide(slide, fast)
    labels = ours.scores.pattern.label, theirs.scores.pattern.label
    return {"section": name, **shares(ours, theirs), "axes": shifts(ours, theirs), "pattern": labels}


def show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "section", "fibres", "found", "state alike", "nuclei", "found", "type alike", *AXES, "pattern", title="bfloat16 against float32"
    )
    for row in rows:
        counts = [
            cell
            for kind in ("fibres", "nuclei")
            for cell in (str(row[kind]), f"{row[f'{kind}_found']:.1%}", f"{row[f'{kind}_called_alike']:.1%}")
        ]
        axes = [f"{a['shift']:+.4f} of ±{a['half_interval']:.3f}" if (a := row["axes"][axis]) else "-" for axis in AXES]
        same = row["pattern"][0] if row["pattern"][0] == row["pattern"][1] else " -> ".join(row["pattern"])
        table.add_row(row["section"], *counts, *axes, same)
    Console(width=200).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", type=int, default=8)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    exact, fast = (load_models(options.models, "cpu", precision) for precision in ("float32", "bfloat16"))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        sections = [drawn_sections(options.sections, Path(scratch))]
        if options.real:
            sections.append(real_sections(options.real, Path(scratch)))
        for some in sections:
            for name, path, um_per_px in some:
                rows.append(compare(name, path, um_per_px, exact, fast))
                print(json.dumps(rows[-1]), flush=True)
    show(rows)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
