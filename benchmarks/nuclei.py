"""Nucleus F1 on the stained tissue of the 2018 Data Science Bowl that was held out of training.

    python benchmarks/nuclei.py ../shared/real/nuclei_dsb2018 [--models DIR]

The network and the labelling alone: most of these images are no H&E of muscle, which `evaluate` would refuse. Their magnification is
not known; each is scaled until its median true nucleus is 7.5 um wide, which helps a little.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from biopsy_analyzer.segment.model_folder import default_folder
from biopsy_analyzer.segment.network import load_network
from biopsy_analyzer.segment.nuclei import nucleus_labels
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.agreement import match, segmentation_figures
from biopsy_analyzer.training.real_bank import dsb_patches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds images/ and labels/")
    parser.add_argument("--models", type=Path, default=default_folder())
    arguments = parser.parse_args()
    network = load_network(arguments.models / "nuclei", "cpu")
    units = []
    for patch in dsb_patches(arguments.folder, held_out=True):
        found = nucleus_labels(network.maps(patch["rgb"][None])[0], network.um_per_px, Settings().segment)
        units.append(match(patch["nuclei"].astype(np.int32), found, ignore=patch["ignore"]))
    print(f"{len(units)} images, network {network.name} {network.version} {network.sha256[:12]}")
    images = [number for number, rows in enumerate(units) for _ in range(len(rows))]
    for name, figure in segmentation_figures(pd.concat(units, ignore_index=True), images=images).items():
        print(f"{name:<22} {figure.value:.3f}  95 % {figure.ci95[0]:.3f} to {figure.ci95[1]:.3f}  n {figure.n}")


if __name__ == "__main__":
    main()
