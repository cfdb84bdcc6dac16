"""Make docs/images/overlay.jpg, the README's picture: the overlay of a sample slide by the models that come with this version.

python docs/make_overlay.py [MODELS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from biopsy_analyzer import analyze_slide, load_models, open_slide, write_result

ROOT = Path(__file__).resolve().parents[1]
WIDTH_PX = 1100


def main(models: Path | None) -> None:
    """Analyse and shrink; a JPEG, because a section as PNG takes several MB."""
    with tempfile.TemporaryDirectory() as folder:
        with open_slide(ROOT / "sample_slides" / "necrotizing.tif") as slide:
            written = write_result(analyze_slide(slide, load_models(models)), folder)
        picture = Image.open(written / "overlay.png").convert("RGB")
    small = picture.resize((WIDTH_PX, round(picture.height * WIDTH_PX / picture.width)), Image.Resampling.LANCZOS)
    small.save(ROOT / "docs" / "images" / "overlay.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
