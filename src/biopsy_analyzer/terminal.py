"""What a user sees while a command runs: progress, and errors in one line."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biopsy_analyzer.errors import BiopsyAnalyzerError, OutputError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.interrupts import EXIT_CODE, in_order, requested

if TYPE_CHECKING:
    from rich.console import Console

LOG = "biopsy-analyzer.log"
"""Where the traceback of an unexpected error goes, in the output folder."""


@contextmanager
def errors_in_one_line(subject: str, log_folder: Path) -> Iterator[None]:
    """Turn an error into `ERROR subject: what. remedy` on stderr and SystemExit with its exit code; a traceback only goes to the log."""
    with in_order():
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            message, exit_code = _told(error, log_folder)
            write_error(subject, message)
            raise SystemExit(exit_code) from None


def _told(error: BaseException, log_folder: Path) -> tuple[str, int]:
    """What a user is told of an error, and the exit code."""
    if isinstance(error, KeyboardInterrupt) or requested():  # which an import, or a reader that got Ctrl-C too, may turn into another
        return "interrupted. Run the same command again", EXIT_CODE
    if isinstance(error, BiopsyAnalyzerError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        return "not enough memory. Give a smaller part of the section, or use a machine with more", 5
    return f"unexpected {type(error).__name__}: {error}. Please report it with {log_traceback(log_folder)}", 1


def write_out(text: str) -> None:
    """Write a line or more to standard output now; OutputError where it is closed, nobody reads it, or its disk is full."""
    if sys.stdout is None:
        raise OutputError("standard output is closed. Results that go into a folder are there")
    try:
        sys.stdout.write(f"{text.rstrip()}\n")
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer would fail again at exit
        raise OutputError(f"standard output can't be written: {error.strerror}. Results that go into a folder are there") from error


def write_error(subject: str, message: str) -> None:
    """Write `ERROR subject: message.` to standard error, as one line; a question keeps its mark."""
    what = message.removeprefix(f"{subject}: ").rstrip(".")
    end = "" if what.endswith("?") else "."
    if sys.stderr is None:  # closed: the exit code tells
        return
    sys.stderr.write(f"ERROR {for_terminal(subject)}: {for_terminal(what)}{end}\n")


def write_note(subject: str, text: str) -> None:
    """Write `NOTE subject: text.` to standard error, as one line: what a user should know, and no error."""
    if sys.stderr is not None:
        sys.stderr.write(f"NOTE {for_terminal(subject)}: {for_terminal(text)}.\n")


def log_traceback(folder: Path) -> Path:
    """Append the current traceback to the log in `folder`, or in the system's temporary folder where that fails; gives its path."""
    import traceback

    for place in (folder, Path(tempfile.gettempdir())):
        try:
            place.mkdir(parents=True, exist_ok=True)
            with (place / LOG).open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(traceback.format_exc())
            return place / LOG
        except OSError:
            continue
    return Path(LOG)


@contextmanager
def progress_bar(hidden: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr with a line for each stage; gives the callback (stage, done, total) that moves it. No terminal: nothing is shown."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=hidden or not _is_shown(console)) as bar:
        tasks: dict[str, Any] = {}

        def move(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield move


def _is_shown(console: Console) -> bool:
    """Not in a log, where a bar would be a line for each of its steps; FORCE_COLOR, common there, makes rich take it for a terminal."""
    return console.is_terminal and sys.stderr is not None and sys.stderr.isatty()


class BatchBar:
    """A bar on stderr for many slides, with the time left; fractions of slides under way count. No terminal: nothing is shown."""

    def __init__(self, total: int, hidden: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("slides"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=hidden or not _is_shown(console), speed_estimate_period=3600)
        self._task = self._bar.add_task("slides", total=total)
        self._ended, self._shares = 0, dict[str, float]()

    def __enter__(self) -> BatchBar:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def work_begins(self) -> None:
        """What ended until now was finished earlier: the time left is reckoned from here on."""
        self._bar.reset(self._task, completed=self._ended)

    def slide_ended(self, slide_id: str) -> None:
        """One slide more has ended."""
        self._ended += 1
        self._shares.pop(slide_id, None)
        self._move()

    def slide_moved(self, slide_id: str, share: float) -> None:
        """So much (0..1) of a slide is done; may come from several threads."""
        self._shares[slide_id] = share
        self._move()

    def _move(self) -> None:
        self._bar.update(self._task, completed=self._ended + sum(list(self._shares.values())))
