"""Models adapted to a laboratory's own corrections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from biopsy_analyzer.cli.options import Device, DeviceOption, Json, ModelsOption, Mpp, SettingsOption, chosen_settings, need
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, progress_bar, write_out


def adapt(
    corrections: Annotated[list[Path], typer.Argument(metavar="CORRECTIONS...", help="Corrected result folders, or GeoJSON annotations.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="MODELS", help="Folder for the adapted models; give it to --models.")],
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the images of the corrections lie.")] = None,
    fine_tune: Annotated[
        float | None, typer.Option("--fine-tune", metavar="MINUTES", min=0.01, help="Also train the fibre network on corrected outlines.")
    ] = None,
    mpp: Mpp = None,
    models: ModelsOption = None,
    device: DeviceOption = Device.auto,
    settings: SettingsOption = None,
    as_json: Json = False,
) -> None:
    """Fit the fibre states anew to corrections, on request the network too; shows before and after on corrections held out."""
    with errors_in_one_line("adapt", out):
        chosen = chosen_settings(settings)
        need("train", "sklearn", "matplotlib")
        from biopsy_analyzer.report.atomic import writable
        from biopsy_analyzer.training.adapt import adapt as run

        with writable(out), progress_bar(hidden=as_json) as progress:
            found = run(
                corrections, out, images=images, um_per_px=mpp, parent=models, fine_tune_minutes=fine_tune,
                device=device.value, settings=chosen, progress=progress,
            )  # fmt: skip
        write_out(json.dumps(found, indent=2, allow_nan=False) if as_json else f"{_text(found)}\n  {for_terminal(str(out))}/")


def _text(found: dict[str, Any]) -> str:
    """What an adaptation found, for the eye."""
    states, tuning = found["states"], found["fibres"]
    counts = states["fibres"]
    lines = [f"fibre states: {'parent kept' if states['kept_parent'] else 'adapted'}; {states['why']}"]
    told = f"  {sum(counts['decided'].values())} fibres called by a reader, {counts['contradicted']} of them otherwise than by the parent"
    lines.append(f"{told}; {sum(counts['left_as_called'].values())} left as called")
    if counts["not_measured"]:
        lines.append(f"  {counts['not_measured']} more can't teach: outlines by hand, stain or the network's view is not measured there")
    if found["repeated"]:
        lines.append(f"  given more than once, counted once: {for_terminal(', '.join(found['repeated']))}")
    lines += [f"  {for_terminal(note)}" for note in found["notes"]]
    if states["held_out"]:
        lines += [*_held_out(states["held_out"]), *_known(states["known"])]
    if tuning:
        lines.append(f"fibre network: {'parent kept' if tuning['kept_parent'] else 'adapted'}; {tuning['why']}")
        lines += _known(tuning["states"]) if tuning["states"] else []
    return "\n".join([*lines, found["note"]])


def _held_out(held_out: dict[str, Any]) -> list[str]:
    titles = {
        "accuracy": "right, all",
        "accuracy_of_decided": "right, reader's calls",
        "log_loss": "log loss, reader's",
        "calibration_error": "ECE, reader's",
    }
    rows = [(title, *(_figure(held_out[when][name]) for when in ("before", "after"))) for name, title in titles.items()]
    return [f"  held out: {held_out['by']}", *(f"  {title:<22} {before}  ->  {after}" for title, before, after in rows)]


def _known(known: dict[str, Any]) -> list[str]:
    """Figures on drawn sections before and after."""
    before, after = known["before"], known["after"]
    titles = {"normal_called_sick": "normal called sick", "sick_misread": "sick not called so", "calibration_error": "ECE"}
    rows = [f"  {title:<22} {_share(before[name])}  ->  {_share(after[name])}" for name, title in titles.items()]
    return [f"  drawn sections: {before['normal']} normal and {before['sick']} sick fibres", *rows]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _figure(figure: dict[str, Any]) -> str:
    low, high = figure["ci95"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"
