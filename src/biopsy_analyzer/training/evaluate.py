"""Judge the whole method on images with known truth: one command from a folder, or from drawn sections, to figures with intervals."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biopsy_analyzer.errors import SlideError, UsageError
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.atomic import prepare_folder, write_bytes
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.training.calibration import write_diagram
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES, Difficulty
from biopsy_analyzer.training.draw.write import write_png
from biopsy_analyzer.training.judge import Judged, Prediction, judge, prediction_of, why_not_judged
from biopsy_analyzer.training.marked import marked_picture
from biopsy_analyzer.training.summary import slides_of, summarise
from biopsy_analyzer.training.truth import Truth, draw_truth, find_labels, images_without_truth, read_folder, read_labels
from biopsy_analyzer.versions import __version__
from biopsy_analyzer.walk import Progress

if TYPE_CHECKING:
    from biopsy_analyzer.models import Models

SCHEMA_VERSION = "2.0"  # 2.0: where some images were trained on, the figures are those of the others
CIRCULAR = "what was not changed counts as agreement: this tells how much was corrected, not accuracy"
DRAWN_NOTE = (
    "Judged on drawn sections: how well the method reads drawings, not its accuracy on tissue, and no clinical accuracy. Research use only."
)
REAL_NOTE = "Judged on the images named; other laboratories, stains and diseases may differ. Research use only."
INTERVAL = (
    "95 %, the wider of bootstraps over objects and over slides, 1000 rounds; of shares and F1 never narrower than the exact binomial one"
)
MIXED_NOTE = f"{REAL_NOTE} Some of them are drawn: figures over all images are no accuracy on tissue."


def evaluate_folder(
    inputs: Path,
    models: Models | None,
    out: Path | None = None,
    *,
    um_per_px: float | None = None,
    images: Path | None = None,
    labels: Path | None = None,
    settings: Settings = Settings(),  # noqa: B008
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge on a folder of images with truth beside them (see `truth.read_folder`); returns, and writes to `out`, evaluation.json.

    With `labels`, label images `<name>_fibres.*` and `<name>_nuclei.*` of that folder, which cover the same area in pixels of
    any size, are judged instead of running the method; `models` is then not needed. `out` also gets a picture per image.
    Where some images were trained on, the figures are those of the others, and `trained_on` has theirs. `notes` tell, a line each, what
    of the truth counts for nothing. `images` may be one file, the image of the only truth.
    UsageError for a folder without truth, a folder of labels that has none for an image, and where nothing can be judged.
    """
    truths = read_folder(inputs, images=images, um_per_px=um_per_px)
    find: Callable[[Truth], Prediction]
    if labels is not None:
        find = partial(_read_prediction, labels)
    elif models is not None:
        find = _analysis(models, settings)
    else:
        raise UsageError("nothing to judge: wanted models, or a folder of label images")
    facts = {"inputs": inputs.resolve().name, "labels": None if labels is None else labels.resolve().name}
    notes = [] if images is not None and images.is_file() else images_without_truth(inputs)
    return _evaluate(truths, len(truths), find, models if labels is None else None, out, settings, progress, facts, notes)


