"""Slides in the vendors' own formats: colours, sizes, pixel size, files, and nothing about the patient."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import Slide, open_slide
from biopsy_analyzer.slide.describe import describe
from dicom_slides import write_ct, write_dicom
from vendor_slides import WRITERS, halved, write_mrxs, write_vms

pytest.importorskip("openslide")

FORMATS = {
    "a.ndpi": ("Hamamatsu NDPI", "Hamamatsu resolution"),
    "a.scn": ("Leica SCN", "SCN view size"),
    "a.bif": ("Ventana BIF", "Ventana ScanRes"),
    "philips.tiff": ("Philips TIFF", "Philips DICOM_PIXEL_SPACING"),
    "j2k.svs": ("Aperio SVS", "Aperio MPP"),
    "a.vms": ("Hamamatsu VMS", "Hamamatsu resolution"),
    "a.mrxs": ("MIRAX MRXS", "Slidedat.ini MICROMETER_PER_PIXEL"),
    "dicom": ("DICOM", "DICOM PixelSpacing"),
}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    small = np.random.default_rng(1).integers(60, 250, (26, 34, 3)).astype(np.uint8)
    return cv2.resize(small, (768, 512), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def made(image: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("vendors")
    for name, write in WRITERS.items():
        write(folder / name, image)
    write_dicom(folder / "dicom", image)
    return lambda name: folder / name


@pytest.mark.parametrize("name", FORMATS)
def test_colours_sizes_and_pixel_size(name: str, made: Callable[[str], Path], image: np.ndarray) -> None:
    with open_slide(made(name)) as slide:
        assert (slide.format, slide.um_per_px_source) == (FORMATS[name][0], f"file: {FORMATS[name][1]}")
        assert slide.um_per_px == pytest.approx(0.5)
        assert slide.shape == image.shape[:2]
        assert len(slide.levels) >= 2
        assert slide.notes == []
        assert slide.damaged_tiles == slide.missing_tiles == 0
        for pixels, wanted in ((slide.read(slide.grid()), image), (slide.read(slide.grid(1.0)), halved(image))):
            difference = pixels.astype(int) - wanted
            assert np.abs(difference).mean() < 2
            assert np.abs(difference.mean(axis=(0, 1))).max() < 2, "a shift of colours"


@pytest.mark.parametrize("name", FORMATS)
def test_neighbours_agree_and_outside_is_white(name: str, made: Callable[[str], Path]) -> None:
    with open_slide(made(name)) as slide:
        grid = PixelGrid((90, 110), 0.7, (120.3, 200.1))
        whole = slide.read(grid)
        np.testing.assert_array_equal(np.hstack([slide.read(grid.crop(0, 0, 90, 41)), slide.read(grid.crop(0, 41, 90, 69))]), whole)
        assert slide.read(PixelGrid((5, 5), 0.5, (-100.0, 0.0))).min() == 255


@pytest.mark.fault(31)
@pytest.mark.parametrize("name", FORMATS)
def test_nothing_about_the_patient(name: str, made: Callable[[str], Path]) -> None:
    path = made(name)
    files = [path] if path.is_file() else list(path.iterdir())
    files += list(path.with_suffix("").glob("*.ini")) if name == "a.mrxs" else list(path.parent.glob("a-a.jpg")) if name == "a.vms" else []
    if name != "j2k.svs":
        assert any(b"CANARY" in file.read_bytes() for file in files), "the slide names no patient, so that this test shows nothing"
    with open_slide(path) as slide:
        slide.read(slide.grid(2.0))
        assert "CANARY" not in repr(describe(slide)) + repr(vars(slide))


def test_all_files_count(made: Callable[[str], Path], image: np.ndarray, tmp_path: Path) -> None:
    def digest(path: Path) -> str:
        with open_slide(path) as slide:
            return slide.sha256

    write_mrxs(tmp_path / "a.mrxs", image)
    assert digest(tmp_path / "a.mrxs") == digest(made("a.mrxs"))
    data = tmp_path / "a" / "Data0000.dat"
    changed = bytearray(data.read_bytes())
    changed[5] ^= 1  # in a part that nobody reads
    data.write_bytes(changed)
    assert digest(tmp_path / "a.mrxs") != digest(made("a.mrxs"))

    write_vms(tmp_path / "a.vms", image)
    with open_slide(tmp_path / "a.vms") as slide:
        assert {file.name for file in slide.files} == {"a.vms", "a-a.jpg", "a-map.jpg"}


def test_mirax_without_its_folder(made: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "a.mrxs").write_bytes(made("a.mrxs").read_bytes())
    with pytest.raises(NotASlide, match="without its data folder a/"):
        open_slide(tmp_path / "a.mrxs")


def levels_of(slide: Slide) -> list[tuple[int, int]]:
    return [level.shape for level in slide.levels]


@pytest.mark.parametrize("colours", ["YBR_FULL_422", "RGB", "YBR_ICT"])
def test_dicom_colours_follow_what_the_dataset_says(colours: str, image: np.ndarray, tmp_path: Path) -> None:
    write_dicom(tmp_path / "s", image, colours)
    with open_slide(tmp_path / "s") as slide:
        difference = slide.read(slide.grid()).astype(int) - image
    assert np.abs(difference).mean() < 3
    assert np.abs(difference.mean(axis=(0, 1))).max() < 1


def test_one_dicom_instance_finds_its_series(image: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    paths = write_dicom(folder, image)
    with open_slide(folder) as whole, open_slide(paths[1]) as one:
        assert levels_of(whole) == levels_of(one) == [(512, 768), (256, 384), (128, 192)]
        assert whole.sha256 == one.sha256
        assert whole.icc_sha256
    write_dicom(folder, image[::-1], series="2")
    with pytest.raises(NotASlide, match="2 DICOM series, one is wanted"):
        open_slide(folder)
    with open_slide(paths[1]) as one:
        assert len(one.files) == 3


def test_sparse_dicom_and_what_is_no_slide(image: np.ndarray, tmp_path: Path) -> None:
    image = image.copy()
    image[:256, :256] = 255
    write_dicom(tmp_path / "s", image, sparse=True)
    with open_slide(tmp_path / "s") as slide:
        assert slide.read(slide.grid())[:256, :256].min() == 255
        assert (slide.missing_tiles, slide.damaged_tiles) == (1, 0)
    write_ct(tmp_path / "ct.dcm")
    with pytest.raises(NotASlide, match="no whole slide"):
        open_slide(tmp_path / "ct.dcm")
