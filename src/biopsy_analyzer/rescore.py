"""Scores of a saved result once more, from its tables: after corrections, with other settings, by a newer version; and what changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.report.atomic import MADE_OF_RESULTS, prepare_folder, write_bytes
from biopsy_analyzer.report.saved import Saved, read_document
from biopsy_analyzer.report.scores_json import ScoresDocument, to_text
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.score import Scores, score
from biopsy_analyzer.score.traced import evidence_objects
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.versions import software_versions

BY_THE_TABLES = ("score", "reader", "space", "evidence")
"""Groups of settings that the tables are enough for; any other needs the slide."""

TOLD = tuple(name for name in Scores.model_fields if name != "warnings")
_HEADLINES = ("pattern.label", *(f"scores.{name}.value" for name in ("necrosis", "regeneration", "inflammation", "balance")))
_NEAR = 1e-9  # differences below are rounding
_OF_AN_ANALYSIS = ("objects.geojson", "labels.ome.zarr", "corrections.jsonl")  # that a scoring never writes


@dataclass(frozen=True)
class Change:
    """One number or word of the scores that is another now; `where` is its place in scores.json."""

    where: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Rescored:
    """The new content of scores.json, the tables it is of, what is not as it was in the document compared with, and other settings."""

    document: dict[str, Any]
    saved: Saved
    changes: tuple[Change, ...]
    settings: tuple[Change, ...] = ()


def score_again(saved: Saved, settings: Settings | None = None, compared_with: dict[str, Any] | None = None) -> Rescored:
    """Score the saved tables with `settings`, see `settings_for`; compared_with: another document than the saved one.

    Everything of the document that does not come from the tables stays: slide, models, quality, and the warnings of reading them.
    A refused result has nothing to score: only the settings it names change. UsageError for settings that need the slide.
    """
    before = compared_with or saved.document
    own, used = settings_for(saved.document, None), settings_for(saved.document, settings)
    others = tuple(_changes(own.model_dump(mode="json"), used.model_dump(mode="json"), "settings"))
    if saved.document["status"] == "refused":
        return Rescored({**saved.document, "settings": used.model_dump(mode="json")}, saved, (), others)
    old = _score(saved, own)
    new = old if used == own else _score(saved, used)
    notes = [warning for warning in saved.document["warnings"] if warning not in old.warnings]
    scores = {name: getattr(new, name) for name in TOLD}
    document = ScoresDocument.model_validate(
        {**saved.document, **scores, "warnings": (*new.warnings, *notes), "settings": used, "software": software_versions()}
    ).model_dump(mode="json")
    return Rescored(document, saved, tuple(_changes({k: before.get(k) for k in TOLD}, {k: document[k] for k in TOLD})), others)


def settings_for(document: dict[str, Any], wanted: Settings | None) -> Settings:
    """The settings that a result is scored again with: its own, but for those that `wanted` names, in its TOML file or in Python.

    What `wanted` leaves at its default without naming it stays as it is in the result: who changes one threshold changes no other.
    UsageError for one that needs the slide and is another in the result.
    """
    own = Settings.model_validate(document["settings"])
    groups = () if wanted is None else tuple(name for name in Settings.model_fields if name in wanted.model_fields_set)
    parts = {}
    for group in groups:
        new, old = getattr(wanted, group), getattr(own, group)
        named = {name: getattr(new, name) for name in type(new).model_fields if name in new.model_fields_set}
        parts[group] = old.model_copy(update=named)
        if group not in BY_THE_TABLES and (other := next((name for name in named if named[name] != getattr(old, name)), None)):
            found = f"{group}.{other} is {named[other]}, in this result {getattr(old, other)}"
            raise UsageError(f"{found}: that needs the slide. Run batch (or analyze) with these settings")
    return own.model_copy(update=parts)


def check_target(folder: Path, document: dict[str, Any] | None, result: Path | None) -> None:
    """UsageError where scores can't go into `folder`: `result` itself, below a result, an analysis, or the result of another slide.

    document, result  what is scored again, and where it lies; None where it can't be read, or there is none
    """
    place = folder.resolve()
    if result is not None and place == result.resolve():
        raise UsageError(f"{folder}: holds the result itself; wanted another folder with -o")
    if above := next((parent for parent in place.parents if (parent / "scores.json").is_file()), None):
        raise UsageError(f"{folder}: lies in a result, {above.name}; wanted another folder with -o")
    if held := next((name for name in _OF_AN_ANALYSIS if (folder / name).exists()), None):
        raise UsageError(f"{folder}: holds {held} of an analysis or a reader, which is never written over; wanted another folder with -o")
    if document is None or not (folder / "scores.json").is_file():
        return
    if (there := read_document(folder)["slide"])["sha256"] != document["slide"]["sha256"]:
        raise UsageError(f"{folder}: holds the result of another slide, {there['file_name']}. Name a folder for each slide with -o")


def write_rescored(rescored: Rescored, folder: Path) -> Path:
    """Write scores.json, the tables and the evidence into `folder`, which `read_saved` reads.

    UsageError as `check_target`. The result itself keeps what the analysis wrote: its picture and report show those numbers.
    """
    folder = Path(folder)
    check_target(folder, rescored.document, rescored.saved.folder)
    take_away(folder)
    saved = rescored.saved
    tables = saved.fibres, saved.nuclei, saved.clusters
    for name, table in zip(("fibres", "nuclei", "clusters"), tables, strict=True):
        write_table(table, folder, name)
    write_table(evidence_objects(*tables, Settings.model_validate(rescored.document["settings"])), folder, "evidence")
    write_bytes(folder / "scores.json", to_text(rescored.document).encode("utf-8"))
    return folder


def take_away(folder: Path) -> None:
    """Make `folder` one without a result: an earlier scoring's scores.json goes first, and what was made of it."""
    prepare_folder(folder, last_file="scores.json", made_of_it=MADE_OF_RESULTS)


