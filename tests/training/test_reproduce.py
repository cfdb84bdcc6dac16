import pandas as pd
import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.banks import Bank
from biopsy_analyzer.training.reproduce import STATE_SEEDS, prepare_banks, train_network, train_states
from biopsy_analyzer.training.truth import FIRST_SEED


def test_banks_are_drawn_once_and_shares_leave_room_for_the_real(tmp_path):
    arguments = {"patches": 14, "seed": 3, "workers": 1, "real": None}
    banks = prepare_banks(tmp_path, "fibres", **arguments)
    written = {path: (path / "fibres.npy").stat().st_mtime_ns for path in banks}
    assert prepare_banks(tmp_path, "nuclei", **arguments) == banks
    assert {path: (path / "fibres.npy").stat().st_mtime_ns for path in banks} == written
    assert [len(Bank(path).training) + len(Bank(path).held_out) for path in banks] == [2, 2, 2, 2, 2, 2, 2]


def test_real_banks_join_where_the_images_are(tmp_path, real_images):
    annotations = real_images.parents[1] / "main" / "annotations"
    if not annotations.is_dir():
        pytest.skip("annotations lie elsewhere")
    for kind, name in (
        ("fibres", "mdx_fields"),
        ("fibres", "toxin_injury"),
        ("fibres", "lymphocyte_sheets"),
        ("nuclei", "real_nuclei"),
        ("nuclei", "real_muscle_nuclei"),
    ):
        banks = prepare_banks(tmp_path, kind, patches=14, seed=3, workers=1, real=(annotations, real_images))
        assert tmp_path / name in banks
        assert not Bank(tmp_path / name).drawn


def test_seeds_never_meet():
    assert min(FIRST_SEED.values()) > STATE_SEEDS + 300_000


def test_a_run_from_nothing_to_networks(tmp_path):
    """Networks after two steps find next to nothing and teach no states: a clear error, and the sections' tables stay for the next try."""
    for kind in ("fibres", "nuclei"):
        train_network(kind, tmp_path, patches=14, real=None, minutes=None, steps=2, seed=0, resume=False, device="cpu", threads=1)
        assert (tmp_path / "models" / kind / "card.json").exists()
    with pytest.raises(UsageError, match="wanted two sections and every state"):
        train_states(tmp_path, sections=1, real=None, device="cpu")
    kept = sorted((tmp_path / "states").glob("*.parquet"))
    assert len(kept) == 3
    assert {"section", "truth", "real"} <= set(pd.read_parquet(kept[0]).columns)
