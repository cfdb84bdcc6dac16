"""Training of one network on banks of patches: seeded, resumable, on a CPU or a GPU."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.segment.model_folder import CHANNELS
from biopsy_analyzer.segment.network import UNet, choose_device
from biopsy_analyzer.training.augment import LOOKS, Sample, draw_sample
from biopsy_analyzer.training.banks import Bank
from biopsy_analyzer.training.export import write_model
from biopsy_analyzer.training.losses import PARTS, Batch, agreement, class_weights, losses

HELD_OUT = (
    "augmented patches of the same banks, held back from training; real patches among them where a bank is of real images, "
    "but no slide of its own"
)
"""What a card's `held_out` figures are of."""
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "fibres": {"widths": (32, 48, 96, 160), "bottom": 3},
    "nuclei": {"widths": (24, 48, 80), "bottom": 3},
}
"""Chosen by training speed on one core (bf16): 33 and 20 GFLOP per Mpx, reach 108 px of 0.8 um and 52 px of 0.5 um."""

_PEAK_RATE = 2e-3
_WARM_UP_STEPS = 100
_AVERAGE_DECAY = 0.998
_HELD_OUT_SAMPLES = 64


def fit(
    kind: str,
    banks: Sequence[Path],
    out: Path,
    *,
    shares: Sequence[float] | None = None,
    models: Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    batch_size: int = 8,
    size_px: int = 256,
    evaluate_every: int = 500,
    architecture: dict[str, Any] | None = None,
    threads: int = 1,
    device: str = "auto",
    sources: Sequence[str] = (),
    version: str = "0.1.0",
) -> dict[str, float]:
    """Train the network of `kind` "fibres" or "nuclei" and return its held-out figures.

    banks, shares   folders of patches, and the share of samples that each gives (None: equal)
    out             run folder, outside the repository: checkpoint.pt, curve.csv, curve.png
    models          folder that gets `kind`/weights.safetensors and card.json at each evaluation (None: out/models)
    minutes, steps  length, exactly one; the learning rate follows it (warm-up, then half a cosine)
    sources         where the patches come from and under which licence, for the card
    device          cpu, cuda, or auto: cuda where there is one
    resume          go on from out/checkpoint.pt; with `steps` the weights are those of an uninterrupted run
    Sample i of step s depends on (seed, s, i) alone. UsageError for a wrong kind, length, share, bank or checkpoint.
    """
    if kind not in CHANNELS or (minutes is None) == (steps is None):
        raise UsageError(f"train wants kind fibres or nuclei and either minutes or steps, not {kind!r}, {minutes} and {steps}")
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    run = _Run(
        kind,
        [Bank(bank) for bank in banks],
        shares,
        Path(out),
        seed,
        batch_size,
        size_px,
        architecture or ARCHITECTURES[kind],
        choose_device(device),
    )
    if resume:
        run.load()
    models = Path(models) if models else Path(out) / "models"
    about = {"version": version, "licence": "MIT", "sources": list(sources)}
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), TextColumn("{task.fields[loss]}")) as progress:
        task = progress.add_task(f"training {kind}", total=1.0, loss="")
        while (done := run.step / steps if steps else run.seconds / 60 / (minutes or 1)) < 1:
            loss = run.train_step(done)
            progress.update(task, completed=done, loss=f"step {run.step} loss {loss:.3f}")
            if run.step % evaluate_every == 0:
                progress.console.print(run.keep(models / kind, about), soft_wrap=True)
        if run.step % evaluate_every:
            progress.console.print(run.keep(models / kind, about), soft_wrap=True)
        progress.update(task, completed=1.0)
    run.plot()
    return run.figures


