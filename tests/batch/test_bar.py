"""The bar of a batch in a real terminal."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

CODE = """
import sys, time
from biopsy_analyzer.terminal import BatchBar, write_error
with BatchBar(4, hidden=len(sys.argv) > 1) as bar:
    bar.work_begins()
    bar.slide_moved("a", 0.5)
    time.sleep(0.3)
    bar.slide_ended("a")
    write_error("in/[red]b\\x1b[31m.svs", "not a slide. Copy it again")
    bar.slide_ended("b")
    time.sleep(0.3)
"""


def shown(*arguments: str) -> str:
    """What a terminal of 100 columns receives."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    child = subprocess.Popen([sys.executable, "-c", CODE, *arguments], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    received = b""
    with suppress(OSError):  # Linux's way to say that nobody has the other end any more
        while part := os.read(ours, 10_000):
            received += part
    child.wait()
    os.close(ours)
    return received.decode()


def test_it_counts_slides_and_parts_of_them_and_errors_stand_above_it() -> None:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown())
    assert "slides" in text
    assert "0.5/4" in text or "0/4" in text
    assert "2/4" in text
    assert "ERROR in/[red]b\\x1b[31m.svs: not a slide. Copy it again." in text


def test_quiet_shows_errors_alone() -> None:
    assert shown("quiet").splitlines() == ["ERROR in/[red]b\\x1b[31m.svs: not a slide. Copy it again."]
