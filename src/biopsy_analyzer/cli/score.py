"""Scores once more from saved tables, and agreement between raters."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from biopsy_analyzer.cli.options import Json, SettingsOption, chosen_settings, log_folder
from biopsy_analyzer.errors import BiopsyAnalyzerError, OutputError, UsageError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, write_error, write_out

if TYPE_CHECKING:
    import pandas as pd

    from biopsy_analyzer.batch.rescored import Listed
    from biopsy_analyzer.rescore import Change, Rescored
    from biopsy_analyzer.settings import Settings

OUT_HELP = (
    "Of one RESULT: scores.json, tables and evidence go into OUT itself. "
    "Of several: into OUT/<slide id>/, and the tables over all slides into OUT."
)


def score(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULT...", help="Folder that holds scores.json and the tables; several, or a folder of them.")
    ],
    settings: SettingsOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="OUT", help=OUT_HELP)] = None,
    as_json: Json = False,
) -> None:
    """Score results again from their tables, with their corrections or other settings, and say what changed."""
    one = len(results) == 1 and ((results[0] / "scores.json").is_file() or not any(results[0].glob("*/scores.json")))
    subject = results[0].name or str(results[0]) if one else "score"
    with _no_collection(), errors_in_one_line(subject, out or log_folder(results[0])):
        wanted = None if settings is None else chosen_settings(settings)
        if not one:
            raise SystemExit(_score_many(results, wanted, out, as_json))
        from biopsy_analyzer.batch.rescored import read_corrected
        from biopsy_analyzer.report.summary import summary_text
        from biopsy_analyzer.rescore import changes_text, score_again, write_rescored

        saved, before = read_corrected(results[0])
        found = score_again(saved, wanted, before)
        if out is not None:
            write_rescored(found, out)
        if as_json:
            told = {"settings": _plain(found.settings), "changes": _plain(found.changes), "scores": found.document}
            write_out(json.dumps(told, indent=2, allow_nan=False))
        else:
            others = f"\n{changes_text(found.settings)}" if found.settings else ""
            write_out(f"{summary_text(found.document)}{others}\n  changed       {len(found.changes)}\n{changes_text(found.changes)}")


def _score_many(folders: list[Path], settings: Settings | None, out: Path | None, as_json: bool) -> int:
    """Score all results in `folders`; gives the exit code: 3 where one couldn't be scored, 4 where none could.

    All are scored and the tables written, also where nobody reads what is printed; that is told at the end.
    """
    from biopsy_analyzer.batch.rescored import find_listed, rescore_all
    from biopsy_analyzer.rescore import Rescored, headline

    told: list[dict[str, Any]] = []
    scored, failed = 0, 0
    unread: OutputError | None = None

    def tell(slide: Listed, found: Rescored | BiopsyAnalyzerError) -> None:
        nonlocal scored, failed, unread
        if not isinstance(found, Rescored):
            failed += 1
            write_error(slide.job.id, str(found))
            return
        scored += found.document["status"] != "refused"
        if as_json:
            told.append({"slide_id": slide.job.id, "settings": _plain(found.settings), "changes": _plain(found.changes)})
            return
        try:
            write_out(for_terminal(f"{slide.job.id}: {headline(found)}"))
        except OutputError as error:
            unread = error

    slides = find_listed(folders)
    rescore_all(slides, settings, out, tell)
    if unread is not None:
        raise unread
    counts = {"scored": scored, "failed": failed, "not_analysed": len(slides) - scored - failed}
    if as_json:
        write_out(json.dumps({"results": told, **counts}, indent=2, allow_nan=False))
    else:
        besides = f", {counts['not_analysed']} not analysed" if counts["not_analysed"] else ""
        write_out(f"{scored} scored, {failed} failed{besides}. Research use only, not for diagnosis.")
    return 4 if not scored else 3 if failed else 0


def _plain(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [{"where": change.where, "before": change.before, "after": change.after} for change in changes]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage is not looked for among modules that were just loaded, nor at the end: a fifth of the time of so short a command."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def agree(
    ratings: Annotated[
        list[Path], typer.Argument(metavar="RATINGS...", help="CSVs of rater, slide_id, item, value, or a folder of results.")
    ],
    as_json: Json = False,
) -> None:
    """Agreement between raters, people or machine: ICC(2,1), weighted kappa, Bland-Altman, with 95 % intervals."""
    with errors_in_one_line("agree", log_folder()):
        import pandas as pd

        from biopsy_analyzer.agree import agreement, agreement_text, read_ratings
        from biopsy_analyzer.agree import as_json as plain

        found = agreement(pd.concat([_machine(path) if path.is_dir() else read_ratings(path) for path in ratings], ignore_index=True))
        write_out(json.dumps(plain(found), indent=2, allow_nan=False) if as_json else _for_terminal(agreement_text(found)))


def _for_terminal(text: str) -> str:
    """Names come from files of others: no control characters reach the terminal."""
    return "\n".join(for_terminal(line) for line in text.splitlines())


def _machine(folder: Path) -> pd.DataFrame:
    """Ratings by the machine from the results in `folder`: what a rater is asked for too."""
    import pandas as pd

    from biopsy_analyzer.report.saved import read_document

    rows = []
    for path in sorted(folder.glob("**/scores.json")):
        if path.parent.name == "corrected":  # by a person's hand: no machine's rating
            continue
        document = read_document(path.parent)
        axes = document["scores"]
        values = {
            "necrotic_percent": None if axes["necrosis"]["measured"] is None else 100 * axes["necrosis"]["measured"],
            "regeneration": axes["regeneration"]["grade"],
            "inflammation": axes["inflammation"]["grade"],
            "pattern": document["pattern"]["label"],
        }
        rows += [("machine", document["slide"]["id"], item, str(value)) for item, value in values.items() if value is not None]
    if not rows:
        raise UsageError(f"{folder}: no result in it; wanted folders with scores.json, or CSVs of rater, slide_id, item, value")
    return pd.DataFrame(rows, columns=["rater", "slide_id", "item", "value"])
