"""An evaluation as tables for the eye, in the 80 columns that a terminal or a pipe has at least."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from biopsy_analyzer.escaping import for_terminal

_SEGMENTATION = {
    "f1_50": "F1 at IoU 0.5",
    "precision50": "precision, IoU 0.5",
    "recall50": "recall, IoU 0.5",
    "f1_75": "F1 at IoU 0.75",
    "precision75": "precision, IoU 0.75",
    "recall75": "recall, IoU 0.75",
    "mean_iou": "mean IoU of hits",
    "dice": "foreground Dice",
    "panoptic_quality": "panoptic quality",
    "area_bias": "area bias",
}
_TITLES = {
    "macro_f1": "macro F1 of those found",
    "macro_f1_end_to_end": "macro F1, end to end",
}
_CLASSES = {
    "fibre_states": "Fibre states",
    "nucleus_kinds": "Nucleus kinds",
    "nucleus_types": "Nucleus types",
    "marked_nuclei": "Marked nuclei",
}


def print_evaluation(evaluation: dict[str, Any], console: Console | None = None) -> None:
    """Print what `evaluate` returned: figures with their intervals and n, confusions, and a line per image."""
    console = console or Console()
    _print_parts(evaluation, console, f"Judged on {evaluation['judged_on']}")
    if evaluation["trained_on"]:
        _print_parts(evaluation["trained_on"], console, "The images trained on, which prove nothing")
    _print_images(evaluation["images"], console)
    for note in evaluation["notes"]:
        console.print(f"Note: {_shown(note)}", soft_wrap=True)
    console.print(f"Intervals: {evaluation['interval']}. {evaluation['note']}")


def _print_parts(evaluation: dict[str, Any], console: Console, heading: str) -> None:
    console.print(f"\n[bold]{heading}[/bold]")
    found = {part: evaluation[part] for part in ("fibres", "nuclei") if evaluation[part]}
    if found:
        table = _table("", *found, title="Objects")
        for key, title in _SEGMENTATION.items():
            table.add_row(title, *(_text(part["figures"][key]) for part in found.values()))
        for key in ("truth", "found", "missed", "false"):
            table.add_row(f"objects: {key}", *(str(part["counts"][key]) for part in found.values()))
        console.print(table)
    for key, title in _CLASSES.items():
        if evaluation[key]:
            _print_classes(evaluation[key], title, console)
    if evaluation["calibration"]:
        _print_calibration(evaluation["calibration"], console)
    if evaluation["internal_nuclei"]:
        _print_figures(evaluation["internal_nuclei"]["figures"], "Internal nuclei, by matched fibre", console)


def _print_classes(part: dict[str, Any], title: str, console: Console) -> None:
    """The confusion, without the columns that are empty, and recall and precision short; their intervals stand in the JSON."""
    cells, figures = part["confusion"], part["figures"]
    names, counts = cells["columns_found"], cells["counts"]
    shown = [i for i, name in enumerate(names) if name in cells["rows_truth"] or any(row[i] for row in counts)]
    found = (_brief(names[i]) for i in shown)
    table = _table(Column("truth \\ found", no_wrap=True), *found, "recall", "precis.", title=title, gap=0)
    for name, row in zip(cells["rows_truth"], counts, strict=True):
        own = [_short(figures[f"{figure} {name}"]) if f"{figure} {name}" in figures else "" for figure in ("recall", "precision")]
        table.add_row(name, *(str(row[i]) for i in shown), *own)
    console.print(table)
    _print_figures({name: figure for name, figure in figures.items() if " " not in name}, title, console)


def _print_figures(figures: dict[str, Any], title: str, console: Console) -> None:
    table = _table("", "value", title=title)
    for name, figure in figures.items():
        table.add_row(_TITLES.get(name, name.replace("_", " ")), _text(figure))
    console.print(table)


def _print_calibration(part: dict[str, Any], console: Console) -> None:
    columns = ("stated", "right", "error (ECE)", "of calibrated calls")
    table = _table("", *columns, title="Calibration of fibre states")
    for name, title in (("calls", "called state"), ("sick", "sick")):
        one = part[name]
        by_chance = one["ece_if_calibrated"]
        table.add_row(
            title,
            f"{one['stated']:.3f}",
            f"{one['right']:.3f}",
            _text(one["ece"]),
            f"{by_chance['mean']:.3f}, 95 % < {by_chance['p95']:.3f}",
        )
    console.print(table)


def _print_images(images: list[dict[str, Any]], console: Console) -> None:
    figures = ("um/px", "held out", "fibre F1", "at 0.75", "state F1", "end to end", "nucleus F1", "kind F1")
    table = _table(Column("image", no_wrap=True, overflow="fold"), *figures, title="By image")
    for image in images:
        keys = (
            ("fibres", "f1_50"),
            ("fibres", "f1_75"),
            ("fibre_states", "macro_f1"),
            ("fibre_states", "macro_f1_end_to_end"),
            ("nuclei", "f1_50"),
            ("nucleus_kinds", "macro_f1"),
        )
        cells = [_short(image[part]["figures"][key]) if image[part] else "-" for part, key in keys]
        held_out = {True: "yes", False: "no", None: "-"}[image["held_out"]]
        table.add_row(_shown(image["name"]), f"{image['um_per_px']:.3g}", held_out, *cells)
    console.print(table)
    console.print("State F1 and kind F1: mean over the classes among objects found. End to end: missed objects and false finds count")
    for image in images:
        if image["error"]:
            console.print(f"[bold]{_shown(image['name'])}[/bold]: nothing found, {_shown(image['error'])}")


def _table(*columns: str | Column, title: str, gap: int = 1) -> Table:
    """A table with its title on the left; `gap`: blanks between columns besides the one that is always there."""
    return Table(*columns, title=f"\n{title}", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap, 0, 0))


def _brief(name: str) -> str:
    """A class as the head of a column, at most eight letters; rows give it whole."""
    return name if len(name) <= 8 else f"{name[:7]}."


def _shown(text: str) -> str:
    """Text from outside as it is: neither rich's markup, nor control characters for the terminal."""
    return escape(for_terminal(text))


def _short(figure: dict[str, Any]) -> str:
    return "-" if figure["value"] is None else f"{figure['value']:.3f}"


def _text(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"- (n {figure['n']})"
    span = "{:.3f}..{:.3f}".format(*figure["ci95"]) if figure["ci95"] else "too few"
    return f"{figure['value']:.3f} ({span}) n {figure['n']}"
