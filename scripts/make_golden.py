#!/usr/bin/env python
"""Make the files by which `biopsy-analyzer doctor` tests the installed readers: one picture of known colours, as each reader gets it.

Run by hand with tests/ on PYTHONPATH, and only for a new format: the files are committed, since what they test is decoding alone.
"""

import io

import tifffile
from PIL import Image
from pydicom import dcmread

import dicom_slides
import vendor_slides
from biopsy_analyzer.doctor import GOLDEN, UM_PER_PX, golden_picture

vendor_slides.CANARY = dicom_slides.CANARY = "golden"  # no patient, not even a made-up one


def main() -> None:
    """Write all of them."""
    image = golden_picture()
    GOLDEN.mkdir(exist_ok=True)
    Image.fromarray(image).save(GOLDEN / "golden.png", optimize=True)
    (GOLDEN / "golden.jpg").write_bytes(vendor_slides.jpeg(image))
    (GOLDEN / "golden.jp2").write_bytes(dicom_slides.jpeg2000(image))
    for compression in ("jpeg", "jpeg2000", "zlib"):
        placed = {"tile": (128, 128), "resolution": (10_000 / UM_PER_PX,) * 2, "resolutionunit": "CENTIMETER"}
        written = io.BytesIO()
        tifffile.imwrite(written, image, photometric="rgb", compression=compression, metadata=None, **placed)
        (GOLDEN / f"golden_{compression}.tif").write_bytes(written.getvalue())
    vendor_slides.write_scn(GOLDEN / "golden.scn", image)
    first, *others = dicom_slides.write_dicom(GOLDEN, image)
    nobody = dcmread(first)
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName"):
        setattr(nobody, name, "")
    nobody.ContainerIdentifier = "golden"
    nobody.save_as(GOLDEN / "golden.dcm", enforce_file_format=True)
    first.unlink()
    for other in others:
        other.unlink()


if __name__ == "__main__":
    main()
