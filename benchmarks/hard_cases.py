"""Hard cases on drawn sections (not accuracy on tissue): which fibres are found and called right, and what is taken for a fibre.

    python benchmarks/hard_cases.py [--sections 24] [--models DIR] [-o hard_cases.csv]

Sections of the usual difficulty from seed 7,950,000 on, 1024 x 1024 px of 0.5 um: the seeds that training and judging leave free.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from biopsy_analyzer.errors import WrongStain
from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.agreement import match
from biopsy_analyzer.training.draw import draw_recipe, draw_section, render
from biopsy_analyzer.training.draw import layout as lay
from biopsy_analyzer.training.draw.recipe import STAGES
from biopsy_analyzer.training.draw.section import Drawn
from biopsy_analyzer.training.judge import onto

FIRST_SEED = 7_950_000
SIZE_PX = 1024
CLEAR_EOSIN, CLEAR_HAEMATOXYLIN = 0.25, 0.08
"""A sick fibre is clearly so if its median eosin differs by this share from the normal ones' median, or it has so much more haematoxylin
(optical density), it covers 200 um2, and it lies whole in the picture. Prior: what an eye sees beside its neighbours."""

ZONES = {lay.PERIMYSIUM: "perimysium", lay.FAT: "fat", lay.VESSEL: "vessel", lay.NERVE: "nerve or spindle", lay.INFILTRATE: "infiltrate"}
ZONES |= {lay.GLASS: "glass", lay.ENDOMYSIUM: "endomysium"}


def read(seed: int, models: Models, scratch: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One drawn section: a row for each true fibre, and a row for each zone with its area and the false fibres in it."""
    drawn = draw_section(seed, (SIZE_PX, SIZE_PX), "usual")
    path = scratch / f"{seed}.png"
    Image.fromarray(render(drawn, seed, "usual")).save(path)
    with open_slide(path, um_per_px=drawn.um_per_px) as slide:
        result = analyze_slide(slide, models)
        found = onto(result.fibre_labels, slide.grid())
    units = match(drawn.fibres, found, ignore=drawn.ignore, min_cut_px=60 / drawn.um_per_px**2)
    return _fibres(seed, drawn, units, result), _zones(drawn, units, found)


def _fibres(seed: int, drawn: Drawn, units: pd.DataFrame, result: Result) -> pd.DataFrame:
    recipe = draw_recipe(np.random.default_rng(seed), "usual")
    true = units[(units.truth_id > 0) & ~units.void]
    called = np.array(["", *result.fibres["state"]], dtype=object)[true.pred_id]
    state = np.array(["", *FIBRE_STATES, "unassessable"], dtype=object)[drawn.fibre_state[true.truth_id]]
    normal = drawn.fibre_stage[true.truth_id] == 0
    table = pd.DataFrame({"found": true.pred_id > 0, "called": called == state, "sick": ~normal})
    cases = {stage: drawn.fibre_stage[true.truth_id] == k for k, stage in enumerate(STAGES, 1)} | {"normal": normal}
    cases["clearly sick"] = ~normal & _stands_out(drawn)[true.truth_id] & (true.truth_px * drawn.um_per_px**2 >= 200) & ~true.cut
    cases |= {"below 200 um2": true.truth_px * drawn.um_per_px**2 < 200, "cut by the edge": true.cut}
    cases |= {
        "packed (gap below 1 um)": np.full(len(true), recipe.gap_px * drawn.um_per_px < 1),
        "oblique": np.full(len(true), recipe.oblique < 0.7),
        "normal, section with freezing holes": normal & (recipe.holes_share > 0),
        "normal, section with dark edges": normal & ("edge" in recipe.artefacts),
        "section with cracks": np.full(len(true), "tear" in recipe.artefacts),
    }
    return table.assign(**{f"case {name}": np.asarray(chosen) for name, chosen in cases.items()})


def _stands_out(drawn: Drawn) -> np.ndarray:
    """Bool (n + 1,) by label: stained unlike the section's normal fibres; all where none is normal."""
    labels = np.arange(len(drawn.fibre_stage))
    haematoxylin, eosin = (ndimage.median(drawn.concentrations[k], drawn.fibres, labels) for k in (0, 1))
    normal = (drawn.fibre_stage == 0) & (labels > 0)
    if not normal.any():
        return np.ones(len(labels), dtype=bool)
    paler = np.abs(eosin / np.nanmedian(eosin[normal]) - 1) >= CLEAR_EOSIN
    return paler | (haematoxylin - np.nanmedian(haematoxylin[normal]) >= CLEAR_HAEMATOXYLIN)


def _zones(drawn: Drawn, units: pd.DataFrame, found: np.ndarray) -> pd.DataFrame:
    false = units.loc[(units.truth_id == 0) & ~units.void, "pred_id"].to_numpy()
    free = (drawn.fibres == 0) & ~drawn.ignore
    votes = np.zeros((int(found.max(initial=0)) + 1, max(ZONES) + 1))
    np.add.at(votes, (found[free], drawn.zone[free]), 1)
    split = votes[false].sum(axis=1) < 0.5 * np.bincount(found.ravel(), minlength=len(votes))[false]  # mostly on true fibres: no look-alike
    where = votes.argmax(axis=1)[false][~split]
    mm2 = np.bincount(drawn.zone[free], minlength=max(ZONES) + 1) * drawn.um_per_px**2 / 1e6
    return pd.DataFrame({"zone": list(ZONES.values()), "false": [int((where == k).sum()) for k in ZONES], "mm2": mm2[list(ZONES)]})


def summary(fibres: pd.DataFrame) -> pd.DataFrame:
    """By case: number, share found, and share of those found that are called by their true state."""
    rows = {}
    for name in (column for column in fibres if column.startswith("case ")):
        chosen = fibres[fibres[name].astype(bool)]
        rows[name.removeprefix("case ")] = (len(chosen), chosen["found"].mean(), chosen.loc[chosen["found"], "called"].mean())
    return pd.DataFrame(rows, index=["fibres", "found", "called right"]).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", type=int, default=24)
    parser.add_argument("--models", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    models = load_models(arguments.models, "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        parts = []
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.sections):
            try:
                parts.append(read(seed, models, Path(scratch)))
            except WrongStain as error:  # faded to grey: refused in use too
                print(error)
    cases = summary(pd.concat([fibres for fibres, _ in parts]))
    zones = pd.concat([zones for _, zones in parts]).groupby("zone", sort=False).sum()
    print(f"{len(parts)} drawn sections, not accuracy on tissue; networks {models.fibres.sha256[:8]} {models.nuclei.sha256[:8]}")
    print(cases.round(3).to_string(), "\n", zones.assign(per_mm2=zones["false"] / zones["mm2"]).round(2).to_string(), sep="\n")
    if arguments.out:
        cases.to_csv(arguments.out, index_label="case")


if __name__ == "__main__":
    main()
