"""A trained network -> its model folder: weights.safetensors and card.json."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.segment.halo import halo_px
from biopsy_analyzer.segment.model_folder import CHANNELS
from biopsy_analyzer.segment.network import Block, UNet


def folded(trained: UNet) -> UNet:
    """The same function as `trained`, which is in eval mode, with each BatchNorm worked into its convolution; folded ones as they are."""
    if not any(isinstance(module, nn.BatchNorm2d) for module in trained.modules()):
        return trained.eval()
    result = UNet(trained.widths, trained.bottom, trained.outputs, folded=True)
    kept = {name: value for name, value in trained.state_dict().items() if name in result.state_dict()}
    result.load_state_dict(kept, strict=False)
    for block, plain in zip(_blocks(trained), _blocks(result), strict=True):
        plain[0].load_state_dict(fuse_conv_bn_eval(cast(nn.Conv2d, block[0]), cast(nn.BatchNorm2d, block[1])).state_dict())
    return result.eval()


def _blocks(network: UNet) -> list[Block]:
    return [module for module in network.modules() if isinstance(module, Block)]


def write_model(trained: UNet, kind: str, um_per_px: float, folder: Path, about: dict[str, Any]) -> None:
    """Write `trained` into `folder`, the card last, so that a half-written folder fails its SHA-256.

    `about` is added to the card: version, data, licence, metrics, training and limits, for whoever judges the model. OutputError where
    the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = save({name: value.contiguous() for name, value in folded(trained).state_dict().items()})
    card = {
        "name": kind,
        "kind": kind,
        "architecture": {"widths": list(trained.widths), "bottom": trained.bottom},
        "um_per_px": um_per_px,
        "halo_px": halo_px(trained.widths, trained.bottom),
        "stride": trained.stride,
        "channels": list(CHANNELS[kind]),
        "parameters": sum(p.numel() for p in trained.parameters()),
        "sha256": hashlib.sha256(weights).hexdigest(),
        **about,
    }
    write_bytes(folder / "weights.safetensors", weights)
    write_bytes(folder / "card.json", (json.dumps(card, indent=2, allow_nan=False) + "\n").encode())
