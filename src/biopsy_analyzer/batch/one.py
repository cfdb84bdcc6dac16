"""From a file to a result folder: the one way, taken by `analyze`, by every worker of a batch, and by a cluster."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biopsy_analyzer.batch.job import Stamp, stamp_of
from biopsy_analyzer.batch.listing import slide_of
from biopsy_analyzer.batch.lock import lock
from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.report.atomic import check_writable, unwritten
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import Slide, open_slide

if TYPE_CHECKING:
    import numpy as np

    from biopsy_analyzer.models import Models

CORRECTIONS = "corrections.jsonl"
"""A reader's journal in a result folder; what it corrects must not change under it."""

_APART = "Choose another folder with -o, move that result away, or give both slides to one batch, which keeps them apart"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@dataclass(frozen=True)
class Analysed:
    """A finished analysis: its folder, what stands in its scores.json, the slide's files, and their stamp when it was opened."""

    folder: Path
    document: dict[str, Any]
    parts: tuple[Path, ...]
    stamp: Stamp

    @property
    def refusal(self) -> str:
        """Why the slide was refused, as an error's line says it; empty where it was not."""
        if self.document["status"] != "refused":
            return ""
        return " ".join(flag["message"] for flag in self.document["quality"]["flags"]) + " Give a section with tissue on it"


def analyze_file(
    path: Path,
    out: Path,
    *,
    um_per_px: float | None = None,
    models: Path | None = None,
    device: str = "auto",
    settings: Settings = Settings(),  # noqa: B008
    slide_id: str | None = None,
    sha256: str | None = None,
    earlier_sha256: str | None = None,
    region: np.ndarray | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    wait_s: float = 0.0,
) -> Analysed:
    """Analyse the slide at `path` and write `out`/<slide id>/; the same call gives the same bytes, whatever was there before.

    um_per_px  wins over what the file states
    models     folder of models, None: those of this version; they stay loaded for the next call
    slide_id   name of the result folder; None: made from the file's name
    sha256     what the slide's SHA-256 must be; a slide with another is refused before it is analysed
    earlier_sha256  of the slide that the result there may be of as well: this one, before it was changed
    region     polygon (k, 2), (y, x) in um, outside which nothing is looked at; None: the whole slide
    wait_s     how long to wait where another process writes the same result

    What can be refused is refused before torch is imported and the models are loaded. A blank slide gives a result of status
    "refused". SlideError where the slide can't be analysed, or its result folder holds a reader's corrections, another slide's result
    (two of one name) or the slide itself; ModelError; OutputError for a full or unwritable disk; UsageError where another process
    writes the same result.
    """
    with _disk_errors(out), open_slide(path, um_per_px=um_per_px) as slide:
        stamp = stamp_of(slide.files)
        slide.id = slide_id or slide.id
        _check_sha256(slide, sha256)
        check_writable(out)
        with lock(out, slide.id, f"{slide.file_name}: its result folder", wait_s):
            _check_folder(slide, out / slide.id, earlier_sha256)
            models_loaded = _load(models, device)
            from biopsy_analyzer.pipeline import analyze_slide
            from biopsy_analyzer.report.scores_json import scores_document
            from biopsy_analyzer.report.writing import write_result

            result = analyze_slide(slide, models_loaded, settings, progress, region)
            return Analysed(write_result(result, out), scores_document(result), tuple(slide.files), stamp)


@lru_cache(maxsize=1)
def _load(folder: Path | None, device: str) -> Models:
    from biopsy_analyzer.models import load_models

    return load_models(folder, device)


def _check_sha256(slide: Slide, wanted: str | None) -> None:
    if wanted and slide.sha256 != wanted.strip().lower():
        raise SlideError(f"{slide.file_name}: its SHA-256 is {slide.sha256}, the manifest says {wanted}. Copy it again")


def _check_folder(slide: Slide, folder: Path, earlier_sha256: str | None) -> None:
    """A link could lead out of the output folder; corrections would be left without what they correct; no result is lost to another."""
    name = slide.file_name
    if folder.is_symlink():
        raise SlideError(f"{name}: its result folder {folder} is a link. Remove it, or choose another folder with -o")
    if (folder / CORRECTIONS).exists():
        raise SlideError(f"{name}: {folder} holds a reader's corrections. Move it away, or choose another folder with -o")
    if folder.is_dir() and any(folder.samefile(part.parent) for part in slide.files):
        raise SlideError(f"{name}: its result folder {folder} is the one that the slide lies in. Choose another folder with -o")
    there = slide_of(folder)
    if {"sha256", "file_name"} <= there.keys() and there["sha256"] not in (slide.sha256, earlier_sha256):
        raise SlideError(f"{name}: {folder} holds the result of another slide, {there['file_name']}. {_APART}")


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """A disk that is full or read-only, wherever it is met, as an OutputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise unwritten(out, error) from error
