"""For programs that read results."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from biopsy_analyzer.cli.options import log_folder, need
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, write_out


class Release(StrEnum):
    """Releases of FHIR that are written."""

    R5 = "R5"
    R4B = "R4B"


def schema(
    version: Annotated[str | None, typer.Option("--version", metavar="X.Y", help="Of this version; without it of today's.")] = None,
) -> None:
    """Print the JSON Schema of scores.json."""
    with errors_in_one_line("schema", log_folder()):
        from biopsy_analyzer.report.schema import scores_schema
        from biopsy_analyzer.report.scores_json import SCHEMA_VERSION

        write_out(json.dumps(scores_schema(version or SCHEMA_VERSION), indent=1))


def fhir(
    folder: Annotated[Path, typer.Argument(metavar="RESULT", help="A result folder, which holds scores.json.")],
    release: Annotated[Release, typer.Option(help="Release of FHIR.")] = Release.R5,
) -> None:
    """Write a result as a FHIR Bundle: RESULT/fhir.json."""
    with errors_in_one_line(folder.name or str(folder), log_folder(folder)):
        from biopsy_analyzer.feed.fhir import write_fhir

        write_out(for_terminal(str(write_fhir(folder, release.value))))


def dicom(
    folder: Annotated[Path, typer.Argument(metavar="RESULT", help="A result folder of a DICOM slide.")],
    slide: Annotated[Path, typer.Argument(metavar="SLIDE", help="The slide: a DICOM file, or the folder of its series.")],
) -> None:
    """Write fibres and nuclei as DICOM annotations: RESULT/annotations.dcm."""
    with errors_in_one_line(folder.name or str(folder), log_folder(folder)):
        need("dicom", "highdicom")
        from biopsy_analyzer.feed.dicom import write_annotations

        write_out(for_terminal(str(write_annotations(folder, slide))))
