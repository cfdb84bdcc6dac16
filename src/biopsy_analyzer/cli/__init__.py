"""The command line: parse, call one function, print. Heavy imports stand inside the commands, so that --help is quick."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from biopsy_analyzer.cli.adapt import adapt
from biopsy_analyzer.cli.analyze import analyze
from biopsy_analyzer.cli.batch import batch
from biopsy_analyzer.cli.environment import doctor, sample, settings
from biopsy_analyzer.cli.feed import dicom, fhir, schema
from biopsy_analyzer.cli.report import report
from biopsy_analyzer.cli.score import agree, score
from biopsy_analyzer.cli.slides import info
from biopsy_analyzer.cli.training import draw, evaluate, train

app = typer.Typer(
    help="Reads H&E sections of skeletal muscle. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for command in (
    analyze,
    batch,
    report,
    score,
    agree,
    info,
    sample,
    doctor,
    settings,
    schema,
    fhir,
    dicom,
    draw,
    train,
    evaluate,
    adapt,
):
    app.command()(command)


def main() -> None:
    """Parse and run what sys.argv asks for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character shows its escape
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from biopsy_analyzer.versions import software_versions

        typer.echo("\n".join(f"{name} {version}" for name, version in software_versions().items()))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the versions that matter and stop.")
    ] = False,
) -> None:
    pass
