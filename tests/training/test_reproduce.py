import pandas as pd
import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.banks import Bank
from biopsy_analyzer.training.draw.bank import write_bank
from biopsy_analyzer.training.fit import fit
from biopsy_analyzer.training.reproduce import STATE_SEEDS, draw_banks, train_states
from biopsy_analyzer.training.truth import FIRST_SEED


def test_banks_are_drawn_once_and_shares_leave_room_for_the_real(tmp_path):
    arguments = {"patches": 4, "seed": 3, "workers": 1, "annotations": None, "real": None}
    banks = draw_banks(tmp_path, "fibres", **arguments)
    written = {path: (path / "fibres.npy").stat().st_mtime_ns for path in banks}
    assert draw_banks(tmp_path, "nuclei", **arguments) == banks
    assert {path: (path / "fibres.npy").stat().st_mtime_ns for path in banks} == written
    assert [len(Bank(path).training) + len(Bank(path).held_out) for path in banks] == [2, 2]


def test_real_banks_join_where_the_images_are(tmp_path, real_images):
    annotations = real_images.parents[1] / "main" / "annotations"
    if not annotations.is_dir():
        pytest.skip("annotations lie elsewhere")
    for kind, name in (("fibres", "real_muscle"), ("nuclei", "real_nuclei")):
        banks = draw_banks(tmp_path, kind, patches=4, seed=3, workers=1, annotations=annotations, real=real_images)
        assert tmp_path / name in banks
        assert not Bank(tmp_path / name).drawn


def test_seeds_never_meet():
    assert STATE_SEEDS + 300_000 < min(FIRST_SEED.values())


@pytest.fixture(scope="module")
def raw_models(tmp_path_factory):
    """Networks after two steps of training: they run, and find next to nothing."""
    folder = tmp_path_factory.mktemp("models")
    write_bank(folder / "bank", 2, 1, 256)
    for kind in ("fibres", "nuclei"):
        fit(kind, [folder / "bank"], folder / kind, models=folder / "models", steps=2, batch_size=2, size_px=64, device="cpu")
    return folder / "models"


def test_states_say_what_they_lack(tmp_path, raw_models):
    """Networks that find nothing teach no states: a clear error, and the sections' tables are kept for the next try."""
    with pytest.raises(UsageError, match="wanted two sections and every state"):
        train_states(tmp_path, raw_models, sections=1, device="cpu", version="0")
    kept = sorted(tmp_path.glob("states_*.parquet"))
    assert len(kept) == 3
    assert {"section", "truth", "real"} <= set(pd.read_parquet(kept[0]).columns)
