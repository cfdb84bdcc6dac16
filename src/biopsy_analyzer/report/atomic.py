"""Files and folders that are either whole or not there: temporary name, fsync, rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from biopsy_analyzer.errors import OutputError

_PREFIX, _SUFFIX = ".writing-", ".tmp"
_FLUSHED_AT_ONCE = 8  # a disk takes many files' flushes together in little more than one's time


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, replacing what was there; a reader, or a crash at any moment, sees the old file or the new one.

    OutputError if the disk is full or the folder can't be written; then `path` is as it was.
    """
    write_chunks(path, [content])


def write_chunks(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """The same for a file that is made piece by piece and need not fit into memory."""
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise unwritten(path, error) from error
    finally:  # also when interrupted
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill; after the block it stands at `path` in place of what was there. A block that fails leaves `path` as it was.

    A link at `path` goes; where it led stays as it is.
    OutputError if the disk is full or the place can't be written.
    """
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:
            list(pool.map(_flush, [file for file in temporary.rglob("*") if file.is_file()]))
        if path.is_symlink() or path.is_dir():
            _remove(path)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritten(path, error) from error
    finally:  # also when interrupted
        shutil.rmtree(temporary, ignore_errors=True)


def copy_whole(source: Path, target: Path) -> None:
    """A copy of a file, or of a folder of files, in place of what stood at `target`; it is writable also where the source is not.

    OutputError where it can't be made; then `target` is as it was.
    """
    try:
        if source.is_dir():
            with replacing_folder(target) as fresh:
                for file in source.rglob("*"):
                    if file.is_file():
                        copy = fresh / file.relative_to(source)
                        copy.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(file, copy)
        else:
            with source.open("rb") as content:
                write_chunks(target, iter(lambda: content.read(1 << 20), b""))
    except OSError as error:
        raise OutputError(f"can't copy {source} to {target}: {error.strerror or error}") from error


def _remove(path: Path) -> None:
    """Of a link only the link goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{_PREFIX}{os.getpid()}-{path.name}{_SUFFIX}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritten(path: Path, error: OSError) -> OutputError:
    """The error of a file, or of an output folder, that could not be written and may be at another try."""
    return OutputError(f"can't write {path}: {error.strerror or error}. Free space, then run the same command to resume")


def check_writable(folder: Path) -> None:
    """Make `folder` and see that files can be made in it; OutputError if not. Asked before an analysis, whose minutes would be lost."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"can't write into {folder}: {error.strerror or error}. Choose another folder with -o") from error


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """`check_writable` around a run that may be refused: then an empty folder that was made for it goes, with the empty ones above."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    check_writable(folder)
    try:
        yield
    except BaseException:  # also when interrupted
        with suppress(OSError):  # one that holds something stays
            for path in made:
                path.rmdir()
        raise


MADE_OF_RESULTS = ("fhir.json", "annotations.dcm")
"""Files that other commands make of a result that stands."""


def prepare_folder(folder: Path, last_file: str, made_of_it: Sequence[str] = ()) -> None:
    """Make `folder`, sweep what a killed run left half written, and take away `last_file`, whose presence says that all are complete.

    made_of_it  files that other commands made of the result that goes: they go, too

    OutputError if any of that is refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (last_file, *made_of_it):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"can't use the folder {folder}: {error.strerror or error}. Choose another with -o") from error
    sweep(folder)


def sweep(folder: Path) -> None:
    """Take away what a killed run left half written in `folder`; OutputError if that is refused."""
    try:
        for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            _remove(left)
    except OSError as error:
        raise OutputError(f"can't use the folder {folder}: {error.strerror or error}. Choose another with -o") from error
