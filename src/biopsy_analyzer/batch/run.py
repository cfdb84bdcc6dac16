"""A batch: what is finished is kept, what is left is handed out, and how each slide ended is written down at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from biopsy_analyzer.batch.job import Job, Options, Outcome, is_of, stamp_of
from biopsy_analyzer.batch.journal import Entry, Journal, Work, append
from biopsy_analyzer.batch.listing import FEED, feed_line, read_scores, row_of, write_failures, write_feed, write_summary
from biopsy_analyzer.batch.lock import lock
from biopsy_analyzer.interrupts import held, requested
from biopsy_analyzer.report.atomic import check_writable, sweep
from biopsy_analyzer.report.html import write_index

Execute = Callable[[Sequence[Job], Options], Iterator[Outcome]]
"""Analyses slides, wherever that happens, and gives an outcome for each, in any order; closed early, it stops at once."""


@dataclass
class Tally:
    """How many slides ended how."""

    ok: int = 0
    review: int = 0
    failed: int = 0
    stopped: bool = False

    def add(self, outcome: Outcome) -> None:
        """Count one slide; a refused slide counts as failed."""
        if outcome.ending in ("ok", "review"):
            setattr(self, outcome.ending, getattr(self, outcome.ending) + 1)
        else:
            self.failed += 1
            self.stopped = self.stopped or outcome.stops

    @property
    def exit_code(self) -> int:
        """5 stopped by disk, models or device; 4 no slide succeeded; 3 some failed or were refused; 0 all well."""
        if self.stopped:
            return 5
        return (3 if self.ok + self.review else 4) if self.failed else 0

    def __str__(self) -> str:
        return f"{self.ok} ok, {self.review} review, {self.failed} failed"


@dataclass
class _Ended:
    """What is known of the slides so far, by id; `feed` in the order of feed.jsonl."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    feed: list[str] = field(default_factory=list)


def run_batch(jobs: Sequence[Job], options: Options, execute: Execute, tell: Callable[[Job, Outcome], None]) -> None:
    """Bring every slide to a result in `options.out`; `tell` hears of each once, of those finished earlier first.

    Finished and skipped is a slide whose bytes, settings, models and software are those of its entry in the journal and whose
    files are all there. Results and tables are the same bytes however often the batch was interrupted. A slide that fails is
    told, listed and tried again next time; one that meets a full disk or unusable models ends the batch.
    UsageError where another process uses the folder; OutputError where the folder can't be written.
    """
    out = options.out
    check_writable(out)
    with lock(out, "batch", f"the output folder {out}"):
        sweep(out)
        journal, work, ended = Journal(out), Work(options), _Ended()
        left = [again for job in jobs if (again := _left_to_do(job, journal.get(job, work.of(job)), out, ended, tell))]
        left = [replace(job, earlier_sha256=journal.earlier_sha256(job)) for job in left]
        write_feed(out, ended.feed)
        try:
            if left:
                _do(left, options, execute, journal, work, ended, tell)
            in_order = [job.id for job in jobs if job.id in ended.rows]
            if ended.feed != in_order:
                write_feed(out, in_order)
        finally:  # also when interrupted
            with held():
                write_failures(out, jobs, ended.outcomes)
                write_summary(out, jobs, ended.outcomes, ended.rows)
        write_index(out)


def _do(
    jobs: Sequence[Job],
    options: Options,
    execute: Execute,
    journal: Journal,
    work: Work,
    ended: _Ended,
    tell: Callable[[Job, Outcome], None],
) -> None:
    waiting = {job.id: job for job in jobs}
    with closing(execute(jobs, options)) as outcomes:  # type: ignore[type-var]  # iterators that are given here can be closed
        for outcome in outcomes:
            job = waiting.pop(outcome.id)
            with held():  # feed, journal, tables and what is told agree, whenever Ctrl-C comes
                if outcome.ending != "failed":
                    outcome = _note(job, outcome, options.out, journal, work, ended)
                ended.outcomes[job.id] = outcome
                tell(job, outcome)
            if requested():  # and was swallowed: a callback or __del__ that is interrupted passes nothing on
                raise KeyboardInterrupt
            if outcome.stops:
                return
    for job in waiting.values():  # whoever hands slides out: none is lost in silence
        outcome = Outcome(job.id, "failed", error="no answer came for it. Run the same command again, and report it", exit_code=1)
        ended.outcomes[job.id] = outcome
        tell(job, outcome)


def _note(job: Job, outcome: Outcome, out: Path, journal: Journal, work: Work, ended: _Ended) -> Outcome:
    """Put a result into feed and journal; gives its outcome as the journal holds it."""
    if outcome.ending == "unchanged" and (earlier := journal.get(job, work.of(job))):
        outcome = replace(earlier.outcome, parts=outcome.parts, stamp=outcome.stamp)
    document, _ = read_scores(out / job.id)
    append(out / FEED, feed_line(document))
    entry = Entry(outcome, work.of(job), row_of(document))
    journal.add(entry)
    ended.rows[job.id] = entry.row
    ended.feed.append(job.id)
    return outcome


def _left_to_do(job: Job, entry: Entry | None, out: Path, ended: _Ended, tell: Callable[[Job, Outcome], None]) -> Job | None:
    """None, and the slide noted as ended, where `entry` still holds; otherwise the job, which knows of a result that may still hold."""
    if not entry or not _is_whole(out / job.id, entry) or (job.sha256 and job.sha256 != entry.outcome.sha256):
        return job
    if entry.outcome.stamp != stamp_of(entry.outcome.parts) or not is_of(entry.outcome.parts, job.path):
        return replace(job, finished_sha256=entry.outcome.sha256)
    ended.outcomes[job.id], ended.rows[job.id] = entry.outcome, entry.row
    ended.feed.append(job.id)
    tell(job, entry.outcome)
    return None


def _is_whole(folder: Path, entry: Entry) -> bool:
    """Whether all files of a result are there in their sizes, and its scores.json can be read as it was written."""
    try:
        return files_of(folder, entry.outcome.files) == entry.outcome.files and row_of(read_scores(folder)[0]) == entry.row
    except (OSError, ValueError, KeyError, TypeError):
        return False


def files_of(folder: Path, names: Sequence[str] | dict[str, int] | None = None) -> dict[str, int]:
    """Bytes by name of a result's files (None: of all in the folder), a folder's being those of all in it; OSError if one is missing."""
    entries = sorted(folder.iterdir()) if names is None else [folder / name for name in names]
    return {entry.name: _bytes_of(entry) for entry in entries}


def _bytes_of(path: Path) -> int:
    if path.is_dir():
        return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())
    return path.stat().st_size
