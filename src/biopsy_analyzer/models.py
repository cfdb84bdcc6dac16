"""What an analysis needs to have learned: two networks and the rule for fibre states, loaded together from one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from biopsy_analyzer.classify.state_model import StateModel, load_state_model
from biopsy_analyzer.segment.network import Network, default_folder, load_networks


@dataclass(frozen=True)
class Models:
    """The network for fibres, the network for nuclei, and the model of fibre states."""

    fibres: Network
    nuclei: Network
    states: StateModel


def load_models(folder: Path | str | None = None, device: str = "auto") -> Models:
    """The models in `folder`/fibres, /nuclei and /states; None: those that come with this version.

    device: "cpu", "cuda" or "auto" (CUDA where there is one). ModelError when a file is missing, damaged, or not the card's.
    """
    folder = default_folder() if folder is None else Path(folder)
    networks = load_networks(folder, device)
    return Models(networks.fibres, networks.nuclei, load_state_model(folder / "states"))
