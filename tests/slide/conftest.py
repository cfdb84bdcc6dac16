"""Slides written in the real formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from dicom_slides import jpeg2000
from vendor_slides import halved

APERIO = "Aperio Image Library v12.0.15\r\n700x530 [0,0 700x530] (256x256) JPEG/RGB Q=90|AppMag = 20|MPP = 0.5000|Patient = CANARY"


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A smooth colourful RGB image (530, 700, 3) that JPEG keeps well."""
    rng = np.random.default_rng(1)
    small = rng.integers(60, 250, (27, 35, 3)).astype(np.uint8)
    return cv2.resize(small, (700, 530), interpolation=cv2.INTER_CUBIC)


def write_svs(path: Path, image: np.ndarray) -> None:
    options: dict[str, Any] = {"tile": (128, 128), "photometric": "rgb", "compression": "jpeg", "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(image, description=APERIO, **options)
        writer.write(halved(image, 3), photometric="rgb", rowsperstrip=16, description="Aperio thumbnail", metadata=None)
        writer.write(halved(image, 2), description="Aperio Image Library v12.0.15\r\nlevel", **options)


def write_pyramid(path: Path, image: np.ndarray, **more: Any) -> None:
    options: dict[str, Any] = {"tile": (128, 128), "photometric": "rgb", "compression": "jpeg", "metadata": None} | more
    with tifffile.TiffWriter(path, bigtiff=path.name.startswith("big")) as writer:
        writer.write(image, resolution=(20_000, 20_000), resolutionunit="CENTIMETER", **options)
        writer.write(halved(image), subfiletype=1, **options)


def write_ome(path: Path, image: np.ndarray) -> None:
    options: dict[str, Any] = {"tile": (128, 128), "photometric": "rgb", "compression": "jpeg"}
    with tifffile.TiffWriter(path) as writer:
        sizes = {"axes": "YXS", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
        writer.write(image, subifds=2, metadata=sizes, **options)
        writer.write(halved(image), subfiletype=1, **options)
        writer.write(halved(image, 2), subfiletype=1, **options)


def write_imagej(path: Path, image: np.ndarray) -> None:
    tifffile.imwrite(path, image, imagej=True, resolution=(2, 2), metadata={"unit": "micron"})


@pytest.fixture
def written(tmp_path: Path, picture: np.ndarray) -> Callable[[str], Path]:
    """Writes `picture` under a name whose ending tells the format; all state 0.5 um/px, except PNG, JPEG and JPEG 2000."""

    def write(name: str) -> Path:
        path = tmp_path / name
        if name.endswith(".svs"):
            write_svs(path, picture)
        elif name.endswith(".ome.tif"):
            write_ome(path, picture)
        elif name.endswith(".ij.tif"):
            write_imagej(path, picture)
        elif name.endswith(".tif"):
            write_pyramid(path, picture)
        elif name.endswith(".jp2"):
            path.write_bytes(jpeg2000(picture))
        else:
            cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        return path

    return write
