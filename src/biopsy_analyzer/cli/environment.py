"""What this installation is, and what it would do."""

from __future__ import annotations

import json
from pathlib import Path

from biopsy_analyzer.cli.options import Json, SettingsOption
from biopsy_analyzer.terminal import errors_in_one_line, write_out


def settings(file: SettingsOption = None, as_json: Json = False) -> None:
    """Print every setting in force, with unit and source: a file that --settings reads."""
    with errors_in_one_line("settings", Path()):
        from biopsy_analyzer.settings import Settings
        from biopsy_analyzer.settings_file import load_settings, settings_toml

        chosen = load_settings(file) if file else Settings()
        write_out(json.dumps(chosen.model_dump(mode="json"), indent=2, allow_nan=False) if as_json else settings_toml(chosen))
