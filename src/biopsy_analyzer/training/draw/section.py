"""One drawn section with the truth of every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from biopsy_analyzer.training.draw import layout as lay
from biopsy_analyzer.training.draw.artefacts import damage
from biopsy_analyzer.training.draw.interstitium import draw_structures, fill_interstitium, interstitial_cells
from biopsy_analyzer.training.draw.invaded import draw_invaded
from biopsy_analyzer.training.draw.nuclei import Canvas
from biopsy_analyzer.training.draw.recipe import STAGES, Difficulty, Recipe, draw_recipe
from biopsy_analyzer.training.draw.sarcoplasm import STATE_OF_STAGE, UNASSESSABLE, choose_stages, fibre_nuclei, fill_fibres

UM_PER_PX = 0.5


@dataclass(frozen=True)
class Drawn:
    """Concentrations, not colours, and their truth.

    concentrations   float32 (3, H, W): optical density of haematoxylin, eosin and red cells
    fibres, nuclei   int32 (H, W) labels 1..n
    fibre_state      uint8 (n + 1,): FIBRE_STATES 1..4 by label, 5 unassessable
    fibre_stage      uint8 (n + 1,): 0 normal, else 1 + index into recipe.STAGES
    nucleus_kind     uint8 (m + 1,): NUCLEUS_KINDS 1..4 by label
    nucleus_fibre    int32 (m + 1,): fibre that holds it, 0 between fibres
    nucleus_cluster  int32 (m + 1,): cells drawn as one group share a number, 0 none
    zone             uint8 (H, W): what lies outside the fibres (layout.ENDOMYSIUM .. GLASS)
    ignore           bool (H, W): truth is void (fold, wide tear, dust)
    """

    concentrations: np.ndarray
    fibres: np.ndarray
    nuclei: np.ndarray
    fibre_state: np.ndarray
    fibre_stage: np.ndarray
    nucleus_kind: np.ndarray
    nucleus_fibre: np.ndarray
    nucleus_cluster: np.ndarray
    zone: np.ndarray
    ignore: np.ndarray
    um_per_px: float = UM_PER_PX


def draw_section(
    seed: int,
    shape_px: tuple[int, int] = (512, 512),
    difficulty: Difficulty = "usual",
    disease: str | None = None,
    recipe: Recipe | None = None,
) -> Drawn:
    """Draw the section of `seed`: the same arguments give the same arrays, on one machine.

    shape_px    (H, W) in px of 0.5 um
    difficulty  "clean", "usual" or "hard" (docs/drawn_sections.md)
    disease     one of recipe.DISEASES; None draws one
    recipe      numbers of your own instead of those that difficulty and disease would draw
    """
    rng = np.random.default_rng(seed)
    drawn_recipe = draw_recipe(rng, difficulty, disease)  # drawn in any case: what follows keeps its random state
    recipe = recipe or drawn_recipe
    plan = lay.lay_out(rng, shape_px, recipe)
    canvas = Canvas(
        haematoxylin=np.zeros(shape_px, np.float32),
        eosin=np.zeros(shape_px, np.float32),
        red=np.zeros(shape_px, np.float32),
        fibres=plan.fibres,
        depth=plan.depth,
        zone=plan.zone,
        nuclei=np.zeros(shape_px, np.int32),
        ignore=np.zeros(shape_px, bool),
        um_per_px=UM_PER_PX,
        states=np.zeros(1, np.uint8),
    )
    count = int(plan.fibres.max())
    stages = choose_stages(rng, count, recipe, np.bincount(plan.fibres.ravel(), minlength=count + 1))
    fill_interstitium(canvas, rng, recipe)
    fill_fibres(canvas, rng, recipe, stages)
    if recipe.invaded:
        stages = draw_invaded(canvas, rng, recipe, stages)
    draw_structures(canvas, rng, plan.structures, recipe.perivascular)
    fibre_nuclei(canvas, rng, recipe, stages)
    dead = np.isin(stages, [i + 1 for i, s in enumerate(STAGES) if s in STATE_OF_STAGE and s not in ("pale", "regenerating", "fragmented")])
    interstitial_cells(canvas, rng, recipe, dead)
    damage(canvas, rng, recipe)
    return _finished(canvas, stages)


def _finished(canvas: Canvas, stages: np.ndarray) -> Drawn:
    """Number the nuclei that are still seen 1..m, and mark fibres that artefacts mostly hide."""
    seen = np.bincount(canvas.nuclei.ravel(), minlength=len(canvas.kinds) + 1) > 0
    seen[0] = True
    numbers = (np.cumsum(seen) - 1).astype(np.int32)

    def kept(values: list[int], dtype: type) -> np.ndarray:
        return np.array([0, *values], dtype)[seen]

    area = np.bincount(canvas.fibres.ravel(), minlength=len(stages))
    hidden = np.bincount(canvas.fibres[canvas.ignore], minlength=len(stages)) > 0.3 * area
    states = np.where(hidden & (canvas.states > 0), UNASSESSABLE, canvas.states).astype(np.uint8)
    return Drawn(
        concentrations=np.clip(np.stack([canvas.haematoxylin, canvas.eosin, canvas.red]), 0, 3.1).astype(np.float32),
        fibres=canvas.fibres,
        nuclei=numbers[canvas.nuclei],
        fibre_state=states,
        fibre_stage=stages.astype(np.uint8),
        nucleus_kind=kept(canvas.kinds, np.uint8),
        nucleus_fibre=kept(canvas.owners, np.int32),
        nucleus_cluster=kept(canvas.clusters, np.int32),
        zone=canvas.zone,
        ignore=canvas.ignore,
    )
