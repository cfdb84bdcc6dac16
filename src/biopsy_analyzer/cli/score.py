"""Scores once more from saved tables, and agreement between raters."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from biopsy_analyzer.cli.options import Json, SettingsOption, chosen_settings, log_folder
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, write_out

if TYPE_CHECKING:
    import pandas as pd


def score(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="Folder that holds scores.json and the tables.")],
    settings: SettingsOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="OUT", help="Write scores.json, tables and evidence there.")] = None,
    as_json: Json = False,
) -> None:
    """Score a result again from its tables, with its corrections or other settings, and say what changed."""
    with _no_collection(), errors_in_one_line(result.name or str(result), out or log_folder(result)):
        from biopsy_analyzer.report.saved import Saved, read_saved
        from biopsy_analyzer.report.summary import summary_text
        from biopsy_analyzer.rescore import changes_text, score_again, write_rescored

        wanted = None if settings is None else chosen_settings(settings)
        saved = read_saved(result)
        before = saved.document
        if (result / "corrections.jsonl").is_file():  # corrections.journal.NAME: asking for it would load what most results don't need
            from biopsy_analyzer.corrections import Corrections
            from biopsy_analyzer.corrections.export import corrected_document

            corrected = Corrections.open(result)
            saved = Saved(result, corrected_document(corrected), corrected.fibres, corrected.nuclei, corrected.clusters)
        found = score_again(saved, wanted, before)
        if out is not None:
            write_rescored(found, out)
        if as_json:
            changes = [{"where": change.where, "before": change.before, "after": change.after} for change in found.changes]
            write_out(json.dumps({"changes": changes, "scores": found.document}, indent=2, allow_nan=False))
        else:
            write_out(f"{summary_text(found.document)}\n  changed       {len(found.changes)}\n{changes_text(found.changes)}")


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
