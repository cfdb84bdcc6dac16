"""For programs that read results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from biopsy_analyzer.terminal import errors_in_one_line, write_out


def schema(
    version: Annotated[str | None, typer.Option("--version", metavar="X.Y", help="Of this version; without it of today's.")] = None,
) -> None:
    """Print the JSON Schema of scores.json."""
    with errors_in_one_line("schema", Path()):
        from biopsy_analyzer.report.schema import scores_schema
        from biopsy_analyzer.report.scores_json import SCHEMA_VERSION

        write_out(json.dumps(scores_schema(version or SCHEMA_VERSION), indent=1))
