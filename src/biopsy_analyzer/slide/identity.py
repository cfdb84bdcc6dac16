"""What names a slide: a safe folder name, and the SHA-256 of everything it consists of."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

ID_BYTES = 80


def safe_id(file_name: str) -> str:
    """A folder name from a file's stem: letters, digits and `._-`, at most 80 bytes, no leading dot or dash, never empty.

    Where the stem had to be changed, 8 digits of the name's SHA-256 follow, so that two different names stay different.
    """
    stem = Path(file_name).stem
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in unicodedata.normalize("NFC", stem))
    name = name.encode()[:ID_BYTES].decode(errors="ignore").lstrip(".-").rstrip(".")
    if name == stem:
        return name
    return f"{name or 'slide'}-{hashlib.sha256(os.fsencode(file_name)).hexdigest()[:8]}"


def sha256_of(files: Sequence[Path]) -> str:
    """SHA-256 of a slide, in hexadecimal.

    One file: of its bytes. Several (MIRAX, VMS, DICOM): of the lines "<sha256 of the file>  <its path>" that `sha256sum` prints for
    them, sorted by path, paths relative to the folder they lie in and with forward slashes; so a renamed or moved folder keeps it.
    """
    if len(files) == 1:
        return _of_file(files[0])
    root = Path(os.path.commonpath([file.parent for file in files]))
    names = sorted((os.fsencode(file.relative_to(root).as_posix()), file) for file in files)
    return hashlib.sha256(b"".join(_of_file(file).encode() + b"  " + name + b"\n" for name, file in names)).hexdigest()


def _of_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
