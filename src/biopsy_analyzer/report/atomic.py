"""Files that are either whole or not there: temporary file, fsync, rename."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from biopsy_analyzer.errors import OutputError

_PREFIX, _SUFFIX = ".writing-", ".tmp"


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, replacing what was there; a reader, or a crash at any moment, sees the old file or the new one.

    OutputError if the disk is full or the folder can't be written; then `path` is as it was.
    """
    temporary = path.with_name(f"{_PREFIX}{os.getpid()}-{path.name}{_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}. Free space or choose another folder with -o, then run again") from error
    finally:  # also when interrupted
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make `folder` and see that files can be made in it; OutputError if not. Asked before an analysis, whose minutes would be lost."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"can't write into {folder}: {error.strerror}. Choose another folder with -o") from error


def prepare_folder(folder: Path, last_file: str) -> None:
    """Make `folder`, sweep temporary files of a killed run, and take away `last_file`, whose presence says that all are complete.

    OutputError if any of that is refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for outdated in (*folder.glob(f"{_PREFIX}*{_SUFFIX}"), folder / last_file):
            outdated.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"can't use the folder {folder}: {error.strerror}. Choose another with -o") from error
