"""What the networks are trained to lower, and what is read off them on held-out patches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Batch:
    """rgb uint8 (B, 3, H, W); foreground, depth, weight float32 (B, H, W); classes int64 (B, H, W), 0 not taught."""

    rgb: torch.Tensor
    foreground: torch.Tensor
    depth: torch.Tensor
    classes: torch.Tensor
    weight: torch.Tensor


PARTS = ("foreground", "dice", "depth", "class")

_SHARES = {"foreground": 1.0, "dice": 0.5, "depth": 1.0, "class": 0.5}
_OUTSIDE = 0.25
"""Weight of the depth (0) outside objects, relative to inside: the foreground map already says where outside is."""


def losses(logits: torch.Tensor, batch: Batch, class_weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """The PARTS and their weighted sum `total`, scalars, of logits float32 (B, 6, H, W); class_weights float32 (4,).

    Depth is taught by cross-entropy against the relative depth: unlike an L1 loss it keeps its gradient where the sigmoid
    saturates. A batch in which no class is known has class loss 0.
    """
    weight, foreground = batch.weight, batch.foreground
    depth_weight = weight * (_OUTSIDE + (1 - _OUTSIDE) * foreground)
    probability = logits[:, 0].sigmoid() * (weight > 0)
    overlap = (probability * foreground).sum()
    class_weight = torch.cat([class_weights.new_zeros(1), class_weights])[batch.classes] * (weight > 0)
    class_loss = functional.cross_entropy(logits[:, 2:], (batch.classes - 1).clamp(min=0), reduction="none")
    parts = {
        "foreground": _mean(functional.binary_cross_entropy_with_logits(logits[:, 0], foreground, reduction="none"), weight),
        "dice": 1 - (2 * overlap + 1) / (probability.sum() + (foreground * (weight > 0)).sum() + 1),
        "depth": _mean(functional.binary_cross_entropy_with_logits(logits[:, 1], batch.depth, reduction="none"), depth_weight),
        "class": _mean(class_loss, class_weight),
    }
    parts["total"] = sum((_SHARES[name] * parts[name] for name in PARTS), torch.zeros(()))
    return parts


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def class_weights(pixels: torch.Tensor) -> torch.Tensor:
    """Weights float32 (4,) from the classes' pixel counts: one over the root, at most 5 times the commonest's; absent classes get 1."""
    share = pixels.float() / pixels.sum().clamp(min=1)
    weights = torch.where(share > 0, share.clamp(min=1e-6).rsqrt(), torch.zeros(()))
    weights = (weights / weights[weights > 0].min()).clamp(max=5) if bool((share > 0).any()) else weights
    return torch.where(share > 0, weights, torch.ones(()))


@torch.no_grad()
def agreement(logits: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
    """Sums over a batch from which held-out figures are made.

    overlap, sizes: scalars for Dice of the foreground; depth_error, depth_pixels; hits, members (4,) pixels for the classes' recall.
    """
    counted = batch.weight > 0
    found, truth = (logits[:, 0] > 0) & counted, (batch.foreground > 0) & counted
    known = (batch.classes > 0) & counted
    right = known & (logits[:, 2:].argmax(1) + 1 == batch.classes)
    return {
        "overlap": (found & truth).sum(),
        "sizes": found.sum() + truth.sum(),
        "depth_error": ((logits[:, 1].sigmoid() - batch.depth).abs() * truth).sum(),
        "depth_pixels": truth.sum(),
        "hits": torch.bincount(batch.classes[right], minlength=5)[1:],
        "members": torch.bincount(batch.classes[known], minlength=5)[1:],
    }
