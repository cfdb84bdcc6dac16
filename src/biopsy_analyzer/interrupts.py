"""Requests to stop, by Ctrl-C or SIGTERM: heard from the first import on, obeyed in order, never between steps that belong together."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

GRACE_S = 5.0
"""For so long after a request further ones are the same: some tools send two, and hands press twice. After that they end the process."""

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LINE = b"ERROR biopsy-analyzer: interrupted. Run the same command again.\n"
_SHOW_CURSOR = b"\x1b[?25h"

_asked_at: float | None = None
_has_order = False


def listen() -> None:
    """From now on a request ends this process with code 130: inside `in_order` by a KeyboardInterrupt, elsewhere at once.

    Elsewhere nothing is under way: imports, arguments, the end. One that the caller has set to be ignored, as a script's shell does
    with Ctrl-C for its background jobs, stays ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ask)


@contextmanager
def in_order() -> Iterator[None]:
    """While the block runs, the first request raises KeyboardInterrupt, and one later than `GRACE_S` after it ends the process at once."""
    global _has_order
    _has_order = True
    try:
        yield
    finally:
        _has_order = False


def requested() -> bool:
    """Whether a request has come since `listen`."""
    return _asked_at is not None


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked_at
    now, first = time.monotonic(), _asked_at is None
    if _asked_at is None:
        _asked_at = now
    if _has_order and first:
        raise KeyboardInterrupt
    if not _has_order or now - _asked_at > GRACE_S:
        _end(_LINE if first else b"")


def _end(line: bytes = b"") -> NoReturn:
    with suppress(OSError):  # not through sys.stderr: whoever writes to it now holds its lock
        os.write(2, line + (_SHOW_CURSOR if os.isatty(2) else b""))
    os._exit(EXIT_CODE)


@contextmanager
def held() -> Iterator[None]:
    """Hold requests back until the block has ended, and let the first that came act then.

    A block may hang: on a disk, or on a line that nobody reads. After `listen`, one later than `GRACE_S` after the first therefore ends
    the process at once. Outside the main thread, which alone gets them, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, float]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        first = _asked_at or (came[0][1] if came else now)
        came.append((number, now))
        if now - first > GRACE_S and usual[number] is _ask:
            _end()

    usual: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    with ExitStack() as stack:  # takes back all that was done, also where a request comes meanwhile
        stack.callback(_pass_on, came)
        for number, handler in usual.items():
            if handler is not signal.SIG_IGN:
                stack.callback(signal.signal, number, handler)
                signal.signal(number, hold)
        yield


def _pass_on(came: list[tuple[int, float]]) -> None:
    if came:
        signal.raise_signal(came[0][0])
