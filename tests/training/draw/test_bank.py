import json
from typing import get_args

import numpy as np

from biopsy_analyzer.training.banks import OD_STEPS
from biopsy_analyzer.training.draw import draw_recipe, draw_section
from biopsy_analyzer.training.draw.bank import SHARES, Focus, write_bank
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES
from biopsy_analyzer.training.targets import UNKNOWN


def test_rows_hold_the_sections_of_their_seeds(tmp_path):
    write_bank(tmp_path / "bank", 3, seed=11, patch_px=128)
    arrays = {p.stem: np.load(p) for p in (tmp_path / "bank").glob("*.npy")}
    assert json.loads((tmp_path / "bank" / "bank.json").read_text())["count"] == 3
    assert arrays["concentrations"].shape == (3, 3, 128, 128)
    for row in range(3):
        rng = np.random.default_rng((11, row))
        recipe = draw_recipe(rng, DIFFICULTIES[rng.choice(3, p=SHARES)])
        drawn = draw_section(11 + row, (128, 128), recipe=recipe)
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


def share_of_pixels(folder, part, test):
    return float(test(np.load(folder / f"{part}.npy")).mean())


def test_what_a_bank_is_for_is_in_its_patches(tmp_path):
    for focus in (None, *get_args(Focus)):
        write_bank(tmp_path / str(focus), 4, seed=21, patch_px=256, focus=focus)
    fibres, nuclei, sick, stained = (
        {name: share_of_pixels(tmp_path / name, part, test) for name in ("None", *get_args(Focus))}
        for part, test in (
            ("fibres", lambda a: a > 0),
            ("nuclei", lambda a: a > 0),
            ("states", lambda a: (a > 1) & (a < 5)),
            ("concentrations", lambda a: a.sum(axis=1) > 4),
        )
    )
    assert fibres["infiltrate"] < 0.8 * fibres["None"]
    assert nuclei["infiltrate"] > nuclei["None"]
    assert sick["damage"] > 2 * sick["None"]
    assert fibres["damage"] > fibres["None"]
    assert sick["invaded"] > 2 * sick["None"]
    assert sick["wrecks"] > 2 * sick["None"]
    assert nuclei["invaded"] > 2 * nuclei["None"]
    assert stained["tear"] < stained["None"]
    assert fibres["vessels"] < fibres["None"]
    assert fibres["tear"] == fibres["None"]  # a crack through a fibre doesn't divide it
