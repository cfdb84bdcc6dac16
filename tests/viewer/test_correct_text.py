"""What the Correct tab says, word by word."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from biopsy_analyzer.viewer.correct_text import edit_text, scores_text

MACHINE: dict[str, Any] = {
    "scores": {
        "necrosis": {"measured": 0.125},
        "regeneration": {"measured": None},
        "inflammation": {"measured": 41.6},
        "balance": {"value": -0.5},
    },
    "pattern": {"label": "mixed <unsure>"},
    "fibres": {"segmented": 80, "assessable": 78},
}


def test_only_what_changed_is_bold() -> None:
    now = copy.deepcopy(MACHINE)
    now["scores"]["necrosis"]["measured"] = 0.15
    text = scores_text(MACHINE, now)
    assert text.count("<b>") == 1
    assert "12.5% of fibres&nbsp;&nbsp;</td><td><b>15.0% of fibres</b>" in text
    assert text.count("not assessed") == 2
    assert "42 cells per mm2" in text
    assert "-0.50" in text
    assert "80, 78 assessable" in text
    assert "mixed &lt;unsure&gt;" in text  # names are no markup


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"n": 3, "edit": "state", "fibres": [7, 9], "state": "necrotic"}, "3 state fibre 7, 9 necrotic"),
        ({"n": 4, "edit": "delete", "nuclei": [1, 2, 3, 4, 5]}, "4 delete nucleus 1, 2, 3, 4..."),
        ({"n": 5, "edit": "redraw", "fibre": 12}, "5 redraw fibre 12"),
        ({"n": 6, "edit": "draw", "made": [82], "state": "normal"}, "6 draw fibre 82 normal"),
        ({"n": 7, "edit": "unassessable"}, "7 unassessable region"),
    ],
)
def test_a_line_of_the_journal(line: dict[str, Any], text: str) -> None:
    assert edit_text(line | {"who": "Ana", "utc": "2026-01-02T03:04:05Z"}) == f"{text}  (Ana, 03:04:05 UTC)"
