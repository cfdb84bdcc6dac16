"""Which slides: folders, globs and manifests become jobs with a result folder each; what is wrong with them is said at the start."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from biopsy_analyzer.batch.folders import LeftOut, find_slides
from biopsy_analyzer.batch.job import Job
from biopsy_analyzer.batch.manifest import read_manifest
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.slide.identity import safe_id
from biopsy_analyzer.slide.pixel_size import choose

MOST_NAMED = 5
"""Folders or files that are left out, in one line."""


def collect_jobs(
    inputs: Sequence[str], manifest: Path | None, um_per_px: float | None, tell: Callable[[str], None] = lambda text: None
) -> list[Job]:
    """Jobs in the order given (a folder's or glob's slides by name), each file once, ids unique.

    inputs     slide files, folders (searched through, hidden files and linked folders left out), or globs (`**` for any depth)
    manifest   CSV, see `read_manifest`
    um_per_px  for slides to which the manifest gives none
    tell       hears which linked folders were not searched, where they lead elsewhere than into what was, and of label images
    A file that is an input and stands in the manifest is what the manifest says of it.
    UsageError for an input that is not there, a pattern or folder without slides, a manifest that can't be read or contradicts itself,
    or none at all.
    """
    if um_per_px is not None:
        choose("--mpp", [], um_per_px)
    left_out = LeftOut()
    jobs = [Job(path, "", um_per_px=um_per_px) for text in inputs for path in _slides_of(text, left_out)]
    listed: dict[str, Job] = {}
    if manifest is not None:
        for job in read_manifest(manifest):
            earlier = listed.setdefault(os.path.abspath(job.path), job)
            if replace(job, path=earlier.path) != earlier:
                raise UsageError(f"{manifest}: {job.path} stands in it twice, with different values. Leave one line")
        jobs += [job if job.um_per_px else replace(job, um_per_px=um_per_px) for job in listed.values()]
    if not jobs:
        raise UsageError("no slides were given. Name slide files, folders or globs, or a --manifest")
    if elsewhere := _elsewhere(left_out.links, inputs):
        tell(f"{_counted(elsewhere, 'linked folder')} not searched. Give such a folder as an input if slides lie there")
    if labels := list(dict.fromkeys(left_out.labels)):
        tell(f"{_counted(labels, 'label image')} of drawn sections and no slide{'s' * (len(labels) > 1)}")
    unique: dict[str, Job] = {}
    for job in jobs:
        place = os.path.abspath(job.path)
        if place in listed or place not in unique:
            unique[place] = job
    return _with_ids(list(unique.values()))


def _slides_of(text: str, left_out: LeftOut) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        found = find_slides(path, met := LeftOut())
        left_out.links += met.links
        left_out.labels += met.labels
        if not found:
            besides = f"; {_counted(met.links, 'linked folder')} not searched" if met.links else ""
            raise UsageError(f"{text}: no slides in this folder{besides}. Name a folder with slides in a format that is read")
        return sorted(found)
    if os.path.lexists(path):
        return [path]
    matches = [path for match in glob.glob(text, recursive=True) for path in _matched(Path(match), left_out)]
    if not matches:
        raise UsageError(f"{text}: no such file or folder, and as a pattern it matches nothing. Check the path")
    return sorted(matches)


def _matched(path: Path, left_out: LeftOut) -> list[Path]:
    return find_slides(path, left_out) if path.is_dir() else [path]


def _elsewhere(links: Sequence[Path], inputs: Sequence[str]) -> list[Path]:
    """Links that lead into none of the inputs, each place once."""
    searched = [os.path.join(os.path.realpath(text), "") for text in inputs]
    places = {os.path.join(os.path.realpath(link), ""): link for link in reversed(links)}
    return sorted(link for place, link in places.items() if not place.startswith(tuple(searched)))


def _counted(paths: Sequence[Path], what: str) -> str:
    shown = ", ".join(map(str, paths[:MOST_NAMED])) + (", ..." if len(paths) > MOST_NAMED else "")
    return f"1 {what} ({shown}) is" if len(paths) == 1 else f"{len(paths)} {what}s ({shown}) are"


def _with_ids(jobs: list[Job]) -> list[Job]:
    """Each job with the id `analyze` would give it; where several share one (whatever their case), digits of their place follow."""
    plain = [safe_id(job.path.name) for job in jobs]
    times = Counter(name.casefold() for name in plain)
    return [
        replace(job, id=name if times[name.casefold()] == 1 else f"{name}-{_digits(job.path)}")
        for job, name in zip(jobs, plain, strict=True)
    ]


def _digits(path: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:8]  # the same from wherever the command is called
