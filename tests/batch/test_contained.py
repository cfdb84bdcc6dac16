"""A worker that dies, hangs or grows is replaced; real processes, ended by real signals."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import psutil
import pytest

from biopsy_analyzer.batch.contained import Contained
from biopsy_analyzer.batch.job import Job, Options, Outcome, to_line
from biopsy_analyzer.batch.local import run_locally, usual_workers
from biopsy_analyzer.errors import OutputError
from biopsy_analyzer.terminal import LOG


@pytest.fixture
def job(painted: Path) -> Job:
    return Job(painted, "painted", um_per_px=0.5)


@pytest.fixture
def options(models: Path, tmp_path: Path) -> Options:
    return Options(tmp_path, models)


@pytest.fixture
def contained(options: Options) -> Iterator[Callable[..., Contained]]:
    made: list[Contained] = []

    def make(**limits: float) -> Contained:
        made.append(Contained(replace(options, **limits)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.stop()


def workers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile, or was killed and is not yet buried
            found += [process] if any("batch.worker" in part for part in process.cmdline()) else []
    return found


def whenever_one_starts(act: Callable[[psutil.Process], None], times: int) -> Thread:
    """Do `act` to so many of the workers that come up, which takes each of them seconds to be of use."""

    def watch() -> None:
        seen: set[int] = set()
        while len(seen) < times:
            for process in workers():
                if process.pid not in seen:
                    seen.add(process.pid)
                    act(process)
            time.sleep(0.05)

    thread = Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_worker_stays_for_the_next_slide_and_tells_how_far_it_is(job: Job, contained: Callable[..., Contained]) -> None:
    one, shares = contained(), list[float]()
    first = one.analyse(job, shares.append)
    assert (first.ending, first.error) == ("review", "")
    assert first.files["scores.json"] > 0
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    (before,) = workers()
    assert one.analyse(Job(Path("missing.svs"), "missing")) == Outcome(
        "missing", "failed", error="can't be found or reached (No such file or directory). Check the path.", exit_code=3
    )
    assert one.analyse(replace(job, finished_sha256=first.sha256)).ending == "unchanged"
    assert workers() == [before]
    one.stop()
    before.wait(10)


@pytest.mark.fault(24)
def test_a_worker_killed_once_is_tried_again(job: Job, contained: Callable[..., Contained]) -> None:
    thread = whenever_one_starts(lambda process: process.kill(), times=1)
    assert contained().analyse(job).ending == "review"
    thread.join(10)


@pytest.mark.fault(24)
def test_a_worker_killed_twice_fails_its_slide_and_the_next_is_analysed(job: Job, contained: Callable[..., Contained]) -> None:
    whenever_one_starts(lambda process: process.kill(), times=2)
    one = contained()
    outcome = one.analyse(job)
    assert (outcome.ending, outcome.exit_code) == ("failed", 3)
    assert outcome.error.startswith("its process was ended by SIGKILL")
    assert one.analyse(job).ending == "review"


@pytest.mark.fault(24)
def test_a_worker_that_hangs_is_ended(job: Job, contained: Callable[..., Contained]) -> None:
    whenever_one_starts(lambda process: process.suspend(), times=2)
    outcome = contained(time_limit_s=1.2).analyse(job)
    assert outcome.error == "took longer than 0.02 min, tried 2 times. Give more with --time-limit"


@pytest.mark.fault(24)
def test_a_worker_that_needs_too_much_memory_is_ended(job: Job, contained: Callable[..., Contained]) -> None:
    error = "needed more than 0.000977 GiB of memory, tried 2 times. Use fewer --workers, or a machine with more"
    assert contained(memory_limit_bytes=2**20).analyse(job).error == error


def test_a_worker_ends_with_who_started_it(job: Job, options: Options) -> None:
    """In the middle of an analysis too: a second run must not meet it in the output folder."""
    code = (
        "import sys; from biopsy_analyzer.batch.contained import Contained; from biopsy_analyzer.batch.job import job_of, options_of\n"
        "Contained(options_of(sys.argv[1])).analyse(job_of(sys.argv[2]))"
    )
    starter = psutil.Popen([sys.executable, "-c", code, to_line(options), to_line(job)])
    while not (started := starter.children()):
        assert starter.poll() is None
        time.sleep(0.02)
    (worker,) = started
    starter.kill()
    starter.wait()
    worker.wait(60)


@pytest.mark.fault(28)
def test_slides_go_to_several_workers_and_each_comes_back_once(painted: Path, options: Options) -> None:
    jobs = [Job(painted, f"s{n}", um_per_px=0.5) for n in range(3)]
    outcomes = list(run_locally(jobs, options, workers=2))
    assert sorted(outcome.id for outcome in outcomes) == ["s0", "s1", "s2"]
    tables = {(options.out / outcome.id / "fibres.parquet").read_bytes() for outcome in outcomes}
    assert len(tables) == 1
    assert workers() == []


def test_closing_ends_the_workers(painted: Path, options: Options) -> None:
    outcomes = run_locally([Job(Path(f"missing{n}"), f"s{n}") for n in range(2)] + [Job(painted, "last", um_per_px=0.5)], options, 1)
    assert next(outcomes).id == "s0"
    (worker,) = workers()
    outcomes.close()  # type: ignore[attr-defined]
    worker.wait(10)


def test_there_is_always_a_worker() -> None:
    assert usual_workers() >= 1


@pytest.mark.fault(20)
def test_a_log_that_cannot_be_made_is_no_bug(job: Job, options: Options) -> None:
    (options.out / LOG).mkdir()
    with pytest.raises(OutputError, match=r"can't write .*biopsy-analyzer\.log: Is a directory\. Free space, then run the same command"):
        list(run_locally([job], options, workers=1))
    assert workers() == []
