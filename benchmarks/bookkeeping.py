"""What a batch costs besides the analyses: simulated slides through the real journal, feed and tables, by one command.

    PYTHONPATH=src:tests python benchmarks/bookkeeping.py [SLIDES ...]

The analysis is a stand-in that writes a small scores.json; all else is the code of `biopsy-analyzer batch`. Each number of slides is done
once from nothing and once more with all of it finished; linear bookkeeping has the same ms per slide whatever their number.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from batch_stub import Stub  # noqa: E402
from biopsy_analyzer.batch.job import Job, Options  # noqa: E402
from biopsy_analyzer.batch.run import run_batch  # noqa: E402


def main(numbers: list[int]) -> None:
    print("| slides | from nothing, CPU ms a slide | all finished, CPU ms a slide | journal + feed + tables, kB a slide |")
    print("| --- | --- | --- | --- |")
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            print(measured(Path(folder), number), flush=True)


def measured(folder: Path, number: int) -> str:
    """A row of the table."""
    (folder / "in").mkdir()
    jobs = [Job(folder / "in" / f"s{n:07}.svs", f"s{n:07}", case_id=f"case {n // 3}") for n in range(number)]
    for job in jobs:
        job.path.write_text(job.id)
    times = [spent(jobs, folder / "out") for _ in range(2)]
    files = [
        folder / "out" / name for name in (".biopsy-analyzer/journal.jsonl", "feed.jsonl", "summary.csv", "failures.json", "index.html")
    ]
    size = sum(file.stat().st_size for file in files)
    return f"| {number} | {1000 * times[0] / number:.2f} | {1000 * times[1] / number:.2f} | {size / number / 1000:.2f} |"


def spent(jobs: list[Job], out: Path) -> float:
    """CPU seconds of one run."""
    began = time.process_time()
    ended = []
    run_batch(jobs, Options(out), Stub(), lambda job, outcome: ended.append(outcome))
    assert len(ended) == len(jobs)
    return time.process_time() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slides", nargs="*", type=int, default=[100, 1000, 10_000])
    main(parser.parse_args().slides)
