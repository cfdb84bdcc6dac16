"""What the commands share: settings, extras, and where the log of a crash goes."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir

import pytest

from biopsy_analyzer.cli.options import chosen_settings, log_folder, need
from biopsy_analyzer.errors import EnvironmentFault, UsageError
from biopsy_analyzer.settings import Settings


def test_a_log_goes_with_a_result_that_is_there(tmp_path: Path) -> None:
    assert log_folder(tmp_path) == tmp_path
    assert log_folder(tmp_path / "nowhere") == Path(gettempdir())
    assert log_folder() == Path(gettempdir())
    assert not (tmp_path / "nowhere").exists()


def test_settings_without_a_file_are_the_defaults(tmp_path: Path) -> None:
    assert chosen_settings(None) == Settings()
    (tmp_path / "lab.toml").write_text("[classify]\ninternal_depth_um = 3.0\n")
    assert chosen_settings(tmp_path / "lab.toml").classify.internal_depth_um == 3
    with pytest.raises(UsageError, match=r"none\.toml"):
        chosen_settings(tmp_path / "none.toml")


def test_a_missing_extra_is_named() -> None:
    need("napari", "json")
    with pytest.raises(EnvironmentFault, match=r"no_such_module.*scripts/setup napari;.*biopsy-analyzer\[napari\]"):
        need("napari", "json", "no_such_module")
