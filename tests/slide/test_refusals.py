"""Faulty files: one clear line, soon, and nothing but our own errors."""

import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from biopsy_analyzer.errors import NotASlide, SlideError
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.slide.convert import to_rgb

Write = Callable[[str], Path]


def refused(path: Path, words: str) -> None:
    with pytest.raises(NotASlide, match=words) as error, open_slide(path, um_per_px=0.5) as slide:
        slide.read(slide.grid())
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(path.name)


def test_missing_empty_folder_pipe(tmp_path: Path) -> None:
    refused(tmp_path / "missing.svs", "can't be found")
    (tmp_path / "empty.svs").touch()
    refused(tmp_path / "empty.svs", "empty")
    (tmp_path / "folder.svs").mkdir()
    refused(tmp_path / "folder.svs", "folder")
    os.mkfifo(tmp_path / "pipe.svs")
    refused(tmp_path / "pipe.svs", "pipe")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>no</html>", "HTML"),
        (b"\n <HTML>", "HTML"),
        (b"%PDF-1.7", "PDF"),
        (bytes(1000), "zeros"),
        (b"hello", "unknown"),
        (bytes(128) + b"DICM" + bytes(100), "DICOM"),
        (b"II*\x00", "cut off"),
        (b"MM\x00*" + bytes(100), "TIFF"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\xff\xd8\xff\xe0", "damaged"),
    ],
)
def test_what_is_no_slide_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(content)
    refused(tmp_path / "a.svs", words)


