"""What a laboratory's corrections teach: calls of fibres from annotations and corrected results, and outlines as patches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.classify.features import FEATURES, state_features
from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.corrections.journal import NAME, digest
from biopsy_analyzer.corrections.outline import filled
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.models import Models
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import Slide, open_slide
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.banks import BANK_UM_PER_PX
from biopsy_analyzer.training.judge import onto
from biopsy_analyzer.training.real_bank import PATCH_PX, RealPatch, annotated_patches
from biopsy_analyzer.training.state_tables import collect_states
from biopsy_analyzer.training.targets import UNKNOWN
from biopsy_analyzer.training.truth import annotated_truth

OUTLINE_EDITS = ("split", "merge", "redraw", "draw", "delete")
"""Edits after which a reader has seen to the outlines around."""


@dataclass(frozen=True, eq=False)
class Window:
    """A patch with corrected outlines, as `write_real_bank` takes it, and where it was cut.

    image      SHA-256 of the slide
    corner_um  its top-left corner (y, x); None: anywhere on the image, as those of an annotation, which overlap each other
    """

    patch: RealPatch
    image: str
    corner_um: tuple[float, float] | None

    def overlaps(self, other: Window) -> bool:
        if self.image != other.image or self.corner_um is None or other.corner_um is None:
            return self.image == other.image
        return all(abs(a - b) < PATCH_PX * BANK_UM_PER_PX - 1e-6 for a, b in zip(self.corner_um, other.corner_um, strict=True))


def distinct(sources: list[Path]) -> tuple[list[Path], list[Path]]:
    """The sources, each once however often it was given or copied, and the further ones: a copy would be judged by itself.

    Told by what was corrected, not by the place; of a result and its copy of an earlier day, whose journal is shorter, the longer counts.
    """
    contents = [_corrected(source) for source in sources]

    def is_copy(one: int) -> bool:
        held = (k for k, other in enumerate(contents) if k != one and other.startswith(contents[one]))
        return any(k < one or contents[k] != contents[one] for k in held)

    copies = [is_copy(k) for k in range(len(sources))]
    kept = [source for source, copy in zip(sources, copies, strict=True) if not copy]
    return kept, [source for source, copy in zip(sources, copies, strict=True) if copy]


def _corrected(source: Path) -> bytes:
    """The bytes of an annotation, or of a result's journal; what can't be read is told by its place."""
    try:
        content = (source / NAME if source.is_dir() else source).read_bytes()
    except OSError:
        content = b""
    return content or os.fsencode(source.resolve()) + b"\0"  # no path begins with another one so ended


def check_sources(sources: list[Path], images: Path | None, um_per_px: float | None = None) -> None:
    """UsageError for a source that is neither an annotation file nor a corrected result, or for no source.

    um_per_px  of annotated images, whatever they state, here and below; a corrected result keeps that of its analysis
    """
    if not sources:
        raise UsageError("nothing to learn from; wanted GeoJSON annotations or corrected result folders")
    for source in sources:
        if source.suffix.lower() == ".geojson" and source.is_file():
            annotated_truth(source, images, um_per_px)
        elif not (source / NAME).is_file():
            raise UsageError(f"{source}: neither a GeoJSON annotation nor a result folder with {NAME}; correct it in napari first")


def read_calls(
    sources: list[Path], images: Path | None, models: Models, settings: Settings, um_per_px: float | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The table for `shift_states` from annotations (.geojson) and corrected result folders, and what of it was not taken, in words.

    Annotated images are analysed with `models` (`models.states` is not used). Of a corrected result the reader's calls are taken as
    decided, and the other assessable fibres, outside of regions marked unassessable, as left as called; but only where `models` made
    the calls, for else nobody saw those of the parent. Each source is a `section` of its own, whatever its name; but results of one
    analysis, as two readers corrected it, are one: fibres held out must not be taught. Empty where no source teaches states.
    UsageError for a result of other networks, whose features are not those of `models`.
    """
    parts: list[pd.DataFrame] = []
    notes: list[str] = []
    sections: dict[str, str] = {}
    for number, source in enumerate(sources, start=1):
        section = f"{number} {source.resolve().stem}"
        if source.suffix.lower() == ".geojson":
            truth = annotated_truth(source, images, um_per_px)
            notes += truth.notes
            if truth.held_out:
                notes.append(f"{source.name}: held out, teaches nothing")
            elif not truth.teach_states:
                notes.append(f"{source.name}: teach_states is false, teaches outlines only (--fine-tune)")
            else:
                parts.append(collect_states([truth], models, settings).assign(section=section, decided=True))
        else:
            corrections = Corrections.open(source)
            section = sections.setdefault(digest(corrections.saved), section)
            other_states = _other_states(corrections, models)
            parts.append(_calls_of_result(corrections, section, only_decided=other_states is not None))
            if other_states is not None:
                notes.append(f"{source.name}: {other_states}, so only its reader's own calls count")
    nothing = pd.DataFrame(columns=[*FEATURES, "section", "truth", "real", "decided"])
    return (pd.concat(parts, ignore_index=True) if parts else nothing), notes


def _other_states(corrections: Corrections, models: Models) -> str | None:
    """Which other state model made the result, in words; UsageError where it was another network."""
    fibres, nuclei, states = corrections.saved.document["models"]
    for made, network in ((fibres, models.fibres), (nuclei, models.nuclei)):
        if made["sha256"] != network.sha256:
            which = f"network {_called(made)}, but the models to adapt have {_called(vars(network))}"
            raise UsageError(
                f"{corrections.saved.folder}: made with {which}; give --models those, or analyse the slide again and correct that"
            )
    own = models.states.card
    return None if states["sha256"] == own["sha256"] else f"called by {_called(states)}, not by {_called(own)}"


