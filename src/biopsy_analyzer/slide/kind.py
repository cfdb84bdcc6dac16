"""What a file is, by its first bytes and never by its extension."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from biopsy_analyzer.errors import NotASlide

READ = {
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
    b"II+\x00": "tiff",  # BigTIFF
    b"MM\x00+": "tiff",
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
}
NOT_READ = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"\xd0\xcf\x11\xe0": "a Microsoft compound file",
    b"\x89HDF": "an HDF5 file",
}


def file_kind(path: Path) -> str:
    """Return tiff, png or jpeg; NotASlide for everything else, without ever waiting on a pipe."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise NotASlide(f"{path.name}: can't be found or reached ({type(error).__name__}). Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise NotASlide(f"{path.name}: not a slide but a folder. Give the slide file itself.")
    if not stat.S_ISREG(status.st_mode):
        raise NotASlide(f"{path.name}: not a slide but a pipe, socket or device. Give a regular file.")
    if status.st_size == 0:
        raise NotASlide(f"{path.name}: not a slide, the file is empty. Copy it again.")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise NotASlide(f"{path.name}: can't be read ({error.strerror}). Check its permissions.") from error
    kind = next((kind for magic, kind in READ.items() if head.startswith(magic)), None)
    if kind == "jpeg" and path.suffix.lower() == ".mrxs":
        kind = None  # a MIRAX slide begins with its thumbnail; scoring that would be wrong without a word
    if kind is None:
        raise NotASlide(f"{path.name}: not a slide that is read but {_describe(head)}. Read are TIFF, OME-TIFF, SVS, PNG and JPEG.")
    return kind


def _describe(head: bytes) -> str:
    if head[128:132] == b"DICM":
        return "a DICOM file"
    if head.startswith(b"\xff\xd8\xff"):
        return "a MIRAX slide"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return "an HTML page (a failed download?)"
    known = next((name for magic, name in NOT_READ.items() if head.startswith(magic)), None)
    return known or ("zeros (an unfinished copy?)" if not any(head) else "of unknown content")
