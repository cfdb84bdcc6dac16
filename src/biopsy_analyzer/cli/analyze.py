"""One section, from the slide to its scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from biopsy_analyzer.cli.options import Device, DeviceOption, Fhir, Json, ModelsOption, Mpp, SettingsOption, chosen_settings
from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, progress_bar, write_out


def analyze(
    section: Annotated[Path, typer.Argument(metavar="SECTION", help="A slide: SVS, TIFF, DICOM, PNG, JPEG and more, see info.")],
    mpp: Mpp = None,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The result's parent: it goes into OUT/<slide id>/.")] = Path(
        "out"
    ),
    device: DeviceOption = Device.auto,
    models: ModelsOption = None,
    settings: SettingsOption = None,
    fhir: Fhir = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Json = False,
) -> None:
    """Analyse one section: fibres, nuclei, clusters, scores."""
    with errors_in_one_line(section.name or str(section), out):
        from biopsy_analyzer.batch.one import analyze_file
        from biopsy_analyzer.report.summary import summary_text

        chosen = chosen_settings(settings)
        with progress_bar(hidden=quiet) as progress:
            analysed = analyze_file(section, out, um_per_px=mpp, models=models, device=device, settings=chosen, progress=progress)
        if fhir:
            from biopsy_analyzer.feed.fhir import write_fhir

            write_fhir(analysed.folder)
        if as_json:
            write_out(json.dumps(analysed.document, indent=2, allow_nan=False))  # ASCII, whatever the terminal's encoding
        elif not quiet:
            folder = for_terminal(str(analysed.folder))
            write_out(f"{summary_text(analysed.document)}\n  {folder}/: report.html, scores.json, tables, objects.geojson, overlay.png")
        if analysed.refusal:
            raise SlideError(analysed.refusal)
