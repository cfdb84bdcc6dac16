"""Requests to stop, at moments that no clock could meet: a module that is imported, or a line of the program, makes them."""

import signal
import subprocess
import sys

import pytest

MEETING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background, which ignores it

class Meeting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Meeting())
sys.argv = ["biopsy-analyzer", "batch", "nowhere.svs", "-o", "out"]
from biopsy_analyzer.__main__ import main
main()
"""

STOPPING = """
import signal, sys
from biopsy_analyzer import interrupts
from biopsy_analyzer.terminal import errors_in_one_line

signal.signal(signal.SIGINT, signal.{at_first})
interrupts.GRACE_S = {grace}
interrupts.listen()
with errors_in_one_line("a.svs", None):
    try:
        signal.raise_signal(signal.{which})
        print("went on")
    finally:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        print("tables written", flush=True)
"""

HANGING = """
import os, signal
from biopsy_analyzer import interrupts

signal.signal(signal.SIGINT, signal.default_int_handler)
interrupts.GRACE_S = 0
interrupts.listen()
with interrupts.in_order(), interrupts.held():
    print("held", flush=True)
    os.write(2, bytes(1 << 22))
"""


def run(code: str, folder: object = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=folder)  # type: ignore[call-overload]


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    "module", ["typer", "biopsy_analyzer.cli.batch", "biopsy_analyzer.batch.inputs", "numpy", "biopsy_analyzer.slide.kind"]
)
def test_ctrl_c_while_a_command_starts_is_one_line(module: str, tmp_path: object) -> None:
    done = run(MEETING.format(module=module), tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr in [f"ERROR {name}: interrupted. Run the same command again.\n" for name in ("biopsy-analyzer", "batch")]


@pytest.mark.fault(22)
@pytest.mark.parametrize("which", ["SIGINT", "SIGTERM"])
def test_requests_that_follow_at_once_are_the_same(which: str) -> None:
    """As `timeout` sends two, and as hands press twice."""
    done = run(STOPPING.format(at_first="default_int_handler", grace=600, which=which))
    assert (done.returncode, done.stdout) == (130, "tables written\n")
    assert done.stderr == "ERROR a.svs: interrupted. Run the same command again.\n"


@pytest.mark.fault(22)
def test_a_later_one_ends_what_does_not_end() -> None:
    done = run(STOPPING.format(at_first="default_int_handler", grace=-1, which="SIGINT"))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.fault(22)
def test_a_later_one_ends_a_step_that_hangs_on_a_line_that_nobody_reads() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"held\n"
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 130
        finally:
            process.kill()


def test_what_a_shell_has_ignored_for_its_background_stays_ignored() -> None:
    done = run(STOPPING.format(at_first="SIG_IGN", grace=600, which="SIGINT"))
    assert (done.returncode, done.stdout) == (130, "went on\n")  # and heard what it had not: SIGTERM


def test_what_a_request_breaks_is_not_taken_for_a_bug(tmp_path: object) -> None:
    """An import may make another error of it."""
    code = STOPPING.format(at_first="default_int_handler", grace=600, which="SIGINT")
    code = code.replace('        print("went on")\n    finally:', "    except KeyboardInterrupt:\n        raise ImportError\n    finally:")
    done = run(code, tmp_path)
    assert (done.returncode, done.stderr) == (130, "ERROR a.svs: interrupted. Run the same command again.\n")


def test_nobody_who_uses_the_package_gets_our_handlers() -> None:
    code = "import signal, biopsy_analyzer.cli as c; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    assert run(code).stdout == "True\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
