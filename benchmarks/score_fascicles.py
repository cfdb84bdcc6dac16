"""Are fascicles found? Drawn layouts, whose septa are known, against what the score makes of the fibres' places and sizes.

    python benchmarks/score_fascicles.py --first 7950000 --count 24 [--pictures OUT]

Fibres are taken as drawn (no pixels, no network): 1000 x 1000 um of the usual difficulty. Settings were chosen on seeds 7900001 to
7900024. With `--pictures` a PNG a section: fascicles found in colours, drawn septa light blue, perimysium found green. `turned` is the
share of border calls that are others where the same section is turned by 17 degrees; mirrored or turned by 90 none may be.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.score.places import find_places
from biopsy_analyzer.settings import SpaceSettings
from biopsy_analyzer.tables import NUCLEI, empty
from biopsy_analyzer.training.draw import draw_recipe
from biopsy_analyzer.training.draw import layout as lay

UM_PER_PX, EDGE_PX, LEAST_FIBRES = 0.5, 2000, 60


def drawn(seed: int) -> tuple[lay.Layout, float]:
    """The layout of a seed, and the middle width of its septa in um."""
    rng = np.random.default_rng(seed)
    recipe = draw_recipe(rng, "usual")
    return lay.lay_out(rng, (EDGE_PX, EDGE_PX), recipe), recipe.perimysium_px * UM_PER_PX


def truth(plan: lay.Layout, border_um: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each fibre: its fascicle, whether it comes within `border_um` of what parts fascicles, and of the section's edge."""
    inside = (plan.zone == lay.ENDOMYSIUM).astype(np.uint8)
    _, pieces = cv2.connectedComponents(inside, connectivity=4)
    within = plan.fibres > 0
    table = pd.DataFrame({"fibre": plan.fibres[within], "piece": pieces[within]})
    fascicle = table.groupby("fibre")["piece"].agg(lambda of: np.bincount(of).argmax()).to_numpy()
    near = [np.full(len(fascicle) + 1, np.inf) for _ in range(2)]
    for least, mask in zip(near, (inside, plan.zone != lay.GLASS), strict=True):
        np.minimum.at(least, plan.fibres[within], cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)[within] * UM_PER_PX)
    return fascicle, near[0][1:] <= border_um, near[1][1:] <= border_um


def picture(plan: lay.Layout, fascicle: np.ndarray, fibres: pd.DataFrame) -> np.ndarray:
    """BGR (H, W, 3)."""
    at = np.argwhere(np.ones((EDGE_PX // 4, EDGE_PX // 4))) * 4 + 2
    asked = empty(NUCLEI).reindex(range(len(at))).assign(y_um=at[:, 0] * UM_PER_PX, x_um=at[:, 1] * UM_PER_PX)
    gap = find_places(fibres, asked, SpaceSettings()).in_gap.reshape(EDGE_PX // 4, -1).repeat(4, 0).repeat(4, 1)
    colours = np.random.default_rng(0).integers(60, 230, (fascicle.max() + 1, 3)).astype(np.uint8)
    shown = np.full((*plan.fibres.shape, 3), 255, np.uint8)
    shown[plan.zone != lay.ENDOMYSIUM] = (255, 220, 180)
    shown[gap] = (90, 170, 90)
    within = plan.fibres > 0
    shown[within] = colours[fascicle][plan.fibres[within] - 1]
    return cv2.resize(shown, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def turned(fibres: pd.DataFrame, degrees: float) -> pd.DataFrame:
    """The same section lying otherwise."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    y, x = fibres["y_um"], fibres["x_um"]
    return fibres.assign(y_um=c * y + s * x, x_um=c * x - s * y)


def border_moved(fibres: pd.DataFrame, border: np.ndarray, settings: SpaceSettings) -> dict[str, float]:
    """Border calls that are others in the section mirrored and turned, as shares of those of either."""
    others = {"mirrored": fibres.assign(x_um=-fibres["x_um"]), "turned_90": turned(fibres, 90), "turned": turned(fibres, 17)}
    found = {name: find_places(other, empty(NUCLEI), settings).border for name, other in others.items()}
    return {name: (other != border).sum() / max((other | border).sum(), 1) for name, other in found.items()}


def judge(seed: int, pictures: Path | None) -> dict[str, float] | None:
    """What was found in the section of a seed; None with fewer than 60 fibres."""
    plan, width = drawn(seed)
    fibres = measure_shape(plan.fibres, PixelGrid(plan.fibres.shape, UM_PER_PX)).assign(assessable=True)
    if len(fibres) < LEAST_FIBRES:
        return None
    settings = SpaceSettings()
    found = find_places(fibres, empty(NUCLEI), settings)
    fascicle, border, at_glass = truth(plan, settings.border_um)
    judged = ~at_glass  # at the edge of a section nobody knows what lies beyond
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(pictures / f"{seed}.png"), picture(plan, found.fascicle, fibres))
    hit = (found.border & border & judged).sum()
    return {
        "seed": seed,
        "septa_um": width,
        "fibres": len(fibres),
        "drawn": len(np.unique(fascicle)),
        "found": len(np.unique(found.fascicle)),
        "rand": adjusted_rand_score(fascicle, found.fascicle),
        "border_right": hit / max((found.border & judged).sum(), 1),
        "border_found": hit / max((border & judged).sum(), 1),
        **border_moved(fibres, found.border, settings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=7_950_000)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    rows = [judge(seed, options.pictures) for seed in range(options.first, options.first + options.count)]
    table = pd.DataFrame([row for row in rows if row is not None])
    print(table.round(2).to_string(index=False))
    table["septa"] = pd.cut(table["septa_um"], (-1, 0, 8, 15, 30, 1000), labels=("none", "to 8", "8 to 15", "15 to 30", "above 30"))
    print(table.groupby("septa", observed=True).agg(
        sections=("seed", "size"), drawn=("drawn", "mean"), found=("found", "mean"), rand=("rand", "mean"),
        border_right=("border_right", "mean"), border_found=("border_found", "mean"),
        mirrored=("mirrored", "max"), turned_90=("turned_90", "max"), turned=("turned", "mean")).round(2).to_string())  # fmt: skip


if __name__ == "__main__":
    main()
