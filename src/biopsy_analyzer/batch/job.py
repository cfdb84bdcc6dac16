"""What a batch passes between its processes: a slide to analyse, how, and what became of it. All of it can be written as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from biopsy_analyzer.settings import Settings

Ending = Literal["ok", "review", "refused", "failed", "unchanged"]
"""How a slide ended: the status of its result; `failed` where it has none; `unchanged` where the finished result still holds."""

Stamp = tuple[int, int]
"""Bytes of all of a slide's files and their newest time (ns): while it stays, the slide is not hashed again."""


@dataclass(frozen=True)
class Job:
    """A slide to analyse.

    path             as the user gave it, or found below a folder that the user gave
    id               its result folder, unique in the batch
    case_id          of the manifest, passed on to the tables; never part of a path
    um_per_px        of the manifest or --mpp; None: what the file states
    sha256           what the manifest says the slide's SHA-256 is
    finished_sha256  SHA-256 of the slide that the finished result belongs to, where size, time or place of the slide have changed since
    earlier_sha256   SHA-256 that the slide at this path had when this batch made its last result, with whatever settings
    """

    path: Path
    id: str
    case_id: str = ""
    um_per_px: float | None = None
    sha256: str | None = None
    finished_sha256: str | None = None
    earlier_sha256: str | None = None


@dataclass(frozen=True)
class Options:
    """What holds for all slides of a batch; limits are for one worker process and one slide."""

    out: Path
    models: Path | None = None
    device: str = "auto"
    settings: Settings = field(default_factory=Settings)
    time_limit_s: float = 7200.0
    memory_limit_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a slide.

    parts, stamp     the slide's files, and their stamp when it was opened
    files            of its result, with their sizes in bytes
    error, exit_code where it failed or was refused
    stops            whether the next slide would meet the same (disk, models), so that the batch stops
    """

    id: str
    ending: Ending
    sha256: str = ""
    parts: tuple[str, ...] = ()
    stamp: Stamp = (0, 0)
    files: dict[str, int] = field(default_factory=dict)
    error: str = ""
    exit_code: int = 0
    stops: bool = False


def to_line(value: Job | Options | Outcome) -> str:
    """One line of JSON, ASCII: names whose bytes are no UTF-8 survive as escapes."""
    plain = asdict(value)
    if isinstance(value, Options):
        plain["settings"] = value.settings.model_dump(mode="json")
    return json.dumps(plain, default=str, allow_nan=False)


def job_of(line: str | bytes) -> Job:
    """The inverse of `to_line`."""
    plain = json.loads(line)
    return Job(**{**plain, "path": Path(plain["path"])})


def options_of(line: str | bytes) -> Options:
    """The inverse of `to_line`."""
    plain: dict[str, Any] = json.loads(line)
    models = None if plain["models"] is None else Path(plain["models"])
    return Options(**{**plain, "out": Path(plain["out"]), "models": models, "settings": Settings(**plain["settings"])})


def outcome_of(line: str | bytes) -> Outcome:
    """The inverse of `to_line`."""
    return to_outcome(json.loads(line))


def to_outcome(plain: dict[str, Any]) -> Outcome:
    """An outcome from its fields as JSON gives them; TypeError or KeyError where they are not those of an outcome."""
    return Outcome(**{**plain, "parts": tuple(plain["parts"]), "stamp": tuple(plain["stamp"])})


def absolute(options: Options) -> Options:
    """The same with absolute folders, for a process that works elsewhere."""
    models = None if options.models is None else options.models.absolute()
    return replace(options, out=options.out.absolute(), models=models)


def is_of(parts: Sequence[str], path: Path) -> bool:
    """Whether a slide that consists of `parts` is the one at `path`: one of them, or a folder that holds them."""
    place = os.path.abspath(path)
    return any(place == part or part.startswith(os.path.join(place, "")) for part in map(os.path.abspath, parts))


def stamp_of(files: Sequence[str | Path]) -> Stamp:
    """The stamp of a slide's files; (0, 0) where one can't be reached."""
    try:
        found = [os.stat(file) for file in files]
    except (OSError, ValueError):
        return (0, 0)
    return sum(status.st_size for status in found), max((status.st_mtime_ns for status in found), default=0)
