"""An evaluation on the screen."""

import io

from rich.console import Console

from biopsy_analyzer.training.evaluation_table import _print_images, _text


def test_names_of_images_are_no_markup() -> None:
    parts = dict.fromkeys(("fibres", "fibre_states", "nuclei", "nucleus_kinds"))
    image = {"name": "a[/bold]\x1b[31m", "um_per_px": 0.5, "held_out": None, "error": "b[/x]: No tissue", **parts}
    screen = io.StringIO()
    _print_images([image], Console(file=screen, width=200))
    assert "a[/bold]\\x1b[31m: nothing found, b[/x]: No tissue" in screen.getvalue()


def test_a_figure_without_interval_says_so() -> None:
    assert _text({"value": 0.91, "ci95": None, "n": 1}) == "0.910 (too few) n 1"
    assert _text({"value": None, "ci95": None, "n": 0}) == "- (n 0)"
