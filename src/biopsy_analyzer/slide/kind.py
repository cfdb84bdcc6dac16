"""What a file is and who reads it: by its content, never by its extension (MIRAX excepted, which is a photo with a folder beside it)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.slide.directories import FirstDirectory, check_directories

APERIO_YCBCR_JPEG2000 = 33003  # tifffile's decoders take its colours for RGB; OpenSlide knows better
TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
PLAIN = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"\x00\x00\x00\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000"}
BY_OPENSLIDE = {b"ZISRAWFILE": "Zeiss CZI", b"SQLite format 3\x00": "Sakura SVSLIDE"}
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
PLAIN_SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".jpf", ".jpx"])
TIFF_SUFFIXES = frozenset([".svs", ".tif", ".tiff", ".btf", ".ndpi", ".scn", ".bif"])
SUFFIXES = PLAIN_SUFFIXES | TIFF_SUFFIXES | {".mrxs", ".vms", ".vmu", ".czi", ".svslide", ".dcm"}  # that a slide may have


class Kind(NamedTuple):
    """`reader`: tiff, plain, openslide or dicom; `format`: its name as users know it."""

    reader: str
    format: str


def file_kind(path: Path) -> Kind:
    """Who reads a file or folder; NotASlide for everything that nobody reads, without ever waiting on a pipe."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise NotASlide(f"{path.name}: can't be found or reached ({why}). Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        return _folder_kind(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotASlide(f"{path.name}: not a slide but a pipe, socket or device. Give a regular file.")
    if status.st_size == 0:
        raise NotASlide(f"{path.name}: not a slide, the file is empty. Copy it again.")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise NotASlide(f"{path.name}: can't be read ({error.strerror}). Check its permissions.") from error
    return _kind_of(path, head)


def _kind_of(path: Path, head: bytes) -> Kind:
    if head.startswith(TIFF):
        return _tiff_kind(check_directories(path))
    if path.suffix.lower() == ".mrxs" and head.startswith(b"\xff\xd8\xff"):
        return _mirax_kind(path)
    if head[128:132] == b"DICM":
        return Kind("dicom", "DICOM")
    if b"Virtual Microscope Specimen]" in head:
        return Kind("openslide", "Hamamatsu VMU" if b"[Uncompressed" in head else "Hamamatsu VMS")
    for known, reader in ((PLAIN, "plain"), (BY_OPENSLIDE, "openslide")):
        found = next((name for magic, name in known.items() if head.startswith(magic)), None)
        if found:
            return Kind(reader, found)
    raise NotASlide(
        f"{path.name}: not a slide that is read but {_describe(head)}. "
        "Read are TIFF, OME-TIFF, SVS, NDPI, MRXS, SCN, BIF, VMS, DICOM, JPEG 2000, PNG and JPEG."
    )


def _tiff_kind(first: FirstDirectory) -> Kind:
    if first.is_ndpi:
        return Kind("openslide", "Hamamatsu NDPI")
    if b"http://www.leica-microsystems.com/scn/" in first.description:
        return Kind("openslide", "Leica SCN")
    if b"<iScan" in first.xmp:
        return Kind("openslide", "Ventana BIF")
    if first.software.startswith(b"Philips") and b"DataObject" in first.description:
        return Kind("openslide", "Philips TIFF")
    if first.software.startswith(b"MedScan"):
        return Kind("openslide", "Trestle TIFF")
    if first.description.startswith(b"Aperio"):
        return Kind("openslide" if first.compression == APERIO_YCBCR_JPEG2000 else "tiff", "Aperio SVS")
    if b"<OME " in first.description:
        return Kind("tiff", "OME-TIFF")
    return Kind("tiff", "TIFF")


def _mirax_kind(path: Path) -> Kind:
    """A MIRAX slide begins with its thumbnail; scoring that would be wrong without a word."""
    if not (path.with_suffix("") / "Slidedat.ini").is_file():
        raise NotASlide(f"{path.name}: a MIRAX slide without its data folder {path.stem}/ beside it. Copy both.")
    return Kind("openslide", "MIRAX MRXS")


def _folder_kind(path: Path) -> Kind:
    if any(is_dicom(file) for file in files_in(path)):
        return Kind("dicom", "DICOM")
    raise NotASlide(f"{path.name}: not a slide but a folder without DICOM files. Give the slide file itself.")


def files_in(folder: Path) -> list[Path]:
    """Regular files directly in a folder, by name; NotASlide if it can't be listed."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_file())
    except OSError as error:
        raise NotASlide(f"{folder.name}: can't be listed ({error.strerror}). Check its permissions.") from error


def is_dicom(path: Path) -> bool:
    """Whether a file carries DICOM's mark."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _describe(head: bytes) -> str:
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return "an HTML page (a failed download?)"
    known = next((name for magic, name in NOT_READ.items() if head.startswith(magic)), None)
    return known or ("zeros (an unfinished copy?)" if not any(head) else "of unknown content")
