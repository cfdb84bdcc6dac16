"""An annotated image of a few squares, and a section with truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from annotation_files import feature, square, write
from truth_files import BLUE, PINK, UM_PER_PX, discs, write_image


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    features = [
        square("Region: annotated", 0, 0, 20, 20),
        square("Region: unsure", 14, 0, 20, 20),
        square("Fibre: necrotic", 2, 3, 8, 9),
        square("Fibre: unsure", 7, 3, 16, 9),  # one column over the first, two columns in the unsure region
        square("Fibre: normal", 22, 3, 28, 9),  # outside the region
        feature("Nucleus: internal", {"type": "Point", "coordinates": [4.5, 5.5]}),
        feature("Nucleus: lymphocyte", {"type": "Point", "coordinates": [12, 15]}),
        feature("Nucleus: macrophage", {"type": "Point", "coordinates": [29, 19]}),
    ]
    return write(tmp_path / "a.geojson", features)


@pytest.fixture
def with_truth(tmp_path: Path) -> Path:
    """A section of 600 x 800 px with nine pink fibres of 40 um; each has a nucleus at its edge, the last another in its middle."""
    shape = (600, 800)
    centres = [(y, x) for y in (120, 300, 480) for x in (150, 400, 650)]
    fibres = discs(*centres, radius=80, shape=shape)
    nuclei = discs(*[(y, x + 73) for y, x in centres], centres[-1], radius=7, shape=shape)
    rgb = np.full((*shape, 3), 250, dtype=np.uint8)
    rgb[fibres > 0], rgb[nuclei > 0] = PINK, BLUE
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    write_image(inputs / "section.png", rgb)
    write_image(inputs / "section_fibres.png", fibres)
    write_image(inputs / "section_nuclei.png", nuclei)
    facts = {
        "um_per_px": UM_PER_PX,
        "fibre_states": {str(label): "normal" for label in range(1, 9)} | {"9": "regenerating"},
        "nucleus_types": {str(label): "muscle" for label in range(1, 11)},
    }
    (inputs / "section.json").write_text(json.dumps(facts))
    return inputs
