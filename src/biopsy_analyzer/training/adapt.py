"""Adapt the models to a laboratory: from its corrections to a folder of models with their own cards, before and after on held-out ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from biopsy_analyzer.classify.state_model import StateModel, save_state_model
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.models import Models, default_folder, load_models
from biopsy_analyzer.report.atomic import copy_whole, prepare_folder, write_bytes
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.terminal import LOG
from biopsy_analyzer.training.known import forgotten, known_fibres, known_sections, read_known
from biopsy_analyzer.training.lessons import check_sources, distinct, outline_places, read_calls
from biopsy_analyzer.training.real_bank import RealPatch
from biopsy_analyzer.training.shift import shift_states
from biopsy_analyzer.training.truth import Truth
from biopsy_analyzer.walk import Progress

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import Network

PARTS = ("fibres", "nuclei", "states")
"""Of a folder of models."""

REPORT = "adaptation.json"
NOTE = (
    "Measured on corrections held out of the fit, by the same reader, on the sections named: how well the models follow this reader, "
    "no accuracy against experts; and on drawn sections: what was forgotten, no accuracy on real ones. Research use only."
)


def adapt(
    sources: list[Path],
    out: Path,
    *,
    images: Path | None = None,
    um_per_px: float | None = None,
    parent: Path | None = None,
    fine_tune_minutes: float | None = None,
    device: str = "auto",
    settings: Settings = Settings(),  # noqa: B008
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write models adapted to corrections into `out` and return, and write there, adaptation.json.

    sources            GeoJSON annotations, or result folders that hold corrections.jsonl;  images: where their images lie
    um_per_px          of annotated images, whatever they state; None: what they state
    parent             models to start from (None: those of this version); what is not changed is copied
    fine_tune_minutes  also train the fibre network further, so long; None: only the state model is fitted again
    settings           annotated images are analysed with them, and networks compared; a result keeps those that it was made with
    Where held-out corrections are read no better than before, or drawn sections worse, the parent's model is copied and the report says
    so. A source given more than once counts once, and `repeated` names it; `notes` say what else was not taken.
    UsageError: too few corrections, a source that is neither or of other networks, or `out` holding anything but adapted models.
    """
    step = progress or (lambda stage, done, total: None)
    parent = default_folder() if parent is None else parent
    _check_place(out, parent)
    sources, repeated = distinct(sources)
    check_sources(sources, images, um_per_px)
    models = load_models(parent, device)
    step("states", 0, 1)
    calls, notes = read_calls(sources, images, models, settings, um_per_px)
    places = None if fine_tune_minutes is None else _places(sources, images, um_per_px, notes)
    with TemporaryDirectory() as scratch:
        known = known_sections(Path(scratch))
        states, found = shift_states(calls, models.states, known_fibres(known, models, settings))
        step("states", 1, 1)
        tuned, tuning = None, None
        if fine_tune_minutes is not None and places is not None:
            models = replace(models, states=states)
            tuned, tuning = _tuned(models, places, known, fine_tune_minutes, settings, step)
            tuned = _with_states_as_good(tuned, tuning, models, known, settings, found["known"]["before"])
        elif found["held_out"] is None:
            raise UsageError("; ".join([found["why"], *notes]))

    prepare_folder(out, last_file=REPORT)
    for name in PARTS:
        copy_whole(parent / name, out / name)
    digest = hashlib.sha256(calls.to_csv(index=False).encode()).hexdigest()
    if tuned is not None and tuning is not None:
        _write_fibres(tuned, parent, out, tuning, digest)
    if tuned is not None or not found["kept_parent"]:
        _write_states(states, out, found, tuning, digest)
    report = {
        "intended_use": "research_use_only",
        "note": NOTE,
        "sources": [source.name for source in sources],
        "repeated": [str(source) for source in repeated],
        "notes": notes,
        "corrections_sha256": digest,
        "parent": {name: _card(parent, name)["sha256"] for name in PARTS},
        "settings": settings.model_dump(mode="json"),
        "states": found,
        "fibres": tuning,
    }
    write_bytes(out / REPORT, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
    return report


def _check_place(out: Path, parent: Path) -> None:
    """UsageError where models written into `out` would take the place of the parent's, or lie among other things."""
    if out.resolve() == parent.resolve():
        raise UsageError(f"{out}: holds the models to start from; give another folder with -o")
    held = {path.name for path in out.iterdir() if not path.name.startswith(".")} - {LOG} if out.is_dir() else set()
    others = held - {*PARTS, REPORT} if REPORT in held else held
    if others:
        raise UsageError(f"{out}: holds {min(others)}, so it is no folder of adapted models alone; give a new one with -o")


def _card(models: Path, part: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((models / part / "card.json").read_text(encoding="utf-8"))
    return card


def _places(sources: list[Path], images: Path | None, um_per_px: float | None, notes: list[str]) -> list[list[RealPatch]]:
    """Windows with corrected outlines, place by place; UsageError, with the notes on what was not taken, where there are too few."""
    from biopsy_analyzer.training.fine_tune import check_places

    places = outline_places(sources, images, um_per_px)
    try:
        check_places(places)  # before minutes are spent
    except UsageError as error:
        raise UsageError("; ".join([str(error), *notes])) from error
    return places


def _tuned(
    models: Models, places: list[list[RealPatch]], known: list[Truth], minutes: float, settings: Settings, step: Progress
) -> tuple[Network | None, dict[str, Any]]:
    from biopsy_analyzer.training.fine_tune import fine_tune

    return fine_tune(models.fibres, places, known, minutes, settings.segment, progress=lambda done: step("fine-tune", int(done * 100), 100))


def _with_states_as_good(
    tuned: Network | None, tuning: dict[str, Any], models: Models, known: list[Truth], settings: Settings, before: dict[str, Any]
) -> Network | None:
    """The network, or None where states of what it outlines and sees are read worse than `before`; `tuning` is told."""
    tuning["states"] = None
    if tuned is None:
        return None
    after = read_known(models.states, known_fibres(known, replace(models, fibres=tuned), settings))
    tuning["states"] = {"before": before, "after": after}
    fault = forgotten(before, after)
    if fault is None:
        return tuned
    tuning |= {"kept_parent": True, "why": f"{tuning['why']}; but {fault}"}
    return None


def _write_states(states: StateModel, out: Path, found: dict[str, Any], tuning: dict[str, Any] | None, digest: str) -> None:
    """The state model with a card of its own, which names its parent and the networks beside it."""
    parent = states.card
    card = {
        "name": parent["name"],
        "version": _version(parent["version"], digest),
        "kind": parent.get("kind"),
        "licence": parent.get("licence"),
        "parent": {name: parent.get(name) for name in ("version", "sha256", "data", "temperature", "networks", "metrics")},
        "networks": {name: _card(out, name)["sha256"] for name in ("fibres", "nuclei")},
        "temperature": parent.get("temperature"),
        "data": {"corrections_sha256": digest, **found["fibres"]},
        "adaptation": {name: found[name] for name in ("kept_parent", "chosen", "held_out", "known", "why")},
        "with_adapted_network": None if tuning is None else tuning["states"],
    }
    save_state_model(replace(states, card=card), out / "states")


def _write_fibres(tuned: Network, parent: Path, out: Path, tuning: dict[str, Any], digest: str) -> None:
    from biopsy_analyzer.training.export import write_model

    card = _card(parent, "fibres")
    about = {
        "version": _version(card["version"], digest),
        "licence": card.get("licence"),
        "sources": [*card.get("sources", []), "a laboratory's own corrections"],
        "parent": {name: card.get(name) for name in ("version", "sha256", "data", "training", "metrics")},
        "data": {"corrections_sha256": digest, **tuning["patches"]},
        "training": tuning["training"],
        "metrics": tuning["held_out"],
        "states_on_drawn_sections": tuning["states"],
    }
    write_model(tuned.module.cpu(), "fibres", tuned.um_per_px, out / "fibres", about)


def _version(parent: str, digest: str) -> str:
    return f"{parent}+adapted.{digest[:8]}"
