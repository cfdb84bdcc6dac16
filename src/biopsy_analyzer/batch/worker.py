"""The process that analyses slides one after the other: jobs come in as lines of JSON, answers go out as lines of JSON.

A reader or a library that crashes ends this process and no other, and the networks stay loaded from slide to slide. It ends as soon
as the process that started it is gone: otherwise two runs could write into one folder.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO

from biopsy_analyzer.batch.job import Job, Options, Outcome, job_of, options_of, stamp_of, to_line
from biopsy_analyzer.batch.one import analyze_file
from biopsy_analyzer.batch.run import files_of
from biopsy_analyzer.errors import BiopsyAnalyzerError, ModelError, OutputError
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.terminal import log_traceback

STAGES = ("fibres", "nuclei", "measure")
ORPHAN_WAIT_S = 600.0
"""How long a slide waits for another process at its result: on a cluster the worker of a command that was killed ends its slide first."""


def main() -> None:
    """Serve standard input until it ends: options first, then a job a line; an answer's line is {"share": 0..1} or {"outcome": ...}."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    faulthandler.enable()
    lines: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(lines,), daemon=True).start()
    options = options_of(lines.get())
    while True:
        job = job_of(lines.get())
        outcome = _analyse(job, options, _share_teller(answers))
        answers.write(json.dumps({"outcome": to_line(outcome)}).encode() + b"\n")


def _listen(lines: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)  # also in the middle of an analysis


def _share_teller(answers: BinaryIO) -> Callable[[str, int, int], None]:
    """A progress callback that sends the share done, in steps of at least a hundredth."""
    shares = dict.fromkeys(STAGES, 0.0)
    told = 0.0

    def move(stage: str, done: int, total: int) -> None:
        nonlocal told
        shares[stage] = done / total if total else 1.0
        share = sum(shares[name] for name in STAGES) / len(STAGES)
        if share - told >= 0.01:
            told = share
            answers.write(json.dumps({"share": share}).encode() + b"\n")

    return move


def _analyse(job: Job, options: Options, progress: Callable[[str, int, int], None]) -> Outcome:
    try:
        return _done(job, options, progress)
    except BiopsyAnalyzerError as error:
        return _failed(job, str(error), error.exit_code, stops=isinstance(error, OutputError | ModelError))
    except MemoryError:
        return _failed(job, "not enough memory. Use fewer --workers, or a machine with more", 3)
    except Exception as error:
        log = log_traceback(options.out)
        return _failed(job, f"unexpected {type(error).__name__}: {error}. Please report it with {log.name}", 1)


def _done(job: Job, options: Options, progress: Callable[[str, int, int], None]) -> Outcome:
    if job.finished_sha256:
        with open_slide(job.path, um_per_px=job.um_per_px) as slide:
            if slide.sha256 == job.finished_sha256:
                return Outcome(job.id, "unchanged", slide.sha256, tuple(map(str, slide.files)), stamp_of(slide.files))
    analysed = analyze_file(
        job.path,
        options.out,
        um_per_px=job.um_per_px,
        models=options.models,
        device=options.device,
        settings=options.settings,
        slide_id=job.id,
        sha256=job.sha256,
        earlier_sha256=job.earlier_sha256,
        progress=progress,
        wait_s=ORPHAN_WAIT_S,
    )
    return Outcome(
        job.id,
        analysed.document["status"],
        analysed.document["slide"]["sha256"],
        tuple(map(str, analysed.parts)),
        analysed.stamp,
        files_of(analysed.folder),
        analysed.refusal,
        exit_code=3 if analysed.refusal else 0,
    )


def _failed(job: Job, error: str, exit_code: int, stops: bool = False) -> Outcome:
    return Outcome(job.id, "failed", error=error.removeprefix(f"{job.path.name}: "), exit_code=exit_code, stops=stops)
