"""Models adapted to a laboratory's own corrections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from biopsy_analyzer.cli.options import Device, DeviceOption, Json, ModelsOption, SettingsOption, chosen_settings, need
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, progress_bar, write_out


def adapt(
    corrections: Annotated[list[Path], typer.Argument(metavar="CORRECTIONS...", help="Corrected result folders, or GeoJSON annotations.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="MODELS", help="Folder for the adapted models; give it to --models.")],
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the images of the corrections lie.")] = None,
    fine_tune: Annotated[
        float | None, typer.Option("--fine-tune", metavar="MINUTES", min=0.01, help="Also train the fibre network on corrected outlines.")
    ] = None,
    models: ModelsOption = None,
    device: DeviceOption = Device.auto,
    settings: SettingsOption = None,
    as_json: Json = False,
) -> None:
    """Fit the fibre states anew to corrections, on request the network too; shows before and after on corrections held out."""
    with errors_in_one_line("adapt", out):
        chosen = chosen_settings(settings)
        need("train", "sklearn", "matplotlib")
        from biopsy_analyzer.report.atomic import check_writable
        from biopsy_analyzer.training.adapt import adapt as run

        check_writable(out)
        with progress_bar(hidden=as_json) as progress:
            found = run(
                corrections, out, images=images, parent=models, fine_tune_minutes=fine_tune,
                device=device.value, settings=chosen, progress=progress,
            )  # fmt: skip
        write_out(json.dumps(found, indent=2, allow_nan=False) if as_json else f"{_text(found)}\n  {for_terminal(str(out))}/")


def _text(found: dict[str, Any]) -> str:
    """What an adaptation found, for the eye."""
    states = found["states"]
    counts = states["fibres"]
    held_out = states["held_out"]
    lines = [f"fibre states: {'parent kept' if states['kept_parent'] else 'adapted'}; {states['why']}"]
    lines.append(f"  {sum(counts['decided'].values())} fibres called by a reader, {sum(counts['left_as_called'].values())} left as called")
    if counts["not_measured"]:
        lines.append(f"  {counts['not_measured']} more can't teach: outlines by hand, stain or the network's view is not measured there")
    if found["repeated"]:
        lines.append(f"  given more than once, counted once: {for_terminal(', '.join(found['repeated']))}")
    lines.append(f"  held out: {held_out['by']}")
    titles = {"accuracy": "right, all", "accuracy_of_decided": "right, reader's calls", "log_loss": "log loss", "calibration_error": "ECE"}
    for name, title in titles.items():
        before, after = (f"{_figure(held_out[when][name])}" for when in ("before", "after"))
        lines.append(f"  {title:<22} {before}  ->  {after}")
    tuning = found["fibres"]
    if tuning:
        lines.append(f"fibre network: {'parent kept' if tuning['kept_parent'] else 'adapted'}; {tuning['why']}")
    return "\n".join([*lines, found["note"]])


def _figure(figure: dict[str, Any]) -> str:
    low, high = figure["ci95"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"
