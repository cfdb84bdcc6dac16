"""Make docs/images/report.jpg: the top of the report of a sample slide, which is a drawn section, as a browser shows it.

python docs/make_report.py [MODELS]; needs Chromium (Debian's package chromium) and playwright.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from biopsy_analyzer import analyze_slide, load_models, open_slide, write_result

ROOT = Path(__file__).resolve().parents[1]
WINDOW_PX, WIDTH_PX = (1200, 1900), 900


def main(models: Path | None) -> None:
    """Analyse, open in a browser, shrink."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        with open_slide(ROOT / "sample_slides" / "necrotizing.tif") as slide:
            written = write_result(analyze_slide(slide, load_models(models)), folder)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WINDOW_PX[0], "height": WINDOW_PX[1]})
        page.goto((written / "report.html").as_uri())
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    small = picture.resize((WIDTH_PX, round(picture.height * WIDTH_PX / picture.width)), Image.Resampling.LANCZOS)
    small.save(ROOT / "docs" / "images" / "report.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
