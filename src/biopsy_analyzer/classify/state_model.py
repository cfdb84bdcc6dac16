"""The fitted rule that turns a fibre's features into probabilities of its state: an additive logistic model in plain numpy.

Every feature has two slopes for each state, one below and one above the ordinary fibre, because dead fibres may be paler or
darker than ordinary ones. Deviations are compressed by a logarithm: being ten times beyond ordinary says little more than five times.
The sum of slopes times compressed deviations is exact, so the reason of a call can be read off it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy.special import softmax

from biopsy_analyzer.errors import ModelError
from biopsy_analyzer.tables import FIBRE_STATES

LIMIT = 20.0  # standardised features are clipped here: beyond the training's range a slope is a guess
WEIGHTS, CARD = "weights.safetensors", "card.json"
ARRAYS = ("center", "scale", "below", "above", "intercept")


@dataclass(frozen=True)
class StateModel:
    """Additive multinomial logistic model of fibre state over F named features.

    center, scale  (F,) what is subtracted and divided by; the center is the ordinary fibre, and stands in for a missing value
    below, above   (4, F) slopes by state for compressed deviations under and over the center
    intercept      (4,)
    card           name, version, sha256, data, metrics: see `training.states`
    """

    features: tuple[str, ...]
    center: np.ndarray
    scale: np.ndarray
    below: np.ndarray
    above: np.ndarray
    intercept: np.ndarray
    card: dict[str, Any]

    def contributions(self, features: pd.DataFrame) -> np.ndarray:
        """What each feature adds to each state's log odds, float64 (n, 4, F); 0 where the feature is NaN."""
        low, high = two_sided((features[list(self.features)].to_numpy(dtype=np.float64) - self.center) / self.scale)
        return low[:, None, :] * self.below + high[:, None, :] * self.above

    def logits(self, features: pd.DataFrame) -> np.ndarray:
        """Log odds of FIBRE_STATES but for a term that all four share, float64 (n, 4)."""
        return np.asarray(self.contributions(features).sum(axis=2) + self.intercept)

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Probabilities of FIBRE_STATES, float64 (n, 4), rows sum to 1; columns are read by name, a missing one is a KeyError."""
        return np.asarray(softmax(self.logits(features), axis=1))


def two_sided(standardised: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts below and above 0 of sign(z) log(1 + |z|), z clipped at +-20; NaN gives 0 in both."""
    z = np.nan_to_num(np.clip(standardised, -LIMIT, LIMIT), nan=0.0)
    compressed = np.sign(z) * np.log1p(np.abs(z))
    return np.minimum(compressed, 0.0), np.maximum(compressed, 0.0)


def save_state_model(model: StateModel, folder: Path) -> StateModel:
    """Writes `weights.safetensors` and `card.json` into `folder`; returns the model with the card as written."""
    content = save({name: np.ascontiguousarray(getattr(model, name), dtype=np.float64) for name in ARRAYS})  # it ignores strides
    card = {**model.card, "features": list(model.features), "states": list(FIBRE_STATES), "sha256": hashlib.sha256(content).hexdigest()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(content)
    (folder / CARD).write_text(json.dumps(card, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return replace(model, card=card)


def load_state_model(folder: Path) -> StateModel:
    """The model in `folder`; ModelError if a file is missing, the weights are not those of the card, or their shapes don't fit it."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        content = (folder / WEIGHTS).read_bytes()
        features, states, wanted = tuple(card["features"]), tuple(card["states"]), card["sha256"]
        if not all(isinstance(card[key], str) for key in ("name", "version")):
            raise TypeError("name and version must be text")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{folder}: no usable fibre state model ({error}); install the package again or run the training") from error
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:  # before parsing: a flipped bit would load silently
        raise ModelError(f"{folder / WEIGHTS}: sha256 is {found[:12]}, the card says {str(wanted)[:12]}; install the package again")
    try:
        arrays = load(content)
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS}: not a safetensors file ({error}); install the package again") from error
    n = len(features)
    shapes = {"center": (n,), "scale": (n,), "below": (len(states), n), "above": (len(states), n), "intercept": (len(states),)}
    if states != FIBRE_STATES or {name: a.shape for name, a in arrays.items()} != shapes or not _usable(arrays):
        raise ModelError(f"{folder}: weights do not fit the card or the states {FIBRE_STATES}; run the training again")
    return StateModel(features=features, card=card, **arrays)


def _usable(arrays: dict[str, np.ndarray]) -> bool:
    return all(np.isfinite(a).all() for a in arrays.values()) and bool((arrays["scale"] > 0).all())
