"""What this installation is, and what it would do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from biopsy_analyzer.cli.options import Device, DeviceOption, Json, ModelsOption, SettingsOption, chosen_settings, log_folder
from biopsy_analyzer.errors import EnvironmentFault
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, write_out


def settings(file: SettingsOption = None, as_json: Json = False) -> None:
    """Print every setting in force, with unit and source: a file that --settings reads."""
    with errors_in_one_line("settings", log_folder()):
        from biopsy_analyzer.settings_file import settings_toml

        chosen = chosen_settings(file)
        write_out(json.dumps(chosen.model_dump(mode="json"), indent=2, allow_nan=False) if as_json else settings_toml(chosen))


def sample(name: Annotated[str, typer.Argument(help="Which one.")] = "necrotizing") -> None:
    """Print the path of a drawn slide that comes with the package, to try it on."""
    with errors_in_one_line("sample", log_folder()):
        from biopsy_analyzer.samples import sample_slide

        write_out(str(sample_slide(name)))


def doctor(device: DeviceOption = Device.auto, models: ModelsOption = None, as_json: Json = False) -> None:
    """Examine this installation: versions, readers (each decodes a known picture), models and their hashes, device."""
    with errors_in_one_line("doctor", log_folder()):
        from dataclasses import asdict

        from biopsy_analyzer.doctor import examine

        found = []
        for finding in examine(models, device.value):
            found.append(finding)
            if not as_json:
                write_out(f"{finding.state:<7} {finding.part:<17} {for_terminal(finding.said)}")
        if as_json:
            write_out(json.dumps([asdict(finding) for finding in found], indent=2))
        failed = [finding for finding in found if finding.state == "failed"]
        if failed:
            raise EnvironmentFault("; ".join(f"{finding.part}: {finding.said}" for finding in failed))
