"""How far a network sees: integers only."""

from __future__ import annotations


def receptive_radius(widths: tuple[int, ...], bottom: int) -> int:
    """Pixels to each side of an output pixel that can change it, the largest over all phases (exact, by intervals)."""
    levels, stride = len(widths), 2 ** len(widths)
    radius = 0
    for phase in range(stride):
        low, high = phase // 2 - 1, phase // 2 + 1  # pixel shuffle, then the head's convolution
        for _ in range(levels - 1):  # `up` at this level, then nearest neighbour from the next coarser one
            low, high = (low - 1) // 2, (high + 1) // 2
        low, high = low - bottom, high + bottom
        for level in range(levels):  # stride-2 convolution, then the plain one of the next finer level
            plain = 0 if level == levels - 1 else 1
            low, high = 2 * low - 1 - plain, 2 * high + 1 + plain
        radius = max(radius, phase - low, high - phase)
    return radius


def halo_px(widths: tuple[int, ...], bottom: int) -> int:
    """The receptive radius rounded up to a multiple of the stride, so that halos keep the phases."""
    stride = 2 ** len(widths)
    return -(-receptive_radius(widths, bottom) // stride) * stride
