"""A patch of a bank -> one training sample as some laboratory's scanner might have seen it.

What is drawn at random: place, rotation, mirror image, pixel size, the grain of drawn fibres; then stain hue and strength,
contrast, light, glass, freezing holes, focus, sensor noise and JPEG. Stain variation decides whether a network trained on
drawings reads real slides at all, so it is far wider than laboratories are.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from biopsy_analyzer.training.banks import BANK_UM_PER_PX, OD_STEPS, Patch
from biopsy_analyzer.training.draw.noise import smooth_noise
from biopsy_analyzer.training.draw.optics import STAINS, expose, random_stains
from biopsy_analyzer.training.targets import make_targets


@dataclass(frozen=True)
class Look:
    """How one kind of network sees: its pixel size, by what factors it may be off, how often objects have holes or less grain."""

    um_per_px: float
    scales: tuple[float, float]
    frozen: float
    smoothed: float


LOOKS = {"fibres": Look(0.8, (0.55, 1.7), 0.25, 0.4), "nuclei": Look(0.5, (0.7, 1.4), 0.0, 0.0)}


@dataclass(frozen=True)
class Sample:
    """rgb uint8 (H, W, 3); foreground, depth, weight float32 (H, W) in 0..1 and more; classes uint8 (H, W), 0 not taught."""

    rgb: np.ndarray
    foreground: np.ndarray
    depth: np.ndarray
    classes: np.ndarray
    weight: np.ndarray


def draw_sample(patch: Patch, kind: str, rng: np.random.Generator, size_px: int = 256) -> Sample:
    """One sample of `size_px` squared from `patch` for the network of `kind`; the same `rng` state gives the same sample.

    Beyond the patch's edge the patch is mirrored, and its targets with it. Weight is 0 where truth is void, 4 at borders
    between touching objects, 1 elsewhere.
    """
    look = LOOKS[kind]
    um_per_px = look.um_per_px * float(np.exp(rng.uniform(*np.log(look.scales))))
    shrink = um_per_px / BANK_UM_PER_PX
    matrix = _placement(patch.labels.shape, size_px, shrink, rng)
    targets = make_targets(patch.labels, patch.codes)
    soft = _warp(np.dstack([targets.foreground, targets.depth, targets.between]), matrix, size_px, cv2.INTER_LINEAR)
    hard = _warp(np.dstack([targets.classes, patch.ignore.astype(np.uint8)]), matrix, size_px, cv2.INTER_NEAREST)
    pixels = _warp(_antialiased(patch.pixels, shrink), matrix, size_px, cv2.INTER_LINEAR)
    foreground = soft[..., 0] > 127
    if patch.drawn and rng.random() < look.smoothed:
        pixels = smoothed(pixels, foreground, rng)
    od = _stained(pixels, rng) if patch.drawn else _restained(pixels, rng)
    if rng.random() < look.frozen:
        od = _frozen(od, foreground, rng)
    weight = np.where(hard[..., 1] > 0, 0, 1 + soft[..., 2] * np.float32(3 / 255))
    return Sample(
        rgb=expose(od, rng),
        foreground=foreground.astype(np.float32),
        depth=soft[..., 1] * np.float32(1 / 255),
        classes=np.where(foreground, hard[..., 0], 0).astype(np.uint8),
        weight=weight.astype(np.float32),
    )


def _placement(shape: tuple[int, ...], size_px: int, shrink: float, rng: np.random.Generator) -> np.ndarray:
    """The affine matrix (2, 3) from sample to patch positions: rotation, mirror image, shrinkage, a centre well inside."""
    angle, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    turn = shrink * np.array([[np.cos(angle) * mirror, -np.sin(angle)], [np.sin(angle) * mirror, np.cos(angle)]])
    half = np.minimum(size_px * shrink / 2, np.array(shape[::-1]) / 2)
    centre = rng.uniform(half, shape[::-1] - half)
    return np.column_stack([turn, centre - turn @ np.full(2, size_px / 2)])


def _warp(image: np.ndarray, matrix: np.ndarray, size_px: int, how: int) -> np.ndarray:
    return cv2.warpAffine(image, matrix, (size_px, size_px), flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)


def _antialiased(pixels: np.ndarray, shrink: float) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), 0.5 * float(np.sqrt(shrink**2 - 1))) if shrink > 1.15 else pixels


def smoothed(concentrations: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Concentrations uint8 (H, W, 3) with less grain in the fibres, `inside` bool (H, W): real sarcoplasm is smoother than most drawn.

    Within the fibre small deviations from the mean around shrink; nuclei, holes, clefts and clumps, which deviate more, stay. float32.
    """
    inside3, sigma = inside.astype(np.float32)[..., None], rng.uniform(1.5, 4)
    amount = concentrations.astype(np.float32)
    around = cv2.GaussianBlur(amount * inside3, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(inside3, (0, 0), sigma), 0.01)[..., None]
    grain = amount - around
    left = 1 - rng.uniform(0.3, 1) * np.exp(-((grain / (0.15 * around.sum(axis=2, keepdims=True) + 1)) ** 2))
    return np.where(inside3 > 0, around + left * grain, amount).astype(np.float32)


def _stained(concentrations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Concentrations (H, W, 3) -> optical density float32 (H, W, 3) in a random stain."""
    haze = rng.exponential(0.02, 3).astype(np.float32)  # mounting medium, cover slip
    return concentrations.astype(np.float32) @ (random_stains(rng) / np.float32(OD_STEPS)) + haze


def _restained(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a real slide -> optical density float32 (H, W, 3), its stains turned and strengthened at random."""
    od = -np.log10((rgb.astype(np.float32) + 1) / 256)
    default = np.vstack([STAINS[0], np.cross(*STAINS[0])[None]])
    changed = default + rng.normal(0, 0.06, (3, 3))
    changed *= np.exp(rng.normal(0, 0.25, (3, 1)))
    return od @ (np.linalg.inv(default) @ changed).astype(np.float32) + rng.normal(0, 0.01, 3).astype(np.float32)


def _frozen(od: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`od` with the clear holes that ice crystals leave in fibres (`inside`): from a few to a sponge, 1 to 8 um wide.

    In a third of the samples ice grew between the fibres as well, and holes run over their borders.
    """
    field = smooth_noise(rng, inside.shape, rng.uniform(1.5, 8)) + 0.4 * smooth_noise(rng, inside.shape, 60)
    hole = (inside | (rng.random() < 1 / 3)) & (field > rng.uniform(0.9, 2.2))
    return np.where(hole[..., None], od * np.float32(rng.uniform(0.02, 0.3)), od)
