"""What is finished: one line a slide, appended as it ends; the same command reads it and does only what is left."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from biopsy_analyzer.batch.job import Job, Options, Outcome, is_of, to_outcome
from biopsy_analyzer.batch.lock import PLACE
from biopsy_analyzer.report.atomic import unwritten
from biopsy_analyzer.report.scores_json import SCHEMA_VERSION
from biopsy_analyzer.versions import software_versions


@dataclass(frozen=True)
class Entry:
    """A finished slide: `work` is a hash of all but the slide that its result depends on, `row` is its line in summary.csv."""

    outcome: Outcome
    work: str
    row: dict[str, Any]


class Journal:
    """The finished slides of an output folder by id; a line that a killed run left half written is passed over."""

    def __init__(self, out: Path) -> None:
        self._path = out / PLACE / "journal.jsonl"
        self._entries: dict[str, Entry] = {}
        self._torn = False
        if self._path.exists():
            for line in self._path.read_bytes().splitlines(keepends=True):
                self._take(line)

    def _take(self, line: bytes) -> None:
        self._torn = not line.endswith(b"\n")
        try:
            read = json.loads(line)
            entry = Entry(to_outcome(read["outcome"]), read["work"], read["row"])
        except (ValueError, TypeError, KeyError):
            return
        self._entries[entry.outcome.id] = entry

    def get(self, job: Job, work: str) -> Entry | None:
        """The entry of a job whose result was made by the same work, or None; whether slide and files are unchanged is not asked."""
        entry = self._entries.get(job.id)
        return entry if entry and entry.work == work else None

    def earlier_sha256(self, job: Job) -> str | None:
        """SHA-256 of the slide when the last result under the job's id was made, if that was of the same path; None otherwise."""
        entry = self._entries.get(job.id)
        return entry.outcome.sha256 if entry and is_of(entry.outcome.parts, job.path) else None

    def add(self, entry: Entry) -> None:
        """Append `entry`, on disk when this returns; OutputError where that fails."""
        line = json.dumps(asdict(entry), allow_nan=False).encode() + b"\n"
        append(self._path, b"\n" + line if self._torn else line)
        self._torn = False
        self._entries[entry.outcome.id] = entry


def append(path: Path, line: bytes) -> None:
    """Append `line` in one write, on disk when this returns; OutputError where that fails, and the file is as long as before."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                if file.write(line) != len(line):
                    raise OSError(None, "the disk is full")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
    except OSError as error:
        raise unwritten(path, error) from error


class Work:
    """What a result depends on besides the slide's bytes: settings, models, software, device, pixel size, id."""

    def __init__(self, options: Options) -> None:
        self._common = {
            "settings": options.settings.model_dump(mode="json"),
            "models": _cards(options.models),
            "software": software_versions(),
            "schema": SCHEMA_VERSION,
            "device": options.device,
        }
        self._digest = hashlib.sha256(json.dumps(self._common, sort_keys=True).encode())

    def of(self, job: Job) -> str:
        """Its hash for one job."""
        digest = self._digest.copy()
        digest.update(json.dumps([job.id, job.um_per_px]).encode())
        return digest.hexdigest()


def _cards(folder: Path | None) -> dict[str, str]:
    """SHA-256 of every model card, which itself holds that of the weights; none where the folder has none (a worker will say so)."""
    from biopsy_analyzer.models import default_folder

    cards = sorted((default_folder() if folder is None else folder).glob("*/card.json"))
    return {card.parent.name: hashlib.sha256(card.read_bytes()).hexdigest() for card in cards}
