"""RGB -> optical density -> haematoxylin and eosin. Arrays only."""

from __future__ import annotations

import cv2
import numpy as np

RUIFROK = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]])
"""OD directions (R, G, B) of haematoxylin and eosin: Ruifrok and Johnston, Anal Quant Cytol Histol 2001;23:291, as unit vectors."""
RUIFROK = RUIFROK / np.linalg.norm(RUIFROK, axis=1, keepdims=True)

MIN_OD = 0.15  # fainter pixels carry no reliable hue (Macenko et al., ISBI 2009, use the same)
TAIL_PERCENT = 1.0  # extremes of angle taken as the pure stains (ibid.)
MIN_PIXELS = 500
MIN_ANGLE, MAX_ANGLE = 12.0, 70.0  # degrees between the two stains; beyond, one of them is absent. Prior.
MAX_OFF = 40.0  # degrees a stain may lie from its default direction. Prior.


_OD = (-np.log10((np.arange(256) + 1.0) / 256.0)).astype(np.float32)


def optical_density(rgb: np.ndarray) -> np.ndarray:
    """OD of RGB uint8 (..., 3) as float32 (..., 3): -log10((rgb + 1) / 256), so white is 0 and black 2.41."""
    if not rgb.size:
        return np.zeros(rgb.shape, np.float32)
    return np.asarray(cv2.LUT(np.ascontiguousarray(rgb).reshape(len(rgb), -1), _OD).reshape(rgb.shape))


def od_hue(od: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hue in degrees, -90..270, and chroma of OD (..., 3): 0 absorbs red only, 120 green only, 240 blue only."""
    a = od[..., 0] - (od[..., 1] + od[..., 2]) / 2
    b = np.sqrt(np.float32(0.75)) * (od[..., 1] - od[..., 2])
    return (np.degrees(np.arctan2(b, a)) + 90) % 360 - 90, np.hypot(a, b)


def separate(rgb: np.ndarray, vectors: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Haematoxylin and eosin of RGB uint8 (..., 3) as two float32 maps (...) of OD, at least 0.

    vectors  (2, 3) OD directions of haematoxylin and eosin (None: Ruifrok); scaled to unit length.
    Least squares on the two directions; what neither explains is left out. ValueError if the directions are parallel.
    """
    basis = np.asarray(RUIFROK if vectors is None else vectors, dtype=np.float64)
    basis = basis / np.linalg.norm(basis, axis=1, keepdims=True)
    if np.linalg.matrix_rank(basis, tol=1e-3) < 2:
        raise ValueError(f"the two stain vectors {basis.round(3).tolist()} are parallel")
    amounts = np.linalg.pinv(basis).T.astype(np.float32) @ optical_density(rgb).reshape(-1, 3).T
    np.maximum(amounts, 0, out=amounts)
    return amounts[0].reshape(rgb.shape[:-1]), amounts[1].reshape(rgb.shape[:-1])


def estimate_vectors(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """OD directions (2, 3) of haematoxylin and eosin of a section, by the angles in the plane of its two main OD directions.

    rgb uint8 (H, W, 3), mask bool (H, W): tissue. The defaults (Ruifrok) where there are too few stained pixels, where one stain
    is absent, or where the finding is far from them. Method: Macenko et al., ISBI 2009, with the plane fitted through 0.
    """
    od = optical_density(rgb[mask]).reshape(-1, 3).astype(np.float64)
    most = np.maximum(np.maximum(od[:, 0], od[:, 1]), od[:, 2])
    od = od[(most > MIN_OD) & (most < np.log10(256.0) - 0.3)]  # nearly black: dust and clipped channels
    if len(od) < MIN_PIXELS:
        return RUIFROK.copy()
    _, axes = np.linalg.eigh(od.T @ od)
    plane = axes[:, [2, 1]]  # widest first
    if plane[:, 0].sum() < 0:
        plane[:, 0] *= -1
    along = od @ plane
    angles = np.arctan2(along[:, 1], along[:, 0])
    ends = np.percentile(angles, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    found = np.maximum(np.stack([plane @ [np.cos(a), np.sin(a)] for a in ends]), 0)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found = found[np.argsort(-found[:, 0] / found.sum(axis=1))]  # haematoxylin absorbs more red
    return found if _believable(found) else RUIFROK.copy()


def _believable(vectors: np.ndarray) -> bool:
    between = _degrees(vectors[0], vectors[1])
    off = max(_degrees(v, default) for v, default in zip(vectors, RUIFROK, strict=True))
    return MIN_ANGLE <= between <= MAX_ANGLE and off <= MAX_OFF


def _degrees(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))
