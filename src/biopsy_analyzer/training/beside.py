"""What lies beside a truth: its image, whatever the case of its ending, and facts in a JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from biopsy_analyzer.errors import MissingPixelSize, UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import SUFFIXES, open_slide

_FIRST = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
IMAGES = (*_FIRST, ".ome.tif", ".ome.tiff", *sorted(SUFFIXES - set(_FIRST)))
LABELS = (".png", ".tif", ".tiff")


class Facts(BaseModel):
    """What `<name>.json` may state; other keys are passed over."""

    model_config = ConfigDict(strict=True, frozen=True)
    um_per_px: float | None = None
    fibre_states: dict[str, str] | None = None
    nucleus_types: dict[str, str] | None = None
    drawn: bool = False
    held_out: bool | None = None


def read_facts(folder: Path, name: str) -> Facts:
    """The facts of `<name>.json`; none where there is no such file. UsageError for one that is damaged."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return Facts()
    try:
        return Facts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        found = f"{'.'.join(map(str, fault['loc']))} is {fault['input']!r:.60}: " if fault["loc"] else ""
        raise UsageError(f"{path}: {found}{fault['msg']}; wanted an object of {', '.join(Facts.model_fields)}, as far as known") from error


def files_named(folder: Path, name: str, suffixes: Sequence[str]) -> list[Path]:
    """The files of a folder named `name` and one of `suffixes` (lower case) in capitals or not, in the order of `suffixes`."""
    rank = {suffix: k for k, suffix in enumerate(suffixes)}
    found = [(rank.get(path.name[len(name) :].lower()), path) for path in folder.iterdir() if path.name.startswith(name)]
    return [path for place, path in sorted((place, path) for place, path in found if place is not None) if path.is_file()]


def find_image(folder: Path, name: str, images: Path | None = None, file: str | None = None) -> Path:
    """The image of the truth `name`: `images` where that is a file, else `<name>.*` in `folder`, `file` in `images`, `<name>.*` there.

    A name that is a file's with its suffix ("a.tif" of a.tif.geojson) is that file. UsageError without any.
    """
    if images is not None and images.is_file():
        return images
    wanted = [] if file is None or images is None else [images / file]
    places = [place for place in (folder, images) if place is not None and place.is_dir()]
    beside = [(files_named(place, name, IMAGES) + files_named(place, name, ("",))) for place in places]
    for path in [*beside[0], *wanted, *(beside[1] if len(beside) > 1 else [])]:
        if path.is_file():
            return path
    elsewhere = "".join(f" or {path}" for path in wanted)
    raise UsageError(
        f"{folder}: truth for {name!r} but no image of it; wanted {name}.png, .tif or .jpg{elsewhere} there, or name it with --images"
    )


def image_grid(image: Path, um_per_px: float | None, facts: Path) -> PixelGrid:
    """The pixels of an image; `um_per_px` wins over what it states. UsageError, which names `facts`, where nothing states a pixel size."""
    try:
        with open_slide(image, um_per_px=um_per_px) as slide:
            return slide.grid()
    except MissingPixelSize as error:
        raise UsageError(f'{str(error).rstrip(".")}, or write {{"um_per_px": ...}} to {facts}') from error
