"""A patch of a bank -> one training sample as some laboratory's scanner might have seen it.

What is drawn at random: place, rotation, mirror image, pixel size; then stain hue and strength, contrast, light, glass,
focus, sensor noise, JPEG, and white beyond the image's edge. Stain variation decides whether a network trained on
drawings reads real slides at all, so it is far wider than laboratories are.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from biopsy_analyzer.training.banks import BANK_UM_PER_PX, OD_STEPS, Patch
from biopsy_analyzer.training.targets import make_targets

_STAINS = np.array(
    [  # rows haematoxylin and eosin as RGB optical density
        [[0.644, 0.717, 0.267], [0.093, 0.954, 0.283]],  # Ruifrok and Johnston 2001
        [[0.563, 0.720, 0.406], [0.216, 0.801, 0.558]],  # Macenko 2009, reference
        [[0.651, 0.701, 0.290], [0.216, 0.801, 0.558]],  # QuPath's default
        [[0.490, 0.769, 0.410], [0.046, 0.842, 0.538]],  # red haematoxylin, orange eosin
        [[0.760, 0.610, 0.220], [0.280, 0.910, 0.300]],  # blue haematoxylin, violet eosin
    ],
    np.float32,
)
_RED_CELLS = np.array([0.22, 0.75, 0.62], np.float32)


@dataclass(frozen=True)
class Look:
    """How one kind of network sees: its pixel size, and the factors by which it may be off."""

    um_per_px: float
    scales: tuple[float, float]


LOOKS = {"fibres": Look(0.8, (0.55, 1.7)), "nuclei": Look(0.5, (0.7, 1.4))}


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
    rgb = _seen(_stained(pixels, rng) if patch.drawn else _restained(pixels, rng), rng)
    weight = np.where(hard[..., 1] > 0, 0, 1 + soft[..., 2] * np.float32(3 / 255))
    foreground = soft[..., 0] > 127
    for strip in _beyond_the_edge(size_px, rng):
        rgb[strip], foreground[strip], soft[strip], hard[strip], weight[strip] = 255, False, 0, 0, 1
    return Sample(
        rgb=rgb,
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


def _stain_matrix(rng: np.random.Generator) -> np.ndarray:
    """Random unit stain vectors (3, 3) for haematoxylin, eosin and red cells."""
    mix = rng.dirichlet(np.full(len(_STAINS), 0.5)).astype(np.float32)
    vectors = np.vstack([np.tensordot(mix, _STAINS, 1), _RED_CELLS[None]]) + rng.normal(0, 0.07, (3, 3)).astype(np.float32)
    vectors = np.maximum(vectors, 0.02)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _stained(concentrations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Concentrations uint8 (H, W, 3) -> optical density float32 (H, W, 3) in a random stain."""
    strength = np.exp(rng.normal(0, [0.35, 0.35, 0.3])).clip(0.35, 2.2).astype(np.float32)
    vectors = _stain_matrix(rng) * strength[:, None]
    if rng.random() < 0.12:  # faded to grey
        vectors = vectors + rng.uniform(0.3, 0.85) * (vectors.mean(1, keepdims=True) - vectors)
    haze = rng.exponential(0.02, 3).astype(np.float32)  # mounting medium, cover slip
    return concentrations.astype(np.float32) @ (vectors * np.float32(1 / OD_STEPS)).astype(np.float32) + haze


def _restained(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a real slide -> optical density float32 (H, W, 3), its stains turned and strengthened at random."""
    od = -np.log10((rgb.astype(np.float32) + 1) / 256)
    default = np.vstack([_STAINS[0], np.cross(*_STAINS[0])[None]])
    changed = default + rng.normal(0, 0.06, (3, 3))
    changed *= np.exp(rng.normal(0, 0.25, (3, 1)))
    return od @ (np.linalg.inv(default) @ changed).astype(np.float32) + rng.normal(0, 0.01, 3).astype(np.float32)


def _seen(od: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Optical density (H, W, 3) -> RGB uint8 after light, focus, sensor and compression."""
    if rng.random() < 0.3:  # contrast curve
        od = np.maximum(od, 0) ** np.float32(rng.uniform(0.8, 1.25))
    light = np.float32(255) * (1 - np.abs(rng.normal(0, 0.04, 3)) - rng.exponential(0.03)).clip(0.7, 1).astype(np.float32)
    image = np.exp(od * np.float32(-np.log(10))) * light
    if rng.random() < 0.5:
        image *= _shading(image.shape[:2], rng)[..., None]
    image = _focused(image, rng)
    if rng.random() < 0.7:
        image += _noise(image.shape, rng)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        image = _compressed(image, int(rng.integers(30, 96)))
    return image


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """`image` (H, W, 3) after JPEG of `quality` 0..100."""
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR_RGB))


def _shading(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uneven light (H, W) float32 around 1, smooth over the field."""
    corners = 1 + rng.normal(0, 0.04, (3, 3)).astype(np.float32)
    return cv2.resize(corners, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _focused(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`image` as it is, blurred, through coarser pixels, or sharpened."""
    which = rng.random()
    if which < 0.35:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5))
    if which < 0.5:
        coarse = cv2.resize(image, None, fx=(factor := rng.uniform(0.4, 0.9)), fy=factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if which < 0.65:
        return image + np.float32(rng.uniform(0.2, 1.2)) * (image - cv2.GaussianBlur(image, (0, 0), 1.0))
    return image


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Sensor noise float32 (H, W, 3) in grey levels, grain of one pixel or softer."""
    noise = rng.standard_normal(shape, np.float32) * np.float32(rng.exponential(3.0))
    return cv2.GaussianBlur(noise, (0, 0), 0.7) * 2 if rng.random() < 0.4 else noise


def _beyond_the_edge(size_px: int, rng: np.random.Generator) -> list[tuple[slice, slice]]:
    """Strips of the sample that lie outside the image, at no, one or two sides."""
    strips = []
    for _ in range(rng.choice(3, p=[0.8, 0.15, 0.05])):
        wide = int(rng.integers(4, size_px // 3))
        span = slice(0, wide) if rng.random() < 0.5 else slice(size_px - wide, size_px)
        strips.append((span, slice(None)) if rng.random() < 0.5 else (slice(None), span))
    return strips
