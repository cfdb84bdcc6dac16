"""Faulty files: one clear line, soon, and nothing but our own errors."""

import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
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


@pytest.mark.fault(15)
def test_missing_empty_folder_pipe(tmp_path: Path) -> None:
    refused(tmp_path / "missing.svs", "can't be found")
    (tmp_path / "empty.svs").touch()
    refused(tmp_path / "empty.svs", "empty")
    (tmp_path / "folder.svs").mkdir()
    refused(tmp_path / "folder.svs", "folder")
    os.mkfifo(tmp_path / "pipe.svs")
    refused(tmp_path / "pipe.svs", "pipe")


@pytest.mark.fault(15)
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


@pytest.mark.fault(15)
def test_zip_and_mirax(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.tif", "w") as archive:
        archive.writestr("x", "y")
    refused(tmp_path / "a.tif", "zip")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.mrxs")
    refused(tmp_path / "a.mrxs", "MIRAX")


@pytest.mark.fault(1, 2)
@pytest.mark.parametrize("name", ["a.svs", "a.ome.tif", "a.tif", "big.tif", "a.png", "a.jpg", "a.jp2"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99, 0.999])
def test_a_cut_file_is_refused(name: str, share: float, written: Write) -> None:
    path = written(name)
    path.write_bytes(path.read_bytes()[: max(5, int(share * path.stat().st_size))])
    refused(path, "(?i)cut off|copy it again|unknown content")


@pytest.mark.fault(4)
@pytest.mark.parametrize("name", ["a.svs", "a.tif", "a.png", "a.jpg"])
def test_mutants_raise_only_our_errors(name: str, written: Write) -> None:
    path = written(name)
    good = np.frombuffer(path.read_bytes(), np.uint8)
    for seed in range(max(30, int(os.environ.get("MUTANTS_PER_FORMAT", "0")))):
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


@pytest.mark.fault(11)
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


@pytest.mark.fault(11)
def test_cmyk_jpeg_and_16_bit_grey_png(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", "CMYK")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", "I;16")


def shown(path: Path) -> list[int]:
    with open_slide(path, um_per_px=0.5) as slide:
        found: list[int] = slide.read(slide.grid())[3, 3].tolist()
        return found


@pytest.mark.fault(11)
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


@pytest.mark.fault(12)
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


@pytest.mark.fault(13)
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


@pytest.mark.fault(13)
@pytest.mark.parametrize("compression", [7, 33005, 34933, 8])
def test_a_tile_that_decodes_to_more_than_a_tile_is_not_decoded(compression: int, tmp_path: Path) -> None:
    """A child with little memory reads it: what decodes the 192 MB dies there."""
    large = np.zeros((8000, 8000, 3), np.uint8)
    encode = {
        7: lambda: imagecodecs.jpeg8_encode(large),
        33005: lambda: imagecodecs.jpeg2k_encode(large, codecformat="j2k", level=1),
        34933: lambda: imagecodecs.png_encode(large),
        8: lambda: zlib.compress(large.tobytes(), 1),
    }[compression]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        options: dict[str, Any] = {"shape": (200, 200, 3), "dtype": np.uint8, "tile": (128, 128), "photometric": "rgb", "metadata": None}
        writer.write(iter([encode()] * 4), compression=compression, **options)
    code = "import resource, sys; from biopsy_analyzer.slide import open_slide; from biopsy_analyzer.errors import NotASlide\n"
    code += "def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
    code += "before = used()\ntry:\n    with open_slide(sys.argv[1], um_per_px=0.5) as slide: slide.read(slide.grid())\n"
    code += "except NotASlide as error: print(error)\nprint(used() - before)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.tif")], capture_output=True, text=True, check=True)
    message, mib = done.stdout.splitlines()
    assert "1 of 4 tiles can't be decoded" in message
    assert int(mib) < 60


def test_other_compressions_are_refused_by_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb", tile=(32, 32), compression="jpegxr")
    refused(tmp_path / "a.tif", "compressed by JPEGXR NDPI|compressed by JPEGXR")


@pytest.mark.fault(2)
def test_a_second_half_of_zeros_is_an_unfinished_copy(tmp_path: Path, picture: np.ndarray) -> None:
    """Directories stand first, as scanners write them that know the size beforehand, so that they are whole."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", tile=(64, 64), compression="jpeg", metadata=None)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    refused(path, "an unfinished copy, [0-9]+ of 64 tiles looked at are zeros|outside the file|TIFF that is damaged")


@pytest.mark.fault(6)
def test_a_tile_without_its_end_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((1600, 1600, 3), 90, np.uint8), photometric="rgb", tile=(128, 128), compression="jpeg")
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[40], tiff.pages[0].databytecounts[40]
    data = bytearray(path.read_bytes())
    data[offset + count // 2 : offset + count] = bytes(count - count // 2)
    path.write_bytes(data)
    with open_slide(path, um_per_px=0.5) as slide:
        slide.read(slide.grid())
        assert slide.damaged_tiles == 1


@pytest.mark.fault(14)
def test_many_directories_and_a_long_description(tmp_path: Path) -> None:
    entry = struct.pack("<H", 1) + struct.pack("<HHII", 256, 4, 1, 10)
    chain = b"".join(entry + struct.pack("<I", 8 + 18 * (number + 1)) for number in range(65_000))
    (tmp_path / "a.tif").write_bytes(b"II*\x00" + struct.pack("<I", 8) + chain + entry + bytes(4))
    refused(tmp_path / "a.tif", "more than 1000")
    text = "x" * 10_000_000 + "|MPP = 0.5"
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb", description=text, metadata=None)
    with open_slide(tmp_path / "b.tif", um_per_px=0.5) as slide:
        assert slide.shape == (64, 64)


@pytest.mark.fault(5)
def test_absurd_tile_width(written: Write) -> None:
    path = written("a.tif")
    changed_tag(path, 322, 65_535 - 15)
    refused(path, "a.tif")


@pytest.mark.fault(14)
def test_a_circle_of_directories(tmp_path: Path) -> None:
    head = b"II*\x00" + struct.pack("<I", 8)
    entry = struct.pack("<HHII", 256, 4, 1, 10)
    (tmp_path / "a.tif").write_bytes(head + struct.pack("<H", 1) + entry + struct.pack("<I", 8) + bytes(50))
    refused(tmp_path / "a.tif", "circle")


@pytest.mark.fault(6)
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


@pytest.mark.fault(7)
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
