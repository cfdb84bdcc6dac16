import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import Slide, open_slide
from biopsy_analyzer.slide.slide import safe_id

Write = Callable[[str], Path]
NAMES = ["a.svs", "a.ome.tif", "a.ij.tif", "a.tif", "big.tif", "a.png", "a.jpg", "a.jp2"]


def opened(path: Path) -> Slide:
    return open_slide(path, um_per_px=0.5 if path.suffix in (".png", ".jpg", ".jp2") else None)


@pytest.mark.parametrize("name", NAMES)
def test_colours_survive_in_every_format(name: str, written: Write, picture: np.ndarray) -> None:
    with opened(written(name)) as slide:
        assert slide.shape == picture.shape[:2]
        assert slide.um_per_px == pytest.approx(0.5)
        difference = np.abs(slide.read(slide.grid()).astype(int) - picture)
        assert difference.mean() < 2
        assert np.abs(difference.mean(axis=(0, 1))).max() < 2


@pytest.mark.parametrize("name", NAMES)
def test_half_the_size_is_the_mean_of_four(name: str, written: Write, picture: np.ndarray) -> None:
    mean = picture.reshape(265, 2, 350, 2, 3).mean(axis=(1, 3))
    with opened(written(name)) as slide:
        assert np.abs(slide.read(slide.grid(1.0)) - mean).mean() < 2


def test_content_decides_not_the_extension(written: Write, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed.png"
    written("a.svs").rename(renamed)
    with open_slide(renamed) as slide:
        assert slide.um_per_px_source == "file: Aperio MPP"


def plain_area_average(image: np.ndarray, top: float, left: float, step: float, shape: tuple[int, int]) -> np.ndarray:
    """Overlaps of every output pixel with every source pixel as dense matrices, the image continued in white."""

    def shares(start: float, size: int, count: int) -> np.ndarray:
        begin = start + step * np.arange(count)[:, None]
        position = np.arange(-150, size + 150)
        return np.maximum(np.minimum(begin + step, position + 1) - np.maximum(begin, position), 0) / step

    padded = np.pad(image.astype(float), ((150, 150), (150, 150), (0, 0)), constant_values=255)
    rows, columns = shares(top, image.shape[0], shape[0]), shares(left, image.shape[1], shape[1])
    return np.einsum("ih,hwc,jw->ijc", rows, padded, columns, optimize=True)


@pytest.mark.parametrize(("top", "left", "um"), [(0.0, 0.0, 1.7), (-7.3, 3.9, 1.31), (20.4, -9.1, 0.5), (15.5, 31.25, 3.0)])
def test_area_average_agrees_with_a_plain_one(top: float, left: float, um: float, tmp_path: Path) -> None:
    image = np.random.default_rng(3).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "noise.png")
    with open_slide(tmp_path / "noise.png", um_per_px=0.5) as slide:
        found = slide.read(PixelGrid((13, 17), um, (top, left)))
    wanted = plain_area_average(image, top / 0.5, left / 0.5, um / 0.5, (13, 17))
    assert np.abs(found - wanted).max() <= 0.6


@pytest.mark.parametrize("origin", [(0.0, 0.0), (5.0, 12.5), (-3.0, 30.0)])
def test_whole_pixels_take_a_shorter_way_to_the_same_values(
    origin: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (61, 83, 3)).astype(np.uint8)).save(tmp_path / "noise.png")
    with open_slide(tmp_path / "noise.png", um_per_px=0.5) as slide:
        for um in (0.5, 1.0):
            grid = PixelGrid((40, 20), um, origin)
            short = slide.read(grid)
            with monkeypatch.context() as patch:
                patch.setattr("biopsy_analyzer.slide.slide.whole_ratio", lambda rows, columns: 0)
                np.testing.assert_array_equal(slide.read(grid), short)


def test_enlarging_is_linear_and_ends_at_the_edge(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[0] * 3, [100] * 3]], np.uint8)).save(tmp_path / "two.png")
    with open_slide(tmp_path / "two.png", um_per_px=1.0) as slide:
        row = slide.read(PixelGrid((1, 6), 0.5, (0.25, -0.5)))[0, :, 0]
    assert row.tolist() == [255, 0, 25, 75, 100, 255]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    um=st.floats(0.21, 6.0),
    origin=st.tuples(st.floats(-60, 330), st.floats(-60, 330)),
    shape=st.tuples(st.integers(2, 60), st.integers(2, 60)),
    share=st.floats(0.05, 0.95),
)
def test_two_neighbours_are_one_large_read(
    written: Write, um: float, origin: tuple[float, float], shape: tuple[int, int], share: float
) -> None:
    path = written("pair.tif")
    with open_slide(path) as slide:
        grid = PixelGrid(shape, um, origin)
        whole = slide.read(grid)
        row, column = (min(max(1, round(share * n)), n - 1) for n in shape)
        upper, lower = grid.crop(0, 0, row, shape[1]), grid.crop(row, 0, shape[0] - row, shape[1])
        left, right = grid.crop(0, 0, shape[0], column), grid.crop(0, column, shape[0], shape[1] - column)
        np.testing.assert_array_equal(np.vstack([slide.read(upper), slide.read(lower)]), whole)
        np.testing.assert_array_equal(np.hstack([slide.read(left), slide.read(right)]), whole)


