import torch

from biopsy_analyzer.segment.network import UNet
from biopsy_analyzer.training.export import folded


def test_folded_network_computes_the_same():
    torch.manual_seed(0)
    trained = UNet((8, 12, 16), 2, 6, folded=False).train()
    image = torch.rand(4, 3, 48, 64) * 255
    for _ in range(5):
        trained(image)  # gives BatchNorm statistics of its own
    trained.eval()
    with torch.no_grad():
        torch.testing.assert_close(folded(trained)(image), trained(image), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded(trained).modules())
