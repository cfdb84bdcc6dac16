"""Drawing sections, learning from them, and judging what was learned."""

from __future__ import annotations

import json
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from biopsy_analyzer.cli.options import Device, DeviceOption, Json, ModelsOption, Mpp, SettingsOption, chosen_settings, log_folder, need
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, progress_bar, write_out


class Difficulty(StrEnum):
    """How hard drawn sections are; see docs/drawn_sections.md."""

    clean = "clean"
    usual = "usual"
    hard = "hard"


class Kind(StrEnum):
    """What can be trained."""

    fibres = "fibres"
    nuclei = "nuclei"
    states = "states"


def draw(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Folder for slides and their truth.")],
    seed: Annotated[int, typer.Option(min=0, help="Section k is drawn from seed + k.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many sections.")] = 1,
    difficulty: Annotated[Difficulty, typer.Option(help="Of the sections.")] = Difficulty.usual,
    size: Annotated[int, typer.Option(min=64, help="Edge in px of 0.5 um.")] = 2048,
) -> None:
    """Draw sections with known truth."""
    with errors_in_one_line("draw", out):
        from biopsy_analyzer.report.atomic import check_writable
        from biopsy_analyzer.training.draw import write_sections

        check_writable(out)
        for path in write_sections(out, seed=seed, count=count, difficulty=difficulty.value, size_px=size):
            write_out(for_terminal(str(path)))


def train(
    kind: Annotated[Kind, typer.Argument(help="What to train; states last, since they are learned from what both networks find.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RUN", help="Banks, checkpoints and curves; the models go into RUN/models.")],
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Length of a network's run; or give --steps.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of a network's run, reproducible to the bit; or give --minutes.")] = None,
    patches: Annotated[int, typer.Option(min=20, help="Patches to draw for the networks.")] = 2400,
    sections: Annotated[int, typer.Option(min=1, help="Sections to draw for the states, per difficulty.")] = 24,
    real: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the real images, to learn from them too.")] = None,
    annotations: Annotated[Path, typer.Option(metavar="DIR", help="What was annotated on them.")] = Path("annotations"),
    seed: Annotated[int, typer.Option(min=0, help="Of weights, samples and drawn patches.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    device: DeviceOption = Device.auto,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
) -> None:
    """Train a network, or the fibre states, from scratch: seeded, resumable."""
    with errors_in_one_line("train", out):
        if kind is not Kind.states and (minutes is None) == (steps is None):
            raise UsageError("wanted either --minutes or --steps: how long to train")
        need("train", "sklearn", "matplotlib")
        from biopsy_analyzer.report.atomic import writable
        from biopsy_analyzer.training.reproduce import train_network, train_states

        taught = None if real is None else (annotations, real)
        with writable(out):
            if kind is Kind.states:
                train_states(out, sections=sections, real=taught, device=device.value)
            else:
                train_network(
                    kind.value, out, patches=patches, real=taught, minutes=minutes, steps=steps, seed=seed, resume=resume,
                    device=device.value, threads=threads,
                )  # fmt: skip


def evaluate(
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="Images with GeoJSON or label images; or give --drawn.")] = None,
    drawn: Annotated[Difficulty | None, typer.Option(help="Judge on drawn sections of this difficulty, never trained on.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many drawn sections.")] = 12,
    mpp: Mpp = None,
    images: Annotated[Path | None, typer.Option(metavar="PATH", help="Folder of the images, or the one image, if not in FOLDER.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="DIR", help="Judge these label images instead of running the method.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="OUT", help="For evaluation.json and a picture per image.")] = None,
    device: DeviceOption = Device.auto,
    models: ModelsOption = None,
    settings: SettingsOption = None,
    as_json: Json = False,
) -> None:
    """Judge the whole method on images with known truth."""
    with errors_in_one_line("evaluate", out or log_folder()):
        if (folder is None) == (drawn is None) or (drawn and (labels or images or mpp)):
            raise UsageError("wanted either a FOLDER with truth, as --labels, --images and --mpp want it, or --drawn clean, usual or hard")
        chosen = chosen_settings(settings)
        if out is not None:
            need("train", "matplotlib")
        from biopsy_analyzer.models import load_models
        from biopsy_analyzer.report.atomic import writable
        from biopsy_analyzer.training.evaluate import evaluate_drawn, evaluate_folder
        from biopsy_analyzer.training.evaluation_table import print_evaluation

        with nullcontext() if out is None else writable(out), progress_bar(hidden=as_json) as progress:
            if drawn is not None:
                found = evaluate_drawn(drawn.value, load_models(models, device), out, count=count, settings=chosen, progress=progress)
            elif folder is not None:
                loaded = None if labels else load_models(models, device)
                found = evaluate_folder(
                    folder, loaded, out, um_per_px=mpp, images=images, labels=labels, settings=chosen, progress=progress
                )
        if as_json:
            write_out(json.dumps(found, indent=2, allow_nan=False))
        else:
            print_evaluation(found)
