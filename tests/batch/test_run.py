"""The bookkeeping of a batch: what is kept, what is done again, what is listed; the analysis itself is a stand-in here."""

import csv
import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from batch_stub import Stub
from biopsy_analyzer import interrupts
from biopsy_analyzer.batch.job import Job, Options, Outcome
from biopsy_analyzer.batch.run import Execute, Tally, files_of, run_batch
from biopsy_analyzer.settings import ScoreSettings, Settings

Folder = dict[str, bytes]


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.txt").write_text(f"slide {name}")
    return [Job(folder / f"{name}.txt", name, case_id=f"case {name}") for name in "abcd"]


def tables(out: Path) -> Folder:
    return {name: (out / name).read_bytes() for name in ("summary.csv", "failures.json", "feed.jsonl")}


def run(jobs: Sequence[Job], out: Path, execute: Execute, settings: Settings = Settings()) -> Tally:  # noqa: B008
    tally = Tally()
    run_batch(jobs, Options(out, settings=settings), execute, lambda job, outcome: tally.add(outcome))
    return tally


def backwards(stub: Stub) -> Execute:
    return lambda jobs, options: stub(list(reversed(jobs)), options)


def test_every_slide_is_in_the_tables_in_the_order_given(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    tally = run(jobs, tmp_path / "out", backwards(stub))
    assert (str(tally), tally.exit_code, stub.done) == ("4 ok, 0 review, 0 failed", 0, ["d", "c", "b", "a"])
    summary = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert summary["slide_id"].tolist() == ["a", "b", "c", "d"]
    assert summary["case_id"].tolist() == ["case a", "case b", "case c", "case d"]
    assert summary["median_min_feret_um"].tolist() == [40.25] * 4
    assert set(summary["intended_use"]) == {"research_use_only"}
    feed = [json.loads(line) for line in (tmp_path / "out" / "feed.jsonl").read_text().splitlines()]
    assert feed == [json.loads((tmp_path / "out" / name / "scores.json").read_text()) for name in "abcd"]


def test_the_summary_has_six_digits_and_what_is_resumed_the_same(
    jobs: list[Job], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal keeps every digit, as those of earlier versions do."""
    monkeypatch.setattr("batch_stub.AREA_MM2", 2 / 3)
    run(jobs[:2], tmp_path / "out", stub)
    run(jobs, tmp_path / "out", stub)
    run(jobs, tmp_path / "undisturbed", Stub())
    assert tables(tmp_path / "out") == tables(tmp_path / "undisturbed")
    with (tmp_path / "out" / "summary.csv").open() as file:
        assert {row["tissue_area_mm2"] for row in csv.DictReader(file)} == {"0.666667"}
    assert b"0.6666666666666666" in (tmp_path / "out" / ".biopsy-analyzer" / "journal.jsonl").read_bytes()


def test_a_slide_without_an_answer_is_not_lost_in_silence(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    tally = run(jobs, tmp_path / "out", lambda left, options: stub(left[1:], options))
    assert (str(tally), tally.exit_code) == ("3 ok, 0 review, 1 failed", 3)
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())["failures"]
    assert (failure["slide_id"], failure["exit_code"]) == ("a", 1)
    assert str(run(jobs, tmp_path / "out", stub)) == "4 ok, 0 review, 0 failed"


@pytest.mark.fault(21)
def test_what_is_finished_is_not_done_again(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    run(jobs[:2], tmp_path / "out", stub)
    tally = run(jobs, tmp_path / "out", stub)
    assert (stub.done, str(tally)) == (["a", "b", "c", "d"], "4 ok, 0 review, 0 failed")
    run(jobs, tmp_path / "undisturbed", Stub())
    assert tables(tmp_path / "out") == tables(tmp_path / "undisturbed")


def test_other_settings_or_pixel_size_are_other_work(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    run(jobs[:1], tmp_path / "out", stub)
    run(jobs[:1], tmp_path / "out", stub, Settings(score=ScoreSettings(seed=1)))
    run([Job(jobs[0].path, "a", um_per_px=0.25)], tmp_path / "out", stub)
    assert stub.done == ["a", "a", "a"]


def test_a_slide_that_was_touched_is_hashed_and_one_that_was_changed_is_done_again(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    run(jobs, tmp_path / "out", stub)
    before = tables(tmp_path / "out")
    jobs[0].path.write_text("slide a")
    given: list[str | None] = []

    def watched(left: Sequence[Job], options: Options) -> Iterator[Outcome]:
        given.extend(job.finished_sha256 for job in left)
        return stub(left, options)

    run(jobs, tmp_path / "out", watched)
    assert (given, tables(tmp_path / "out")) == (["slide a"], before)
    run(jobs, tmp_path / "out", watched)
    assert given == ["slide a"]  # the new time of change is noted
    jobs[0].path.write_text("another slide")
    run(jobs, tmp_path / "out", watched)
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["sha256"][0] == "another slide"


@pytest.mark.fault(17)
def test_another_slide_of_the_same_id_is_not_taken_for_the_finished_one(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    """Two slides of one name, given one run after the other: the second is looked at, and so is one that was only moved."""
    run(jobs[:1], tmp_path / "out", stub)
    given: list[tuple[str | None, str | None]] = []

    def watched(left: Sequence[Job], options: Options) -> Iterator[Outcome]:
        given.extend((job.finished_sha256, job.earlier_sha256) for job in left)
        return stub(left, options)

    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "a.txt"
    for content in ("slide a", "another slide"):
        moved.write_text(content)
        run([Job(moved, "a")], tmp_path / "out", watched)
    assert given == [("slide a", None), ("slide a", "slide a")]


class WithTable(Stub):
    """Leaves a second file in each result."""

    def analyse(self, job: Job, out: Path) -> Outcome:
        outcome = super().analyse(job, out)
        (out / job.id / "fibres.csv").write_text("fibre_id\n")
        return replace(outcome, files=files_of(out / job.id))


@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "other file missing", "other file cut"])
def test_a_result_that_is_not_whole_is_made_again(damage: str, jobs: list[Job], tmp_path: Path) -> None:
    stub, out = WithTable(), tmp_path / "out"
    run(jobs, out, stub)
    before, scores, table = tables(out), out / "b" / "scores.json", out / "b" / "fibres.csv"
    whole = scores.read_bytes()
    if damage == "missing":
        scores.unlink()
    elif damage == "cut":
        scores.write_bytes(whole[:-9])
    elif damage == "changed":
        scores.write_bytes(whole.replace(b"40.25", b"41.25"))
    elif damage == "other file missing":
        table.unlink()
    else:
        table.write_text("")
    run(jobs, out, stub)
    assert stub.done == ["a", "b", "c", "d", "b"]
    assert tables(out) == before
    assert (scores.read_bytes(), table.read_text()) == (whole, "fibre_id\n")


@pytest.mark.fault(22)
@pytest.mark.parametrize("moment", range(1, 12))
def test_ctrl_c_at_any_write_leaves_tables_journal_and_tally_that_agree(
    moment: int, jobs: list[Job], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGINT just after the disk has taken a line: of feed or journal, or one of the tables at the end."""
    writes, really = iter(range(100)), os.fsync

    def write_and_interrupt(descriptor: int) -> None:
        really(descriptor)
        if next(writes) == moment:
            signal.raise_signal(signal.SIGINT)

    out, tally = tmp_path / "out", Tally()
    monkeypatch.setattr(os, "fsync", write_and_interrupt)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in the background has it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            run_batch(jobs, Options(out), stub, lambda job, outcome: tally.add(outcome))
    finally:
        signal.signal(signal.SIGINT, usual)
    journal = out / ".biopsy-analyzer" / "journal.jsonl"
    finished = [json.loads(line)["outcome"]["id"] for line in journal.read_text().splitlines()] if journal.exists() else []
    rows = pd.read_csv(out / "summary.csv")["slide_id"].tolist()
    assert rows == finished == [json.loads(line)["slide"]["id"] for line in (out / "feed.jsonl").read_text().splitlines()]
    assert tally.ok == len(finished)
    run(jobs, out, stub)
    run(jobs, tmp_path / "undisturbed", Stub())
    assert tables(out) == tables(tmp_path / "undisturbed")


def test_a_failing_slide_is_a_row_and_tried_again_next_time(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    jobs[1].path.write_text("bad")
    tally = run(jobs, tmp_path / "out", stub)
    assert (str(tally), tally.exit_code) == ("3 ok, 0 review, 1 failed", 3)
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())["failures"]
    wanted = {"slide_id": "b", "file": str(jobs[1].path), "case_id": "case b", "error": "not a slide", "exit_code": 3}
    assert failure == wanted
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["status"].tolist() == ["ok", "failed", "ok", "ok"]
    jobs[1].path.write_text("mended")
    assert run(jobs, tmp_path / "out", stub).exit_code == 0
    assert stub.done == ["a", "b", "c", "d", "b"]
    assert json.loads((tmp_path / "out" / "failures.json").read_text())["failures"] == []


def test_the_others_are_as_without_the_bad_slide(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    run(jobs[:1] + jobs[2:], tmp_path / "without", Stub())
    jobs[1].path.write_text("bad")
    run(jobs, tmp_path / "with", stub)
    assert (tmp_path / "with" / "feed.jsonl").read_bytes() == (tmp_path / "without" / "feed.jsonl").read_bytes()


@pytest.mark.fault(37)
def test_a_refused_slide_counts_as_failed_every_time_but_is_analysed_once(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    jobs[0].path.write_text("blank")
    for _ in range(2):
        tally = run(jobs[:1], tmp_path / "out", stub)
        assert (str(tally), tally.exit_code) == ("0 ok, 0 review, 1 failed", 4)
        assert json.loads((tmp_path / "out" / "failures.json").read_text())["failures"][0]["error"] == "No tissue"
    assert stub.done == ["a"]


@pytest.mark.fault(20)
def test_a_full_disk_ends_the_batch_and_the_rest_is_done_next_time(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    jobs[1].path.write_text("full")
    tally = run(jobs, tmp_path / "out", stub)
    assert (tally.exit_code, stub.done) == (5, ["a", "b"])
    jobs[1].path.write_text("slide b")
    assert run(jobs, tmp_path / "out", stub).exit_code == 0
    run(jobs, tmp_path / "undisturbed", Stub())
    assert tables(tmp_path / "out") == tables(tmp_path / "undisturbed")


@pytest.mark.fault(22)
def test_an_interrupted_batch_says_what_it_has_and_stops_its_workers(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    ended: list[str] = []

    def interrupted(left: Sequence[Job], options: Options) -> Iterator[Outcome]:
        try:
            yield stub.analyse(left[0], options.out)
            raise KeyboardInterrupt
        finally:
            ended.append("workers")

    with pytest.raises(KeyboardInterrupt):
        run(jobs, tmp_path / "out", interrupted)
    assert ended == ["workers"]
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["slide_id"].tolist() == ["a"]
    run(jobs, tmp_path / "out", stub)
    assert stub.done == ["b", "c", "d"]


@pytest.mark.fault(22)
def test_a_request_that_a_finalizer_swallowed_stops_the_batch_after_the_slide(
    jobs: list[Job], stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallowing(left: Sequence[Job], options: Options) -> Iterator[Outcome]:
        for outcome in stub(left, options):
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            yield outcome

    monkeypatch.setattr(interrupts, "_asked_at", None)
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        interrupts.listen()
        with pytest.raises(KeyboardInterrupt), interrupts.in_order():
            run(jobs, tmp_path / "out", swallowing)
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["slide_id"].tolist() == stub.done == ["a"]


def test_half_a_line_in_journal_and_feed_is_no_harm(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    run(jobs[:2], tmp_path / "out", stub)
    before = tables(tmp_path / "out")
    journal, feed = tmp_path / "out" / ".biopsy-analyzer" / "journal.jsonl", tmp_path / "out" / "feed.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    feed.write_bytes(feed.read_bytes()[:-20])
    run(jobs[:2], tmp_path / "out", stub)
    assert stub.done == ["a", "b", "b"]
    assert tables(tmp_path / "out") == before
    run(jobs[:2], tmp_path / "out", stub)
    assert stub.done == ["a", "b", "b"]


def test_left_overs_of_a_killed_run_are_swept(jobs: list[Job], stub: Stub, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".writing-99-feed.jsonl.tmp").write_text("half")
    run(jobs, out, stub)
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == ["failures.json", "feed.jsonl", "index.html", "summary.csv"]


@pytest.mark.parametrize(("endings", "code"), [("oo", 0), ("or", 0), ("rf", 3), ("ff", 4), ("", 0)])  # o: ok, r: review, f: failed
def test_exit_codes(endings: str, code: int) -> None:
    tally = Tally()
    for letter in endings:
        tally.add({"o": Outcome("x", "ok"), "r": Outcome("x", "review"), "f": Outcome("x", "failed", exit_code=3)}[letter])
    assert tally.exit_code == code
