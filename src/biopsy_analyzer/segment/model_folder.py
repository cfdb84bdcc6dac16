"""A model folder: where it lies, its card.json, which describes a network, and the bytes of its weights. Asking does not load torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from biopsy_analyzer.errors import ModelError
from biopsy_analyzer.segment.halo import halo_px
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS

CHANNELS = {"fibres": ("fibre", "depth", *FIBRE_STATES), "nuclei": ("nucleus", "depth", *NUCLEUS_KINDS)}
"""What each kind of network puts out: two sigmoid maps (foreground, depth) and one softmax over the rest."""

_CARD_KEYS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("name", "version", "kind", "sha256"), str),
    **dict.fromkeys(("halo_px", "stride"), int),
    "um_per_px": (int, float),
    "architecture": dict,
    "channels": list,
}


def default_folder() -> Path:
    """The models inside the installed package, else in the repository of an editable checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / "models" if (package / "models").is_dir() else package.parents[1] / "models"


def read_card(folder: Path) -> dict:
    """`folder`/card.json; ModelError, one line, where it is missing, unreadable, or a key lacks or is of the wrong type."""
    path = folder / "card.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: no readable model card ({error}); name a folder with weights.safetensors and card.json") from error
    missing = [key for key in _CARD_KEYS if not isinstance(card, dict) or key not in card]
    if missing:
        raise ModelError(f"{path}: the model card lacks {', '.join(missing)}")
    wrong = [key for key, kind in _CARD_KEYS.items() if not isinstance(card[key], kind) or isinstance(card[key], bool)]
    if wrong:
        raise ModelError(f"{path}: fits neither its weights nor this version ({', '.join(wrong)}: wrong type)")
    return card


def read_weights(folder: Path, sha256: str) -> bytes:
    """`folder`/weights.safetensors; ModelError where it is missing or its SHA-256 is not the card's."""
    path = folder / "weights.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: weights can't be read ({error})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(f"{path}: SHA-256 is {found}, card.json wants {sha256}; fetch the model folder again")
    return content


def check_card(card: dict, widths: tuple[int, ...], bottom: int) -> None:
    """ValueError where the card states what a network of these widths and bottom can't hold."""
    if tuple(card["channels"]) != CHANNELS.get(card["kind"]):
        raise ValueError(f"channels {card['channels']} are not those of kind {card['kind']!r}")
    needed, stride = halo_px(widths, bottom), 2 ** len(widths)
    if card["stride"] != stride or card["halo_px"] < needed or card["halo_px"] % stride:
        raise ValueError(f"stride {card['stride']}, halo {card['halo_px']} px; needed {stride} and a multiple of it from {needed} px")
    if not 0.05 < float(card["um_per_px"]) < 10:
        raise ValueError(f"um_per_px {card['um_per_px']} is no microscope's")
