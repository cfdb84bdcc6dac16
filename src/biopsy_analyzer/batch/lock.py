"""Who may write: a lock that ends with its process, however that ends, and that says who holds it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from biopsy_analyzer.errors import OutputError, UsageError

if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far behind the text, which others may read meanwhile
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # not on this platform

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


PLACE = ".biopsy-analyzer"
"""Folder inside the output folder for what users need not see: journal and locks."""

_LOOK_EVERY_S = 0.1


@contextmanager
def lock(out: Path, name: str, what: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold `out`/.biopsy-analyzer/`name`.lock while the block runs; `what` says in the message what it protects.

    The system frees it when the process ends, even by SIGKILL, so a dead run's lock is simply taken over.
    UsageError naming the holder if another process still has it after `wait_s`; OutputError where no file can be made.
    """
    path = out / PLACE / f"{name}.lock"
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = _held(path, what, time.monotonic() + wait_s)
    except OSError as error:
        raise OutputError(f"can't write into {out}: {error.strerror or error}. Free space or choose another folder with -o") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()  # only goes where nothing else is left in it
        os.close(descriptor)


def _held(path: Path, what: str, until: float) -> int:
    """The descriptor of the lock file, once it is ours."""
    while True:
        with suppress(FileExistsError):  # not `exist_ok`: that looks again, and fails where a holder tidies up meanwhile
            path.parent.mkdir()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if _is_ours(descriptor, path, what, until):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        except FileNotFoundError:  # a holder has just tidied up, unless
            for link in (path.parent, path):
                if link.is_symlink() and not link.exists():
                    raise OutputError(f"{link} is a link that leads nowhere. Remove it, or choose another folder with -o") from None
        time.sleep(_LOOK_EVERY_S)


def _is_ours(descriptor: int, path: Path, what: str, until: float) -> bool:
    """Whether the file is locked by us now, and still the one at `path`; UsageError when another holds it and time is up."""
    try:
        _take(descriptor)
    except OSError as error:
        if time.monotonic() < until:
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = os.read(descriptor, 200).decode(errors="replace") or "another process"
        raise UsageError(f"{what} is in use by {holder}. Wait for it or stop it, or choose another folder with -o") from error
    if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
        return False
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return True
