"""The same drawn square, written as PNG, DICOM and MIRAX by the tests' writers, read back and analysed: what a format changes.

    python benchmarks/formats.py

Wants the extra `openslide`. The middle 1024 x 1024 px of sample_slides/necrotizing.tif, 0.26 mm2; JPEG in DICOM and MIRAX.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from biopsy_analyzer import analyze_slide, load_models, open_slide, sample_slide
from biopsy_analyzer.training.draw.write import write_png

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from dicom_slides import write_dicom
from vendor_slides import UM_PER_PX, write_mrxs

EDGE_PX = 1024


def square() -> np.ndarray:
    """uint8 (EDGE_PX, EDGE_PX, 3) of UM_PER_PX."""
    with open_slide(sample_slide("necrotizing")) as slide:
        assert slide.um_per_px == UM_PER_PX
        y, x = ((edge - EDGE_PX) // 2 for edge in slide.shape)
        return slide.read(slide.grid().crop(y, x, EDGE_PX, EDGE_PX))


def main() -> None:
    models = load_models(device="cpu")
    print(f"fibres {models.fibres.sha256[:8]}, nuclei {models.nuclei.sha256[:8]}, states {models.states.card['sha256'][:8]}")
    with TemporaryDirectory() as folder:
        rgb, png, mirax = square(), Path(folder) / "a.png", Path(folder) / "a.mrxs"
        write_png(png, rgb)
        write_mrxs(mirax, rgb)
        for path in (png, write_dicom(Path(folder) / "dicom", rgb)[0], mirax):
            with open_slide(path, um_per_px=UM_PER_PX) as slide:
                result = analyze_slide(slide, models)
            necrotic = int((result.fibres["assessable"] & (result.fibres["state"] == "necrotic")).sum())
            necrosis = result.axes.necrosis.value
            print(f"{path.suffix:6} {len(result.fibres)} fibres, {necrotic} necrotic; necrosis {necrosis:.2f}")


if __name__ == "__main__":
    main()
