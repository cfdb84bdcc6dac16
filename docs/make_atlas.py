"""Draw the sheets of the atlas, docs/images/atlas_*.jpg: every finding and look-alike in each difficulty.

python docs/make_atlas.py [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from biopsy_analyzer.training.draw import DIFFICULTIES, Drawn, draw_recipe, draw_section, render
from biopsy_analyzer.training.draw.layout import FAT, INFILTRATE, NERVE, VESSEL
from biopsy_analyzer.training.draw.recipe import ARTEFACTS, STAGES, Difficulty

TILE_PX, SECTION_PX = 232, 384  # of 0.5 um
COLUMNS = 4
FIRST_SEED = 9_500_000  # neither trained nor judged on
LABEL_PX = 22

PLAIN: dict[str, Any] = {
    "artefacts": frozenset(),
    "holes_share": 0.0,
    "glass_edge": False,
    "perimysium_px": 0.0,
    "fibre_px": 90.0,
    "infiltrate_share": 0.0,
}
ARTEFACT_CHANGES: dict[str, dict[str, Any]] = {
    **{name: {**PLAIN, "artefacts": frozenset({name})} for name in ARTEFACTS},
    "freezing holes": {**PLAIN, "holes_share": 0.9},
}
SEPTA = {**PLAIN, "perimysium_px": 60.0, "fascicle_px": 400.0}
LOOK_ALIKES: dict[str, tuple[dict[str, Any], int | None]] = {
    "infiltrate": ({**PLAIN, "infiltrate_share": 0.45, "islands": 0.3}, INFILTRATE),
    "nerve": ({**SEPTA, "structures": {"nerve": 1}}, NERVE),
    "vessels, cuffed": ({**SEPTA, "structures": {"vessel": 2}, "perivascular": 1.0}, VESSEL),
    "muscle spindle": ({**SEPTA, "structures": {"spindle": 1}}, NERVE),
    "fat": ({**SEPTA, "fat_share": 0.3}, FAT),
    "oblique fibres": ({**PLAIN, "oblique": 0.35}, None),
    "internal nuclei only": ({**PLAIN, "internal_share": 0.9}, None),
    "capillaries, fibroblasts": ({**PLAIN, "capillaries_per_fibre": 3.0, "fibroblasts_per_mm2": 1200.0}, None),
}
TRIES = 4
TYPICAL_SHARE = 0.2  # of a section that its artefact changes, or its look-alike takes: enough to be seen beside what is ordinary


@dataclass(frozen=True)
class Tile:
    """A picture RGB uint8 (TILE_PX, TILE_PX, 3) and what stands under it."""

    rgb: np.ndarray
    label: str


def stage_tiles(stage: str, columns: int = COLUMNS) -> Iterator[Tile]:
    """`columns` fibres of one stage in each difficulty, in the middle of their tile."""
    for difficulty in DIFFICULTIES:
        seed = FIRST_SEED
        for _ in range(columns):
            seed, drawn, centre = _section_with(stage, difficulty, seed)
            yield Tile(_cropped(render(drawn, seed, difficulty), centre), f"{difficulty}, seed {seed}")
            seed += 1


def _section_with(stage: str, difficulty: Difficulty, seed: int) -> tuple[int, Drawn, np.ndarray]:
    """The first seed from `seed` on whose section has a fibre of `stage` in its middle part, and that fibre's centre (y, x) in px."""
    while True:
        recipe = draw_recipe(np.random.default_rng(seed), difficulty)
        changed = replace(
            recipe, state_shares={**dict.fromkeys(STAGES, 0.0), stage: 0.3}, fibre_px=min(recipe.fibre_px, 110.0), fat_share=0.0
        )
        drawn = draw_section(seed, (SECTION_PX, SECTION_PX), difficulty, recipe=changed)
        labels = np.flatnonzero(drawn.fibre_stage == STAGES.index(stage) + 1)
        centres = np.array([np.argwhere(drawn.fibres == label).mean(axis=0) for label in labels]).reshape(-1, 2)
        off = np.abs(centres - SECTION_PX / 2).max(axis=1, initial=0)
        if len(off) and off.min() < (SECTION_PX - TILE_PX) / 2:
            return seed, drawn, centres[off.argmin()]
        seed += 1


