"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from made_tables import make_fibres, make_nuclei

Maker = Callable[..., pd.DataFrame]
ROOT = Path(__file__).resolve().parents[1]


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
