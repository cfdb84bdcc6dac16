"""Faults that the tables of a section show."""

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.settings import TissueSettings
from biopsy_analyzer.tissue.flags import cell_flags, nucleus_size_flags, oblique_flags, reference_flags, size_flags

SETTINGS = TissueSettings()


def test_cells_of_doubtful_kind_are_flagged() -> None:
    nuclei = pd.DataFrame({"probability": np.repeat([0.5, 0.59, 0.6, 0.9], [5, 6, 5, 24])})
    every = np.ones(40, bool)
    (flag,) = cell_flags(nuclei, every, SETTINGS)
    assert (flag.code, flag.value, flag.threshold) == ("cells-doubtful", pytest.approx(11 / 40), 0.25)
    assert cell_flags(nuclei, np.arange(40) > 0, SETTINGS)[0].value == pytest.approx(10 / 39)
    assert cell_flags(nuclei, np.arange(40) > 4, SETTINGS) == []
    assert cell_flags(nuclei, np.arange(40) < 19, SETTINGS) == []  # too few


def test_ordinary_fibres_without_nuclei_make_the_reference_doubtful() -> None:
    fibres = pd.DataFrame({"fibre_id": np.arange(1, 31), "state": "normal", "touches_border": False, "nuclei_count": 1.0})
    types = np.repeat(["macrophage", "myonucleus", "internal"], [12, 9, 9])  # twelve have nothing but a cell that lies on them
    nuclei = pd.DataFrame({"fibre_id": np.arange(1, 31), "type": types})
    assert reference_flags(fibres, nuclei, SETTINGS) == []  # 0.4, not above
    assert reference_flags(fibres[:19], nuclei, SETTINGS) == []  # too few
    (flag,) = reference_flags(fibres[:29], nuclei, SETTINGS)
    assert (flag.code, flag.value) == ("reference-doubtful", pytest.approx(12 / 29))
    assert reference_flags(fibres[:29].assign(nuclei_count=np.nan), nuclei, SETTINGS) == []
    assert reference_flags(fibres[:29].assign(state="necrotic"), nuclei, SETTINGS) == []
    assert reference_flags(fibres.assign(nuclei_count=0.0), nuclei[:0], SETTINGS)[0].value == 1


@pytest.mark.fault(9)
def test_implausible_fibre_sizes_are_flagged() -> None:
    human = np.full(30, 55.0)
    assert size_flags(human, 1, SETTINGS) == size_flags(human[:5] * 9, 9, SETTINGS) == []
    for wrong in (0.2, 2.0):  # as a pixel size wrong by that factor gives
        (flag,) = size_flags(human * wrong, 0, SETTINGS)
        assert (flag.code, flag.value) == ("fibre-size", pytest.approx(55 * wrong))
        assert "is the pixel size right?" in flag.message


@pytest.mark.fault(9)
def test_fibres_too_long_for_a_cross_section_are_flagged() -> None:
    (flag,) = size_flags(np.full(30, 55.0), 3, SETTINGS)
    assert (flag.code, flag.value, flag.threshold) == ("long-fibres", pytest.approx(0.1), 0.05)
    assert size_flags(np.full(19, 55.0), 9, SETTINGS) == []  # too few


@pytest.mark.fault(9)
def test_nuclei_of_implausible_size_make_the_pixel_size_doubtful() -> None:
    nuclei = np.array([4.0, 14.0, 30.0] * 20)  # um2, of a mouse: 14 in the middle
    assert nucleus_size_flags(nuclei, SETTINGS) == nucleus_size_flags(nuclei * 2.5, SETTINGS) == []  # and of a human
    assert nucleus_size_flags(nuclei[:49] / 4, SETTINGS) == []  # too few
    for wrong, threshold in ((0.5, 9), (2.5, 60)):
        (flag,) = nucleus_size_flags(nuclei * wrong**2, SETTINGS)
        assert (flag.code, flag.value, flag.threshold) == ("pixel-size-doubtful", pytest.approx(14 * wrong**2), threshold)
        assert "is the pixel size right? Give the true one with --mpp" in flag.message


def test_long_fibres_are_flagged_as_cut_obliquely() -> None:
    wide = np.full(21, 50.0)
    for times, flagged in ((1.8, False), (1.81, True)):
        fibres = pd.DataFrame({"min_feret_um": wide, "max_feret_um": wide * times, "touches_border": False})
        found = oblique_flags(fibres, SETTINGS)
        assert [flag.code for flag in found] == ["oblique-fibres"] * flagged
        assert oblique_flags(fibres.assign(touches_border=np.arange(21) < 2), SETTINGS) == []  # 19 whole ones
