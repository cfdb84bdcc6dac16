"""Where the models lie; apart from the network, so that asking does not load torch."""

from __future__ import annotations

from pathlib import Path


def default_folder() -> Path:
    """The models inside the installed package, else in the repository of an editable checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / "models" if (package / "models").is_dir() else package.parents[1] / "models"