def test_bands_do_not_show(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_slide(written("a.tif")) as slide:
        whole = slide.read(slide.grid(1.3))
        monkeypatch.setattr("biopsy_analyzer.slide.slide.BAND_PX", 5000)
        np.testing.assert_array_equal(slide.read(slide.grid(1.3)), whole)


@pytest.mark.parametrize("um", [0.5, 0.2, 2.3])
def test_outside_is_white(um: float, written: Write) -> None:
    with open_slide(written("a.svs")) as slide:
        assert slide.read(PixelGrid((5, 7), um, (-1000.0, 20.0))).min() == 255
        assert slide.read(PixelGrid((5, 7), um, (20.0, 5000.0))).min() == 255
        grid = PixelGrid((40, 40), um, (-20 * um, -20 * um))
        assert slide.read(grid)[:20].min() == 255
        assert slide.read(grid)[20:, 20:].min(axis=2).max() < 255


def test_an_odd_level_stays_in_place(tmp_path: Path) -> None:
    """Level 1 of 131 px has 65: the scale is 2, not 131 / 65, or its end would be shifted."""
    import tifffile

    image = np.full((131, 131, 3), 255, np.uint8)
    image[:, 126:128] = 0
    small = image[:130, :130].reshape(65, 2, 65, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "odd.tif") as writer:
        writer.write(image, tile=(64, 64), photometric="rgb", metadata=None)
        writer.write(small, tile=(64, 64), photometric="rgb", subfiletype=1, metadata=None)
    with open_slide(tmp_path / "odd.tif", um_per_px=0.5) as slide:
        assert slide.read(slide.grid(1.0))[10, 62:65, 0].tolist() == [255, 0, 255]


def _digest(slide: Slide, queue: "multiprocessing.Queue[int]") -> None:
    queue.put(hash(slide.read(slide.grid(0.9)).tobytes()))


def test_a_fork_reads_the_same(written: Write) -> None:
    context = multiprocessing.get_context("fork")
    with open_slide(written("a.tif")) as slide:
        queue: multiprocessing.Queue[int] = context.Queue()
        children = [context.Process(target=_digest, args=(slide, queue)) for _ in range(3)]
        for child in children:
            child.start()
        digests = {queue.get(timeout=60) for _ in children}
        for child in children:
            child.join()
        assert digests == {hash(slide.read(slide.grid(0.9)).tobytes())}


@pytest.mark.fault(12)
@pytest.mark.parametrize("ending", ["tif", "png", "jpg", "jp2"])
def test_the_colour_profile_is_recorded_and_not_applied(ending: str, tmp_path: Path) -> None:
    import hashlib

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = Image.new("RGB", (64, 64), (200, 60, 90))
    image.save(tmp_path / f"with.{ending}", icc_profile=profile)
    image.save(tmp_path / f"without.{ending}")
    with open_slide(tmp_path / f"with.{ending}", um_per_px=0.5) as slide, open_slide(tmp_path / f"without.{ending}", um_per_px=0.5) as bare:
        assert bare.icc_sha256 is None
        assert slide.icc_sha256 == (hashlib.sha256(profile).hexdigest() if ending != "jp2" else None), "Pillow doesn't read JPEG 2000's"
        np.testing.assert_array_equal(slide.read(slide.grid()), bare.read(bare.grid()))


@pytest.mark.fault(3)
def test_a_changed_tile_changes_the_sha256(written: Write) -> None:
    path = written("a.svs")
    with open_slide(path) as slide:
        before = slide.sha256
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 32] = bytes(32)
    path.write_bytes(data)
    with open_slide(path) as slide:
        assert slide.sha256 != before


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "one.png"
    Image.new("RGB", (4, 4)).save(path)
    with open_slide(path, um_per_px=1.0) as slide:
        assert slide.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["plain.svs", "Größe_1.tif", "筋肉.tif", "a.b-c.png"])
def test_a_good_stem_is_kept(name: str) -> None:
    assert safe_id(name) == name.rsplit(".", 1)[0]


@pytest.mark.parametrize(
    "name",
    [
        "-rf.svs",
        "a b.svs",
        "$(x).svs",
        "new\nline.svs",
        "...svs",
        "x" * 240 + ".svs",
        '"><img src=x>.svs',
        os.fsdecode(b"a\xff.svs"),
        " .svs",
    ],
)
def test_a_bad_stem_becomes_a_safe_folder(name: str) -> None:
    safe = safe_id(name)
    assert 0 < len(safe.encode()) < 100
    assert not set(safe) & set('/\\ \n$()<>"')
    assert safe[0] not in ".-"
    assert safe_id(name) == safe != safe_id("other" + name)


def test_composed_and_decomposed_names_differ() -> None:
    assert safe_id("Mu\u0308ller.svs") != safe_id("M\u00fcller.svs")
