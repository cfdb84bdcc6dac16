import numpy as np
import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.banks import Bank
from discs import write_discs


def test_rows_still_being_drawn_are_left_out(tmp_path):
    folder = write_discs(tmp_path / "bank", patches=45)
    concentrations = np.load(folder / "concentrations.npy", mmap_mode="r+")
    concentrations[[0, 7, 44]] = 0
    concentrations.flush()
    bank = Bank(folder)
    assert bank.held_out.tolist() == [20, 40]
    assert bank.training.tolist() == [i for i in range(45) if i not in (0, 7, 20, 40, 44)]


def test_patch_and_counts(tmp_path):
    drawn, real = (Bank(write_discs(tmp_path / str(drawn), drawn=drawn)) for drawn in (True, False))
    patch = drawn.patch(3, "fibres")
    assert patch.drawn
    assert patch.pixels.shape == real.patch(3, "fibres").pixels.shape == (96, 96, 3)
    assert ((patch.pixels[..., 1] == 60) == (patch.labels > 0)).all()
    codes = np.load(tmp_path / "True" / "states.npy")[1:]
    assert drawn.class_counts("fibres").tolist() == [(codes == c).sum() for c in (1, 2, 3, 4)]
    assert not real.patch(3, "nuclei").drawn


def test_a_single_patch_is_trained_on(tmp_path):
    bank = Bank(write_discs(tmp_path / "bank", patches=1))
    assert (bank.training.tolist(), bank.held_out.tolist()) == ([0], [])


def test_what_is_no_bank(tmp_path):
    with pytest.raises(UsageError, match="not a bank"):
        Bank(tmp_path)
    folder = write_discs(tmp_path / "bank")
    np.save(folder / "kinds.npy", np.zeros((2, 96, 96), np.uint8))
    with pytest.raises(UsageError, match="kinds differ"):
        Bank(folder)
    folder = write_discs(tmp_path / "blank")
    np.save(folder / "concentrations.npy", np.zeros((12, 3, 96, 96), np.uint8))
    with pytest.raises(UsageError, match="no patches yet"):
        Bank(folder)