def _called(model: dict[str, Any]) -> str:
    return f"{model['name']} {model['version']} (SHA-256 {model['sha256'][:12]})"


def _calls_of_result(corrections: Corrections, section: str, only_decided: bool) -> pd.DataFrame:
    fibres = corrections.fibres
    decided = fibres["fibre_id"].isin(_decided(corrections.edits)).to_numpy()
    known = fibres["assessable"].to_numpy() & (decided | (not only_decided))
    truth = np.where(known, fibres["state"].to_numpy(dtype=object), "")
    return state_features(fibres).assign(section=section, truth=truth, real=True, decided=decided)[known]


def _decided(edits: list[dict[str, Any]]) -> set[int]:
    """Fibres whose state a reader told."""
    called = {fibre for line in edits if line["edit"] == "state" for fibre in line["fibres"]}
    return called | {fibre for line in edits if line["edit"] == "draw" for fibre in line["made"]}


def outline_places(sources: list[Path], images: Path | None, um_per_px: float | None = None) -> list[list[RealPatch]]:
    """Patches with corrected outlines, as `write_real_bank` takes them, those that share pixels together; no two places share any."""
    places: list[list[Window]] = []
    for window in _windows(sources, images, um_per_px):
        near = [place for place in places if any(window.overlaps(other) for other in place)]
        places = [place for place in places if place not in near] + [[*(other for place in near for other in place), window]]
    return [[window.patch for window in place] for place in places]


def _windows(sources: list[Path], images: Path | None, um_per_px: float | None) -> Iterator[Window]:
    """The annotated regions, and windows around edited fibres.

    In a window of a corrected result all outlines count as seen; regions marked unassessable are ignored. UsageError where the image of
    a source is not in `images`, or is not the slide that the result was made on.
    """
    for source in sources:
        if source.suffix.lower() == ".geojson":
            truth = annotated_truth(source, images, um_per_px)
            with open_slide(truth.image, um_per_px=truth.grid.um_per_px) as slide:
                image = slide.sha256
            yield from (Window(patch, image, None) for patch in annotated_patches([source], truth.image, um_per_px))
        else:
            yield from _windows_of_result(source, images)


def _windows_of_result(folder: Path, images: Path | None) -> Iterator[Window]:
    corrections = Corrections.open(folder)
    places = _edited_places(corrections)
    if not len(places):
        return
    facts = corrections.saved.document["slide"]
    path = (images or folder) / facts["file_name"]
    if not path.is_file():
        raise UsageError(f"{path}: the slide of {folder.name} is not there; name its folder with --images")
    size = PATCH_PX * BANK_UM_PER_PX
    with open_slide(path, um_per_px=facts["um_per_px"]) as slide:
        if slide.sha256 != facts["sha256"]:
            wanted = f"SHA-256 {slide.sha256[:12]}, but {folder.name} was made on {facts['sha256'][:12]}"
            raise UsageError(f"{path}: another slide ({wanted}); name the folder of the right one with --images")
        for y, x in np.unique(np.floor(places / size).astype(int), axis=0):
            grid = PixelGrid((PATCH_PX, PATCH_PX), BANK_UM_PER_PX, (y * size, x * size))
            yield Window(_patch(corrections, slide, grid), slide.sha256, grid.origin_um)


def _edited_places(corrections: Corrections) -> np.ndarray:
    """Where outlines were edited, (n, 2) um."""
    places = []
    machine = corrections.saved.fibres.set_index("fibre_id")[["y_um", "x_um"]]
    for line in corrections.edits:
        if line["edit"] in OUTLINE_EDITS:
            drawn = line.get("ring_um") or line.get("line_um")
            known = [i for i in line.get("fibres", []) if i in machine.index]
            places += [np.mean(drawn, axis=0)] if drawn else list(machine.loc[known].to_numpy())
    return np.array(places).reshape(-1, 2)


def _patch(corrections: Corrections, slide: Slide, grid: PixelGrid) -> RealPatch:
    labels = corrections.labels["fibres"]
    box = labels.around(grid.to_um(np.array([[0, 0], grid.shape])))
    local = onto(Labels(labels.read(box), labels.grid_of(box)), grid)
    ids = np.unique(np.append(local, 0))
    fibres = np.searchsorted(ids, local).astype(np.uint16)
    decided = _decided(corrections.edits)
    state = corrections.fibres.set_index("fibre_id")["state"]
    codes = [FIBRE_STATES.index(state[i]) + 1 if i in decided else UNKNOWN for i in ids[1:]]
    states = np.array([0, *codes], np.uint8)[fibres]
    regions = [np.array(line["ring_um"]) for line in corrections.edits if line["edit"] == "unassessable"]
    ignore = np.zeros(grid.shape, bool)
    for ring in regions:
        ignore |= filled(grid.to_px(ring), grid.shape)
    nothing = np.zeros(grid.shape, np.uint16)
    kinds = np.full(grid.shape, UNKNOWN, np.uint8)
    return {"rgb": slide.read(grid), "fibres": fibres, "states": states, "nuclei": nothing, "kinds": kinds, "ignore": ignore}
