"""Slides of a batch on this machine: so many worker processes at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread

import psutil

from biopsy_analyzer.batch.contained import Contained
from biopsy_analyzer.batch.job import Job, Options, Outcome
from biopsy_analyzer.terminal import LOG

WORKER_BYTES = 4 * 2**30
"""Memory that a worker is reckoned with where --workers is not given. Prior."""

MEMORY_SHARE = 0.9
"""Of the machine's memory that all workers together may hold. Prior."""


def usual_workers() -> int:
    """Half as many as there are cores, since reading and labelling overlap with the network, and no more than memory lasts for."""
    return max(1, min(cores() // 2, int(psutil.virtual_memory().total // WORKER_BYTES)))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_locally(
    jobs: Sequence[Job], options: Options, workers: int, tell_share: Callable[[str, float], None] = lambda id, share: None
) -> Iterator[Outcome]:
    """Outcomes as they come; `tell_share` hears, from other threads, how much of a slide is done. Closing kills the workers."""
    if options.memory_limit_bytes is None:
        options = replace(options, memory_limit_bytes=int(MEMORY_SHARE * psutil.virtual_memory().total / workers))
    todo = deque(jobs)
    outcomes: SimpleQueue[Outcome | BaseException] = SimpleQueue()
    hands = [Contained(options, max(1, cores() // workers)) for _ in range(min(workers, len(jobs)))]
    try:
        for hand in hands:
            Thread(target=_work, args=(hand, todo, outcomes, tell_share), daemon=True).start()
        for _ in jobs:
            outcome = outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        todo.clear()
        for hand in hands:
            hand.stop()
        log = options.out / LOG
        if log.is_file() and not log.stat().st_size:
            log.unlink()


def _work(
    hand: Contained, todo: deque[Job], outcomes: SimpleQueue[Outcome | BaseException], tell_share: Callable[[str, float], None]
) -> None:
    try:
        while True:
            try:
                job = todo.popleft()
            except IndexError:
                return
            outcomes.put(hand.analyse(job, lambda share, id=job.id: tell_share(id, share)))  # type: ignore[misc]  # bound early
    except BaseException as error:  # ours: to be seen where the batch runs
        outcomes.put(error)
