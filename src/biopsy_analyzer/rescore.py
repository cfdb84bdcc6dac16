"""Scores of a saved result once more, from its tables: after corrections, with other settings, by a newer version; and what changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.report.atomic import prepare_folder, write_bytes
from biopsy_analyzer.report.saved import Saved
from biopsy_analyzer.report.scores_json import ScoresDocument, to_text
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.score import Scores, score
from biopsy_analyzer.score.evidence import evidence_objects
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.versions import software_versions

BY_THE_TABLES = ("score", "reader", "space", "evidence")
"""Groups of settings that the tables are enough for; any other needs the slide."""

TOLD = tuple(name for name in Scores.model_fields if name != "warnings")
_NEAR = 1e-9  # differences below are rounding


@dataclass(frozen=True)
class Change:
    """One number or word of the scores that is another now; `where` is its place in scores.json."""

    where: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Rescored:
    """The new content of scores.json, the tables it is of, and what is not as it was in the document it was compared with."""

    document: dict[str, Any]
    saved: Saved
    changes: tuple[Change, ...]


def score_again(saved: Saved, settings: Settings | None = None, compared_with: dict[str, Any] | None = None) -> Rescored:
    """Score the saved tables with `settings` (None: those of the result); compared_with: another document than the saved one.

    Everything of the document that does not come from the tables stays: slide, models, quality, and the warnings of reading them.
    A refused result has nothing to score and stays as it is. UsageError for settings that need the slide.
    """
    before = compared_with or saved.document
    own = Settings.model_validate(saved.document["settings"])
    used = own if settings is None else _combined(own, settings)
    if saved.document["status"] == "refused":
        return Rescored(saved.document, saved, ())
    old = _score(saved, own)
    new = old if used == own else _score(saved, used)
    notes = [warning for warning in saved.document["warnings"] if warning not in old.warnings]
    scores = {name: getattr(new, name) for name in TOLD}
    document = ScoresDocument.model_validate(
        {**saved.document, **scores, "warnings": (*new.warnings, *notes), "settings": used, "software": software_versions()}
    ).model_dump(mode="json")
    return Rescored(document, saved, tuple(_changes({k: before[k] for k in TOLD}, {k: document[k] for k in TOLD})))


def write_rescored(rescored: Rescored, folder: Path) -> Path:
    """Write scores.json, the tables and the evidence into `folder`, which `read_saved` reads; UsageError where that is the result's own.

    The result itself keeps what the analysis wrote: its picture and report show those numbers.
    """
    folder = Path(folder)
    if folder.resolve() == rescored.saved.folder.resolve():
        raise UsageError(f"{folder}: holds the result itself; wanted another folder with -o")
    prepare_folder(folder, last_file="scores.json")
    saved = rescored.saved
    tables = saved.fibres, saved.nuclei, saved.clusters
    for name, table in zip(("fibres", "nuclei", "clusters"), tables, strict=True):
        write_table(table, folder, name)
    write_table(evidence_objects(*tables, Settings.model_validate(rescored.document["settings"])), folder, "evidence")
    write_bytes(folder / "scores.json", to_text(rescored.document).encode("utf-8"))
    return folder


def changes_text(changes: tuple[Change, ...]) -> str:
    """A line for each change; one that says so where there is none."""
    if not changes:
        return "  nothing changed"
    return "\n".join(f"  {change.where}: {_shown(change.before)} -> {_shown(change.after)}" for change in changes)


def _score(saved: Saved, settings: Settings) -> Scores:
    document = saved.document
    nuclei_assessed = document["fibres"]["with_internal_nuclei"] is not None
    return score(saved.fibres, saved.nuclei, saved.clusters, document["quality"]["tissue_area_mm2"], settings, nuclei_assessed)


def _combined(own: Settings, wanted: Settings) -> Settings:
    """`own` with the groups of `wanted` that the tables are enough for."""
    defaults = Settings()
    for group in Settings.model_fields:
        new, usual, old = (getattr(one, group) for one in (wanted, defaults, own))
        if group in BY_THE_TABLES or new in (usual, old):
            continue
        name = next(name for name in type(new).model_fields if getattr(new, name) not in (getattr(usual, name), getattr(old, name)))
        raise UsageError(f"{group}.{name} is {getattr(new, name)}, in this result {getattr(old, name)}: that needs the slide. Run analyze")
    return own.model_copy(update={group: getattr(wanted, group) for group in BY_THE_TABLES})


def _changes(before: Any, after: Any, where: str = "") -> list[Change]:
    """Leaves that differ, in the order of the document; lists of other lengths and of words differ as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = dict.fromkeys((*before, *after))
        return [change for key in keys for change in _changes(before.get(key), after.get(key), f"{where}.{key}".lstrip("."))]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and not _words(before):
        named = [f"{where}.{item['code']}" if isinstance(item, dict) and "code" in item else where for item in after]
        return [change for old, new, name in zip(before, after, named, strict=True) for change in _changes(old, new, name)]
    if before == after or (_is_number(before) and _is_number(after) and abs(before - after) <= _NEAR * max(1.0, abs(before))):
        return []
    return [Change(where, before, after)]


def _words(values: list[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value[:6])}{', ...' if len(value) > 6 else ''}]"
    return "not assessed" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
