"""Long campaigns against a batch, by one command: kills at random moments, and mutants of slides.

    python benchmarks/campaigns.py [--kills 50] [--mutants 1000] [--seed 0]

Kills: a real batch is ended by SIGKILL (the command alone, or with its workers) at random moments and run again, until so many kills
have met; each finished output must be, to the byte, that of an undisturbed run. Mutants: damaged copies of a slide go through a real
batch; each must end as a result or as one of our errors, within 30 s (20 times the whole slide's, where that is more: the machine is
busy) and twice its memory. Exit code 1 if one does not.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from biopsy_analyzer.batch.job import Job, Options, Outcome  # noqa: E402
from biopsy_analyzer.batch.local import run_locally  # noqa: E402
from biopsy_analyzer.batch.run import run_batch  # noqa: E402
from biopsy_analyzer.terminal import LOG  # noqa: E402
from sections import paint, save  # noqa: E402
from tiny_models import write_tiny_models  # noqa: E402

MUTANT_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_tiny_models(Path(folder) / "models")
        failed = kill_campaign(Path(folder), given.kills, random.Random(given.seed)) if given.kills else 0
        failed += mutant_campaign(Path(folder), given.mutants, given.seed) if given.mutants else 0
    raise SystemExit(bool(failed))


def kill_campaign(folder: Path, kills: int, rng: random.Random) -> int:
    """How many outputs of interrupted batches differ from the undisturbed one."""
    (folder / "in").mkdir()
    for number in range(3):
        save(paint(2, 3 + number, {}, []).rgb, folder / "in" / f"s{number}.png")
    began = time.monotonic()
    start(folder, "undisturbed").wait()
    whole_s = time.monotonic() - began
    wanted, done, finished, differing = contents(folder / "undisturbed"), 0, 0, 0
    while done < kills:
        process = start(folder, f"out{finished}")
        try:
            process.wait(rng.uniform(0.05, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            end(process, rng.random() < 0.5)
            done += 1
            continue
        finished += 1
        differing += contents(folder / f"out{finished - 1}") != wanted
    process = start(folder, f"out{finished}")
    process.wait()
    differing += contents(folder / f"out{finished}") != wanted
    print(f"{done} kills, {finished + 1} outputs finished after them, {differing} differ from an undisturbed run")
    return differing


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    arguments = ["in", "--mpp", "0.5", "--models", "models", "-o", out, "--workers", "2", "--quiet"]
    return subprocess.Popen([sys.executable, "-m", "biopsy_analyzer", "batch", *arguments], cwd=folder)


def end(process: subprocess.Popen[bytes], with_workers: bool) -> None:
    workers = psutil.Process(process.pid).children(recursive=True) if with_workers else []
    process.kill()
    for worker in workers:
        worker.kill()
    process.wait()


def contents(out: Path) -> dict[str, bytes]:
    """All files of an output but the log, and the journal, whose lines follow the order in which slides ended."""
    inside = (path for path in out.rglob("*") if path.is_file() and path.name not in (LOG, "journal.jsonl"))
    return {str(path.relative_to(out)): path.read_bytes() for path in inside}


def mutant_campaign(folder: Path, mutants: int, seed: int) -> int:
    """How many mutants ended otherwise than as a result or as one of our errors."""
    slides = folder / "mutants"
    slides.mkdir()
    clean = (folder / "clean.tif", *(slides / f"m{number}.tif" for number in range(mutants)))
    write_slide(clean[0])
    content = clean[0].read_bytes()
    kinds = {path.stem: mutate(content, path, np.random.default_rng([seed, number])) for number, path in enumerate(clean[1:])}
    out, models = folder / "out-mutants", folder / "models"
    outcomes: list[Outcome] = []
    workers = max(1, (os.cpu_count() or 1) // 2)
    memory, seconds = whole(clean[0], Options(out, models))
    run_batch(
        [Job(path, path.stem, um_per_px=0.5) for path in clean[1:]],
        Options(out, models, time_limit_s=max(MUTANT_S, 20 * seconds), memory_limit_bytes=2 * memory),
        lambda jobs, given: run_locally(jobs, given, workers),
        lambda job, outcome: outcomes.append(outcome),
    )
    bad = [outcome for outcome in outcomes if outcome.exit_code not in (0, 3) or "tried 2 times" in outcome.error]
    endings = Counter(f"{kinds[outcome.id]}: {outcome.ending}" for outcome in outcomes)
    print(f"{len(outcomes)} mutants, {len(bad)} of them ended badly; memory of the whole slide {memory / 2**20:.0f} MiB")
    print("\n".join(f"  {ending:24} {count}" for ending, count in sorted(endings.items())))
    print("\n".join(f"  {kinds[outcome.id]} {outcome.id}: {outcome.error}" for outcome in bad))
    return len(bad)


def write_slide(path: Path) -> None:
    """A painted section as a tiled pyramid."""
    rgb = paint(8, 10, {}, []).rgb
    with tifffile.TiffWriter(path) as writer:
        options = {"tile": (128, 128), "photometric": "rgb", "compression": "jpeg", "metadata": None}
        writer.write(rgb, **options)
        writer.write(rgb[::2, ::2], subfiletype=1, **options)


def mutate(content: bytes, path: Path, rng: np.random.Generator) -> str:
    """Write a damaged copy; gives the kind of damage."""
    bad = np.frombuffer(content, np.uint8).copy()
    kind = ("bytes", "head", "zeros", "cut", "swap")[int(rng.integers(5))]
    start, length = int(rng.integers(len(bad))), int(rng.integers(1, len(bad) // 20))
    if kind in ("bytes", "head"):
        where = rng.integers(0, len(bad) if kind == "bytes" else min(1500, len(bad)), int(rng.integers(1, 9)))
        bad[where] = rng.integers(0, 256, len(where))
    elif kind == "zeros":
        bad[start : start + length] = 0
    elif kind == "cut":
        bad = bad[:start]
    else:
        other = int(rng.integers(len(bad) - length))
        part = bad[start : start + length].copy()
        bad[start : start + length], bad[other : other + len(part)] = bad[other : other + len(part)].copy(), part
    path.write_bytes(bad.tobytes())
    return kind


def whole(path: Path, options: Options) -> tuple[int, float]:
    """Bytes that a worker holds at most while it analyses the whole slide, and the seconds that takes with its start."""
    peak = 0
    process: list[psutil.Process] = []

    def look(_: str, share: float) -> None:
        nonlocal peak
        process[:] = process or psutil.Process().children()
        peak = max(peak, *(child.memory_info().rss for child in process))

    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    (outcome,) = run_locally([Job(path, "clean", um_per_px=0.5)], options, 1, look)
    if outcome.exit_code:
        raise SystemExit(f"the whole slide failed: {outcome.error}")
    return peak, time.monotonic() - began


if __name__ == "__main__":
    main()
