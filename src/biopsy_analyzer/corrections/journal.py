"""The journal of corrections: one line of JSON an edit, appended and brought to the disk before the edit counts.

The first line says which analysis the edits belong to. Nothing is ever rewritten: an undo is a line of its own. What a kill cuts off is
at most the last line, and a line that is not whole was never confirmed to the reader.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import pandas as pd

from biopsy_analyzer.errors import OlderResult, OutputError, ResultError
from biopsy_analyzer.report.saved import Saved

NAME = "corrections.jsonl"
VERSION = "1.0"


def digest(saved: Saved) -> str:
    """SHA-256 of what the machine outlined: number, place and size of all objects; the same after the section is only scored anew."""
    found = hashlib.sha256()
    for table, columns in (
        (saved.fibres, ["fibre_id", "y_um", "x_um", "area_um2"]),
        (saved.nuclei, ["nucleus_id", "y_um", "x_um", "area_um2"]),
    ):
        found.update(pd.util.hash_pandas_object(table[columns], index=False).to_numpy().tobytes())
    return found.hexdigest()


class Journal:
    """corrections.jsonl of one result folder, open for reading and appending.

    path      where it lies; not there before the first edit
    lines     the edits read so far, undone ones included, in order
    torn      True where a kill had cut off the last line; it is taken away before the next line is written, if it is still there
    """

    def __init__(self, saved: Saved) -> None:
        """Read what is there. ResultError: damaged in the middle, or of another analysis; OlderResult: another version's."""
        self.path = saved.folder / NAME
        self._head = {"journal": "biopsy-analyzer corrections", "version": VERSION, "result": digest(saved), "use": "research use only"}
        self.lines: list[dict[str, Any]] = []
        self._size, self._tail = 0, b""  # bytes in whole lines, and what a kill left behind them
        if self.path.exists():
            self._read()

    @property
    def torn(self) -> bool:
        return bool(self._tail)

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise ResultError(f"{self.path}: can't be read ({error.strerror}); corrections can't go on without it") from error
        whole = content[: content.rfind(b"\n") + 1]
        self._size, self._tail = len(whole), content[len(whole) :]
        read = [self._parsed(number, line) for number, line in enumerate(whole.splitlines(), start=1)]
        if not read:
            return
        head, self.lines = read[0], read[1:]
        if head.get("journal") != self._head["journal"] or "result" not in head:
            raise ResultError(f"{self.path}: line 1 is no head of a journal of corrections; move the file away to begin anew")
        if head.get("version") != VERSION:
            raise OlderResult(
                f"{self.path}: version {head.get('version')!r}, this version reads {VERSION!r}; use the version that wrote it"
            )
        if head["result"] != self._head["result"]:
            raise ResultError(f"{self.path}: made on another analysis of this section; bring that result back, or move the journal away")
        try:
            standing(self.lines)
        except (KeyError, IndexError) as error:
            raise ResultError(
                f"{self.path}: damaged (a line without an edit, or one that undoes nothing); bring back a copy, or move it away"
            ) from error

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ResultError(
                f"{self.path}: line {number} is damaged ({error}); bring back a copy, or cut the file before that line"
            ) from error
        if not isinstance(found, dict):
            raise ResultError(f"{self.path}: line {number} is damaged (no object); bring back a copy, or cut the file before that line")
        return found

    def append(self, edit: dict[str, Any], who: str) -> None:
        """Write one edit and wait until it is on the disk.

        OutputError where that fails, or where another window has written meanwhile (two histories can't be told apart); then the edit
        is not in the journal.
        """
        line = {"n": len(self.lines) + 1, "utc": datetime.now(UTC).isoformat(timespec="milliseconds"), "who": who, **edit}
        new = self._size == 0
        content = b"".join(_line(part) for part in ([self._head, line] if new else [line]))
        try:
            with self.path.open("r+b" if self.torn else "a+b", buffering=0) as file:
                self._check_nobody_wrote(file)
                file.truncate(self._size)
                self._tail = b""
                file.seek(self._size)
                _write_whole(file, content)
        except OSError as error:
            raise OutputError(f"{self.path}: the correction can't be saved ({error.strerror}); free space, then make it again") from error
        if new:
            _sync_folder(self.path.parent)
        self._size += len(content)
        self.lines.append(line)

    def _check_nobody_wrote(self, file: FileIO) -> None:
        size, known = file.seek(0, os.SEEK_END), self._size + len(self._tail)
        file.seek(self._size)
        if size != known or file.readall() != self._tail:  # a line of another window may be as long as the torn one it replaced
            raise OutputError(
                f"{self.path}: is not as it was read ({known} bytes then, {size} now): another window corrects this result. "
                "Close one, open it again"
            )

    @property
    def sha256(self) -> str:
        """Of the file's bytes; of nothing before the first edit."""
        return hashlib.sha256(self.path.read_bytes() if self.path.exists() else b"").hexdigest()


def _write_whole(file: FileIO, content: bytes) -> None:
    """Write `content`, on the disk when this returns; OSError where it has no room, and the file is as long as before, for another try."""
    before = file.tell()
    try:
        if file.write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    """Make the new file's name last as well, where that can be asked for: not on Windows, nor on some network shares."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):  # the line is on the disk: an edit that is there must not be called lost
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def standing(lines: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The edits that stand after all undoing and redoing, in order, and those that a redo would bring back, the next one last."""
    done: list[dict[str, Any]] = []
    undone: list[dict[str, Any]] = []
    for line in lines:
        if line["edit"] == "undo":
            undone.append(done.pop())
        elif line["edit"] == "redo":
            done.append(undone.pop())
        else:
            done.append(line)
            undone.clear()
    return done, undone
