"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Annotated

import typer

from biopsy_analyzer.errors import EnvironmentFault

if TYPE_CHECKING:
    from biopsy_analyzer.settings import Settings


class Device(StrEnum):
    """Where the networks run; auto: CUDA where there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Mpp = Annotated[float | None, typer.Option("--mpp", metavar="UM_PER_PX", help="Edge of a pixel in um; wins over what the file states.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the networks run.")]
ModelsOption = Annotated[Path | None, typer.Option("--models", metavar="DIR", help="Folder of models; without it those of this version.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Fhir = Annotated[bool, typer.Option("--fhir", help="Write fhir.json too: a FHIR Bundle, R5. Of older results, or R4B: the command fhir.")]
SettingsOption = Annotated[Path | None, typer.Option("--settings", metavar="TOML", help="Settings that differ from the defaults.")]


def chosen_settings(file: Path | None) -> Settings:
    """The settings of a `SettingsOption`; the defaults where none was given."""
    from biopsy_analyzer.settings import Settings
    from biopsy_analyzer.settings_file import load_settings

    return Settings() if file is None else load_settings(file)


def log_folder(result: Path | None = None) -> Path:
    """Where the traceback of an unexpected error goes: with the result that is read, else to temporary files; never where one stands."""
    return result if result is not None and result.is_dir() else Path(gettempdir())


def need(extra: str, *modules: str) -> None:
    """EnvironmentFault naming the first of `modules` that is not installed, and the extra of this package that brings it."""
    for module in modules:
        if find_spec(module) is None:
            raise EnvironmentFault(
                f"{module} is not installed. In a checkout: scripts/setup {extra}; else pip install 'biopsy-analyzer[{extra}]'"
            )
