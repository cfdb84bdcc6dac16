"""Fibres and nuclei of a DICOM slide as DICOM annotations (Microscopy Bulk Simple Annotations), for viewers and archives.

Nothing of the patient is copied: name and number stay empty, and the study's UID says where the annotations belong.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
from highdicom.ann import AnnotationGroup, Measurements, MicroscopyBulkSimpleAnnotations
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from biopsy_analyzer.errors import ResultError, SlideError
from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.report.saved import read_document
from biopsy_analyzer.slide import open_slide

_SCHEME = "99BIOPSY"
_KEPT = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality")
_NOBODYS = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime")
_MEASURED = {"area_um2": (codes.SCT.Area, Code("um2", "UCUM", "square micrometer")), "probability": (None, Code("1", "UCUM", "no units"))}


def write_annotations(folder: Path, slide: Path) -> Path:
    """Write `folder`/annotations.dcm from the outlines in its objects.geojson; gives its path.

    slide  the DICOM slide that was analysed: a file, or a folder with its series
    One group for each class of fibres and nuclei, with area and probability of each object; coordinates are level-0 pixels. The same
    result and slide give the same bytes. ResultError where the folder holds no finished result, or one without objects; SlideError
    where the slide is not DICOM, or not the one that was analysed.
    """
    document = read_document(folder)
    source = _source(slide, document["slide"]["sha256"])
    groups = _groups(_features(folder), document, source.SOPInstanceUID)
    if not groups:
        raise ResultError(f"{folder}: no fibres and no nuclei; a DICOM annotation needs at least one object. Nothing was written")
    identity = [source.SOPInstanceUID, json.dumps(document, sort_keys=True)]
    written = MicroscopyBulkSimpleAnnotations(
        source_images=[source],
        annotation_coordinate_type="2D",
        annotation_groups=groups,
        series_instance_uid=generate_uid(entropy_srcs=[*identity, "series"]),
        series_number=1,
        sop_instance_uid=generate_uid(entropy_srcs=[*identity, "instance"]),
        instance_number=1,
        manufacturer="biopsy-analyzer",
        manufacturer_model_name="biopsy-analyzer",
        software_versions=document["software"]["biopsy-analyzer"],
        device_serial_number="none",
        content_label="BIOPSY_ANALYZER",
        content_description="Research use only, not for diagnosis",
    )
    _date_as(source, written)
    content = io.BytesIO()
    written.save_as(content)
    write_bytes(folder / "annotations.dcm", content.getvalue())
    return folder / "annotations.dcm"


def _date_as(source: Any, written: Any) -> None:
    """The slide's date and time in place of today's, so that the same input gives the same bytes."""
    date, time = source.ContentDate, source.ContentTime
    written.ContentDate = written.InstanceCreationDate = date
    written.ContentTime = written.InstanceCreationTime = time
    for equipment in written.ContributingEquipmentSequence:
        equipment.ContributionDateTime = date + time


def _source(path: Path, sha256: str) -> Any:
    """What an annotation needs to know of the slide's finest image, and nothing of its patient."""
    with open_slide(path) as slide:
        if slide.reader != "wsidicom":
            raise SlideError(f"{path.name}: {slide.format}, wanted a DICOM slide. Other slides have objects.geojson")
        if slide.sha256 != sha256:
            raise SlideError(f"{path.name}: its SHA-256 is {slide.sha256}, the result is of {sha256}. Give the slide that was analysed")
        images = [pydicom.dcmread(file, stop_before_pixels=True) for file in slide.files]
    finest = max((image for image in images if "VOLUME" in image.ImageType), key=lambda image: int(image.TotalPixelMatrixColumns))
    source = pydicom.Dataset()
    for name in _KEPT:
        setattr(source, name, finest[name].value)
    for name in _NOBODYS:
        setattr(source, name, "")
    source.ContentDate, source.ContentTime = finest.get("ContentDate", "19700101"), finest.get("ContentTime", "000000")
    source.ContainerIdentifier, source.SpecimenDescriptionSequence, source.IssuerOfTheContainerIdentifierSequence = "", [], []
    source.ContainerTypeCodeSequence = []
    return source


def _features(folder: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((folder / "objects.geojson").read_text(encoding="utf-8"))["features"]
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(f"{folder}/objects.geojson: can't be read ({error}). Run analyze again") from error
    return [feature for feature in found if feature["properties"]["objectType"] == "detection"]


def _groups(features: list[dict[str, Any]], document: dict[str, Any], image_uid: str) -> list[AnnotationGroup]:
    """One group a class, in the order in which classes first appear."""
    by_class: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for feature in features:
        by_class[feature["properties"]["classification"]["name"]].append(feature)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="biopsy-analyzer", version=document["software"]["biopsy-analyzer"], family=codes.DCM.ArtificialIntelligence
    )
    return [
        AnnotationGroup(
            number=number,
            uid=generate_uid(entropy_srcs=[image_uid, name, json.dumps(document["models"])]),
            label=name,
            annotated_property_category=codes.SCT.AnatomicalStructure,
            annotated_property_type=_property(name),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            graphic_type="POLYGON",
            graphic_data=[np.array(feature["geometry"]["coordinates"][0][:-1], np.float32) for feature in members],
            measurements=_measurements(members),
            description="Research use only, not for diagnosis",
        )
        for number, (name, members) in enumerate(by_class.items(), start=1)
    ]


def _property(name: str) -> Code:
    """A nucleus has a public code; no fibre state has."""
    kind, _, state = name.partition(": ")
    if kind == "Nucleus":
        return codes.SCT.Nucleus
    return Code(f"fibre-{state}"[:16], _SCHEME, f"Muscle fibre, {state}")


def _measurements(members: list[dict[str, Any]]) -> list[Measurements]:
    tables = [member["properties"]["measurements"] for member in members]
    return [
        Measurements(name=name or Code("probability", _SCHEME, "Probability of the class"), unit=unit, values=_column(tables, key))
        for key, (name, unit) in _MEASURED.items()
    ]


def _column(tables: list[dict[str, float]], key: str) -> np.ndarray:
    return np.array([table.get(key, np.nan) for table in tables], np.float32)
