"""Drawn sections as files: a pyramidal slide and its truth beside it, in the layout that `evaluate` reads."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

from biopsy_analyzer.errors import OutputError, UsageError
from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS
from biopsy_analyzer.training.draw.optics import render
from biopsy_analyzer.training.draw.recipe import DIFFICULTIES, DISEASES, Difficulty
from biopsy_analyzer.training.draw.section import Drawn, draw_section

MOST_LABELS = np.iinfo(np.uint16).max


def write_sections(
    out: Path, *, seed: int = 0, count: int = 1, difficulty: Difficulty = "usual", disease: str | None = None, size_px: int = 2048
) -> list[Path]:
    """Draw `count` square sections of seeds `seed`, `seed` + 1, ... of `size_px` (0.5 um/px) into `out`; the slides' paths.

    Beside each `<name>.tif` (tiled JPEG pyramid that states its pixel size) lie `<name>_fibres.png`, `<name>_nuclei.png`
    (uint16 labels) and `<name>.json` (um_per_px, states and kinds by label). Each file is whole or not there. UsageError for an unknown
    difficulty or disease, or a section with more nuclei than uint16 can number; OutputError where `out` can't be written.
    """
    for name, value, known in (("difficulty", difficulty, DIFFICULTIES), ("disease", disease, (None, *DISEASES))):
        if value not in known:
            raise UsageError(f"{name} {value!r} is unknown; use one of {', '.join(str(k) for k in known if k)}")
    out.mkdir(parents=True, exist_ok=True)
    return [_write(out, seed + k, difficulty, disease, size_px) for k in range(count)]


def _write(out: Path, seed: int, difficulty: Difficulty, disease: str | None, size_px: int) -> Path:
    drawn = draw_section(seed, (size_px, size_px), difficulty, disease)
    name = "_".join(["drawn", difficulty, *([disease] if disease else []), str(seed)])
    path = out / f"{name}.tif"
    if len(drawn.nucleus_kind) - 1 > MOST_LABELS:
        raise UsageError(f"{len(drawn.nucleus_kind) - 1} nuclei on {size_px} px; a label image numbers {MOST_LABELS}. Give a smaller size")
    write_pyramid(path, render(drawn, seed, difficulty), drawn.um_per_px)
    for part, labels in (("fibres", drawn.fibres), ("nuclei", drawn.nuclei)):
        write_png(out / f"{name}_{part}.png", labels.astype(np.uint16))
    write_bytes(out / f"{name}.json", (json.dumps(_facts(drawn, seed, difficulty, disease), indent=1) + "\n").encode())
    return path


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write RGB uint8 (H, W, 3), or labels uint8 or uint16 (H, W), as PNG, whole or not at all; OutputError where that fails."""
    written, content = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    if not written:
        raise OutputError(f"{path}: a picture of {pixels.shape} can't be encoded as PNG. Give a smaller size")
    write_bytes(path, content.tobytes())


def _facts(drawn: Drawn, seed: int, difficulty: Difficulty, disease: str | None) -> dict[str, Any]:
    def named(codes: np.ndarray, names: tuple[str, ...]) -> dict[str, str]:
        return {str(label): names[code - 1] for label, code in enumerate(codes.tolist()) if 1 <= code <= len(names)}

    return {
        "drawn": True,
        "seed": seed,
        "difficulty": difficulty,
        "disease": disease,
        "um_per_px": drawn.um_per_px,
        "fibre_states": named(drawn.fibre_state, FIBRE_STATES),
        "nucleus_types": named(drawn.nucleus_kind, NUCLEUS_KINDS),
    }


def write_pyramid(path: Path, rgb: np.ndarray, um_per_px: float) -> None:
    """Write RGB uint8 (H, W, 3) as a tiled JPEG TIFF with SubIFD levels down to 512 px, its pixel size in the resolution tags.

    Whole or not at all; OutputError where it can't be written.
    """
    levels = [rgb]
    while max(levels[-1].shape[:2]) > 512:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as tiff:
        for k, level in enumerate(levels):
            tiff.write(
                level,
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 88},
                tile=(256, 256),
                resolution=(10_000 / (um_per_px * 2**k),) * 2,
                resolutionunit="CENTIMETER",
                subifds=len(levels) - 1 if k == 0 else None,
                subfiletype=1 if k else 0,
                metadata=None,
            )
    write_bytes(path, content.getvalue())
