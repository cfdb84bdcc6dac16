"""The slides in a folder: by their endings, each once however many files it consists of."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from biopsy_analyzer.errors import BiopsyAnalyzerError, UsageError
from biopsy_analyzer.slide import SUFFIXES
from biopsy_analyzer.slide.openslide_reader import named_files

_WITH_LOOSE_PARTS = frozenset([".vms", ".vmu"])
"""Formats whose image files lie beside them under endings that a slide may have as well."""

_OF_A_RESULT = frozenset(["overlay.png", "annotations.dcm"])
"""What stands in a result folder, beside its tables, under an ending that a slide may have as well."""


_LABELS = ("_fibres.png", "_nuclei.png")
"""Endings of the label images that `draw` puts beside a section, whose own facts lie there too, as <name>.json."""


@dataclass
class LeftOut:
    """What was met in folders and not taken for a slide, so that somebody can be told."""

    links: list[Path] = field(default_factory=list)  # folders that are links, which are not searched
    labels: list[Path] = field(default_factory=list)  # label images of drawn sections


def find_slides(folder: Path, left_out: LeftOut | None = None) -> list[Path]:
    """Slides anywhere below `folder`, by path; hidden files and folders, and linked folders, are left out (a link could lead in circles).

    The linked folders, and the label images of drawn sections, are appended to `left_out`.

    A MIRAX slide is its .mrxs, a VMS slide its .vms, a DICOM series its folder or, where the folder holds others too, its first instance.
    Pictures of results that lie below as well (OUT may be in the folder of the slides) are no slides.
    What only looks like a slide is found as well, so that it is named when it is refused. UsageError for a folder that can't be read:
    its slides would be missed in silence.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        labels = _labels(place, files)
        if left_out is not None:
            left_out.links += [Path(place, name) for name in folders if os.path.islink(os.path.join(place, name))]
            left_out.labels += [Path(place, name) for name in labels]
        ours = _OF_A_RESULT if "fibres.parquet" in files else frozenset()
        names = sorted(set(files) - ours - set(labels))
        seen = [Path(place, name) for name in names if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
        instances = [path for path in seen if path.suffix.lower() == ".dcm"]
        parts = {part for path in seen if path.suffix.lower() in _WITH_LOOSE_PARTS for part in _named_in(path)}
        others = [path for path in seen if path not in instances and path not in parts]
        found += others
        found += [Path(place)] if len(series := _series(instances)) == 1 and not others else series
    return sorted(found)


def _labels(place: str, files: list[str]) -> list[str]:
    """Label images among the files of a folder, by name: those beside the facts of a drawn section."""
    stems = {name: name.removesuffix(end) for name in files for end in _LABELS if name.endswith(end)}
    drawn = {stem for stem in set(stems.values()) if f"{stem}.json" in files and _is_drawn(os.path.join(place, f"{stem}.json"))}
    return sorted(name for name, stem in stems.items() if stem in drawn)


def _is_drawn(path: str) -> bool:
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            return False
        with open(path, "rb") as file:
            facts = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and facts.get("drawn") is True


def _refuse(error: OSError) -> None:
    remedy = "Give the right to read it, or name the slides apart from it"
    raise UsageError(f"{error.filename}: this folder can't be read ({error.strerror}). {remedy}") from error


def _named_in(index: Path) -> list[Path]:
    """The images that a VMS or VMU consists of, besides itself; none where it can't be read (it is named when it is refused)."""
    try:
        return named_files(index) if index.is_file() else []  # a pipe would be waited for
    except OSError:
        return []


def _series(instances: list[Path]) -> list[Path]:
    """The first instance of each DICOM series."""
    firsts, covered = [], set[Path]()
    for path in instances:
        if path not in covered:
            firsts.append(path)
            covered.update(_of_same_series(path))
    return firsts


def _of_same_series(path: Path) -> list[Path]:
    from biopsy_analyzer.slide.dicom import series_files

    try:
        return series_files(path)
    except BiopsyAnalyzerError:
        return [path]
