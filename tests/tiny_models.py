"""Models that run in a blink: what they find is nonsense, but every part runs, in real processes."""

from pathlib import Path

import torch

from biopsy_analyzer.classify.state_model import save_state_model
from biopsy_analyzer.segment.model_folder import CHANNELS
from biopsy_analyzer.segment.network import UNet
from biopsy_analyzer.training.export import write_model
from sections import colour_models


def write_tiny_models(folder: Path) -> Path:
    """Two networks of random weights, always the same ones, and a state model, as `--models` wants them."""
    for kind, um_per_px in (("fibres", 0.8), ("nuclei", 0.5)):
        torch.manual_seed(0)
        write_model(UNet((4, 8), 1, len(CHANNELS[kind]), folded=False).eval(), kind, um_per_px, folder / kind, {"version": "0"})
    save_state_model(colour_models().states, folder / "states")
    return folder
