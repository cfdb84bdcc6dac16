import pytest
import torch

from biopsy_analyzer.segment.model_folder import CHANNELS
from biopsy_analyzer.segment.network import UNet
from biopsy_analyzer.training.export import write_model

WIDTHS, BOTTOM = (8, 12, 16), 1


def lively_network(widths=WIDTHS, bottom=BOTTOM, seed=0):
    """A network as after training: random weights, and BatchNorm statistics that are not 0 and 1."""
    torch.manual_seed(seed)
    network = UNet(widths, bottom, 6, folded=False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.3, 0.6)
            torch.nn.init.uniform_(module.weight, 0.8, 1.5)
    return network.eval()


@pytest.fixture
def model_folder(tmp_path):
    """A folder with models of both kinds, small and untrained."""
    for kind, um_per_px in (("fibres", 0.8), ("nuclei", 0.5)):
        write_model(lively_network(), kind, um_per_px, tmp_path / kind, {"version": "0.0.1", "licence": "MIT"})
    assert set(CHANNELS) == {"fibres", "nuclei"}
    return tmp_path
