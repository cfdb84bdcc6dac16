"""An annotated image of a few squares, for the tests of annotations and of banks made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotation_files import feature, square, write


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