def headline(rescored: Rescored) -> str:
    """What changed in a line: how much, the pattern and the axes by name, and settings that are others than in the result."""
    changes = rescored.changes
    told = (*(change for change in changes if change.where in _HEADLINES), *rescored.settings)
    parts = [
        f"{len(changes)} changed" if changes else "nothing changed",
        *(line.strip() for line in changes_text(told).splitlines() if told),
    ]
    return "; ".join(parts)


def changes_text(changes: tuple[Change, ...]) -> str:
    """A line for each change, an interval beside its value; one line that says so where there is none."""
    if not changes:
        return "  nothing changed"
    places = {change.where for change in changes}
    intervals = {_of_interval(change.where): change for change in changes if change.where.endswith("ci95")}
    lines = []
    for change in changes:
        if intervals.get(_of_interval(change.where)) is change and _of_interval(change.where) in places:
            continue  # told with its value
        interval = intervals.get(change.where)
        beside = "" if interval is None else f" (95 % interval {_from_to(interval)})"
        lines.append(f"  {change.where.removesuffix('.value')}: {_from_to(change)}{beside}")
    return "\n".join(lines)


def _of_interval(where: str) -> str:
    """Where the number stands whose interval stands at `where`: beside "ci95" it is "value", beside "grade_ci95" "grade"."""
    return f"{where.removesuffix('ci95')}value" if where.endswith(".ci95") else where.removesuffix("_ci95")


def _score(saved: Saved, settings: Settings) -> Scores:
    document = saved.document
    nuclei_assessed = document["fibres"]["with_internal_nuclei"] is not None
    return score(saved.fibres, saved.nuclei, saved.clusters, document["quality"]["tissue_area_mm2"], settings, nuclei_assessed)


def _changes(before: Any, after: Any, where: str = "") -> list[Change]:
    """What differs, in the order of the document: numbers and words one by one, intervals and other lists as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = dict.fromkeys((*before, *after))
        return [change for key in keys for change in _changes(before.get(key), after.get(key), f"{where}.{key}".lstrip("."))]
    if _by_code(before) and _by_code(after):
        return _changes({item["code"]: item for item in before}, {item["code"]: item for item in after}, where)
    return [] if _same(before, after) else [Change(where, before, after)]


def _by_code(value: Any) -> bool:
    """Whether it is a list of things that have a name, such as evidence."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "code" in item for item in value)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return before == after or (_is_number(before) and _is_number(after) and abs(before - after) <= _NEAR * max(1.0, abs(before)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _from_to(change: Change) -> str:
    """Old -> new; of long lists how many are new, and how many gone."""
    before, after = change.before, change.after
    if isinstance(before, list) and isinstance(after, list) and not (_is_short(before) and _is_short(after)):
        new, gone = sum(item not in before for item in after), sum(item not in after for item in before)
        return f"{new} new, {gone} gone" if new or gone else "in another order"
    return f"{_shown(before)} -> {_shown(after)}"


def _is_short(values: list[Any]) -> bool:
    return len(values) <= 5 and not any(isinstance(value, str) and " " in value for value in values)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        joint = " to " if len(value) == 2 and all(map(_is_number, value)) else ", "
        return joint.join(map(_shown, value)) or "none"
    if isinstance(value, dict) and "count" in value:  # objects that an item rests on
        return f"{value['count']} objects"
    return "not assessed" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
