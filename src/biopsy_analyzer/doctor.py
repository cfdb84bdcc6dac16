"""Is this installation fit for use? Each part is asked to do its work on something whose answer is known."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from biopsy_analyzer.errors import BiopsyAnalyzerError, EnvironmentFault, ReaderMissing
from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.versions import ABSENT, software_versions

UM_PER_PX = 0.5
GOLDEN = Path(__file__).parent / "golden"
"""One picture of four known colours, stored as each reader gets it; made by scripts/make_golden.py."""

MOST_OFF = 3.0  # levels of 255 between a stored colour and its mean when read: JPEG's rounding; swapped channels are off by 50 and more
MOST_MAPS_OFF = 0.03  # of 1, mean of a map: half precision gives 0.003 to 0.007, a broken one is anywhere
_COLOURS = np.array([[(228, 150, 190), (96, 72, 150)], [(246, 246, 246), (204, 84, 120)]], np.uint8)  # eosin, haematoxylin; glass, dusky
_QUARTER_PX = 128
_OPTIONAL = {
    "openslide": "openslide-python and openslide-bin: MRXS, NDPI, SCN, BIF and others; pip install 'biopsy-analyzer[openslide]'",
    "napari": "napari, the viewer; pip install 'biopsy-analyzer[napari]'",
    "distributed": "Dask, batches on a cluster; pip install 'biopsy-analyzer[cluster]'",
    "highdicom": "highdicom, results as DICOM annotations; pip install 'biopsy-analyzer[dicom]'",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `absent`: an optional part that is not installed; `failed`: something that analyses need does not work."""

    part: str
    state: Literal["ok", "absent", "failed"]
    said: str


def examine(models: Path | None = None, device: str = "auto") -> Iterator[Finding]:
    """Every finding, one after the other as it is made; nothing is raised for what does not work."""
    yield Finding("system", "ok", _system())
    yield _versions()
    for name, what in _OPTIONAL.items():
        installed = importlib.util.find_spec(name) is not None
        yield Finding("optional", "ok" if installed else "absent", what.split(";")[0] if installed else what)
    for path in sorted(GOLDEN.iterdir()):
        yield _tried("reader", partial(_read_golden, path))
    yield _tried("models", partial(_models, models, device))
    yield _tried("temporary folder", _temporary)


def golden_picture() -> np.ndarray:
    """The picture that every file in GOLDEN holds: RGB uint8 (256, 256, 3)."""
    return _COLOURS.repeat(_QUARTER_PX, axis=0).repeat(_QUARTER_PX, axis=1)


def colours_off(rgb: np.ndarray) -> float:
    """The greatest difference, in levels of 255, of a quarter's mean colour from what it should be; inf for a picture of another size."""
    if rgb.shape != golden_picture().shape:
        return float("inf")
    quarters = rgb.reshape(2, _QUARTER_PX, 2, _QUARTER_PX, 3)[:, 16:-16, :, 16:-16].astype(float)  # away from edges, which JPEG blurs
    return float(np.abs(quarters.mean(axis=(1, 3)) - _COLOURS).max())


def _tried(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, "ok", look())
    except ReaderMissing as error:
        return Finding(part, "absent", str(error))
    except BiopsyAnalyzerError as error:
        return Finding(part, "failed", str(error))
    except Exception as error:  # whatever a broken library raises is the finding
        return Finding(part, "failed", f"{type(error).__name__}: {error}")


def _versions() -> Finding:
    found = software_versions()
    missing = [name for name, number in found.items() if number == ABSENT and name != "openslide-bin"]
    if missing:
        return Finding("versions", "failed", f"{', '.join(missing)} missing; install again")
    return Finding("versions", "ok", ", ".join(f"{name} {number}" for name, number in found.items() if number != ABSENT))


def _system() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else float("nan")
    return f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPU cores, {memory:.0f} GiB of memory"


def _read_golden(path: Path) -> str:
    with open_slide(path, um_per_px=UM_PER_PX) as slide:
        off = colours_off(slide.read(slide.grid()))
        name = f"{slide.format} ({slide.compression}) by {slide.reader}"
    if not off <= MOST_OFF:
        raise EnvironmentFault(f"{name}: colours of {path.name} are off by {off:.0f} of 255, at most {MOST_OFF:g} is right. Install again")
    return f"{name}: colours within {off:.1f} of 255"


def _models(folder: Path | None, device: str) -> str:
    """Loading checks each file against the SHA-256 in its card."""
    models = load_models(folder, device)
    card = models.states.card
    loaded = [(network.name, network.version, network.sha256) for network in (models.fibres, models.nuclei)]
    loaded.append((card["name"], card["version"], card["sha256"]))
    names = ", ".join(f"{name} {version} ({sha256[:12]})" for name, version, sha256 in loaded)
    return f"{names}; on {models.fibres.device} in {models.fibres.precision}, {_maps_off(folder, models)}"


def _maps_off(folder: Path | None, models: Models) -> str:
    """How far the maps of a picture are from those that the CPU computes in 32 bits."""
    exact = load_models(folder, "cpu", "float32")
    picture = golden_picture()[None]
    off = max(
        float(np.abs(own.maps(picture).astype(np.float32) - sure.maps(picture)).mean())
        for own, sure in ((models.fibres, exact.fibres), (models.nuclei, exact.nuclei))
    )
    if not off <= MOST_MAPS_OFF:
        raise EnvironmentFault(
            f"maps on {models.fibres.device} are off by {off:.3f} on average, at most {MOST_MAPS_OFF:g} is right. "
            "Give --device cpu; on the CPU, install again"
        )
    return f"maps {off:.3f} from the CPU's in 32 bits on average"


def _temporary() -> str:
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    free = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    return f"{tempfile.gettempdir()}, {free:.0f} GiB free"
