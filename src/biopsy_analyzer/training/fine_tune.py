"""A few minutes of further training of the fibre network on a laboratory's corrected outlines, mixed with drawn patches.

A small learning rate, and as many drawn samples as corrected ones, so that the network does not forget. Of the places with corrected
outlines a fourth is held out, whole, so that no pixel is both taught and judged; the result is taken only if it finds their fibres better
and those of drawn sections not clearly worse.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.segment.fibres import fibre_labels
from biopsy_analyzer.segment.network import Network, UNet
from biopsy_analyzer.settings import SegmentSettings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.training.agreement import match, segmentation_figures
from biopsy_analyzer.training.augment import draw_sample
from biopsy_analyzer.training.banks import BANK_UM_PER_PX, Bank
from biopsy_analyzer.training.draw.bank import write_bank
from biopsy_analyzer.training.fit import stacked
from biopsy_analyzer.training.judge import onto
from biopsy_analyzer.training.losses import class_weights, losses
from biopsy_analyzer.training.real_bank import RealPatch, write_real_bank
from biopsy_analyzer.training.truth import Truth

MIN_PATCHES, MIN_PLACES = 4, 2
"""Windows with corrected outlines, and places apart from each other that they lie in, below which nothing is trained. Priors."""

PEAK_RATE = 1e-4  # a twentieth of the training's: outlines move, what was learned stays. Prior
DRAWN_PATCHES = 24
DRAWN_SEED = 7_800_000  # below the sections that tell what is forgotten (7,850,000)
MOST_FORGOTTEN = 0.02  # of fibre F1 at either IoU on drawn sections. Prior
_HOLD_OUT_EVERY = 4
_BATCH = 4
_WEIGHT_DECAY = 0.01

Pictures = list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]
"""With their truth: RGB, fibre labels and ignored area on the same pixels, and their um/px."""


def fine_tune(
    parent: Network,
    places: list[list[RealPatch]],
    known: list[Truth],
    minutes: float,
    segment: SegmentSettings = SegmentSettings(),  # noqa: B008
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Network | None, dict[str, Any]]:
    """The parent trained further, None where that helps nobody; and the figures before and after.

    places   of `outline_places`: patches of 512 px of 0.5 um;  known: drawn sections, which must be read no worse
    minutes  of training, apart from drawing and judging
    segment  how fibres are told apart in what either network sees
    Samples depend on the seed, but how many fit into `minutes` on the machine. UsageError: see `check_places`.
    """
    check_places(places)
    held = [patch for place in places[::_HOLD_OUT_EVERY] for patch in place]
    taught = [patch for number, place in enumerate(places) if number % _HOLD_OUT_EVERY for patch in place]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_real_bank(taught, folder / "real")
        write_bank(folder / "drawn", DRAWN_PATCHES, DRAWN_SEED)
        corrected = [(patch["rgb"], patch["fibres"], patch["ignore"], BANK_UM_PER_PX) for patch in held]
        drawn = _pictures(known)
        before = {"corrected": _figures(parent, corrected, segment), "drawn": _figures(parent, drawn, segment)}
        module, steps = _train(parent, [Bank(folder / "real"), Bank(folder / "drawn")], minutes, seed, progress or (lambda done: None))
    tuned = deepcopy(parent)
    tuned.module = module
    after = {"corrected": _figures(tuned, corrected, segment), "drawn": _figures(tuned, drawn, segment)}
    gain, change = ([after[k][f1]["value"] - before[k][f1]["value"] for f1 in ("f1_50", "f1_75")] for k in ("corrected", "drawn"))
    kept = sum(gain) <= 0 or min(change) < -MOST_FORGOTTEN
    told = (f"by {by[0]:+.3f} (IoU 0.5) and {by[1]:+.3f} (0.75)" for by in (gain, change))
    why = "fibre F1 changes {} on held-out windows, {} on drawn sections".format(*told)
    report = {
        "patches": {"taught": len(taught), "held_out": len(held), "places": len(places), "drawn": DRAWN_PATCHES},
        "training": {"minutes": minutes, "steps": steps, "seed": seed, "peak_rate": PEAK_RATE, "batch": _BATCH},
        "held_out": {"before": before, "after": after},
        "kept_parent": kept,
        "why": why,
    }
    return (None if kept else tuned), report


def check_places(places: list[list[RealPatch]]) -> None:
    """UsageError, with what there is and what is wanted, where there is too little to teach, or nothing could be held out."""
    windows = sum(map(len, places))
    if windows < MIN_PATCHES or len(places) < MIN_PLACES:
        raise UsageError(
            f"too few outlines: windows with corrected ones: {windows}, places of theirs that share no pixel: {len(places)}; wanted "
            f"at least {MIN_PATCHES} and {MIN_PLACES}, of which one is held out. Correct outlines in more places, or annotate another image"
        )


def _train(parent: Network, banks: list[Bank], minutes: float, seed: int, progress: Callable[[float], None]) -> tuple[UNet, int]:
    module = deepcopy(parent.module).train()
    counts = sum(bank.class_counts("fibres") for bank in banks)
    weights = class_weights(torch.from_numpy(np.asarray(counts, np.float32))).to(parent.device)
    optimizer = torch.optim.AdamW(module.parameters(), lr=PEAK_RATE, weight_decay=_WEIGHT_DECAY)
    started, step = time.monotonic(), 0
    while (done := (time.monotonic() - started) / 60 / minutes) < 1 or step == 0:
        samples = []
        for index in range(_BATCH):
            rng = np.random.default_rng([seed, step, index])
            bank = banks[index % len(banks)]
            rows = np.concatenate([bank.training, bank.held_out])
            samples.append(draw_sample(bank.patch(int(rng.choice(rows)), "fibres"), "fibres", rng))
        batch = stacked(samples, parent.device)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * (1 + np.cos(np.pi * min(done, 1.0))) / 2
        total = losses(module(batch.rgb.float()), batch, weights)["total"]
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimizer.step()
        step += 1
        progress(min(done, 1.0))
    return module.eval(), step


def _pictures(sections: list[Truth]) -> Pictures:
    found = []
    for truth in sections:
        with open_slide(truth.image, um_per_px=truth.grid.um_per_px) as slide:
            rgb = slide.read(truth.grid)
        assert truth.fibres is not None
        assert truth.ignore is not None
        found.append((rgb, truth.fibres, truth.ignore, truth.grid.um_per_px))
    return found


def _figures(network: Network, pictures: Pictures, segment: SegmentSettings) -> dict[str, Any]:
    """Fibre F1 at IoU 0.5 and 0.75 with 95 % intervals over fibres."""
    units = pd.concat([_units(network, segment, *picture) for picture in pictures], ignore_index=True)
    found = segmentation_figures(units)
    return {name: {"value": found[name].value or 0.0, "ci95": found[name].ci95, "n": found[name].n} for name in ("f1_50", "f1_75")}


def _units(
    network: Network, segment: SegmentSettings, rgb: np.ndarray, truth: np.ndarray, ignore: np.ndarray, um_per_px: float
) -> pd.DataFrame:
    stride = network.stride
    size = tuple(round(n * um_per_px / network.um_per_px / stride) * stride for n in rgb.shape[:2])
    shrunk = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)
    um = rgb.shape[0] * um_per_px / size[0]
    labels = Labels(fibre_labels(network.maps(shrunk[None])[0], um, segment), PixelGrid((size[0], size[1]), um))
    on_truth = onto(labels, PixelGrid((truth.shape[0], truth.shape[1]), um_per_px))
    return match(truth.astype(np.int32), on_truth, ignore=ignore, min_cut_px=segment.min_fibre_um2 / um_per_px**2)
