"""What was understood of a slide, before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from biopsy_analyzer.cli.options import Json, Mpp, log_folder
from biopsy_analyzer.errors import BiopsyAnalyzerError
from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.terminal import errors_in_one_line, write_error, write_out


def info(
    slides: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Slides of any format; a DICOM slide also as its folder.")],
    mpp: Mpp = None,
    as_json: Json = False,
) -> None:
    """Show what is understood of slides: format, size, pixel size, levels, tissue, and what is wrong. Nothing about the patient."""
    with errors_in_one_line("info", log_folder()):
        found = [_described(path, mpp) for path in slides]
        if as_json:
            write_out(json.dumps(found, indent=2, allow_nan=False))
        else:
            for slide in found:
                if "format" in slide:  # of another there is nothing to tell but what is wrong
                    write_out(_text(slide))
        codes = {slide["exit_code"] for slide in found} - {0}
        for slide in found:
            if slide["problem"]:
                write_error(slide["file"], slide["problem"])
        if codes:
            raise SystemExit(codes.pop() if len(codes) == 1 else 3)


def _described(path: Path, mpp: float | None) -> dict[str, Any]:
    from biopsy_analyzer.settings import Settings
    from biopsy_analyzer.slide.describe import describe, open_even_without_pixel_size
    from biopsy_analyzer.tissue.mask import find_tissue
    from biopsy_analyzer.tissue.quality import NO_TISSUE

    try:
        slide, problem = open_even_without_pixel_size(path, mpp)
        with slide:
            found = describe(slide, problem)
            area_mm2 = None if problem else find_tissue(slide, Settings().tissue).area_mm2
            found["tissue_mm2"] = area_mm2 and round(area_mm2, 3)
            problem = f"{slide.file_name}: {NO_TISSUE} Give a section with tissue on it" if area_mm2 == 0 else problem
            found["damaged_tiles_met"] = slide.damaged_tiles
        return {**found, "problem": problem, "exit_code": 3 if problem else 0}
    except BiopsyAnalyzerError as error:
        return {"file": path.name or str(path), "problem": str(error), "exit_code": error.exit_code}


def _text(found: dict[str, Any]) -> str:
    width, height = found["size_px"]
    um = found["um_per_px"]
    lines = [
        for_terminal(found["file"]),
        f"  format       {found['format']}, {found['compression']}, read by {found['reader']}",
        f"  size         {width} x {height} px" + (f", {found['size_mm'][0]:g} x {found['size_mm'][1]:g} mm" if um else ""),
        f"  pixel size   {um:.4g} um/px ({found['um_per_px_source']})" if um else "  pixel size   unknown",
        f"  levels       {'; '.join(_level(level) for level in found['levels'])}",
        f"  files        {found['files']}, {_size(found['bytes'])}; as pixels {_size(found['decoded_bytes'])}, of which "
        f"{_size(found['held_in_memory_bytes'])} must be held in memory",
        f"  ICC profile  {'recorded (SHA-256 ' + found['icc_sha256'][:12] + '...), not applied' if found['icc_sha256'] else 'none'}",
        f"  tissue       about {found['tissue_mm2']:g} mm2" if found["tissue_mm2"] is not None else "  tissue       not looked for",
    ]
    if found["damaged_tiles_met"]:
        lines.append(f"  damaged      {found['damaged_tiles_met']} tiles met that can't be decoded")
    lines += [f"  note         {note}" for note in found["notes"]]
    lines.append(f"  problem      {for_terminal(found['problem'])}" if found["problem"] else "  problem      none found")
    return "\n".join(lines)


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count else "nothing"


def _level(level: dict[str, Any]) -> str:
    size = f" at {level['um_per_px']:.3g} um/px" if level["um_per_px"] else ""
    return f"{level['size_px'][0]} x {level['size_px'][1]}{size} in tiles of {level['tile_px'][0]} x {level['tile_px'][1]}"
