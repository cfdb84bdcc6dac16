"""Smooth random fields, the raw material of every texture."""

from __future__ import annotations

import cv2
import numpy as np


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], wavelength_px: float) -> np.ndarray:
    """Gaussian field, float32 (H, W), mean 0 and spread about 1, that varies over about `wavelength_px`.

    A coarse grid of normal numbers is enlarged by cubic interpolation; below 1.5 px it is white noise.
    """
    if wavelength_px < 1.5:
        return rng.standard_normal(shape, dtype=np.float32)
    coarse = tuple(max(4, int(np.ceil(n / wavelength_px)) + 3) for n in shape)
    grid = rng.standard_normal(coarse, dtype=np.float32)
    enlarged = cv2.resize(grid, (int(coarse[1] * wavelength_px), int(coarse[0] * wavelength_px)), interpolation=cv2.INTER_CUBIC)
    top, left = (int(rng.integers(0, max(1, enlarged.shape[i] - shape[i]))) for i in (0, 1))
    field = enlarged[top : top + shape[0], left : left + shape[1]]
    if field.shape != shape:  # int() above may lose a row on tiny canvases
        field = cv2.resize(field, (shape[1], shape[0]))
    return np.ascontiguousarray(field) * np.float32(1.25)


def fractal_noise(rng: np.random.Generator, shape: tuple[int, int], wavelength_px: float, octaves: int = 3) -> np.ndarray:
    """Sum of `octaves` fields, each of half the wavelength and amplitude of the one before; spread about 1."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        total += smooth_noise(rng, shape, wavelength_px / 2**octave) * np.float32(0.5**octave)
    return total * np.float32(0.87)


def streaks(rng: np.random.Generator, shape: tuple[int, int], wavelength_px: float, angle: float, wavy_px: float) -> np.ndarray:
    """Wavy strands along `angle` (radians), float32 (H, W) in about -1..1; they sway by `wavy_px` and fade in and out."""
    rows, cols = np.indices(shape, dtype=np.float32)
    across = cols * np.sin(angle) - rows * np.cos(angle)
    along = cols * np.cos(angle) + rows * np.sin(angle)
    sway = wavy_px * (smooth_noise(rng, shape, 110) + 0.3 * np.sin(along / rng.uniform(9, 25)))
    phase = 2 * np.pi * (across + sway) / wavelength_px + 1.5 * smooth_noise(rng, shape, 45)
    return np.sin(phase).astype(np.float32) * np.clip(0.6 + 0.5 * smooth_noise(rng, shape, 16), 0, 1.2)
