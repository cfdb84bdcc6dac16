"""One section, from the slide to its scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from biopsy_analyzer.cli.options import Device, DeviceOption, Json, ModelsOption, Mpp
from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, progress_bar, write_out


def analyze(
    section: Annotated[Path, typer.Argument(metavar="SECTION", help="PNG, JPEG, TIFF, OME-TIFF, or pyramidal TIFF/SVS.")],
    mpp: Mpp = None,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Results go into OUT/<slide id>/.")] = Path("out"),
    device: DeviceOption = Device.auto,
    models: ModelsOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Json = False,
) -> None:
    """Analyse one section: fibres, nuclei, clusters, scores."""
    with errors_in_one_line(section.name or str(section), out):
        from biopsy_analyzer.report.atomic import check_writable
        from biopsy_analyzer.slide import open_slide

        with open_slide(section, um_per_px=mpp) as slide, progress_bar(hidden=quiet) as progress:
            check_writable(out)
            # after slide and folder are known to be good: torch takes seconds to import
            from biopsy_analyzer.models import load_models
            from biopsy_analyzer.pipeline import analyze_slide
            from biopsy_analyzer.report import write_result

            result = analyze_slide(slide, load_models(models, device), progress=progress)
        folder = write_result(result, out)

        from biopsy_analyzer.report.scores_json import scores_document
        from biopsy_analyzer.report.summary import summary_text

        document = scores_document(result)
        if as_json:
            write_out(json.dumps(document, indent=2, allow_nan=False))  # ASCII, whatever the terminal's encoding
        elif not quiet:
            write_out(f"{summary_text(document)}\n  {for_terminal(str(folder))}/: scores.json, tables, objects.geojson, overlay.png")
        if result.status == "refused":
            raise SlideError(" ".join(flag.message for flag in result.flags) + " Give a section with tissue on it")
