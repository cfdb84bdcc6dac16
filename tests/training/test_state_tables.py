from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.training.state_tables import true_states
from biopsy_analyzer.training.truth import Truth


def test_true_states_by_overlap():
    grid = PixelGrid((40, 40), 1.0)
    true, found = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.int32)
    true[2:12, 2:12], true[2:12, 20:30], true[20:30, 2:12] = 1, 2, 3
    found[2:12, 21:31], found[20:30, 9:19], found[2:12, 2:12], found[30:38, 30:38] = 1, 2, 3, 4
    truth = Truth("x", Path("x.png"), grid, fibres=true, fibre_state=["", "necrotic", "normal", "regenerating"])
    result = SimpleNamespace(fibres=pd.DataFrame({"fibre_id": [1, 2, 3, 4]}), fibre_labels=Labels(found, grid))
    assert true_states(truth, result) == ["normal", "", "necrotic", ""]  # 2 overlaps too little, 4 has no true fibre
    assert true_states(Truth("x", Path("x.png"), grid, fibres=true), result) == [""] * 4
