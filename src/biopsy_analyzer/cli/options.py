"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where the networks run; auto: CUDA where there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Mpp = Annotated[float | None, typer.Option("--mpp", metavar="UM_PER_PX", help="Edge of a pixel in um; wins over what the file states.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the networks run.")]
ModelsOption = Annotated[Path | None, typer.Option("--models", metavar="DIR", help="Folder of models; without it those of this version.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SettingsOption = Annotated[Path | None, typer.Option("--settings", metavar="TOML", help="Settings that differ from the defaults.")]