class _Run:
    """State of one training run, and the four things done with it: step, evaluate, save or load, export."""

    def __init__(
        self,
        kind: str,
        banks: Sequence[Bank],
        shares: Sequence[float] | None,
        out: Path,
        seed: int,
        batch_size: int,
        size_px: int,
        architecture: dict[str, Any],
        device: str,
    ) -> None:
        self.kind, self.banks, self.out, self.seed, self.batch_size, self.size_px = kind, banks, out, seed, batch_size, size_px
        self.shares = _normalised(shares, banks)
        self.device = device
        torch.manual_seed(seed)
        self.network = UNet(architecture["widths"], architecture["bottom"], len(CHANNELS[kind]), folded=False)
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self.average = deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=_PEAK_RATE, weight_decay=0.01)
        counts = sum(share * bank.class_counts(kind) for share, bank in zip(self.shares, banks, strict=True))
        self.class_weights = class_weights(torch.from_numpy(np.asarray(counts, np.float32))).to(device)
        self.step, self.seconds = 0, 0.0
        self.curve: list[dict[str, float]] = []
        self.recent: list[list[float]] = []
        self.figures: dict[str, float] = {}
        half = device != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16")
        self.precision = torch.autocast(device, torch.bfloat16) if half else nullcontext()

    def train_step(self, done: float) -> float:
        """One step at `done` 0..1 of the run; returns the loss."""
        started = time.monotonic()
        batch = stacked([self._sample(i) for i in range(self.batch_size)], self.device)
        rate = _PEAK_RATE * min(1, (self.step + 1) / _WARM_UP_STEPS) * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        with self.precision:
            logits = self.network(batch.rgb.float())
        parts = losses(logits.float(), batch, self.class_weights)
        self.optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        self._follow()
        self.recent.append([float(parts[name].detach()) for name in (*PARTS, "total")])
        self.seconds += time.monotonic() - started
        return self.recent[-1][-1]

    def _sample(self, index: int) -> Sample:
        rng = np.random.default_rng([self.seed, self.step, index])
        bank = self.banks[int(rng.choice(len(self.banks), p=self.shares))]
        return draw_sample(bank.patch(int(rng.choice(bank.training)), self.kind), self.kind, rng, self.size_px)

    def _held_out_sample(self, number: int, bank: Bank, row: int) -> Sample:
        return draw_sample(bank.patch(row, self.kind), self.kind, np.random.default_rng([1, number]), self.size_px)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averaged weights, the ones exported, towards the trained ones: fast at first, then slowly."""
        decay = min(_AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        for slow, fast in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - decay)
            else:
                slow.copy_(fast)

    @torch.no_grad()
    def evaluate(self) -> str:
        """Figures of the averaged weights on held-out samples, always the same ones; a row of the curve; a line to print."""
        sums: dict[str, Any] = {}
        held = [(bank, int(row)) for bank in self.banks for row in bank.held_out]
        chosen = [held[int(i)] for i in np.linspace(0, len(held) - 1, min(len(held), _HELD_OUT_SAMPLES))]
        for start in range(0, len(chosen), self.batch_size):
            rows = enumerate(chosen[start : start + self.batch_size], start)
            batch = stacked([self._held_out_sample(n, bank, row) for n, (bank, row) in rows], self.device)
            with self.precision:
                logits = self.average(batch.rgb.float())
            found = agreement(logits.float(), batch)
            found["loss"] = losses(logits.float(), batch, self.class_weights)["total"] * len(batch.rgb) / len(chosen)
            sums = {name: sums.get(name, 0) + value for name, value in found.items()}
        self.figures = _figures(sums)
        recent = np.mean(self.recent, 0) if self.recent else np.full(len(PARTS) + 1, np.nan)
        row = {"step": self.step, "minutes": round(self.seconds / 60, 2)}
        row |= {f"train_{name}": round(float(value), 5) for name, value in zip((*PARTS, "total"), recent, strict=True)}
        self.curve.append(row | {f"held_out_{name}": value for name, value in self.figures.items()})
        self.recent = []
        self._write_curve()
        return " ".join(f"{name} {value}" for name, value in self.curve[-1].items())

    def _write_curve(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        with open(self.out / "curve.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(self.curve[-1]))
            writer.writeheader()
            writer.writerows(self.curve)

    def keep(self, folder: Path, about: dict[str, Any]) -> str:
        """Evaluate, save, export to `folder`; returns the evaluation's line."""
        line = self.evaluate()
        self.save()
        self.export(folder, about)
        return line

    def save(self) -> None:
        """Write out/checkpoint.pt, whole or not at all."""
        state = {name: getattr(self, name) for name in ("step", "seconds", "curve", "recent", "figures")}
        state |= {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        self.out.mkdir(parents=True, exist_ok=True)
        torch.save(state, self.out / "checkpoint.pt.part")
        os.replace(self.out / "checkpoint.pt.part", self.out / "checkpoint.pt")

    def load(self) -> None:
        """Go on where `save` left off."""
        try:
            state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
            for name in ("network", "average", "optimizer"):
                getattr(self, name).load_state_dict(state.pop(name))
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise UsageError(f"{self.out / 'checkpoint.pt'}: can't resume ({' '.join(str(error).split())[:200]})") from error
        for name, value in state.items():
            setattr(self, name, value)

    def export(self, folder: Path, about: dict[str, Any]) -> None:
        """Write the averaged weights and their card."""
        about = about | {
            "data": [
                {"bank": bank.folder.name, "patches": len(bank.training), "share": round(share, 3), "drawn": bank.drawn}
                for bank, share in zip(self.banks, self.shares, strict=True)
            ],
            "training": {
                "seed": self.seed,
                "steps": self.step,
                "minutes": round(self.seconds / 60, 1),
                "batch": self.batch_size,
                "patch_px": self.size_px,
            },
            "metrics": {"held_out": self.figures, "meaning": HELD_OUT},
        }
        write_model(deepcopy(self.average).cpu(), self.kind, LOOKS[self.kind].um_per_px, folder, about)

    def plot(self) -> None:
        """Draw out/curve.png from the curve."""
        from matplotlib.figure import Figure  # only training needs it

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot(xlabel="step", ylabel="loss", title=f"{self.kind}, seed {self.seed}")
        for name in ("train_total", "held_out_loss"):
            axes.plot([row["step"] for row in self.curve], [row[name] for row in self.curve], label=name)
        axes.legend()
        figure.savefig(self.out / "curve.png")


def _normalised(shares: Sequence[float] | None, banks: Sequence[Bank]) -> list[float]:
    shares = [1.0] * len(banks) if shares is None else list(shares)
    if not banks or len(shares) != len(banks) or min(shares) <= 0:
        raise UsageError(f"{len(banks)} banks and shares {shares}: give at least one bank, and a share above 0 for each")
    return [share / sum(shares) for share in shares]


def stacked(samples: Sequence[Sample], device: str) -> Batch:
    """Samples as one batch on `device`."""

    def together(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])).to(device)

    return Batch(
        together("rgb").permute(0, 3, 1, 2), together("foreground"), together("depth"), together("classes").long(), together("weight")
    )


def _figures(sums: dict[str, Any]) -> dict[str, float]:
    """Loss, Dice of the foreground, mean error of depth inside objects, and mean recall of the classes present, rounded."""
    if not sums:
        return {}
    present = sums["members"] > 0
    figures = {
        "loss": sums["loss"],
        "foreground_dice": 2 * sums["overlap"] / sums["sizes"].clamp(min=1),
        "depth_error": sums["depth_error"] / sums["depth_pixels"].clamp(min=1),
        "class_recall": (sums["hits"][present] / sums["members"][present]).mean() if bool(present.any()) else torch.zeros(()),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}
