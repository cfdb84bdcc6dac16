import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from biopsy_analyzer.errors import MissingPixelSize, UsageError
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.slide.pixel_size import Stated, choose, doubts, from_aperio, from_ome, from_resolution, magnification_of_aperio


def test_a_given_size_wins() -> None:
    assert choose("a.svs", [Stated(0.5, 0.5, "Aperio MPP")], 0.25) == (0.25, "given")


@pytest.mark.parametrize("given", [0.0, -1.0, math.nan, math.inf, 0.01, 252.0])
def test_an_implausible_given_size_is_the_users_error(given: float) -> None:
    with pytest.raises(UsageError, match=r"a\.svs.*--mpp"):
        choose("a.svs", [], given)


@pytest.mark.fault(8)
@pytest.mark.parametrize("size", [0.0, -0.5, math.nan, math.inf, 252.0, 352.8, 264.58, 84.67])
def test_an_implausible_stated_size_is_named_and_refused(size: float) -> None:
    with pytest.raises(MissingPixelSize, match=rf"a\.svs.*{size:.6g}.*--mpp"):
        choose("a.svs", [Stated(size, size, "TIFF resolution")])


@pytest.mark.fault(8)
def test_five_percent_between_x_and_y() -> None:
    assert choose("a", [Stated(0.5, 0.52, "x")])[0] == pytest.approx(math.sqrt(0.26))
    with pytest.raises(MissingPixelSize):
        choose("a", [Stated(0.5, 0.53, "x")])


def test_the_first_plausible_one_is_taken() -> None:
    assert choose("a", [Stated(353, 353, "bad"), Stated(0.5, 0.5, "good")]) == (0.5, "file: good")


@pytest.mark.parametrize(("text", "size"), [("|MPP = 0.2520|", 0.252), ("MPP=0.5", 0.5), ("|MPP = 2.5e-1", 0.25)])
def test_aperio(text: str, size: float) -> None:
    assert from_aperio(text)[0].x == size


def test_what_is_no_number_is_nan() -> None:
    assert math.isnan(from_aperio("MPP = unknown")[0].x)
    assert from_aperio("AppMag = 20") == []


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('PhysicalSizeX="0.5" PhysicalSizeY="0.5"', 0.5),
        ('PhysicalSizeX="500" PhysicalSizeXUnit="nm" PhysicalSizeY="500" PhysicalSizeYUnit="nm"', 0.5),
        ('PhysicalSizeX="0.0005" PhysicalSizeXUnit="mm" PhysicalSizeY="0.5" PhysicalSizeYUnit="&#181;m"', 0.5),
    ],
)
def test_ome(attributes: str, size: float) -> None:
    (stated,) = from_ome(f'<OME><Image><Pixels ID="p" SizeX="7" {attributes} Type="uint8"><Channel/></Pixels></Image></OME>')
    assert (stated.y, stated.x) == pytest.approx((size, size))


def test_ome_without_or_with_unknown_units() -> None:
    assert from_ome("<Pixels SizeX='3'>") == []
    (stated,) = from_ome('<Pixels PhysicalSizeX="1" PhysicalSizeXUnit="pixel">')
    assert math.isnan(stated.x)


@pytest.mark.parametrize(
    ("resolution", "unit", "text", "size"),
    [(20_000, 3, "", 0.5), (50_800, 2, "", 0.5), (2, 1, "ImageJ=1.5\nunit=micron\n", 0.5), (2, 1, "ImageJ=1.5\nunit=\\u00B5m\n", 0.5)],
)
def test_resolution(resolution: float, unit: int, text: str, size: float) -> None:
    assert from_resolution(resolution, resolution, unit, text)[0].x == pytest.approx(size)


@pytest.mark.parametrize(("resolution", "unit"), [(2, 1), (0, 3), (-1, 2)])
def test_resolution_that_says_nothing(resolution: float, unit: int) -> None:
    assert from_resolution(resolution, resolution, unit) == []


@pytest.mark.fault(8)
@pytest.mark.parametrize("dpi", [None, 72, 96, 300])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_files_with_screen_resolutions_are_refused(dpi: int | None, ending: str, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / f"a.{ending}", **({"dpi": (dpi, dpi)} if dpi else {}))
    with pytest.raises(MissingPixelSize, match=rf"^a\.{ending}: .*--mpp"):
        open_slide(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_microscopes_density_is_taken(ending: str, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / f"a.{ending}", dpi=(50_800, 50_800))
    with open_slide(tmp_path / f"a.{ending}") as slide:
        assert slide.um_per_px == pytest.approx(0.5, rel=1e-3)


def test_the_patients_name_is_in_no_message(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((32, 32, 3), np.uint8), photometric="rgb", description="CANARY|MPP = CANARY", metadata=None)
    with pytest.raises(MissingPixelSize) as error:
        open_slide(path)
    assert "CANARY" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"), [("|AppMag = 20|MPP = 0.5", 20), ("AppMag=40", 40), ("AppMag = 0|", None), ("AppMag = much", None), ("", None)]
)
def test_the_magnification_of_aperio(text: str, value: float | None) -> None:
    assert magnification_of_aperio(text) == value


@pytest.mark.fault(9)
@pytest.mark.parametrize(
    ("um_per_px", "source", "stated", "magnification", "words"),
    [
        (
            0.25,
            "given",
            [Stated(0.5, 0.5, "Aperio MPP")],
            20,
            ["the file states 0.5 um/px (Aperio MPP)", "magnification of 20, usual for 0.5"],
        ),
        (0.504, "given", [Stated(0.5, 0.5, "Aperio MPP")], 20, []),
        (0.5, "file: Aperio MPP", [Stated(0.5, 0.5, "Aperio MPP")], 40, ["magnification of 40, usual for 0.25 um/px"]),
        (0.2639, "file: Aperio MPP", [Stated(0.2639, 0.2639, "Aperio MPP")], 40, []),  # a GT450's
        (
            0.5,
            "file: OME",
            [Stated(0.5, 0.5, "OME"), Stated(1.0, 1.0, "TIFF resolution")],
            None,
            ["the file states 1 um/px (TIFF resolution)"],
        ),
        (0.5, "file: OME", [Stated(0.5, 0.5, "OME"), Stated(352.8, 352.8, "TIFF resolution")], None, []),  # 72 dpi: nobody's
        (0.5, "given", [], None, []),
    ],
)
def test_what_speaks_against_a_pixel_size(
    um_per_px: float, source: str, stated: list[Stated], magnification: float | None, words: list[str]
) -> None:
    found = doubts(um_per_px, source, stated, magnification)
    assert len(found) == len(words)
    assert all(word in text and f"used is {um_per_px:.4g} um/px ({source})" in text for word, text in zip(words, found, strict=True))


@pytest.mark.fault(9)
def test_a_slide_notes_what_its_file_states_against_the_size_that_is_used(tmp_path: Path) -> None:
    image = np.full((300, 300, 3), 200, np.uint8)
    path = tmp_path / "a.svs"
    tifffile.imwrite(
        path, image, tile=(128, 128), photometric="rgb", description="Aperio Image\r\n|AppMag = 20|MPP = 0.5000", metadata=None
    )
    for given, notes in ((None, 0), (0.5, 0), (1.0, 2)):
        with open_slide(path, um_per_px=given) as slide:
            assert len(slide.notes) == notes
