"""What a section is like: every number that the drawing leaves to chance, drawn once.

Three fixed difficulties (docs/drawn_sections.md says them in words): clean, usual and hard. Ranges are priors, widened until the
real sections at hand lie inside them; they are not bent to make a figure look better.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Difficulty = Literal["clean", "usual", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = ("clean", "usual", "hard")
ARTEFACTS = ("fold", "tear", "pen", "edge", "dust", "thickness", "haemorrhage")
DISEASES = ("normal", "necrotizing", "inflammatory", "dystrophic", "toxic", "mixed")


@dataclass(frozen=True)
class Recipe:
    """One section's numbers; lengths in px of 0.5 um, shares 0..1, densities per fibre or per mm2."""

    fibre_px: float
    jitter: float
    size_spread: float
    small_share: float
    split_share: float
    missing_share: float
    rounding: tuple[float, float]
    warp_px: float
    warp_wavelength_px: float
    oblique: float
    gap_px: float
    gap_spread: float
    retracted_share: float
    fascicle_px: float
    perimysium_px: float
    fat_share: float
    infiltrate_share: float
    islands: float  # share of fibres that an infiltrate leaves standing
    glass_edge: bool
    structures: dict[str, int]
    state_shares: dict[str, float]  # stage of damage -> share of fibres; the rest is normal
    internal_share: float
    nuclei_per_fibre: float
    capillaries_per_fibre: float
    fibroblasts_per_mm2: float
    macrophages_per_necrotic: float
    lymphocytes_per_mm2: float
    endomysial_foci: int
    perivascular: float
    endomysium_eosin: float
    eosin: float
    weakness: float  # 0 text-book damage .. 1 barely visible
    holes_share: float
    artefacts: frozenset[str] = field(default_factory=frozenset)
    invaded: float = 0.0  # above 0 (training only): dead fibres are glassy among packed cells, and this share of them is eaten into


STAGES = ("pale", "hyaline", "dusky", "fragmented", "phagocytosed", "ghost", "regenerating")


def _disease_shares(rng: np.random.Generator, disease: str) -> dict[str, float]:
    """Share of each stage. Priors: no published distribution per group exists."""
    strength = rng.beta(1.2, 3)
    weight = {
        "normal": dict.fromkeys(STAGES, 0.03),
        "necrotizing": {"pale": 1, "hyaline": 0.8, "dusky": 0.8, "fragmented": 0.9, "phagocytosed": 1.2, "ghost": 0.4, "regenerating": 1.5},
        "inflammatory": {
            "pale": 0.2,
            "hyaline": 0.2,
            "dusky": 0.2,
            "fragmented": 0.15,
            "phagocytosed": 0.3,
            "ghost": 0.05,
            "regenerating": 0.4,
        },
        "dystrophic": {
            "pale": 0.4,
            "hyaline": 0.9,
            "dusky": 0.3,
            "fragmented": 0.3,
            "phagocytosed": 0.5,
            "ghost": 0.15,
            "regenerating": 1.2,
        },
        "toxic": {"pale": 1.5, "hyaline": 1.5, "dusky": 0.8, "fragmented": 0.8, "phagocytosed": 1.5, "ghost": 0.6, "regenerating": 2.5},
        "mixed": dict.fromkeys(STAGES, 1.0),
    }[disease]
    return {stage: float(strength * 0.22 * w * rng.uniform(0.2, 1.8)) for stage, w in weight.items()}


