"""What the Correct tab says: the machine's scores beside those of now, and a line for each edit. No Qt."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any


def scores_text(machine: dict[str, Any], now: dict[str, Any]) -> str:
    """The machine's axes and pattern beside those of now, as Qt's rich text; what changed stands in bold."""
    rows = []
    for name, show in _SHOWN.items():
        before, after = show(machine), show(now)
        shown = html.escape(after) if before == after else f"<b>{html.escape(after)}</b>"
        rows.append(f"<tr><td>{name}&nbsp;&nbsp;</td><td>{html.escape(before)}&nbsp;&nbsp;</td><td>{shown}</td></tr>")
    return f"<table><tr><td></td><td><i>machine&nbsp;&nbsp;</i></td><td><i>now</i></td></tr>{''.join(rows)}</table>"


def edit_text(line: dict[str, Any]) -> str:
    """One line of the journal for the list."""
    ids = line.get("fibres") or line.get("nuclei") or ([line["fibre"]] if "fibre" in line else line.get("made", []))
    kind = "nucleus" if "nuclei" in line else "region" if line["edit"] == "unassessable" else "fibre"
    called = line.get("state") or line.get("type") or ""
    parts = [str(line.get("n", "")), line["edit"], kind, ", ".join(map(str, ids[:4])) + ("..." if len(ids) > 4 else ""), called]
    return " ".join(part for part in parts if part) + f"  ({line['who']}, {line['utc'][11:19]} UTC)"


def _share(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda document: _of(document["scores"][name]["measured"], "{:.1%} of fibres")


def _of(value: float | None, form: str) -> str:
    return "not assessed" if value is None else form.format(value)


_SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "necrosis": _share("necrosis"),
    "regeneration": _share("regeneration"),
    "inflammation": lambda document: _of(document["scores"]["inflammation"]["measured"], "{:.0f} cells per mm2"),
    "balance": lambda document: _of(document["scores"]["balance"]["value"], "{:+.2f}"),
    "pattern": lambda document: str(document["pattern"]["label"]),
    "fibres": lambda document: f"{document['fibres']['segmented']}, {document['fibres']['assessable']} assessable",
}
