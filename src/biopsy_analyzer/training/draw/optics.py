"""From concentrations to colours: stain by optical density, light, focus, sensor and JPEG, each drawn at random.

Beer-Lambert: a pixel's optical density is the sum of each stain's amount times its colour. `spread` says how far all of this may
lie from a text-book slide: 1 for training, where it is far wider than laboratories are, less for sections that judge.
"""

from __future__ import annotations

import cv2
import numpy as np

from biopsy_analyzer.training.draw.recipe import Difficulty
from biopsy_analyzer.training.draw.section import Drawn

STAINS = np.array(
    [  # rows haematoxylin and eosin as RGB optical density
        [[0.644, 0.717, 0.267], [0.093, 0.954, 0.283]],  # Ruifrok and Johnston 2001
        [[0.563, 0.720, 0.406], [0.216, 0.801, 0.558]],  # Macenko 2009, reference
        [[0.651, 0.701, 0.290], [0.216, 0.801, 0.558]],  # QuPath's default
        [[0.490, 0.769, 0.410], [0.046, 0.842, 0.538]],  # red haematoxylin, orange eosin
        [[0.760, 0.610, 0.220], [0.280, 0.910, 0.300]],  # blue haematoxylin, violet eosin
    ],
    np.float32,
)
RED_CELLS = np.array([0.22, 0.75, 0.62], np.float32)
SPREAD: dict[Difficulty, float] = {"clean": 0.25, "usual": 0.6, "hard": 1.0}


def render(drawn: Drawn, seed: int, difficulty: Difficulty = "usual") -> np.ndarray:
    """The section as a scanner sees it, RGB uint8 (H, W, 3); the same seed gives the same picture."""
    rng = np.random.default_rng((seed, 1))
    spread = SPREAD[difficulty]
    od = np.moveaxis(drawn.concentrations, 0, -1) @ random_stains(rng, spread)
    return expose(od + rng.exponential(0.02 * spread, 3).astype(np.float32), rng, spread)


def random_stains(rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
    """Optical density float32 (3, 3) that one unit of haematoxylin, eosin and red cells has in red, green and blue."""
    mix = rng.dirichlet(np.full(len(STAINS), 0.5)).astype(np.float32)
    vectors = np.vstack([np.tensordot(mix, STAINS, 1), RED_CELLS[None]]) + rng.normal(0, 0.07 * spread, (3, 3)).astype(np.float32)
    vectors = np.maximum(vectors, 0.02)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors * np.exp(spread * rng.normal(0, [0.35, 0.35, 0.3])).clip(0.35, 2.2)[:, None]
    if rng.random() < 0.12 * spread:  # faded to grey
        vectors = vectors + rng.uniform(0.3, 0.85) * (vectors.mean(1, keepdims=True) - vectors)
    return vectors.astype(np.float32)


def expose(od: np.ndarray, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
    """Optical density float32 (H, W, 3) as RGB uint8 after light, focus, sensor and compression."""
    if rng.random() < 0.3 * spread:  # contrast curve
        od = np.maximum(od, 0) ** np.float32(rng.uniform(0.8, 1.25))
    light = 255 * (1 - np.abs(rng.normal(0, 0.04 * spread, 3)) - rng.exponential(0.03 * spread)).clip(0.7, 1)
    image = np.exp(od * np.float32(-np.log(10))) * light.astype(np.float32)
    if rng.random() < 0.5 * spread:
        image *= _shading(image.shape[:2], rng)[..., None]
    image = _focused(image, rng, spread)
    if rng.random() < 0.7:
        image += _noise(image.shape, rng, spread)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        image = _compressed(image, int(rng.integers(95 - round(65 * spread), 96)))
    return np.ascontiguousarray(image)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    _, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1]


def _shading(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uneven light float32 (H, W) around 1, smooth over the field."""
    corners = 1 + rng.normal(0, 0.04, (3, 3)).astype(np.float32)
    return cv2.resize(corners, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _focused(image: np.ndarray, rng: np.random.Generator, spread: float) -> np.ndarray:
    """`image` as it is, blurred, seen through coarser pixels, or sharpened."""
    which = rng.random()
    if which < 0.35:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.4 + 1.1 * spread))
    if which < 0.35 + 0.15 * spread:
        coarse = cv2.resize(image, None, fx=(factor := rng.uniform(0.4, 0.9)), fy=factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if which < 0.35 + 0.3 * spread:
        return image + np.float32(rng.uniform(0.2, 1.2)) * (image - cv2.GaussianBlur(image, (0, 0), 1.0))
    return image


def _noise(shape: tuple[int, ...], rng: np.random.Generator, spread: float) -> np.ndarray:
    """Sensor noise float32 (H, W, 3) in grey levels, with a grain of one pixel or softer."""
    noise = rng.standard_normal(shape, np.float32) * np.float32(rng.exponential(3.0 * spread))
    return cv2.GaussianBlur(noise, (0, 0), 0.7) * 2 if rng.random() < 0.4 else noise
