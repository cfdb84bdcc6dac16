"""The command line: parse, call one function, print. Heavy imports stand inside the commands, so that --help is quick."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from biopsy_analyzer.errors import BiopsyAnalyzerError, SlideError
from biopsy_analyzer.escaping import for_terminal

app = typer.Typer(
    help="Reads H&E sections of skeletal muscle. Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

LOG = "biopsy-analyzer.log"
"""Where the traceback of an unexpected error goes, in the output folder."""


def main() -> None:
    """Entry point of `biopsy-analyzer`."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from biopsy_analyzer import __version__

        typer.echo(f"biopsy-analyzer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    pass


@app.command()
def analyze(
    section: Annotated[Path, typer.Argument(help="PNG, JPEG, TIFF, OME-TIFF, or pyramidal TIFF/SVS.")],
    mpp: Annotated[float | None, typer.Option("--mpp", help="Edge of a pixel in um; wins over what the file states.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Results go into OUT/<slide id>/.")] = Path("out"),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    models: Annotated[Path | None, typer.Option(help="Folder of models; without it those that come with this version.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print scores.json instead of the summary.")] = False,
) -> None:
    """Analyse one section: fibres, nuclei, clusters, scores."""
    with _errors_in_one_line(section.name, out):
        from biopsy_analyzer.models import load_models
        from biopsy_analyzer.pipeline import analyze_slide
        from biopsy_analyzer.report import write_result
        from biopsy_analyzer.report.scores_json import scores_document, to_text
        from biopsy_analyzer.report.summary import summary_text
        from biopsy_analyzer.slide import open_slide

        with open_slide(section, um_per_px=mpp) as slide, _progress_bar(hidden=quiet) as progress:
            result = analyze_slide(slide, load_models(models, device), progress=progress)
        folder = write_result(result, out)
        document = scores_document(result)
        if as_json:
            sys.stdout.write(to_text(document))
        elif not quiet:
            typer.echo(f"{summary_text(document)}\n  {for_terminal(str(folder))}/: scores.json, tables, objects.geojson, overlay.png")
        if result.status == "refused":
            raise SlideError("; ".join(flag.message for flag in result.flags))


@app.command()
def draw(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the drawn sections.")],
    seed: Annotated[int, typer.Option(help="First seed; section k is drawn from seed + k.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    difficulty: Annotated[str, typer.Option(help="clean, usual or hard.")] = "usual",
) -> None:
    """Draw sections with known truth."""
    with _errors_in_one_line("draw", out):
        from biopsy_analyzer.training.draw import write_sections

        for path in write_sections(out, seed=seed, count=count, difficulty=difficulty):
            typer.echo(for_terminal(str(path)))


@contextmanager
def _errors_in_one_line(subject: str, log_folder: Path) -> Iterator[None]:
    """Turn an error into `ERROR subject: what. remedy` on stderr and its exit code; a traceback only ever goes to the log."""
    try:
        yield
    except BiopsyAnalyzerError as error:
        _fail(subject, str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail(subject, "interrupted", 130)
    except typer.Exit:
        raise
    except Exception as error:
        _fail(subject, f"unexpected {type(error).__name__}: {error}. Please report it with {_log_traceback(log_folder)}", 1)


def _fail(subject: str, message: str, exit_code: int) -> None:
    typer.echo(f"ERROR {for_terminal(subject)}: {for_terminal(message).rstrip('.')}.", err=True)
    raise typer.Exit(exit_code)


def _log_traceback(folder: Path) -> Path:
    """Append the current traceback to the log in `folder`, or in the system's temporary folder where that fails; gives its path."""
    import tempfile
    import traceback

    for place in (folder, Path(tempfile.gettempdir())):
        try:
            place.mkdir(parents=True, exist_ok=True)
            with (place / LOG).open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(traceback.format_exc())
            return place / LOG
        except OSError:
            continue
    return Path(LOG)


@contextmanager
def _progress_bar(hidden: bool) -> Iterator[Any]:
    """A bar on stderr with a line for each stage; gives the callback (stage, done, total) that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def move(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield move


if __name__ == "__main__":
    main()