def evaluate_drawn(
    difficulty: Difficulty,
    models: Models,
    out: Path | None = None,
    *,
    count: int = 12,
    seed: int | None = None,
    shape_px: tuple[int, int] = (1024, 1024),
    settings: Settings = Settings(),  # noqa: B008
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge on `count` sections of (H, W) pixels of 0.5 um drawn from fixed seeds (None: `truth.FIRST_SEED`) that training never uses.

    difficulty: "clean", "usual" or "hard" (docs/drawn_sections.md). Returns and writes what `evaluate_folder` does.
    UsageError for another difficulty or no sections.
    """
    if count < 1 or difficulty not in DIFFICULTIES:
        raise UsageError(f"{count} sections of difficulty {difficulty!r}; wanted at least 1, and one of {', '.join(DIFFICULTIES)}")
    with tempfile.TemporaryDirectory() as folder:
        truths = (draw_truth(difficulty, number, Path(folder), seed=seed, shape_px=shape_px) for number in range(count))
        facts = {"difficulty": difficulty, "seed": seed, "shape_px": list(shape_px)}
        return _evaluate(truths, count, _analysis(models, settings), models, out, settings, progress, facts)


def _evaluate(
    truths: Iterable[Truth],
    count: int,
    find: Callable[[Truth], Prediction],
    models: Models | None,
    out: Path | None,
    settings: Settings,
    progress: Progress | None,
    facts: dict[str, Any],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    judged, per_image = [], []
    told = list(notes)
    if out is not None:
        prepare_folder(out, "evaluation.json", made_of_it=["calibration.png"])
    for number, truth in enumerate(truths, start=1):
        try:
            one = judge(truth, find(truth), settings)
        except SlideError as error:  # a section that the method refuses is one in which it finds nothing, not the end of the evaluation
            one = judge(truth, _nothing(truth, settings), settings, error=str(error))
        told += [*truth.notes, *why_not_judged(one)]
        if truth.own and models is not None:
            told.append(f"{truth.name}: outlined by this program: {truth.own} of its fibres and nuclei; {CIRCULAR}")
        per_image.append(_of_image(one))
        if out is not None:
            _write_picture(one, out / f"{truth.name}_marked.png")
        judged.append(_without_pixels(one))
        if progress:
            progress("evaluate", number, count)
    if not any(one.counts for one in judged):
        raise UsageError(f"nothing could be judged: {'; '.join(told)}")
    evaluation = _whole(judged, per_image, models, settings, {**facts, "notes": told})
    if out is not None:
        if evaluation["calibration"]:
            write_diagram(evaluation["calibration"], out / "calibration.png", evaluation["note"])
        write_bytes(out / "evaluation.json", json.dumps(evaluation, indent=2, allow_nan=False).encode())
    return evaluation


def _analysis(models: Models, settings: Settings) -> Callable[[Truth], Prediction]:
    """The method as a function of the truth's image; several annotations of one image in a row are analysed once."""

    @lru_cache(maxsize=1)
    def analyse(image: Path, um_per_px: float) -> Prediction:
        with open_slide(image, um_per_px=um_per_px) as slide:
            return prediction_of(analyze_slide(slide, models, settings))

    return lambda truth: analyse(truth.image, truth.grid.um_per_px)


def _read_prediction(folder: Path, truth: Truth) -> Prediction:
    """Label images of any pixel size that cover the truth's area."""
    found: dict[str, Labels] = {}
    for part in ("fibres", "nuclei"):
        path = find_labels(folder, truth.name, part)
        if path is not None:
            pixels = read_labels(path)
            height, width = (n / own for n, own in zip(truth.grid.shape, pixels.shape, strict=True))
            if abs(height / width - 1) > 0.01:
                raise UsageError(
                    f"{path}: {pixels.shape} px can't cover the image's {truth.grid.shape} px; wanted the same shape, at any size"
                )
            um_per_px = truth.grid.um_per_px * height
            found[part] = Labels(pixels, dataclasses.replace(truth.grid, shape=pixels.shape, um_per_px=um_per_px))
    if not found:
        raise UsageError(f"{folder}: no label image for {truth.name!r}; wanted {truth.name}_fibres.png or {truth.name}_nuclei.png")
    return Prediction(fibres=found.get("fibres"), nuclei=found.get("nuclei"))


def _nothing(truth: Truth, settings: Settings) -> Prediction:
    """Nothing found of what `prediction_of` would have been asked for."""
    blank = Labels(np.zeros(truth.grid.shape, dtype=np.int32), truth.grid)
    if truth.grid.um_per_px > settings.segment.max_nucleus_um_per_px:
        return Prediction(fibres=blank, fibre_state=[""])
    return Prediction(blank, blank, [""], [""], np.zeros(1, dtype=np.int32))


def _write_picture(one: Judged, path: Path) -> None:
    with open_slide(one.truth.image, um_per_px=one.truth.grid.um_per_px) as slide:
        rgb = slide.read(one.truth.grid)
    write_png(path, marked_picture(rgb, one))


def _whole(
    judged: Sequence[Judged], per_image: list[dict[str, Any]], models: Models | None, settings: Settings, facts: dict[str, Any]
) -> dict[str, Any]:
    trained = [one for one in judged if one.truth.held_out is False]
    others = [one for one in judged if one.truth.held_out is not False]
    split = bool(trained and others)
    slides = len(set(slides_of(others if split else judged)))
    drawn = [one.truth.drawn for one in judged]
    return {
        "schema_version": SCHEMA_VERSION,
        "intended_use": "research_use_only",
        "note": DRAWN_NOTE if all(drawn) else MIXED_NOTE if any(drawn) else REAL_NOTE,
        "software": {"name": "biopsy-analyzer", "version": __version__},
        "models": [] if models is None else _named_models(models),
        "settings": settings.model_dump(),
        **facts,
        "drawn": all(drawn),
        "interval": f"{INTERVAL}; {slides} slide{'s' if slides > 1 else ''}",
        "judged_on": f"{len(others)} of {len(judged)} images: those not trained on" if split else f"all {len(judged)} images",
        **summarise(others if split else judged),
        "trained_on": summarise(trained) if split else None,
        "images": per_image,
    }


def _of_image(one: Judged) -> dict[str, Any]:
    truth = one.truth
    facts = {"name": truth.name, "um_per_px": truth.grid.um_per_px, "drawn": truth.drawn, "held_out": truth.held_out, "error": one.error}
    return {**facts, **summarise([one])}


def _without_pixels(one: Judged) -> Judged:
    """Units are small and are kept of every image; pixels are not."""
    truth = dataclasses.replace(one.truth, fibres=None, nuclei=None, ignore=None)
    return dataclasses.replace(one, truth=truth, fibre_pixels=None, nucleus_pixels=None)


def _named_models(models: Models) -> list[dict[str, str]]:
    card = models.states.card
    facts = [(model.name, model.version, model.sha256) for model in (models.fibres, models.nuclei)]
    facts.append((card["name"], card["version"], card["sha256"]))
    return [{"name": name, "version": str(number), "sha256": sha256} for name, number, sha256 in facts]
