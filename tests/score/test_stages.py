import numpy as np
import pytest

from biopsy_analyzer.score.intervals import Resampled
from biopsy_analyzer.score.stages import STAGES, evenness, find_stages


def test_evenness_by_hand():
    assert evenness(np.array([5.0, 5, 5, 5])) == pytest.approx(1)
    assert evenness(np.array([9.0, 0, 0, 0])) == 0
    assert evenness(np.array([7.0, 7, 0, 0])) == pytest.approx(0.5)  # log 2 / log 4
    assert evenness(np.zeros((2, 4))).tolist() == [0, 0]


def test_counts_and_too_few():
    def section(*counts):
        return Resampled(STAGES, np.array(counts, dtype=float), np.tile(np.array(counts, dtype=float), (100, 1)), 9)

    stages, mixing = find_stages(section(4, 3, 2, 1), 10)
    assert (stages.damaged, stages.phagocytosed) == (10, 2)
    assert stages.mixing.value == mixing.value == pytest.approx(0.9232, abs=1e-4)
    assert find_stages(section(4, 3, 2, 0), 10) == (
        stages.model_copy(
            update={"damaged": 9, "regenerating": 0, "mixing": stages.mixing.model_copy(update={"value": None, "ci95": None})}
        ),
        None,
    )
