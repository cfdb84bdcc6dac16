"""Which slides: folders, globs and manifests become jobs with a result folder each; what is wrong with them is said at the start."""

from __future__ import annotations

import csv
import difflib
import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from biopsy_analyzer.batch.folders import find_slides
from biopsy_analyzer.batch.job import Job
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.slide.identity import safe_id
from biopsy_analyzer.slide.pixel_size import choose

COLUMNS = ("path", "case_id", "um_per_px", "sha256")
"""Of a manifest; only `path` has to be there."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def collect_jobs(inputs: Sequence[str], manifest: Path | None, um_per_px: float | None) -> list[Job]:
    """Jobs in the order given (a folder's or glob's slides by name), each file once, ids unique.

    inputs     slide files, folders (searched through, hidden files and linked folders left out), or globs (`**` for any depth)
    manifest   CSV with the columns of `COLUMNS`; relative paths start at the manifest's folder
    um_per_px  for slides to which the manifest gives none
    A file that is an input and stands in the manifest is what the manifest says of it.
    UsageError for an input that is not there, a pattern or folder without slides, a manifest that can't be read or contradicts itself,
    or none at all.
    """
    if um_per_px is not None:
        choose("--mpp", [], um_per_px)
    jobs = [Job(path, "", um_per_px=um_per_px) for text in inputs for path in _slides_of(text)]
    listed: dict[str, Job] = {}
    if manifest is not None:
        for job in _read_manifest(manifest):
            earlier = listed.setdefault(os.path.abspath(job.path), job)
            if replace(job, path=earlier.path) != earlier:
                raise UsageError(f"{manifest}: {job.path} stands in it twice, with different values. Leave one line")
        jobs += [job if job.um_per_px else replace(job, um_per_px=um_per_px) for job in listed.values()]
    if not jobs:
        raise UsageError("no slides were given. Name slide files, folders or globs, or a --manifest")
    unique: dict[str, Job] = {}
    for job in jobs:
        place = os.path.abspath(job.path)
        if place in listed and place in unique:
            job = replace(job, path=unique[place].path)  # the id of a twin comes from the path as it was given first
        if place in listed or place not in unique:
            unique[place] = job
    return _with_ids(list(unique.values()))


def _slides_of(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        found = find_slides(path)
        if not found:
            raise UsageError(f"{text}: no slides in this folder. Name a folder with slides in a format that is read")
        return sorted(found)
    if os.path.lexists(path):
        return [path]
    matches = [path for match in glob.glob(text, recursive=True) for path in _matched(Path(match))]
    if not matches:
        raise UsageError(f"{text}: no such file or folder, and as a pattern it matches nothing. Check the path")
    return sorted(matches)


def _matched(path: Path) -> list[Path]:
    return find_slides(path) if path.is_dir() else [path]


def _read_manifest(path: Path) -> list[Job]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            return list(_rows(path, csv.DictReader(file, strict=True)))
    except OSError as error:
        raise UsageError(f"{path}: the manifest can't be read ({error.strerror}). Check the path") from error
    except csv.Error as error:
        raise UsageError(f"{path}: no readable CSV ({error}). Save the manifest as CSV with the columns {', '.join(COLUMNS)}") from error


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[Job]:
    names = list(reader.fieldnames or ())
    if "path" not in names:
        raise UsageError(f"{path}: its first line lacks the column path. The columns are {', '.join(COLUMNS)}")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path}: two columns {name!r}. Leave one")
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            raise UsageError(f"{path}: unknown column {name!r}" + (f", {near[0]!r} is known" if near else f", known: {', '.join(COLUMNS)}"))
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise UsageError(f"{where}: {sum(v is not None for v in row.values())} cells where the first line has {len(names)}. Correct it")
        yield _job(path.parent, where, {name: (text or "").strip() for name, text in row.items()})


def _job(folder: Path, where: str, row: dict[str, str]) -> Job:
    if not row["path"] or "\0" in row["path"]:
        raise UsageError(f"{where}: no usable path. Give the slide's file")
    sha256 = row.get("sha256", "")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise UsageError(f"{where}: sha256 is {sha256[:80]!r}; 64 hexadecimal digits are wanted. Correct it, or leave it empty")
    return Job(folder / row["path"], "", row.get("case_id", ""), _um_per_px(where, row.get("um_per_px", "")), sha256.lower() or None)


def _um_per_px(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return choose(where, [], float(text))[0]
    except ValueError:
        raise UsageError(f"{where}: um_per_px is {text[:80]!r}; a number is wanted. Correct it, or leave it empty") from None


def _with_ids(jobs: list[Job]) -> list[Job]:
    """Each job with the id `analyze` would give it; where several share one (whatever their case), digits of their path follow."""
    plain = [safe_id(job.path.name) for job in jobs]
    times = Counter(name.casefold() for name in plain)
    return [
        replace(job, id=name if times[name.casefold()] == 1 else f"{name}-{_digits(job.path)}")
        for job, name in zip(jobs, plain, strict=True)
    ]


def _digits(path: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.normpath(path))).hexdigest()[:8]
