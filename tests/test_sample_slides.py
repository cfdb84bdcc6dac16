"""The sample slides state their pixel size, are small, and their truth fits them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS
from biopsy_analyzer.training.truth import read_folder

SAMPLES = Path(__file__).resolve().parents[1] / "sample_slides"


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.tif")), ids=lambda path: path.stem)
def test_a_slide_is_small_and_states_its_pixel_size(path: Path) -> None:
    assert path.stat().st_size < 3_000_000
    with open_slide(path) as slide:
        assert (slide.shape, slide.um_per_px) == ((2048, 2048), 0.5)
        assert slide.um_per_px_source.startswith("file")


def test_truth_fits_the_slides() -> None:
    truths = read_folder(SAMPLES)
    assert [truth.name for truth in truths] == ["inflammatory", "necrotizing"]
    for truth in truths:
        assert truth.drawn
        for labels, names, known in (
            (truth.fibres, truth.fibre_state, FIBRE_STATES),
            (truth.nuclei, truth.nucleus_type, NUCLEUS_KINDS),
        ):
            assert labels is not None
            assert names is not None
            assert set(names[1:]) <= {*known, ""}
            assert len(names) == len(np.unique(labels))


def test_one_slide_is_necrosis_and_the_other_inflammation() -> None:
    inflammatory, necrotizing = read_folder(SAMPLES)

    def share(names: list[str] | None, *wanted: str) -> float:
        return float(np.isin(names, wanted).mean())

    dead = ("necrotic", "pale-fragmented")
    assert share(necrotizing.fibre_state, *dead) > 0.2 > 0.1 > share(inflammatory.fibre_state, *dead)
    assert share(inflammatory.nucleus_type, "lymphocyte") > 0.1 > 0.05 > share(necrotizing.nucleus_type, "lymphocyte")