def test_zip_and_mirax(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.tif", "w") as archive:
        archive.writestr("x", "y")
    refused(tmp_path / "a.tif", "zip")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.mrxs")
    refused(tmp_path / "a.mrxs", "MIRAX")


@pytest.mark.parametrize("name", ["a.svs", "a.ome.tif", "a.tif", "big.tif", "a.png", "a.jpg"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_file_is_refused(name: str, share: float, written: Write) -> None:
    path = written(name)
    path.write_bytes(path.read_bytes()[: max(5, int(share * path.stat().st_size))])
    refused(path, "(?i)cut off|copy it again|unknown content")


@pytest.mark.parametrize("name", ["a.svs", "a.tif", "a.png", "a.jpg"])
def test_mutants_raise_only_our_errors(name: str, written: Write) -> None:
    path = written(name)
    good = np.frombuffer(path.read_bytes(), np.uint8)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        bad = good.copy()
        where = rng.integers(0, len(bad) if seed % 2 else min(700, len(bad)), 6)
        bad[where] = rng.integers(0, 256, 6)
        path.write_bytes(bad.tobytes())
        try:
            with open_slide(path, um_per_px=0.5) as slide:
                slide.read(slide.grid().crop(0, 0, 600, 800))
        except SlideError:
            pass


@pytest.mark.parametrize(
    ("pixels", "options", "words"),
    [
        (np.zeros((64, 64, 4), np.uint8), {"photometric": "separated"}, "CMYK"),
        (np.zeros((64, 64, 3), np.float32), {"photometric": "rgb"}, "float32"),
        (np.zeros((64, 64), np.float32), {}, "float32"),
        (np.zeros((64, 64), np.uint16), {}, "fluorescence"),
        (np.zeros((4, 64, 64), np.uint16), {"imagej": True, "metadata": {"axes": "CYX"}}, "4 images along CYX"),
        (np.zeros((3, 64, 64, 3), np.uint8), {"photometric": "rgb"}, "3 images"),
        (np.zeros((64, 64), bool), {}, "bool"),
    ],
)
def test_pixels_of_other_kinds_are_refused_by_name(pixels: np.ndarray, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    refused(tmp_path / "a.tif", words)


def test_cmyk_jpeg_and_16_bit_grey_png(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", "CMYK")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", "I;16")


def shown(path: Path) -> list[int]:
    with open_slide(path, um_per_px=0.5) as slide:
        found: list[int] = slide.read(slide.grid())[3, 3].tolist()
        return found


def test_kinds_that_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((64, 64, 3), 65535, np.uint16) // np.array([1, 2, 257], np.uint16), photometric="rgb", tile=(32, 32))
    assert shown(path) == [255, 127, 1]
    tifffile.imwrite(path, np.full((64, 64), 77, np.uint8))
    assert shown(path) == [77, 77, 77]
    tifffile.imwrite(path, np.full((64, 64), 77, np.uint8), photometric="miniswhite")
    assert shown(path) == [178, 178, 178]
    half = np.full((64, 64, 4), (200, 100, 0, 51), np.uint8)
    tifffile.imwrite(path, half, photometric="rgb", extrasamples=["unassalpha"], tile=(32, 32))
    assert shown(path) == [244, 224, 204]
    Image.fromarray(half).save(tmp_path / "a.png")
    assert shown(tmp_path / "a.png") == [244, 224, 204]
    tifffile.imwrite(path, np.full((3, 64, 64), 9, np.uint8), photometric="rgb", planarconfig="separate")
    assert shown(path) == [9, 9, 9]
    Image.new("RGB", (8, 8), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "b.png")
    assert shown(tmp_path / "b.png") == [10, 200, 30]
    Image.new("RGB", (8, 8), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
    assert shown(path) == [10, 200, 30]


def test_premultiplied_alpha() -> None:
    rgba = np.full((1, 1, 4), (40, 20, 0, 51), np.uint8)
    assert to_rgb(rgba, associated_alpha=True)[0, 0].tolist() == [244, 224, 204]


def test_jpeg_2000_is_read(picture: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", tile=(128, 128), compression=33005)
    with open_slide(tmp_path / "a.tif", um_per_px=0.5) as slide:
        assert np.abs(slide.read(slide.grid()).astype(int) - picture).mean() < 2
    tifffile.imwrite(tmp_path / "b.tif", picture, photometric="rgb", tile=(128, 128), compression=33003)
    refused(tmp_path / "b.tif", "33003")


def changed_tag(path: Path, code: int, value: int) -> None:
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[code]
        where, size = tag.valueoffset, {3: "H", 4: "I"}[int(tag.dtype)]
    data = bytearray(path.read_bytes())
    struct.pack_into("<" + size, data, where, value)
    path.write_bytes(data)


def test_a_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    Image.new("L", (20, 15)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = struct.pack(">II", 13_000, 13_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "a.png").write_bytes(data)
    refused(tmp_path / "a.png", "150 Mpx")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 40, 3), np.uint8), photometric="rgb", compression="deflate")
    for code in (256, 257, 278):
        changed_tag(tmp_path / "a.tif", code, 13_000)
    refused(tmp_path / "a.tif", "150 Mpx")


def test_absurd_tile_width(written: Write) -> None:
    path = written("a.tif")
    changed_tag(path, 322, 65_535 - 15)
    refused(path, "a.tif")


def test_a_circle_of_directories(tmp_path: Path) -> None:
    head = b"II*\x00" + struct.pack("<I", 8)
    entry = struct.pack("<HHII", 256, 4, 1, 10)
    (tmp_path / "a.tif").write_bytes(head + struct.pack("<H", 1) + entry + struct.pack("<I", 8) + bytes(50))
    refused(tmp_path / "a.tif", "circle")


def test_few_damaged_tiles_are_white_and_counted_many_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    image = np.full((1600, 1600, 3), 90, np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", tile=(128, 128), compression="jpeg")
    with tifffile.TiffFile(path) as tiff:
        offsets, counts = tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts
    data = bytearray(path.read_bytes())
    data[offsets[0] : offsets[0] + counts[0]] = bytes(counts[0])
    path.write_bytes(data)
    with open_slide(path, um_per_px=0.5) as slide:
        pixels = slide.read(slide.grid())
        assert slide.damaged_tiles == 1
        assert pixels[:128, :128].min() == 255
        assert abs(int(pixels[200, 200, 0]) - 90) < 3
    data[offsets[1] : offsets[1] + counts[1]] = bytes(counts[1])
    path.write_bytes(data)
    refused(path, "2 of 169 tiles")


def test_a_missing_tile_is_background(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((256, 256, 3), 90, np.uint8), photometric="rgb", tile=(128, 128), compression="jpeg")
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[0].tags[325].valueoffset
        kind = {3: "<H", 4: "<I"}[int(tiff.pages[0].tags[325].dtype)]
    data = bytearray(path.read_bytes())
    struct.pack_into(kind, data, at, 0)
    path.write_bytes(data)
    with open_slide(path, um_per_px=0.5) as slide:
        assert slide.read(slide.grid())[:128, :128].min() == 255
        assert slide.damaged_tiles == 0