def artefact_tiles() -> Iterator[Tile]:
    """One whole section with each artefact, of the usual difficulty."""
    for number, (name, changes) in enumerate(ARTEFACT_CHANGES.items()):

        def changed(seed: int, drawn: Drawn) -> float:
            # artefacts come last, so that the same seed without them is the same section
            return float((np.abs(drawn.concentrations - _drawn(seed, PLAIN).concentrations) > 0.05).any(axis=0).mean())

        yield _typical(name, changes, changed, FIRST_SEED + 20 * number)


def look_alike_tiles() -> Iterator[Tile]:
    """One whole section with each thing that resembles damage, inflammation or fibres and is none of them."""
    for number, (name, (changes, zone)) in enumerate(LOOK_ALIKES.items()):

        def taken(_: int, drawn: Drawn, zone: int | None = zone) -> float:
            return float((drawn.zone == zone).mean())

        yield _typical(name, changes, taken, FIRST_SEED + 500 + 20 * number)


def _typical(name: str, changes: dict[str, Any], share: Callable[[int, Drawn], float], first_seed: int) -> Tile:
    """Of TRIES sections whose recipe has `changes` the one with the most typical `share`."""
    candidates = {seed: _drawn(seed, changes) for seed in range(first_seed, first_seed + TRIES)}
    best = min(candidates, key=lambda seed: abs(share(seed, candidates[seed]) - TYPICAL_SHARE))
    rgb = render(candidates[best], best)
    return Tile(cv2.resize(rgb, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), f"{name}, seed {best}")


def _drawn(seed: int, changes: dict[str, Any]) -> Drawn:
    recipe = replace(draw_recipe(np.random.default_rng(seed), "usual", "normal"), **changes)
    return draw_section(seed, (SECTION_PX, SECTION_PX), "usual", recipe=recipe)


def _cropped(rgb: np.ndarray, centre: np.ndarray) -> np.ndarray:
    top, left = np.clip(np.round(centre - TILE_PX / 2), 0, SECTION_PX - TILE_PX).astype(int)
    return rgb[top : top + TILE_PX, left : left + TILE_PX]


def sheet(tiles: list[Tile], um_per_px: float) -> Image.Image:
    """The tiles in rows of COLUMNS, each over its label; a bar of 50 um in the first. um_per_px: of the tiles as they are shown."""
    rows = -(-len(tiles) // COLUMNS)
    image = Image.new("RGB", (COLUMNS * (TILE_PX + 4) - 4, rows * (TILE_PX + LABEL_PX)), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    for number, tile in enumerate(tiles):
        x, y = number % COLUMNS * (TILE_PX + 4), number // COLUMNS * (TILE_PX + LABEL_PX)
        image.paste(Image.fromarray(tile.rgb), (x, y))
        pen.text((x + 2, y + TILE_PX + 2), tile.label, (20, 20, 20), font)
    pen.rectangle((8, TILE_PX - 14, 8 + 50 / um_per_px, TILE_PX - 9), fill=(0, 0, 0))
    pen.text((8, TILE_PX - 32), "50 um", (0, 0, 0), font)
    return image


def main(folder: Path) -> None:
    """Write all sheets into `folder`."""
    whole_um_per_px = 0.5 * SECTION_PX / TILE_PX
    sheets = [(stage, stage_tiles(stage), 0.5) for stage in STAGES]
    sheets += [("artefacts", artefact_tiles(), whole_um_per_px), ("look_alikes", look_alike_tiles(), whole_um_per_px)]
    for name, tiles, um_per_px in sheets:
        path = folder / f"atlas_{name}.jpg"
        sheet(list(tiles), um_per_px).save(path, quality=82)
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
