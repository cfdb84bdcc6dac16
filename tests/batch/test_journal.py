"""What the journal keeps, and what counts as the same work."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from biopsy_analyzer.batch.job import Job, Options, Outcome, stamp_of
from biopsy_analyzer.batch.journal import Entry, Journal, Work, append
from biopsy_analyzer.errors import OutputError
from biopsy_analyzer.settings import ScoreSettings, Settings

JOB = Job(Path("a.svs"), "a")
ENTRY = Entry(Outcome("a", "ok", "ab", ("a.svs",), (10, 20), {"scores.json": 7}), "work", {"necrosis": 0.25, "pattern": "Müller"})


def test_what_was_added_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.get(JOB, "work") is None
    journal.add(ENTRY)
    again = Journal(tmp_path)
    assert again.get(JOB, "work") == journal.get(JOB, "work") == ENTRY
    assert again.get(JOB, "other work") is None


def test_the_last_entry_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(ENTRY)
    journal.add(Entry(Outcome("a", "review"), "work", {}))
    found = Journal(tmp_path).get(JOB, "work")
    assert found
    assert found.outcome.ending == "review"


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]\n", b'{"work": 1}\n', b"\xff\xfe\n", b'{"outcome": {"id": "a"}, "work": "work", "row": {}}\n']
)
def test_what_is_no_entry_is_passed_over(line: bytes, tmp_path: Path) -> None:
    Journal(tmp_path).add(ENTRY)
    path = tmp_path / ".biopsy-analyzer" / "journal.jsonl"
    path.write_bytes(line + path.read_bytes() + line)
    journal = Journal(tmp_path)
    assert (journal.get(JOB, "work") == ENTRY) == (line != b"{")  # half a line spoils only the one it runs into
    journal.add(ENTRY)
    assert Journal(tmp_path).get(JOB, "work") == ENTRY


@pytest.mark.fault(20)
def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    append(tmp_path / "feed.jsonl", b"x" * 900 + b"\n")
    code = "import sys; from pathlib import Path; from biopsy_analyzer.batch.journal import append; append(Path(sys.argv[1]), b'y' * 900)"
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "feed.jsonl")],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    assert "OutputError" in child.stderr
    assert "run the same command to resume" in child.stderr
    assert (tmp_path / "feed.jsonl").read_bytes() == b"x" * 900 + b"\n"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        append(tmp_path / "file" / "feed.jsonl", b"line\n")


def test_work_is_all_that_a_result_depends_on(models: Path, tmp_path: Path) -> None:
    base = Work(Options(tmp_path, models)).of(JOB)
    assert base == Work(Options(tmp_path / "elsewhere", models, time_limit_s=1)).of(Job(Path("b.svs"), "a", case_id="c"))
    others = {
        Work(Options(tmp_path, models, settings=Settings(score=ScoreSettings(seed=1)))).of(JOB),
        Work(Options(tmp_path, models, device="cpu")).of(JOB),
        Work(Options(tmp_path)).of(JOB),
        Work(Options(tmp_path, models)).of(Job(Path("a.svs"), "b")),
        Work(Options(tmp_path, models)).of(Job(Path("a.svs"), "a", um_per_px=0.5)),
    }
    assert len(others | {base}) == 6


def test_a_stamp_tells_change(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    (tmp_path / "b").write_text("de")
    size, newest = stamp_of([tmp_path / "a", tmp_path / "b"])
    assert (size, newest) == (5, max((tmp_path / name).stat().st_mtime_ns for name in "ab"))
    assert stamp_of([tmp_path / "a", tmp_path / "missing"]) == (0, 0)