def draw_recipe(rng: np.random.Generator, difficulty: Difficulty = "usual", disease: str | None = None) -> Recipe:
    """A recipe at random.

    `clean`: no artefacts, clear gaps, text-book damage; `usual`: what a routine lab sends; `hard`: the worst of it.
    """
    level = DIFFICULTIES.index(difficulty)
    disease = disease or str(rng.choice(DISEASES, p=[0.25, 0.25, 0.15, 0.15, 0.08, 0.12]))
    fibre_um = float(np.clip(rng.lognormal(np.log(46), 0.36), 20, 105))
    tight = rng.random() < (0.1, 0.3, 0.45)[level]
    gap = rng.uniform(0.2, 1.6) if tight else rng.uniform(1.6, (6, 8, 9)[level])
    odds = (0.0, 0.12, 0.3)[level]
    artefacts = frozenset(a for a in ARTEFACTS if rng.random() < odds)
    crowd = rng.random()
    return Recipe(
        fibre_px=2 * fibre_um,
        jitter=rng.uniform(0.1, 0.24),
        size_spread=rng.choice([0.08, 0.25, 0.5]) * rng.uniform(0.5, 1.5),
        small_share=rng.choice([0.0, 0.08, 0.3], p=[0.4, 0.4, 0.2]) * (level > 0),
        split_share=(0.01, 0.03, 0.07)[level] * rng.uniform(0, 2),
        missing_share=rng.choice([0, 0.03, 0.1], p=[0.6, 0.3, 0.1]),
        rounding=(0.25, 0.6) if rng.random() < 0.5 else (0.5, 0.95),
        warp_px=rng.uniform(2, 9),
        warp_wavelength_px=rng.uniform(40, 110),
        oblique=float(rng.uniform(0.7, 1.0) if rng.random() > odds / 2 else rng.uniform(0.3, 0.7)),
        gap_px=gap,
        gap_spread=rng.uniform(0.2, 0.8),
        retracted_share=rng.choice([0.0, 0.15, 0.6]),
        fascicle_px=rng.uniform(500, 1600),
        perimysium_px=float(rng.choice([0, rng.uniform(8, 30), rng.uniform(30, 120)], p=[0.3, 0.4, 0.3])),
        fat_share=float(rng.uniform(0.05, 0.3) if rng.random() < 0.12 else 0),
        infiltrate_share=float(rng.uniform(0.1, 0.45) if rng.random() < (0.0, 0.13, 0.3)[level] else 0),
        islands=float(rng.choice([0.0, rng.uniform(0.1, 0.6)])),
        glass_edge=bool(rng.random() < 0.12),
        structures={"vessel": int(rng.poisson(0.5)), "nerve": int(rng.random() < 0.12), "spindle": int(rng.random() < 0.05)},
        state_shares=_disease_shares(rng, disease),
        internal_share=float(rng.choice([0.02, 0.1, 0.5], p=[0.5, 0.3, 0.2])),
        nuclei_per_fibre=rng.uniform(1.0, 3.5) * fibre_um / 46,
        capillaries_per_fibre=rng.uniform(0.1, 1.0) * fibre_um / 46,
        fibroblasts_per_mm2=rng.uniform(50, 500),
        macrophages_per_necrotic=rng.uniform(0, 7),
        lymphocytes_per_mm2=rng.uniform(0, 60) if disease != "inflammatory" else rng.uniform(50, 700),
        endomysial_foci=int(rng.poisson(1.2 if disease == "inflammatory" else 0.25)),
        perivascular=float(rng.uniform(0.2, 1) if crowd < (0.6 if disease == "inflammatory" else 0.12) else 0),
        endomysium_eosin=float(rng.choice([0.0, rng.uniform(0.02, 0.1), rng.uniform(0.1, 0.28)], p=[0.2, 0.4, 0.4])),
        eosin=rng.uniform(0.3, 0.75),
        weakness=float((rng.uniform(0, 0.2), rng.uniform(0.0, 0.75), rng.uniform(0.3, 1))[level]),
        holes_share=float(rng.choice([0.0, 0.2, 0.8], p=[1 - 1.6 * odds, 0.8 * odds, 0.8 * odds])),
        artefacts=artefacts,
    )


def often(rng: np.random.Generator, count: int, shape: tuple[int, int]) -> int:
    """How many of a thing that comes `count` times in 512 x 512 px come in `shape`: as stated up to that size, Poisson above."""
    patches = shape[0] * shape[1] / 512**2
    return count if patches <= 1.5 else int(rng.poisson(count * patches))
