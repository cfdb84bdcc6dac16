import json

import numpy as np

from biopsy_analyzer.training.banks import OD_STEPS
from biopsy_analyzer.training.draw import draw_section
from biopsy_analyzer.training.draw.bank import SHARES, write_bank
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES
from biopsy_analyzer.training.targets import UNKNOWN


def test_rows_hold_the_sections_of_their_seeds(tmp_path):
    write_bank(tmp_path / "bank", 3, seed=11, patch_px=128)
    arrays = {p.stem: np.load(p) for p in (tmp_path / "bank").glob("*.npy")}
    assert json.loads((tmp_path / "bank" / "bank.json").read_text())["count"] == 3
    assert arrays["concentrations"].shape == (3, 3, 128, 128)
    for row in range(3):
        difficulty = str(np.random.default_rng((11, row)).choice(DIFFICULTIES, p=SHARES))
        drawn = draw_section(11 + row, (128, 128), difficulty)
        assert np.array_equal(arrays["fibres"][row], drawn.fibres)
        assert np.array_equal(arrays["nuclei"][row], drawn.nuclei)
        assert np.array_equal(arrays["kinds"][row], drawn.nucleus_kind[drawn.nuclei])
        assert set(np.unique(arrays["states"][row])) <= {0, 1, 2, 3, 4, UNKNOWN}
        assert np.abs(arrays["concentrations"][row] / OD_STEPS - drawn.concentrations).max() < 1 / OD_STEPS


def test_workers_change_nothing(tmp_path):
    write_bank(tmp_path / "one", 3, seed=5, patch_px=96, workers=1)
    write_bank(tmp_path / "two", 3, seed=5, patch_px=96, workers=2)
    for path in (tmp_path / "one").glob("*.npy"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
