"""Tiny models, a painted slide, and a stand-in for the analysis."""

from pathlib import Path

import pytest

from batch_stub import Stub
from sections import paint, save
from tiny_models import write_tiny_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_models(tmp_path_factory.mktemp("tiny_models"))


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A painted section of 0.5 um/px, which the file does not state."""
    return save(paint(2, 3, {}, []).rgb, tmp_path_factory.mktemp("painted") / "painted.png")


@pytest.fixture
def stub() -> Stub:
    return Stub()
