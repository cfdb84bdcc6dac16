"""Stored tiles are decoded once, in bounded memory, whoever reads."""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from biopsy_analyzer.errors import NotASlide
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.slide import Slide, open_slide
from biopsy_analyzer.slide.tiles import TileCache, TiledLevel
from dicom_slides import write_dicom
from vendor_slides import write_philips

SHAPE, TILE = (500, 700), (64, 96)


def numbered(row: int, column: int) -> np.ndarray:
    """A tile whose red channel counts rows and green one columns."""
    pixels = np.zeros((*TILE, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = row, column
    return pixels


def test_a_tile_is_decoded_once_and_dropped_when_memory_is_full() -> None:
    level = TiledLevel("a", 0, SHAPE, TILE, numbered, TileCache(2))
    for _ in range(3):
        whole = level.read(0, 0, *SHAPE)
    assert level.decoded == 8 * 8
    assert whole[130, 200].tolist() == [2, 2, 0]
    small = TiledLevel("a", 0, SHAPE, TILE, numbered, TileCache(3 * 64 * 96 * 3 / 2**20))
    for column in (0, 1, 2, 0, 1, 2):
        small.read(0, column * 96, 64, 96)
    assert small.decoded == 3
    small.read(0, 3 * 96, 64, 96)
    small.read(0, 0, 64, 96)
    assert small.decoded == 5


def test_levels_share_one_memory() -> None:
    cache = TileCache(2 * 64 * 96 * 3 / 2**20)
    first, second = (TiledLevel("a", number, SHAPE, TILE, numbered, cache) for number in (0, 1))
    first.read(0, 0, 64, 96)
    second.read(0, 0, 64, 2 * 96)
    first.read(0, 0, 64, 96)
    assert (first.decoded, second.decoded) == (2, 2)


def test_threads_that_want_the_same_tile_wait_for_one_decoding() -> None:
    started, goes_on = threading.Event(), threading.Event()

    def slowly(row: int, column: int) -> np.ndarray:
        started.set()
        assert goes_on.wait(30)
        return numbered(row, column)

    level = TiledLevel("a", 0, SHAPE, TILE, slowly, TileCache())
    with ThreadPoolExecutor(5) as pool:
        reads = [pool.submit(level.read, 0, 0, 64, 96) for _ in range(5)]
        assert started.wait(30)
        goes_on.set()
        assert all((read.result() == numbered(0, 0)).all() for read in reads)
    assert level.decoded == 1


def test_errors_reach_every_waiting_thread_and_are_not_kept() -> None:
    barrier = threading.Barrier(3)

    def refused(row: int, column: int) -> np.ndarray:
        raise NotASlide("a: crashed")

    level = TiledLevel("a", 0, SHAPE, TILE, refused, TileCache())

    def read() -> str:
        barrier.wait()
        with pytest.raises(NotASlide) as error:
            level.read(0, 0, 5, 5)
        return str(error.value)

    with ThreadPoolExecutor(3) as pool:
        assert {future.result() for future in [pool.submit(read) for _ in range(3)]} == {"a: crashed"}
    assert level.damaged == 0


def test_missing_and_damaged_tiles_are_white_and_counted_once() -> None:
    def decode(row: int, column: int) -> np.ndarray | None:
        if (row, column) == (0, 0):
            raise ValueError("no tile")
        return None if (row, column) == (0, 1) else numbered(row, column)

    level = TiledLevel("a", 0, (640, 960), TILE, decode, TileCache(0))
    for _ in range(2):
        assert level.read(0, 0, 64, 2 * 96).min() == 255
    assert (level.damaged, level.missing, level.decoded) == (1, 1, 0)


def test_a_tile_that_there_was_no_memory_for_is_not_a_damaged_one() -> None:
    def decode(row: int, column: int) -> np.ndarray:
        raise MemoryError

    level = TiledLevel("a", 0, (640, 960), TILE, decode, TileCache())
    with pytest.raises(MemoryError):
        level.read(0, 0, 5, 5)
    assert level.damaged == 0


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("tiles")
    image = np.random.default_rng(2).integers(0, 255, (48, 64, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    tifffile.imwrite(folder / "a.tif", image, photometric="rgb", tile=(128, 128), compression="jpeg", metadata=None)
    pytest.importorskip("openslide")
    write_philips(folder / "philips.tiff", image)
    write_dicom(folder / "dicom", image)
    return lambda name: folder / name


@pytest.mark.parametrize("name", ["a.tif", "philips.tiff", "dicom"])
@pytest.mark.parametrize("um", [0.5, 0.8])
def test_neighbouring_reads_decode_each_stored_tile_about_once(name: str, um: float, slides: Callable[[str], Path]) -> None:
    with open_slide(slides(name), um_per_px=0.5) as slide:
        before, whole = slide.tiles_decoded, slide.grid(um)
        for top in range(0, whole.shape[0], 100):
            for left in range(0, whole.shape[1], 100):
                slide.read(whole.crop(top - 16, left - 16, 132, 132))
        assert slide.tiles_decoded - before <= 1.0 * slide.stored_tiles(whole)


def test_stored_tiles_and_source(slides: Callable[[str], Path]) -> None:
    with open_slide(slides("philips.tiff")) as slide:
        assert slide.stored_tiles(slide.grid()) == 3 * 4
        assert slide.stored_tiles(slide.grid(1.0)) == 2 * 2
        assert slide.stored_tiles(PixelGrid((256, 256), 0.5, (128.0, 128.0))) == 1
        assert slide.stored_tiles(PixelGrid((256, 257), 0.5, (128.0, 128.0))) == 2
        assert slide.stored_tiles(PixelGrid((8, 8), 0.5, (-100.0, 0.0))) == 0
        assert slide.source(0.5) == ((768, 1024), (0.5, 0.5), (128.0, 128.0))
        assert slide.source(1.7).shape == (384, 512)
        before = slide.tiles_decoded
        fresh = PixelGrid((200, 200), 0.5, (300.0, 10.0))
        slide.read(fresh)
        assert slide.tiles_decoded - before <= slide.stored_tiles(fresh)


def digest(slide: Slide) -> int:
    return hash(slide.read(slide.grid(0.7)).tobytes())


def _send_digest(slide: Slide, queue: "multiprocessing.Queue[int]") -> None:
    queue.put(digest(slide))


@pytest.mark.fault(36)
@pytest.mark.parametrize("name", ["a.tif", "philips.tiff", "dicom"])
def test_eight_forks_and_eight_threads_read_the_same(name: str, slides: Callable[[str], Path]) -> None:
    with open_slide(slides(name), um_per_px=0.5) as alone:
        wanted = digest(alone)
    with open_slide(slides(name), um_per_px=0.5, cache_mib=0.3) as slide:
        with ThreadPoolExecutor(8) as pool:
            assert {future.result() for future in [pool.submit(digest, slide) for _ in range(8)]} == {wanted}
        context = multiprocessing.get_context("fork")
        queue: multiprocessing.Queue[int] = context.Queue()
        children = [context.Process(target=_send_digest, args=(slide, queue)) for _ in range(8)]
        for child in children:
            child.start()
        found = {queue.get(timeout=120) for _ in children}
        for child in children:
            child.join()
        assert found == {wanted}
        assert digest(slide) == wanted, "the parent's own reader outlives the forks"
