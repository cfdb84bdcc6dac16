"""Label images are found again where they were, by this package and by others."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import ome_zarr.io
import ome_zarr.reader
import ome_zarr_models.v05
import pandas as pd
import pytest
import zarr

from biopsy_analyzer.errors import OutputError, ResultError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.labels import FOLDER, read_labels, write_labels
from biopsy_analyzer.report.result import Labels, Result
from biopsy_analyzer.report.writing import write_result


def write(result: Result, folder: Path) -> Path:
    return write_labels(result.fibre_labels, result.nucleus_labels, folder)


class Windows:
    """Labels that may only be read in small parts, as those on disk."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.most = 0

    def __getitem__(self, at: tuple[slice, slice]) -> np.ndarray:
        part = self._pixels[at]
        self.most = max(self.most, part.size)
        return part


@pytest.fixture
def wide(result: Result) -> Result:
    """The result with 3000 x 2100 px of fibre labels: three rows and three columns of chunks, three levels below."""
    labels = np.zeros((3000, 2100), np.int32)
    labels[1000:1100, 1000:1100] = 1  # over four chunks
    labels[2999, 2099], labels[0, 0] = 2, 3
    return dataclasses.replace(result, fibre_labels=Labels(labels, PixelGrid(labels.shape, 0.8, (16.0, 8.0))))


def test_labels_come_back_to_the_pixel(wide: Result, tmp_path: Path) -> None:
    write(wide, tmp_path)
    saved = read_labels(tmp_path)
    for found, wanted in ((saved.fibres, wide.fibre_labels), (saved.nuclei, wide.nucleus_labels)):
        np.testing.assert_array_equal(found.pixels[:, :], wanted.pixels)
        assert found.pixels.dtype == np.int32
        assert found.grid.shape == wanted.grid.shape
        assert (found.grid.um_per_px, *found.grid.origin_um) == pytest.approx((wanted.grid.um_per_px, *wanted.grid.origin_um))
    assert saved.fibres.pixels[1050:1052, 1050:1053].tolist() == [[1, 1, 1]] * 2


def test_a_coarser_level_is_every_second_pixel(wide: Result, tmp_path: Path) -> None:
    write(wide, tmp_path)
    levels, grids = read_labels(tmp_path).fibres.levels, read_labels(tmp_path).fibres.grids
    assert [level.shape for level in levels] == [(3000, 2100), (1500, 1050), (750, 525), (375, 263)]
    for k, (level, grid) in enumerate(zip(levels, grids, strict=True)):
        np.testing.assert_array_equal(level[:, :], wide.fibre_labels.pixels[:: 2**k, :: 2**k])
        assert (grid.um_per_px, grid.shape) == (0.8 * 2**k, level.shape)


def test_ids_are_those_of_the_tables(result: Result, tmp_path: Path) -> None:
    """A fibre's centre in um, from the table, is on its label."""
    folder = write_result(result, tmp_path)
    saved = read_labels(folder)
    for name, pyramid in (("fibre", saved.fibres), ("nucleus", saved.nuclei)):
        table = pd.read_parquet(folder / f"{'fibres' if name == 'fibre' else 'nuclei'}.parquet")
        rows, columns = np.floor(pyramid.grid.to_px(table[["y_um", "x_um"]].to_numpy())).astype(int).T
        assert [int(pyramid.pixels[y, x]) for y, x in zip(rows, columns, strict=True)] == table[f"{name}_id"].tolist()


def test_labels_on_disk_are_read_in_windows(wide: Result, tmp_path: Path) -> None:
    lazy = Windows(wide.fibre_labels.pixels)
    write(dataclasses.replace(wide, fibre_labels=Labels(lazy, wide.fibre_labels.grid)), tmp_path)  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_labels(tmp_path).fibres.pixels[:, :], wide.fibre_labels.pixels)
    assert lazy.most == 1024 * 1024


def test_written_twice_the_bytes_are_the_same(wide: Result, tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    write(wide, tmp_path)
    first = content()
    write(wide, tmp_path)
    assert content() == first
    assert sum(map(len, first.values())) < 30_000  # 33 MB of pixels
    assert os.listdir(tmp_path) == [FOLDER]


def test_the_metadata_is_ome_zarr_0_5(wide: Result, tmp_path: Path) -> None:
    path = write(wide, tmp_path)
    group = ome_zarr_models.v05.Labels.from_zarr(zarr.open_group(path, mode="r"))
    assert group.ome_attributes.labels == ["fibres", "nuclei"]
    image = ome_zarr_models.v05.ImageLabel.from_zarr(zarr.open_group(path / "fibres", mode="r"))
    (multiscale,) = image.ome_attributes.multiscales
    assert [(axis.name, axis.unit) for axis in multiscale.axes] == [("y", "micrometer"), ("x", "micrometer")]
    finest = multiscale.datasets[0].coordinateTransformations
    assert (finest[0].scale, finest[1].translation) == ([0.8, 0.8], [16.4, 8.4])  # centre of the first pixel


def test_the_reference_reader_opens_them(wide: Result, tmp_path: Path) -> None:
    path = write(wide, tmp_path)
    location = ome_zarr.io.parse_url(path)
    assert location is not None
    nodes = [node for node in ome_zarr.reader.Reader(location)() if node.data]
    assert [node.metadata["name"] for node in nodes] == ["fibres", "nuclei"]
    np.testing.assert_array_equal(nodes[0].data[1].compute(), wide.fibre_labels.pixels[::2, ::2])


def test_napari_shows_them_in_place(wide: Result, tmp_path: Path) -> None:
    layers = pytest.importorskip("napari.layers")
    write(wide, tmp_path)
    fibres = read_labels(tmp_path).fibres
    centre = np.add(fibres.grid.origin_um, fibres.grid.um_per_px / 2)
    layer = layers.Labels(list(fibres.levels), multiscale=True, scale=[fibres.grid.um_per_px] * 2, translate=centre)
    assert layer.get_value((16.0 + 1050 * 0.8, 8.0 + 1050 * 0.8), world=True) is not None
    np.testing.assert_allclose(layer.data_to_world((0, 0)), centre)


def test_an_interrupted_write_leaves_the_old_labels(result: Result, tmp_path: Path) -> None:
    class Broken(Windows):
        def __getitem__(self, at: tuple[slice, slice]) -> np.ndarray:
            raise KeyboardInterrupt

    write(result, tmp_path)
    broken = Labels(Broken(result.fibre_labels.pixels), result.fibre_labels.grid)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        write(dataclasses.replace(result, fibre_labels=broken), tmp_path)
    assert os.listdir(tmp_path) == [FOLDER]
    np.testing.assert_array_equal(read_labels(tmp_path).fibres.pixels[:, :], result.fibre_labels.pixels)


def test_a_file_in_the_way_is_one_line(result: Result, tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("not a folder")
    with pytest.raises(OutputError, match=r"labels\.ome\.zarr"):
        write(result, tmp_path)


def test_what_is_no_label_folder_is_one_line(result: Result, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="Analyse the section again"):
        read_labels(tmp_path)
    path = write(result, tmp_path)
    metadata = path / "fibres" / "zarr.json"
    metadata.write_text(json.dumps({**json.loads(metadata.read_text()), "attributes": {}}))
    with pytest.raises(ResultError, match="no label images"):
        read_labels(tmp_path)
