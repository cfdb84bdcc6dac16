"""False fibres per mm2 where there are none: nerve, vessel and infiltrate as annotated on real muscle, and a tumour that holds no muscle.

    python benchmarks/lookalikes.py ../shared/real [--models DIR]

A fibre counts where its centre lies in the region. Regions drawn after the images by a language model's eye (annotations/README.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from shapely import Polygon, points

from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.training.annotations import read_annotations

ANNOTATIONS = Path(__file__).parents[1] / "annotations"
LOOKALIKES = ("Region: nerve", "Region: vessel", "Region: infiltrate", "Region: no muscle")


def regions() -> pd.DataFrame:
    """One row a region: image, um_per_px, what, polygon in um as (x, y)."""
    rows = []
    for path in sorted(ANNOTATIONS.glob("*.geojson")):
        annotation = read_annotations(path)
        for name, outline in annotation.regions:
            if name in LOOKALIKES:
                area = Polygon(outline[:, ::-1] * annotation.source.um_per_px)
                what = f"{name.removeprefix('Region: ')}, {'held out' if annotation.source.held_out else 'trained on'}"
                rows.append((annotation.source.file, annotation.source.um_per_px, what, area))
    return pd.DataFrame(rows, columns=["image", "um_per_px", "what", "polygon"])


def count(images: Path, models: Models) -> pd.DataFrame:
    """False fibres by kind of region: number, area in mm2, number per mm2, share of the area that they cover."""
    wanted = regions()
    for (name, um_per_px), _ in wanted.groupby(["image", "um_per_px"]):
        with open_slide(images / str(name), um_per_px=float(um_per_px)) as slide:
            fibres = analyze_slide(slide, models).fibres
        centres = points(fibres[["x_um", "y_um"]].to_numpy())
        for i in wanted.index[wanted["image"] == name]:
            inside = wanted.loc[i, "polygon"].contains(centres)
            wanted.loc[i, ["fibres", "fibre_um2"]] = [inside.sum(), fibres.loc[inside, "area_um2"].sum()]
    wanted["um2"] = [polygon.area for polygon in wanted["polygon"]]
    table = wanted.groupby("what")[["fibres", "fibre_um2", "um2"]].sum()
    area = table["um2"] / 1e6
    return pd.DataFrame(
        {"fibres": table["fibres"], "mm2": area, "per_mm2": table["fibres"] / area, "covered": table["fibre_um2"] / table["um2"]}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of the real images")
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    models = load_models(arguments.models, "cpu")
    print(f"networks {models.fibres.sha256[:8]} {models.nuclei.sha256[:8]}")
    print(count(arguments.images, models).astype(np.float64).round(3).to_string())


if __name__ == "__main__":
    main()
