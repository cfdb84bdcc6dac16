"""What an analysis needs to have learned: two networks and the rule for fibre states, loaded together from one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from biopsy_analyzer.classify.state_model import StateModel, load_state_model
from biopsy_analyzer.segment.model_folder import default_folder

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import Network

__all__ = ["Models", "default_folder", "load_models"]


@dataclass(frozen=True)
class Models:
    """The network for fibres, the network for nuclei, and the model of fibre states."""

    fibres: Network
    nuclei: Network
    states: StateModel


def load_models(folder: Path | str | None = None, device: str = "auto", precision: str = "auto") -> Models:
    """The models in `folder`/fibres, /nuclei and /states; None: those that come with this version.

    device: "cpu", "cuda" or "auto" (CUDA where there is one); precision: "auto", "float32" or "bfloat16". ModelError when a file is
    missing, damaged, or not the card's.
    """
    from biopsy_analyzer.segment.network import load_networks  # torch: not before it is needed

    folder = default_folder() if folder is None else Path(folder)
    networks = load_networks(folder, device, precision)
    return Models(networks.fibres, networks.nuclei, load_state_model(folder / "states"))
