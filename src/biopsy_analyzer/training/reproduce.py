"""The shipped models from scratch: their banks, and the fibre states once both networks stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.models import Models
from biopsy_analyzer.segment.network import load_networks
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.annotations import annotated_patches, dsb_patches, pack
from biopsy_analyzer.training.annotations import write_bank as write_real_bank
from biopsy_analyzer.training.draw.bank import write_bank
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES
from biopsy_analyzer.training.state_tables import collect_states
from biopsy_analyzer.training.states import fit_states, uninformed_model
from biopsy_analyzer.training.truth import Truth, draw_truth, read_folder

Banks = dict[Path, float]
"""Folder of patches -> share of the samples."""

STATE_SEEDS = 8_000_000
"""Sections that teach the fibre states start here: the networks' patches lie below, the sections that judge from 9,000,000 on."""


def draw_banks(out: Path, kind: str, *, patches: int, seed: int, workers: int, annotations: Path | None, real: Path | None) -> Banks:
    """The banks that the network of `kind` "fibres" or "nuclei" learns from, drawn into `out` where they are not there yet.

    A fifth of the patches holds a dense infiltrate, the look-alike that is taken for fibres first. With `annotations` and the folder
    of `real` images a further share is real: outlined muscle for the fibres, the Data Science Bowl's nuclei for the nuclei.
    """
    dense = max(2, patches // 5)
    for name, count, first, infiltrated in (("drawn", patches - dense, seed, False), ("infiltrated", dense, seed + patches, True)):
        if not (out / name / "bank.json").exists():
            write_bank(out / name, count, first, workers=workers, infiltrated=infiltrated)
    banks = {out / "drawn": 0.7, out / "infiltrated": 0.15}
    if annotations is None or real is None:
        return banks
    if kind == "fibres":
        write_real_bank(annotated_patches(sorted(annotations.glob("*.geojson")), real), out / "real_muscle")
        return banks | {out / "real_muscle": 0.1}
    write_real_bank(pack(dsb_patches(real / "nuclei_dsb2018")), out / "real_nuclei")
    return banks | {out / "real_nuclei": 0.2}


def train_states(
    out: Path, models: Path, *, sections: int, annotations: Path | None = None, real: Path | None = None, device: str = "auto", version: str
) -> StateModel:
    """Fit the fibre state model for the networks in `models` and write it to `models`/states.

    sections  drawn per difficulty, 1024 x 1024 px each, analysed as they will be in use; the table of a finished section is kept
              in `out`, so that an interrupted run goes on
    annotations, real  annotated images to learn from too; those held out are left out, and so are those that don't teach states
    """
    networks = load_networks(models, device)
    blank = Models(networks.fibres, networks.nuclei, uninformed_model())
    out.mkdir(parents=True, exist_ok=True)
    parts = []
    with TemporaryDirectory() as scratch:
        for name, truth in _truths(sections, annotations, real, Path(scratch)):
            path = out / f"states_{name}_{networks.fibres.sha256[:8]}_{networks.nuclei.sha256[:8]}.parquet"
            if not path.exists():
                collect_states([truth()], blank, Settings()).to_parquet(path)
            parts.append(pd.read_parquet(path))
    about = {"licence": "MIT", "networks": {"fibres": networks.fibres.sha256, "nuclei": networks.nuclei.sha256}}
    return fit_states(pd.concat(parts, ignore_index=True), models / "states", version=version, about=about)


def _truths(sections: int, annotations: Path | None, real: Path | None, scratch: Path) -> Iterator[tuple[str, Callable[[], Truth]]]:
    """Names of all sections and how to get each: drawing waits until it is asked for."""
    if annotations is not None and real is not None:
        for truth in read_folder(annotations, images=real):
            if truth.teach_states and not truth.held_out:
                yield truth.name, partial(_as_it_is, truth)
    for number in range(sections):
        for k, difficulty in enumerate(DIFFICULTIES):
            first = STATE_SEEDS + 100_000 * k
            yield f"{difficulty}_{first + number}", partial(draw_truth, difficulty, number, scratch, seed=first)


def _as_it_is(truth: Truth) -> Truth:
    return truth
