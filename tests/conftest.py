"""Fixtures that several folders of tests share, and what keeps a test from depending on luck or on where it runs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from made_tables import make_fibres, make_nuclei

Maker = Callable[..., pd.DataFrame]
ROOT = Path(__file__).resolve().parents[1]

if sys.__stdin__ is None:  # closed: what runs here and below gets an empty one, or the next file that is opened is taken for it
    sys.__stdin__ = open(os.devnull)  # noqa: SIM115

# the same examples each time, and no clock: `--hypothesis-profile default` looks for others
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.load_profile("same")

# what a terminal, a CI service or a user's habits say about colours, widths and warnings changes what commands print
HABITS = ("FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "COLUMNS", "LINES")
for name in (*HABITS, "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONDEVMODE", "PYTHONIOENCODING", "PYTHONSAFEPATH", "PYTHONHASHSEED"):
    os.environ.pop(name, None)
os.environ["NAPARI_CONFIG"] = (
    ""  # napari's settings in no file, here and in windows in processes of their own: they must not be those of the user
)


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The folder of real images beside the repository; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("no real images here")
    return folder


@pytest.fixture(scope="session")
def fibres_of() -> Maker:
    return make_fibres


@pytest.fixture(scope="session")
def nuclei_of() -> Maker:
    return make_nuclei


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The painted slide and its result folder; not to be changed."""
    from painted_result import analyse_painted

    return analyse_painted(tmp_path_factory.mktemp("analysed"))


@pytest.fixture
def folder(analysed: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the result folder, to correct."""
    return Path(shutil.copytree(analysed[1], tmp_path / "section"))
