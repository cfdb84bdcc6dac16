"""Adapt the models to a laboratory: from its corrections to a folder of models with their own cards, before and after on held-out ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biopsy_analyzer.classify.state_model import StateModel, load_state_model, save_state_model
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.models import Models, default_folder, load_models
from biopsy_analyzer.report.atomic import copy_whole, prepare_folder, write_bytes
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.lessons import check_sources, distinct, outline_patches, read_calls
from biopsy_analyzer.training.shift import shift_states
from biopsy_analyzer.walk import Progress

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import UNet

PARTS = ("fibres", "nuclei", "states")
"""Of a folder of models."""

REPORT = "adaptation.json"
NOTE = (
    "Measured on corrections held out of the fit, by the same reader, on the sections named: how well the models follow this reader, "
    "no accuracy against experts. Research use only."
)


def adapt(
    sources: list[Path],
    out: Path,
    *,
    images: Path | None = None,
    parent: Path | None = None,
    fine_tune_minutes: float | None = None,
    device: str = "auto",
    settings: Settings = Settings(),  # noqa: B008
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write models adapted to corrections into `out` and return, and write there, adaptation.json.

    sources            GeoJSON annotations, or result folders that hold corrections.jsonl;  images: where their images lie
    parent             models to start from (None: those of this version); what is not changed is copied
    fine_tune_minutes  also train the fibre network further, so long; None: only the state model is fitted again
    settings           annotated images are analysed with them, and networks compared; a result keeps those that it was made with
    Where held-out corrections are read no better than before, the parent's model is copied and the report says so. A source given more
    than once counts once, and `repeated` names it.
    UsageError: too few corrections, a source that is neither, or `out` being the parent's folder.
    """
    step = progress or (lambda stage, done, total: None)
    parent = default_folder() if parent is None else parent
    if out.resolve() == parent.resolve():
        raise UsageError(f"{out}: holds the models to start from; give another folder with -o")
    sources, repeated = distinct(sources)
    check_sources(sources, images)
    models = load_models(parent, device)
    step("states", 0, 1)
    calls = read_calls(sources, images, models, settings)
    states, found = shift_states(calls, load_state_model(parent / "states"))
    step("states", 1, 1)
    tuned, tuning = None, None
    if fine_tune_minutes is not None:
        tuned, tuning = _tuned(sources, images, models, fine_tune_minutes, settings, step)

    prepare_folder(out, last_file=REPORT)
    for name in PARTS:
        copy_whole(parent / name, out / name)
    digest = hashlib.sha256(calls.to_csv(index=False).encode()).hexdigest()
    if not found["kept_parent"]:
        _write_states(states, out, found, digest)
    if tuned is not None and tuning is not None:
        _write_fibres(tuned, models, parent, out, tuning, digest)
    report = {
        "intended_use": "research_use_only",
        "note": NOTE,
        "sources": [source.name for source in sources],
        "repeated": [str(source) for source in repeated],
        "corrections_sha256": digest,
        "parent": {name: _card(parent, name)["sha256"] for name in PARTS},
        "settings": settings.model_dump(mode="json"),
        "states": found,
        "fibres": tuning,
    }
    write_bytes(out / REPORT, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
    return report


def _card(models: Path, part: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((models / part / "card.json").read_text(encoding="utf-8"))
    return card


def _tuned(
    sources: list[Path], images: Path | None, models: Models, minutes: float, settings: Settings, step: Progress
) -> tuple[UNet | None, dict[str, Any]]:
    from biopsy_analyzer.training.fine_tune import fine_tune

    patches = list(outline_patches(sources, images))
    return fine_tune(models.fibres, patches, minutes, settings.segment, progress=lambda done: step("fine-tune", int(done * 100), 100))


def _write_states(states: StateModel, out: Path, found: dict[str, Any], digest: str) -> None:
    """The shifted model with a card of its own, which names its parent."""
    parent = states.card
    card = {
        "name": parent["name"],
        "version": _version(parent["version"], digest),
        "kind": parent.get("kind"),
        "licence": parent.get("licence"),
        "parent": {name: parent.get(name) for name in ("version", "sha256", "data", "temperature", "metrics")},
        "data": {"corrections_sha256": digest, **found["fibres"]},
        "adaptation": {name: found[name] for name in ("chosen", "held_out", "why")},
    }
    save_state_model(replace(states, card=card), out / "states")


def _write_fibres(tuned: UNet, models: Models, parent: Path, out: Path, tuning: dict[str, Any], digest: str) -> None:
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
    }
    write_model(tuned.cpu(), "fibres", models.fibres.um_per_px, out / "fibres", about)


def _version(parent: str, digest: str) -> str:
    return f"{parent}+adapted.{digest[:8]}"
