"""A lock that ends with its process, in real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from biopsy_analyzer.batch.lock import PLACE, lock
from biopsy_analyzer.errors import OutputError, UsageError

HOLD = (
    "import sys, time; from pathlib import Path; from biopsy_analyzer.batch.lock import lock\n"
    "with lock(Path(sys.argv[1]), 'batch', 'it'):\n  print('held', flush=True); time.sleep(60)"
)


def holder(out: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.fault(23)
def test_the_second_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        try:
            with (
                pytest.raises(UsageError, match=rf"^the folder is in use by process {first.pid} on "),
                lock(tmp_path, "batch", "the folder"),
            ):
                pass
        finally:
            first.kill()


@pytest.mark.fault(23)
def test_a_dead_holder_is_no_holder(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert (tmp_path / PLACE / "batch.lock").exists()
        with lock(tmp_path, "batch", "it"):
            assert (tmp_path / PLACE / "batch.lock").read_text().startswith(f"process {os.getpid()} on ")


def test_who_waits_gets_it_when_the_first_ends(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        with lock(tmp_path, "batch", "it", wait_s=30):
            pass


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with lock(tmp_path, "batch", "it"), lock(tmp_path, "slide", "another"):
        assert len(list((tmp_path / PLACE).iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


MANY = (
    "import sys; from pathlib import Path; from biopsy_analyzer.batch.lock import lock\n"
    "for _ in range(400):\n  with lock(Path(sys.argv[1]), sys.argv[2], 'it'):\n    pass"
)


def test_many_who_come_and_go_side_by_side_do_not_meet(tmp_path: Path) -> None:
    """As `analyze` run by a workflow engine: one makes the folder of locks in the moment in which another takes it away."""
    processes = [subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path), name], stderr=subprocess.PIPE) for name in "abcd"]
    assert [process.communicate()[1] for process in processes] == [b""] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / PLACE).write_text("a file")
    with pytest.raises(OutputError, match="can't write into"), lock(tmp_path, "batch", "it"):
        pass


@pytest.mark.fault(18)
@pytest.mark.parametrize("link", [PLACE, f"{PLACE}/batch.lock"])
def test_a_link_that_leads_nowhere_is_said(tmp_path: Path, link: str) -> None:
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "nowhere" / "x")
    with pytest.raises(OutputError, match=r"is a link that leads nowhere\. Remove it"), lock(tmp_path, "batch", "it"):
        pass
    assert not (tmp_path / "nowhere").exists()
