"""pictures.parquet: what is put in comes back, small, and damage is said."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.errors import ResultError, UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.pictures import (
    SECTION_BYTES,
    compress,
    decode,
    decode_small,
    read_pictures,
    shrink,
    take_pictures,
    write_pictures,
)
from biopsy_analyzer.report.result import Crop, Picture, Result
from biopsy_analyzer.report.saved import read_saved
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.slide import open_slide
from sections import save


def picture(height: int, width: int, rgb: np.ndarray | None = None) -> Picture:
    plain = np.full((height, width, 3), (230, 180, 200), np.uint8)
    return Picture(plain if rgb is None else rgb, PixelGrid((height, width), 0.5, (10.0, 20.0)))


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    crop = Crop("fibre", 7, np.full((64, 64, 3), (200, 20, 90), np.uint8), PixelGrid((64, 64), 0.25, (1.0, -2.0)))
    shots = compress(picture(300, 500), [crop])
    write_pictures(shots, tmp_path)
    assert read_pictures(tmp_path) == shots
    assert [(shot.kind, shot.id, shot.grid.um_per_px) for shot in shots] == [("section", 0, 0.5), ("fibre", 7, 0.25)]
    assert np.abs(decode(shots[1]).astype(int) - crop.rgb).max() <= 3
    before = (tmp_path / "pictures.parquet").read_bytes()
    write_pictures(compress(picture(300, 500), [crop]), tmp_path)
    assert (tmp_path / "pictures.parquet").read_bytes() == before


def test_a_large_section_is_shrunk_in_place_and_noise_stays_small() -> None:
    small = shrink(picture(1000, 2800), 1400)
    assert small.grid == PixelGrid((500, 1400), 1.0, (10.0, 20.0))
    noise = np.random.default_rng(0).integers(0, 255, (1400, 1400, 3)).astype(np.uint8)
    assert len(compress(picture(1400, 1400, noise), [])[0].jpeg) < 1.6 * SECTION_BYTES, "the worst there is; no section is noise"


@pytest.mark.parametrize("width", [90, 400, 700, 1397])
def test_a_small_picture_is_the_large_one_shrunk(width: int) -> None:
    rows, columns = np.mgrid[: width // 2, :width]
    rgb = np.stack([rows * 500 // width, columns * 255 // width, 128 + 0 * rows], axis=-1).astype(np.uint8)
    (shot,) = compress(picture(width // 2, width, rgb), [])
    small, whole = decode_small(shot, 100), shrink(Picture(decode(shot), shot.grid), 100)
    assert small.rgb.shape == whole.rgb.shape
    assert np.abs(small.rgb.astype(int) - whole.rgb).mean() < 1.5
    # a reduced picture may end up to one of its pixels beyond the whole one
    reached, edge = (np.array(one.grid.shape) * one.grid.um_per_px for one in (small, shot))
    assert np.all(np.abs(reached - edge) <= 1.5 * small.grid.um_per_px)
    assert small.grid.origin_um == shot.grid.origin_um


@pytest.mark.parametrize("content", [b"", b"PAR1 no", None])
def test_damage_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "pictures.parquet").write_bytes(content)
    with pytest.raises(ResultError, match="report again with --slide"):
        read_pictures(tmp_path)


def test_a_damaged_picture_is_said() -> None:
    (shot,) = compress(picture(30, 40), [])
    with pytest.raises(ResultError, match="section 0 is damaged"):
        decode(dataclasses.replace(shot, jpeg=shot.jpeg[:100]))


def test_pictures_are_taken_again_from_the_slide_and_no_other(result: Result, tmp_path: Path) -> None:
    path = save(np.full((400, 500, 3), (230, 120, 190), np.uint8), tmp_path / "section_a.png")
    with open_slide(path, um_per_px=0.25) as slide:
        own = dataclasses.replace(result, slide=dataclasses.replace(result.slide, sha256=slide.sha256))
        folder = write_result(own, tmp_path)
        (folder / "pictures.parquet").unlink()
        take_pictures(slide, read_saved(folder))
        shots = read_pictures(folder)
        assert {(shot.kind, shot.id) for shot in shots} >= {("section", 0), ("fibre", 1), ("fibre", 2), ("fibre", 3), ("cluster", 1)}
        assert np.abs(decode(shots[0])[200, 250].astype(int) - (230, 120, 190)).max() <= 3
        with pytest.raises(UsageError, match="not the slide"):
            take_pictures(slide, read_saved(write_result(result, tmp_path / "other")))
