"""DICOM whole slides for tests, by pydicom: instances of one series, one a level, with JPEG or JPEG 2000 frames."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, ImageCms
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from vendor_slides import CANARY, TILE, UM_PER_PX, halved

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def write_dicom(folder: Path, image: np.ndarray, colours: str = "YBR_FULL_422", series: str = "1", sparse: bool = False) -> list[Path]:
    """Three levels of RGB uint8 (H, W, 3) at 0.5 um/px as instances in `folder`, and a label with a patient's name.

    colours  YBR_FULL_422 (usual JPEG), RGB (JPEG of untransformed colours) or YBR_ICT (JPEG 2000)
    sparse   TILED_SPARSE, in which level 0 lacks the first tile
    """
    folder.mkdir(exist_ok=True)
    uids = {name: generate_uid(entropy_srcs=[name, series]) for name in ("study", "series", "frame")}
    paths = []
    for number, level in enumerate([image, halved(image), halved(image, 2)]):
        dataset = _dataset(level, UM_PER_PX * 2**number, uids, colours, number + 1)
        frames = _frames(level, colours)
        positions = [(row, column) for row in range(-(-level.shape[0] // TILE)) for column in range(-(-level.shape[1] // TILE))]
        if sparse:
            dropped = 1 if number == 0 else 0
            frames, positions = frames[dropped:], positions[dropped:]
            dataset.DimensionOrganizationType = "TILED_SPARSE"
            dataset.PerFrameFunctionalGroupsSequence = [_position(row, column) for row, column in positions]
        dataset.NumberOfFrames = len(frames)
        dataset.PixelData = encapsulate(frames)
        paths.append(folder / f"level{number}-{series}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _frames(level: np.ndarray, colours: str) -> list[bytes]:
    padded = np.pad(level, ((0, -level.shape[0] % TILE), (0, -level.shape[1] % TILE), (0, 0)), constant_values=255)
    tiles = [padded[y : y + TILE, x : x + TILE] for y in range(0, padded.shape[0], TILE) for x in range(0, padded.shape[1], TILE)]
    if colours == "YBR_ICT":
        return [
            imagecodecs.jpeg2k_encode(np.ascontiguousarray(tile), level=40, codecformat="j2k", mct=True, reversible=False) for tile in tiles
        ]
    stored = "RGB" if colours == "RGB" else "YCBCR"
    return [imagecodecs.jpeg8_encode(np.ascontiguousarray(tile), level=92, colorspace="RGB", outcolorspace=stored) for tile in tiles]


def _dataset(level: np.ndarray, um: float, uids: dict[str, str], colours: str, number: int) -> Dataset:
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = JPEG2000 if colours == "YBR_ICT" else JPEGBaseline8Bit
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = WHOLE_SLIDE
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid(entropy_srcs=[uids["series"], str(number)])
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = uids["study"], uids["series"], uids["frame"]
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex, d.AccessionNumber = CANARY, "CANARY-1", "19700101", "F", "CANARY-2"
    d.StudyDate, d.StudyTime, d.ContentDate, d.ContentTime = "20260101", "120000", "20260101", "120000"
    d.AcquisitionDateTime = "20260101120000"
    d.StudyID, d.SeriesNumber, d.InstanceNumber, d.ReferringPhysicianName = "1", 1, number, CANARY
    d.Modality, d.Manufacturer, d.ManufacturerModelName, d.DeviceSerialNumber, d.SoftwareVersions = "SM", "tests", "tests", "0", "0"
    d.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE" if number == 1 else "RESAMPLED"]
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, colours, 0
    d.Rows = d.Columns = TILE
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 8, 8, 7, 0
    d.TotalPixelMatrixRows, d.TotalPixelMatrixColumns = level.shape[:2]
    d.TotalPixelMatrixFocalPlanes, d.NumberOfOpticalPaths = 1, 1
    d.DimensionOrganizationType = "TILED_FULL"
    d.ImagedVolumeWidth, d.ImagedVolumeHeight, d.ImagedVolumeDepth = level.shape[1] * um / 1000, level.shape[0] * um / 1000, 0.001
    d.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    d.SpecimenLabelInImage, d.FocusMethod, d.ExtendedDepthOfField, d.VolumetricProperties = "NO", "AUTO", "NO", "VOLUME"
    d.BurnedInAnnotation, d.LossyImageCompression = "NO", "01"
    d.LossyImageCompressionMethod, d.LossyImageCompressionRatio = "ISO_10918_1", 10
    d.ContainerIdentifier = "CANARY-3"
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20.0, 40.0
    d.TotalPixelMatrixOriginSequence = [origin]
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [um / 1000, um / 1000], 0.001
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    d.SharedFunctionalGroupsSequence = [shared]
    optical = Dataset()
    optical.OpticalPathIdentifier, optical.IlluminationColorCodeSequence = "1", []
    optical.ICCProfile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    d.OpticalPathSequence = [optical]
    return d


def _position(row: int, column: int) -> Dataset:
    plane, frame = Dataset(), Dataset()
    plane.RowPositionInTotalImagePixelMatrix, plane.ColumnPositionInTotalImagePixelMatrix = row * TILE + 1, column * TILE + 1
    plane.XOffsetInSlideCoordinateSystem = plane.YOffsetInSlideCoordinateSystem = plane.ZOffsetInSlideCoordinateSystem = 0.0
    frame.PlanePositionSlideSequence = [plane]
    return frame


def write_ct(path: Path) -> None:
    """A DICOM file that is no slide."""
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = CTImageStorage
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid(entropy_srcs=["ct"])
    d.SeriesInstanceUID, d.PatientName = generate_uid(entropy_srcs=["ct-series"]), CANARY
    d.Rows = d.Columns = 4
    d.BitsAllocated, d.SamplesPerPixel, d.PixelData = 16, 1, bytes(32)
    d.save_as(path, enforce_file_format=True)


def jpeg2000(image: np.ndarray, profile: bytes | None = None) -> bytes:
    """A JP2 of RGB uint8 (H, W, 3), nearly lossless."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG2000", quality_mode="dB", quality_layers=[45], icc_profile=profile)
    return buffer.getvalue()
