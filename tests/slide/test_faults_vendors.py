"""Faulty slides in the vendors' formats: one clear line, the parent lives, and one bad tile is one bad tile."""

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from biopsy_analyzer.errors import MissingPixelSize, NotASlide, ReaderMissing, SlideError
from biopsy_analyzer.slide import open_slide, openslide_reader
from dicom_slides import write_dicom
from vendor_slides import WRITERS, write_mrxs, write_philips, write_scn

pytest.importorskip("openslide")

ONE_FILE = ["a.ndpi", "a.scn", "a.bif", "philips.tiff", "j2k.svs"]
Write = Callable[[str], Path]


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    small = np.random.default_rng(1).integers(60, 250, (26, 34, 3)).astype(np.uint8)
    return cv2.resize(small, (768, 512), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def written(image: np.ndarray, tmp_path: Path) -> Write:
    def write(name: str) -> Path:
        if name == "dicom":
            return write_dicom(tmp_path / name, image)[0]
        WRITERS[name](tmp_path / name, image)
        return tmp_path / name

    return write


def read_all(path: Path) -> int:
    """Reads level 0 and gives the number of damaged tiles."""
    with open_slide(path, um_per_px=0.5) as slide:
        slide.read(slide.grid())
        return slide.damaged_tiles


def refused(path: Path, words: str) -> None:
    with pytest.raises(NotASlide, match=words) as error:
        read_all(path)
    assert "\n" not in str(error.value)


@pytest.mark.fault(1, 2)
@pytest.mark.parametrize("name", [*ONE_FILE, "dicom"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_cut_file_is_refused(name: str, share: float, written: Write) -> None:
    path = written(name)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, "(?i)cut off|copy it again|unknown content|unfinished copy")


@pytest.mark.fault(2)
@pytest.mark.parametrize("name", ["philips.tiff", "a.mrxs", "a.vms", "dicom"])
def test_a_second_half_of_zeros_is_refused(name: str, written: Write) -> None:
    path = written(name)
    file = {"a.mrxs": path.parent / "a" / "Data0000.dat", "a.vms": path.parent / "a-a.jpg"}.get(name, path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    file.write_bytes(data)
    refused(path, "(?i)copy it again")


def set_tag(path: Path, code: int, value: int) -> None:
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[code]
        where, size = tag.valueoffset, {3: "<H", 4: "<I"}[int(tag.dtype)]
    data = bytearray(path.read_bytes())
    struct.pack_into(size, data, where, value)
    path.write_bytes(data)


@pytest.mark.fault(5)
@pytest.mark.parametrize("write", [write_philips, write_scn])
def test_what_ends_the_reader_is_one_error(write: Callable[[Path, np.ndarray], None], image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    write(path, image)
    set_tag(path, 322, 2**31 - 1)
    refused(path, r"a\.tiff: reader crashed \(signal \d+\)")


def test_a_reader_that_hangs_is_stopped(written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_slide(written("philips.tiff")) as slide:
        monkeypatch.setattr(openslide_reader, "REPLY_S", 0.5)
        (child,) = readers(tmp_path)
        os.kill(child, signal.SIGSTOP)
        with pytest.raises(NotASlide, match="reader hung"):
            slide.read(slide.grid())
    assert readers(tmp_path) == set()


def test_a_reader_that_is_killed_is_one_error_and_the_next_slide_is_read(written: Write, tmp_path: Path) -> None:
    path = written("philips.tiff")
    with open_slide(path) as slide:
        (child,) = readers(tmp_path)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(NotASlide, match=r"reader crashed \(signal 9\)"):
            slide.read(slide.grid())
    assert read_all(path) == 0


def test_no_reader_outlives_its_slide_or_its_parent(written: Write, tmp_path: Path) -> None:
    path = written("a.scn")
    with open_slide(path):
        assert len(readers(tmp_path)) == 1
    assert readers(tmp_path) == set()
    code = "import os, sys; from biopsy_analyzer.slide import open_slide; slide = open_slide(sys.argv[1]); os._exit(1)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    end = time.monotonic() + 20
    while time.monotonic() < end and readers(tmp_path):
        time.sleep(0.05)
    assert readers(tmp_path) == set()


def readers(place: Path) -> set[int]:
    """Processes that run OpenSlide for slides in a folder, whoever started them."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if any(word.endswith(b"openslide_child.py") for word in words) and any(os.fsencode(place) in word for word in words):
                found |= {int(folder.name)} if (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z" else set()
    return found


@pytest.mark.fault(6)
@pytest.mark.parametrize("name", ["philips.tiff", "a.mrxs"])
def test_one_bad_tile_is_white_and_counted_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    image = np.full((2560, 2816, 3), 90, np.uint8)  # 110 tiles, so that one is less than 1 %
    path = tmp_path / name
    WRITERS[name](path, image)
    file = tmp_path / "a" / "Data0000.dat" if name == "a.mrxs" else path
    data = bytearray(file.read_bytes())
    start = data.index(b"\xff\xd8\xff")
    data[start : start + 40] = bytes(40)
    file.write_bytes(data)
    with open_slide(path) as slide:
        pixels = slide.read(slide.grid())
        assert slide.damaged_tiles == 1
    assert pixels[:256, :256].min() == 255
    assert np.abs(pixels[256:].astype(int) - 90).max() < 3
    assert np.abs(pixels[:256, 256:].astype(int) - 90).max() < 3


@pytest.mark.fault(7)
def test_a_tile_that_is_not_stored_is_background(tmp_path: Path) -> None:
    image = np.full((512, 768, 3), 90, np.uint8)
    image[:256, :256] = 255
    write_philips(tmp_path / "a.tiff", image)
    with tifffile.TiffFile(tmp_path / "a.tiff") as tiff:
        tags = [tiff.pages[0].tags[code] for code in (324, 325)]
        places = [(tag.valueoffset, {3: "<H", 4: "<I", 16: "<Q"}[int(tag.dtype)]) for tag in tags]
    data = bytearray((tmp_path / "a.tiff").read_bytes())
    for where, size in places:
        struct.pack_into(size, data, where, 0)
    (tmp_path / "a.tiff").write_bytes(data)
    with open_slide(tmp_path / "a.tiff") as slide:
        assert slide.read(slide.grid())[:256, :256].min() == 255
        assert (slide.missing_tiles, slide.damaged_tiles) == (1, 0)


@pytest.mark.fault(8)
@pytest.mark.parametrize(("x", "y"), [("0", "0"), ("-1", "-1"), ("nan", "nan"), ("252", "252"), ("0.5", "0.6"), ("", "")])
def test_pixel_sizes_that_no_microscope_has(x: str, y: str, image: np.ndarray, tmp_path: Path) -> None:
    write_mrxs(tmp_path / "a.mrxs", image)
    text = (tmp_path / "a" / "Slidedat.ini").read_text()
    for axis, value in (("X", x), ("Y", y)):
        text = text.replace(f"MICROMETER_PER_PIXEL_{axis}=0.5", f"MICROMETER_PER_PIXEL_{axis}={value}")
    (tmp_path / "a" / "Slidedat.ini").write_text(text)
    with pytest.raises(SlideError) as error:
        open_slide(tmp_path / "a.mrxs")
    assert isinstance(error.value, MissingPixelSize) == (x != "")  # without a number OpenSlide refuses the slide itself


def mutant(good: bytes, seed: int) -> bytes:
    """Bytes changed in the head, anywhere, zeroed, cut or swapped, by the seed."""
    rng, data = np.random.default_rng(seed), np.frombuffer(good, np.uint8).copy()
    at, kind = int(rng.integers(0, len(data))), seed % 5
    length = int(rng.integers(1, 3000))
    if kind < 2:
        where = rng.integers(0, len(data) if kind else min(2000, len(data)), 6)
        data[where] = rng.integers(0, 256, 6)
    elif kind == 2:
        data[at : at + length] = 0
    elif kind == 3:
        data = data[: max(1, at)]
    else:
        data[:length], data[-length:] = data[-length:].copy(), data[:length].copy()
    return data.tobytes()


MUTANTS = int(os.environ.get("MUTANTS_PER_FORMAT", "8"))
"""A hundred for the long campaign: MUTANTS_PER_FORMAT=100 python -m pytest tests/slide -k mutants"""


@pytest.mark.fault(4)
@pytest.mark.parametrize("name", [*ONE_FILE, "a.mrxs", "a.vms", "dicom"])
def test_mutants_raise_only_our_errors_and_leave_the_parent_alive(name: str, written: Write) -> None:
    path = written(name)
    file = {"a.mrxs": path.parent / "a" / "Index.dat", "a.vms": path.parent / "a-a.jpg"}.get(name, path)
    good = file.read_bytes()
    for seed in range(MUTANTS):
        file.write_bytes(mutant(good, seed))
        with suppress(SlideError):
            read_all(path)


@pytest.mark.fault(15)
def test_names_of_formats_around_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.vms").write_text("[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=../../etc/passwd\n")
    refused(tmp_path / "a.vms", "OpenSlide can't open it")
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE" + bytes(1000))
    refused(tmp_path / "a.czi", "OpenSlide can't open it")
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(1000))
    refused(tmp_path / "a.dcm", "DICOM")


def test_without_openslide_its_formats_say_what_to_install(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written("a.scn")
    monkeypatch.setattr(openslide_reader.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ReaderMissing, match=r"Leica SCN.*pip install 'biopsy-analyzer\[openslide\]'") as error:
        open_slide(path)
    assert error.value.exit_code == 5
