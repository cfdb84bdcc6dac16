"""The report for people, made again from results that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from biopsy_analyzer.cli.options import log_folder
from biopsy_analyzer.errors import ResultError, UsageError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, write_error, write_out


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Result folders OUT/<slide id>, or OUT for the index of all.")],
    slide: Annotated[Path | None, typer.Option(metavar="FILE", help="The slide of the one result, to take its pictures anew.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder for the page, instead of FOLDER itself.")] = None,
) -> None:
    """Make report.html of a result, or index.html of a folder of results, from the files that are there."""
    if len(folders) > 1 and (slide or out):
        with errors_in_one_line("report", log_folder()):
            raise UsageError(f"{len(folders)} folders; --slide and -o are for one. Give one folder")
    exit_code = 0
    for folder in folders:
        with errors_in_one_line(str(folder), out or log_folder(folder)):
            try:
                write_out(for_terminal(str(_make(folder, slide, out or folder))))
            except ResultError as error:  # the others may be read
                write_error(str(folder), str(error))
                exit_code = error.exit_code
    if exit_code:
        raise SystemExit(exit_code)


def _make(folder: Path, slide_file: Path | None, out: Path) -> Path:
    from biopsy_analyzer.report.atomic import check_writable
    from biopsy_analyzer.report.html import write_index, write_report
    from biopsy_analyzer.report.saved import read_saved

    if not (folder / "scores.json").is_file() and any(folder.glob("*/scores.json")):
        if slide_file or out != folder:
            raise UsageError("an index lies beside its results, and has no slide. Leave out --slide and -o, or give one result")
        check_writable(out)
        return write_index(folder)
    saved = read_saved(folder)
    check_writable(out)
    if slide_file is None:
        return write_report(saved, out)
    from biopsy_analyzer.report.pictures import take_pictures
    from biopsy_analyzer.slide import open_slide

    with open_slide(slide_file, um_per_px=saved.document["slide"]["um_per_px"]) as slide:
        take_pictures(slide, saved)
    return write_report(saved, out)
