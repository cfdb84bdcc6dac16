"""Slides of formats that no library writes, as far as their readers look: the vendors' containers around JPEG tiles.

Each writer takes a path and RGB uint8 (H, W, 3), states 0.5 um/px, and returns nothing. They are made by the published descriptions of
the formats and accepted by OpenSlide; a scanner's own files hold more.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

UM_PER_PX = 0.5
CANARY = "CANARY Jane Doe"
PER_CM = (int(10_000 / UM_PER_PX), 1)
TILE = 256


def halved(image: np.ndarray, times: int = 1) -> np.ndarray:
    for _ in range(times):
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return image


def jpeg(image: np.ndarray, restart: int = 0, comment: str = "") -> bytes:
    """A JPEG without subsampling; `restart`: MCUs (8 px) between restart markers."""
    options: dict[str, Any] = {"restart_marker_blocks": restart} if restart else {}
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=92, subsampling=0, comment=comment, **options)
    return buffer.getvalue()


def write_ndpi(path: Path, image: np.ndarray) -> None:
    """A classic TIFF with 8-byte pointers to directories; each level is one JPEG, in tiles by its restart markers."""
    ascii_, short, long, rational, slong, real = 2, 3, 4, 5, 9, 11
    levels = [image, halved(image), halved(image, 2)]
    data = bytearray(b"II*\x00" + bytes(8))
    pointer = 4
    for number, level in enumerate(levels):
        stored = jpeg(level, restart=8)
        at = len(data)
        data += stored + bytes(-len(stored) % 2)
        texts = {270: CANARY, 271: "Hamamatsu", 272: "NanoZoomer"}
        tags: list[tuple[int, int, int, bytes]] = [
            (256, long, 1, struct.pack("<I", level.shape[1])),
            (257, long, 1, struct.pack("<I", level.shape[0])),
            (258, short, 3, struct.pack("<3H", 8, 8, 8)),
            (259, short, 1, struct.pack("<H", 7)),
            (262, short, 1, struct.pack("<H", 6)),
            *((tag, ascii_, len(text) + 1, text.encode() + b"\0") for tag, text in texts.items()),
            (273, long, 1, struct.pack("<I", at)),
            (277, short, 1, struct.pack("<H", 3)),
            (278, long, 1, struct.pack("<I", level.shape[0])),
            (279, long, 1, struct.pack("<I", len(stored))),
            (282, rational, 1, struct.pack("<2I", PER_CM[0] >> number, 1)),
            (283, rational, 1, struct.pack("<2I", PER_CM[0] >> number, 1)),
            (296, short, 1, struct.pack("<H", 3)),
            (65420, long, 1, struct.pack("<I", 1)),
            (65421, real, 1, struct.pack("<f", 20.0 / 2**number)),
            (65422, slong, 1, struct.pack("<i", 0)),
            (65423, slong, 1, struct.pack("<i", 0)),
            (65424, slong, 1, struct.pack("<i", 0)),
            (65442, ascii_, 9, b"12345678\0"),
        ]
        pointer = _append_directory(data, tags, pointer)
    path.write_bytes(data)


def _append_directory(data: bytearray, tags: Sequence[tuple[int, int, int, bytes]], pointer: int) -> int:
    """Adds an NDPI directory, makes `pointer` show to it, and returns where its own pointer to the next one stands."""
    entries = b""
    for tag, kind, count, value in tags:
        if len(value) > 4:
            entries += struct.pack("<HHII", tag, kind, count, len(data))
            data += value + bytes(-len(value) % 2)
        else:
            entries += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    struct.pack_into("<Q", data, pointer, len(data))
    data += struct.pack("<H", len(tags)) + entries
    data += struct.pack("<Q", 0)
    high_bytes = 4 * len(tags)  # NDPI keeps the upper halves of values here
    data += bytes(high_bytes)
    return len(data) - high_bytes - 8


def write_scn(path: Path, image: np.ndarray) -> None:
    """A Leica SCN: one brightfield image in a collection a little larger than it."""
    levels = [image, halved(image), halved(image, 2)]
    nm = int(UM_PER_PX * 1000)
    height, width = (size * nm for size in image.shape[:2])
    dimensions = "".join(f'<dimension sizeX="{p.shape[1]}" sizeY="{p.shape[0]}" r="{n}" ifd="{n}"/>' for n, p in enumerate(levels))
    text = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="urn:uuid:0">'
        f'<collection name="{CANARY}" uuid="urn:uuid:1" sizeX="{width + 200 * nm}" sizeY="{height + 160 * nm}">'
        f'<barcode>{CANARY}</barcode><image name="image_0" uuid="urn:uuid:2"><creationDate>2026-01-01T00:00:00Z</creationDate>'
        f'<device model="Leica SCN400" version="1"/><pixels sizeX="{image.shape[1]}" sizeY="{image.shape[0]}">{dimensions}</pixels>'
        f'<view sizeX="{width}" sizeY="{height}" offsetX="{100 * nm}" offsetY="{60 * nm}"/>'
        "<scanSettings><objectiveSettings><objective>20</objective></objectiveSettings><illuminationSettings>"
        "<numericalAperture>0.4</numericalAperture><illuminationSource>brightfield</illuminationSource></illuminationSettings>"
        "</scanSettings></image></collection></scn>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, level in enumerate(levels):
            _write_tiled(writer, level, description=text if number == 0 else None, resolution=PER_CM[0] / 2**number)


def write_bif(path: Path, image: np.ndarray) -> None:
    """A Ventana BIF: a label page with the scanner's XML, then levels, of which the first says how its tiles join (not at all)."""
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    image = image[: rows * TILE, : columns * TILE]
    scan = f'<iScan UnitNumber="{CANARY}" Magnification="20" ScanRes="{UM_PER_PX}" Z-layers="1"/>'
    stitched = (
        f'<EncodeInfo Ver="2"><SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" NumRows="{rows}" NumCols="{columns}" '
        f'Width="{TILE}" Height="{TILE}" Pos-X="0" Pos-Y="0">{"".join(_joints(rows, columns))}</ImageInfo></SlideStitchInfo>'
        '<AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    )
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        label = np.full((64, 48, 3), 200, np.uint8)
        writer.write(label, photometric="rgb", description="Label Image", metadata=None, extratags=[_xmp(scan)])
        for number, level in enumerate([image, halved(image)]):
            extra = [_xmp(stitched)] if number == 0 else []
            _write_tiled(writer, level, description=f"level={number} mag={20 / 2**number:g} quality=95", extratags=extra)


def _xmp(text: str) -> tuple[int, int, int, bytes, bool]:
    return 700, 1, len(text), text.encode(), True


def _joints(rows: int, columns: int) -> list[str]:
    """Joints of tiles, all with zero overlap; tiles are numbered from the lower left corner on in a snake."""

    def number(row: int, column: int) -> int:
        return row * columns + (columns - 1 - column if row % 2 else column) + 1

    right = [(number(y, x), number(y, x + 1), "RIGHT") for y in range(rows) for x in range(columns - 1)]
    up = [(number(y, x), number(y + 1, x), "UP") for y in range(rows - 1) for x in range(columns)]
    common = 'FlagJoined="1" Confidence="100" OverlapX="0" OverlapY="0"'
    return [f'<TileJointInfo {common} Direction="{way}" Tile1="{first}" Tile2="{second}"/>' for first, second, way in right + up]


def write_philips(path: Path, image: np.ndarray) -> None:
    """A Philips TIFF: levels padded to whole tiles, true sizes by the pixel spacings in the XML."""

    def attribute(name: str, group: str, element: str, kind: str, value: str) -> str:
        return f'<Attribute Name="{name}" Group="{group}" Element="{element}" PMSVR="{kind}">{value}</Attribute>'

    levels = [image, halved(image), halved(image, 2)]
    mm = UM_PER_PX / 1000
    spacings = [attribute("DICOM_PIXEL_SPACING", "0x0028", "0x0030", "IDoubleArray", f'"{mm * 2**n}" "{mm * 2**n}"') for n in range(3)]
    representations = "".join(
        f'<DataObject ObjectType="PixelDataRepresentation">{spacing}'
        + attribute("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", "0x301D", "0x2004", "IUInt16", str(number))
        + "</DataObject>"
        for number, spacing in enumerate(spacings)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        + attribute("DICOM_MANUFACTURER", "0x0008", "0x0070", "IString", "PHILIPS")
        + attribute("PIM_DP_UFS_BARCODE", "0x301D", "0x1002", "IString", CANARY)
        + '<Attribute Name="PIM_DP_SCANNED_IMAGES" Group="0x301D" Element="0x1003" PMSVR="IDataObjectArray"><Array>'
        '<DataObject ObjectType="DPScannedImage">'
        + attribute("PIM_DP_IMAGE_TYPE", "0x301D", "0x1004", "IString", "WSI")
        + spacings[0]
        + '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" Group="0x1001" Element="0x8B01" PMSVR="IDataObjectArray">'
        f"<Array>{representations}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, level in enumerate(levels):
            padded = np.pad(level, ((0, -level.shape[0] % TILE), (0, -level.shape[1] % TILE), (0, 0)), constant_values=255)
            _write_tiled(writer, padded, description=text if number == 0 else "", software="Philips DP v1.0", subfiletype=int(number > 0))


def _write_tiled(writer: tifffile.TiffWriter, image: np.ndarray, resolution: float = PER_CM[0], **more: Any) -> None:
    options: dict[str, Any] = {"tile": (TILE, TILE), "photometric": "rgb", "compression": "jpeg", "metadata": None} | more
    writer.write(image, resolution=(resolution, resolution), resolutionunit="CENTIMETER", **options)


def write_aperio_jpeg2000(path: Path, image: np.ndarray) -> None:
    """An Aperio SVS with tiles of JPEG 2000 in YCbCr (33003): the colours stand in no mark of the codestream."""
    import imagecodecs

    def encoded(level: np.ndarray) -> list[bytes]:
        grid = [(y, x) for y in range(0, level.shape[0], TILE) for x in range(0, level.shape[1], TILE)]
        padded = np.pad(level, ((0, -level.shape[0] % TILE), (0, -level.shape[1] % TILE), (0, 0)), mode="edge")
        tiles = [cv2.cvtColor(padded[y : y + TILE, x : x + TILE], cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]] for y, x in grid]
        return [imagecodecs.jpeg2k_encode(np.ascontiguousarray(t), codecformat="j2k", colorspace="UNSPECIFIED", mct=False) for t in tiles]

    text = f"Aperio Image Library v12.0.15\r\n{image.shape[1]}x{image.shape[0]} (256x256) J2K/YUV16 Q=70|AppMag = 20|MPP = {UM_PER_PX}"
    with tifffile.TiffWriter(path) as writer:
        for level in (image, halved(image, 2)):
            options: dict[str, Any] = {"shape": level.shape, "dtype": np.uint8, "tile": (TILE, TILE), "photometric": "rgb"}
            writer.write(iter(encoded(level)), compression=33003, description=text, metadata=None, **options)


def write_vms(path: Path, image: np.ndarray) -> None:
    """A Hamamatsu VMS: a text file that names a JPEG in tiles by restart markers, and a small map of it."""
    stem = path.stem
    (path.parent / f"{stem}-a.jpg").write_bytes(jpeg(image, restart=8, comment=CANARY))
    (path.parent / f"{stem}-map.jpg").write_bytes(jpeg(halved(image, 2), restart=1))
    nm = UM_PER_PX * 1000
    lines = ["[Virtual Microscope Specimen]", "NoLayers=1", "NoJpegColumns=1", "NoJpegRows=1", f"ImageFile={stem}-a.jpg"]
    lines += [f"MapFile={stem}-map.jpg", f"PhysicalWidth={image.shape[1] * nm:.0f}", f"PhysicalHeight={image.shape[0] * nm:.0f}"]
    lines += ["SourceLens=20", f"Reference={CANARY}", f"MacroImage={stem}-map.jpg"]
    path.write_text("\n".join(lines) + "\n")


def write_mrxs(path: Path, image: np.ndarray, levels: int = 3) -> None:
    """A MIRAX slide: a thumbnail, and a folder with its index and tiles, which do not overlap."""
    folder = path.with_suffix("")
    folder.mkdir()
    path.write_bytes(jpeg(halved(image, 3)))
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    slide_id = "0123456789ABCDEF0123456789ABCDEF"
    tiles, pages = bytearray(b"data".ljust(64, b"\0")), []
    for level in range(levels):
        small = halved(image, level)
        page = []
        for y in range(0, rows, 2**level):
            for x in range(0, columns, 2**level):
                part = small[(y >> level) * TILE :, (x >> level) * TILE :][:TILE, :TILE]
                padded = np.pad(part, ((0, TILE - part.shape[0]), (0, TILE - part.shape[1]), (0, 0)), constant_values=255)
                stored = jpeg(padded)
                page.append((y * columns + x, len(tiles), len(stored), 0))
                tiles += stored
        pages.append(page)
    (folder / "Data0000.dat").write_bytes(tiles)
    (folder / "Index.dat").write_bytes(_mirax_index(slide_id, pages))
    (folder / "Slidedat.ini").write_text(_mirax_text(slide_id, rows, columns, levels))


def _mirax_index(slide_id: str, pages: list[list[tuple[int, int, int, int]]]) -> bytes:
    """Version and id, pointers to the hierarchical and the other records; of each level a pointer to its page of tiles."""
    data = bytearray(b"01.02" + slide_id.encode())
    levels = len(data) + 8
    data += struct.pack("<ii", levels, levels) + bytes(4 * len(pages))
    for level, page in enumerate(pages):
        struct.pack_into("<i", data, levels + 4 * level, len(data))
        data += struct.pack("<ii", 0, len(data) + 8)
        data += struct.pack("<ii", len(page), 0) + b"".join(struct.pack("<4i", *entry) for entry in page)
    return bytes(data)


def _mirax_text(slide_id: str, rows: int, columns: int, levels: int) -> str:
    lines = ["[GENERAL]", "SLIDE_VERSION=01.02", f"SLIDE_ID={slide_id}", f"SLIDE_NAME={CANARY}", f"IMAGENUMBER_X={columns}"]
    lines += [f"IMAGENUMBER_Y={rows}", "OBJECTIVE_MAGNIFICATION=20", "CameraImageDivisionsPerSide=1", "[HIERARCHICAL]", "HIER_COUNT=1"]
    lines += ["NONHIER_COUNT=0", "INDEXFILE=Index.dat", "HIER_0_NAME=Slide zoom level", f"HIER_0_COUNT={levels}"]
    for level in range(levels):
        lines += [f"HIER_0_VAL_{level}=ZoomLevel_{level}", f"HIER_0_VAL_{level}_SECTION=LAYER_0_LEVEL_{level}_SECTION"]
    for level in range(levels):
        lines += [f"[LAYER_0_LEVEL_{level}_SECTION]", "OVERLAP_X=0", "OVERLAP_Y=0", "IMAGE_FORMAT=JPEG", "IMAGE_FILL_COLOR_BGR=16777215"]
        lines += [f"MICROMETER_PER_PIXEL_{axis}={UM_PER_PX * 2**level}" for axis in "XY"]
        lines += [f"DIGITIZER_WIDTH={TILE}", f"DIGITIZER_HEIGHT={TILE}", f"IMAGE_CONCAT_FACTOR={int(level > 0)}"]
    return "\n".join([*lines, "[DATAFILE]", "FILE_COUNT=1", "FILE_0=Data0000.dat"]) + "\n"


WRITERS = {
    "a.ndpi": write_ndpi,
    "a.scn": write_scn,
    "a.bif": write_bif,
    "philips.tiff": write_philips,
    "j2k.svs": write_aperio_jpeg2000,
    "a.vms": write_vms,
    "a.mrxs": write_mrxs,
}
