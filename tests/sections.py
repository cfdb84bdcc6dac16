"""A section painted in H&E colours after a known plan, and networks that read it by its colours."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.models import Models
from biopsy_analyzer.segment.model_folder import CHANNELS

HAEMATOXYLIN, EOSIN = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
UM_PER_PX = 0.5
FIBRE_UM, STEP_UM, FIRST_UM = 40.0, 48.0, 60.0  # squares with clefts of 8 um between them, in tissue that starts at 40 um


def colour(haematoxylin: float, eosin: float) -> np.ndarray:
    """RGB by Beer and Lambert, uint8 (3,)."""
    return np.clip(256 * 10 ** -(haematoxylin * HAEMATOXYLIN + eosin * EOSIN) - 1, 0, 255).astype(np.uint8)


GLASS = np.array([250, 250, 250], np.uint8)
ENDOMYSIUM = colour(0.0, 0.12)
FIBRES = {
    "normal": colour(0.05, 0.5),
    "necrotic": colour(0.05, 0.9),
    "pale-fragmented": colour(0.0, 0.27),
    "regenerating": colour(0.25, 0.5),
}
NUCLEI = {"muscle": colour(0.9, 0.1), "macrophage": colour(0.7, 0.4), "lymphocyte": colour(1.3, 0.1), "other": colour(0.9, 0.8)}


@dataclass
class Plan:
    """Where what was painted: centres (y, x) in um."""

    rgb: np.ndarray
    fibres: list[tuple[float, float, str]] = field(default_factory=list)
    nuclei: list[tuple[float, float, str]] = field(default_factory=list)


def paint(rows: int, columns: int, states: dict[int, str], nuclei: list[tuple[float, float, str]]) -> Plan:
    """A lattice of square fibres, normal but for `states` by number, and discs of 6 um as nuclei, on tissue surrounded by glass."""
    height, width = (round((2 * FIRST_UM + STEP_UM * n) / UM_PER_PX) for n in (rows, columns))
    plan = Plan(np.tile(GLASS, (height, width, 1)), nuclei=nuclei)
    margin = round(40 / UM_PER_PX)
    plan.rgb[margin:-margin, margin:-margin] = ENDOMYSIUM
    for number in range(rows * columns):
        state = states.get(number, "normal")
        top, left = FIRST_UM + STEP_UM * (number // columns), FIRST_UM + STEP_UM * (number % columns)
        y0, x0, edge = (round(um / UM_PER_PX) for um in (top, left, FIBRE_UM))
        plan.rgb[y0 : y0 + edge, x0 : x0 + edge] = FIBRES[state]
        plan.fibres.append((top + FIBRE_UM / 2, left + FIBRE_UM / 2, state))
    for y, x, kind in nuclei:
        cv2.circle(plan.rgb, (round(x / UM_PER_PX), round(y / UM_PER_PX)), round(3 / UM_PER_PX), NUCLEI[kind].tolist(), -1)
    return plan


def save(rgb: np.ndarray, path: Path) -> Path:
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


class ColourNetwork:
    """Maps from colours: a pixel belongs to the painted class that its colour is nearest to; nuclei count as part of their fibre."""

    def __init__(self, kind: str, um_per_px: float, halo_px: int) -> None:
        self.kind, self.um_per_px, self.halo_px, self.stride = kind, um_per_px, halo_px, 8
        self.channels = CHANNELS[kind]
        self.name, self.version, self.sha256, self.device = f"colours-{kind}", "1", "0" * 64, "cpu"
        self.precision = "float32"
        self.notes: list[str] = []

    def maps(self, rgb: np.ndarray, leave: int = 0) -> np.ndarray:
        maps = np.stack([self._maps(one) for one in rgb])
        return maps[:, :, leave : rgb.shape[1] - leave, leave : rgb.shape[2] - leave]

    def _maps(self, rgb: np.ndarray) -> np.ndarray:
        own = FIBRES if self.kind == "fibres" else NUCLEI
        known = np.array([GLASS, ENDOMYSIUM, *FIBRES.values(), *NUCLEI.values()], np.float32)
        # |a - b|^2 without |a|^2, which all have in common
        nearest = np.argmin((known**2).sum(1) - 2 * (rgb.astype(np.float32) @ known.T), axis=-1)
        first = 2 if self.kind == "fibres" else 2 + len(FIBRES)
        classes = [nearest == first + i for i in range(len(own))]
        inside = np.any(classes, axis=0).astype(np.uint8)
        if self.kind == "fibres":  # nuclei inside belong to their fibre
            inside = ndimage.binary_fill_holes(inside).astype(np.uint8)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5) * self.um_per_px / (FIBRE_UM / 2 if self.kind == "fibres" else 3.0)
        spread = np.stack([np.where(chosen, 0.91, 0.03) for chosen in classes])
        return np.concatenate([np.stack([inside, depth.clip(0, 1)]), spread]).astype(np.float32)


def colour_models() -> Models:
    """Models that read a painted section rightly: the state model follows the network."""
    slopes = np.vstack([np.zeros(3), 3 * np.eye(3)])
    features = ("map_necrotic", "map_pale_fragmented", "map_regenerating")
    card = {"name": "follows-the-network", "version": "1", "sha256": "1" * 64}
    states = StateModel(features, np.zeros(3), np.ones(3), np.zeros((4, 3)), slopes, np.array([2.0, 0, 0, 0]), card)
    return Models(ColourNetwork("fibres", 0.8, 64), ColourNetwork("nuclei", 0.5, 32), states)  # type: ignore[arg-type]
