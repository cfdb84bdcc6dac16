"""What napari calls when a slide or a result folder is opened or dragged in, and the sample data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from biopsy_analyzer.errors import BiopsyAnalyzerError, MissingPixelSize
from biopsy_analyzer.samples import sample_slide
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.viewer import ask
from biopsy_analyzer.viewer.find_slide import find_slide, slide_of
from biopsy_analyzer.viewer.layers import LayerData, result_layers, slide_layer
from biopsy_analyzer.viewer.session import open_session

Read = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Read | None:
    """A reader for one result folder (or its scores.json) or one or more slides; None for other folders, which others may read."""
    paths = [Path(one) for one in ([path] if isinstance(path, str) else path)]
    if all(one.is_file() or is_result(one) for one in paths):
        return read
    return None


def is_result(path: Path) -> bool:
    """Whether `path` is a result folder, or the scores.json in one."""
    return path.name == "scores.json" or (path.is_dir() and (path / "scores.json").is_file())


def read(path: str | Sequence[str]) -> list[LayerData]:
    """The layers of slides and results; an error is one line that napari shows."""
    paths = [Path(one) for one in ([path] if isinstance(path, str) else path)]
    return [layer for one in paths for layer in (read_result(one) if is_result(one) else read_slide(one))]


def read_slide(path: Path) -> list[LayerData]:
    """The slide; where it states no pixel size, that is asked for, and MissingPixelSize passes on if nobody answers."""
    try:
        slide = open_slide(path)
    except MissingPixelSize as error:
        given = ask.pixel_size(str(error))
        if given is None:
            raise
        slide = open_slide(path, um_per_px=given)
    ask.show_dock()
    return [slide_layer(slide)]


def read_result(path: Path) -> list[LayerData]:
    """The result with its slide, which is looked for beside it, then asked for; without one the objects alone."""
    folder = path.parent if path.is_file() else path
    session = open_session(folder)
    session.slide = find_slide(folder, session.document)
    while session.slide is None and (chosen := ask.slide_file(session.document["slide"]["file_name"])) is not None:
        try:
            session.slide = slide_of(chosen, session.document)
        except BiopsyAnalyzerError as error:
            ask.tell(str(error))
    ask.show_dock()
    return [*([slide_layer(session.slide)] if session.slide else []), *result_layers(session)]


def necrotizing() -> list[LayerData]:
    """Sample: a drawn section with necrosis."""
    return read_slide(sample_slide("necrotizing"))


def inflammatory() -> list[LayerData]:
    """Sample: a drawn section with inflammation."""
    return read_slide(sample_slide("inflammatory"))
