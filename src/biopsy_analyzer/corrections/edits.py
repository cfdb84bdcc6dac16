"""What a reader may correct: each edit as the journal holds it, done to a book. Edits that can't be done raise UsageError and name why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from skimage.measure import points_in_poly

from biopsy_analyzer.corrections.book import ID, Book, Kind
from biopsy_analyzer.corrections.edited_labels import Box
from biopsy_analyzer.corrections.follow import BY_HAND
from biopsy_analyzer.corrections.measuring import Measuring
from biopsy_analyzer.corrections.outline import cut, filled, joined, largest_piece
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import FIBRE_STATES, FIBRES, NUCLEUS_KINDS, NUCLEUS_TYPES, STATE_MAPS, STATE_PROBABILITIES

UNASSESSABLE = "unassessable"
CLEFT_UM = 8.0
"""Pieces at most so far apart are one fibre when a reader merges them: the widest cleft that freezing makes in one. Prior."""


@dataclass(frozen=True)
class Desk:
    """What an edit works with."""

    book: Book
    measuring: Measuring
    settings: Settings

    @property
    def min_px(self) -> float:
        return self.settings.segment.min_fibre_um2 / self.book.labels["fibres"].grid.um_per_px ** 2


def set_state(desk: Desk, edit: dict[str, Any]) -> str:
    """fibres, state: one of FIBRE_STATES or "unassessable"."""
    rows = desk.book.rows("fibres", edit["fibres"])
    desk.book.put("fibres", _with_state(rows, edit["state"], _told_before(rows)))
    return f"{_named('fibre', edit['fibres'])}: {edit['state']}"


def set_type(desk: Desk, edit: dict[str, Any]) -> str:
    """nuclei, type: one of NUCLEUS_TYPES."""
    kind = edit["type"]
    if kind not in NUCLEUS_TYPES:
        raise UsageError(f"no nucleus type {kind!r}; wanted one of {', '.join(NUCLEUS_TYPES)}")
    rows = desk.book.rows("nuclei", edit["nuclei"])
    own = "muscle" if kind in ("myonucleus", "internal") else kind
    reasons = [f"{BY_HAND}: {kind}; before {was} ({p:.2f})" for was, p in zip(rows["type"], rows["probability"], strict=True)]
    desk.book.put(
        "nuclei", rows.assign(type=kind, probability=1.0, reason=reasons, **{f"p_{name}": float(name == own) for name in NUCLEUS_KINDS})
    )
    return f"{_named('nucleus', edit['nuclei'])}: {kind}"


def delete(desk: Desk, edit: dict[str, Any]) -> str:
    """fibres or nuclei: what is no fibre, or no nucleus."""
    kind: Kind = "fibres" if "fibres" in edit else "nuclei"
    desk.book.rows(kind, edit[kind])
    desk.book.remove(kind, edit[kind])
    return f"{_named(ID[kind].removesuffix('_id'), edit[kind])}: deleted"


def split(desk: Desk, edit: dict[str, Any]) -> str:
    """fibre, line_um (k, 2): cut along a line drawn through it; the largest piece keeps the number, all keep the state."""
    fibre = edit["fibre"]
    row = desk.book.rows("fibres", [fibre])
    box, pixels = _window(desk.book, row)
    line = desk.book.labels["fibres"].grid_of(box).to_px(_points(edit["line_um"], 2, "line"))
    pieces = cut(pixels == fibre, line, desk.min_px)
    first = desk.book.next_id()
    made = edit.setdefault("made", list(range(first, first + len(pieces) - 1)))
    for number, piece in zip(made, pieces[1:], strict=True):
        pixels[piece] = number
    _outline(desk, box, pixels, pd.concat([row] * len(pieces)).set_index(pd.Index([fibre, *made])), f"split by hand from {fibre}")
    return f"fibre {fibre}: split, new {_named('fibre', made)}"


def merge(desk: Desk, edit: dict[str, Any]) -> str:
    """fibres: pieces of one; the largest keeps its number and state, what the network saw is averaged by area."""
    ids = list(dict.fromkeys(edit["fibres"]))
    if len(ids) < 2:
        raise UsageError("one fibre alone can't be merged; select two or more (Shift and click)")
    rows = desk.book.rows("fibres", ids)
    box, pixels = _window(desk.book, rows)
    gap = CLEFT_UM / desk.book.labels["fibres"].grid.um_per_px
    whole = joined(np.isin(pixels, ids), pixels == 0, gap)
    keep = int(rows["area_um2"].idxmax())
    others = [i for i in ids if i != keep]
    share = rows["area_um2"] / rows["area_um2"].sum()
    row = rows.loc[[keep]].assign(**{name: float((rows[name] * share).sum(skipna=False)) for name in STATE_MAPS})
    desk.book.remove("fibres", others)
    pixels[whole] = keep
    _outline(desk, box, pixels, row, f"merged by hand with {', '.join(map(str, others))}")
    return f"fibre {keep}: merged with {_named('fibre', others)}"


def redraw(desk: Desk, edit: dict[str, Any]) -> str:
    """fibre, ring_um (k, 2): its outline drawn anew; neighbours keep their pixels."""
    fibre = edit["fibre"]
    row = desk.book.rows("fibres", [fibre])
    ring = _points(edit["ring_um"], 3, "outline")
    box, pixels = _window(desk.book, row, ring)
    drawn = _drawn(desk, box, ring, (pixels == 0) | (pixels == fibre))
    pixels[pixels == fibre] = 0
    pixels[drawn] = fibre
    _outline(desk, box, pixels, row, "outline drawn by hand")
    return f"fibre {fibre}: outline drawn anew"


def draw(desk: Desk, edit: dict[str, Any]) -> str:
    """ring_um (k, 2), state: a fibre that was missed; neighbours keep their pixels."""
    ring = _points(edit["ring_um"], 3, "outline")
    box, pixels = _window(desk.book, None, ring)
    drawn = _drawn(desk, box, ring, pixels == 0)
    (number,) = edit.setdefault("made", [desk.book.next_id()])
    pixels[drawn] = number
    fill: dict[str, Any] = {"float64": np.nan, "int32": number, "str": "", "bool": True}
    row = pd.DataFrame({name: [fill[dtype]] for name, dtype in FIBRES.items()}, index=[number]).astype(FIBRES)
    _outline(desk, box, pixels, _with_state(row, edit["state"], ["missed by the machine"]), "outline drawn by hand")
    return f"fibre {number}: drawn, {edit['state']}"


def mark_unassessable(desk: Desk, edit: dict[str, Any]) -> str:
    """ring_um (k, 2): fibres whose centre lies in it are unassessable, nuclei there and its tissue are left out."""
    ring, book = _points(edit["ring_um"], 3, "region"), desk.book
    inside = {kind: table.index[points_in_poly(table[["y_um", "x_um"]].to_numpy(), ring)] for kind, table in book.tables.items()}
    squares = np.asarray(points_in_poly(book.squares, ring), bool)
    if not len(inside["fibres"]) and not len(inside["nuclei"]) and not (squares & ~book.excluded).any():
        raise UsageError("nothing lies in this region; draw it around tissue")
    if len(inside["fibres"]):
        rows = book.tables["fibres"].loc[inside["fibres"]]
        book.put("fibres", _with_state(rows, UNASSESSABLE, ["in a region marked so" for _ in range(len(rows))]))
    if len(inside["nuclei"]):
        book.remove("nuclei", list(inside["nuclei"]))
    book.exclude(squares)
    return f"region unassessable: {len(inside['fibres'])} fibres, {len(inside['nuclei'])} nuclei left out"


EDITS: dict[str, Callable[[Desk, dict[str, Any]], str]] = {
    "state": set_state,
    "type": set_type,
    "delete": delete,
    "split": split,
    "merge": merge,
    "redraw": redraw,
    "draw": draw,
    "unassessable": mark_unassessable,
}
"""By the name that the journal gives them."""


def _with_state(rows: pd.DataFrame, state: str, why: list[str]) -> pd.DataFrame:
    reasons = [f"{BY_HAND}: {state}; {before}" for before in why]
    if state == UNASSESSABLE:
        return rows.assign(assessable=False, reason=reasons, state=rows["state"].where(rows["state"] != "", FIBRE_STATES[0]))
    if state not in FIBRE_STATES:
        raise UsageError(f"no fibre state {state!r}; wanted one of {', '.join((*FIBRE_STATES, UNASSESSABLE))}")
    sure = {column: float(name == state) for column, name in zip(STATE_PROBABILITIES, FIBRE_STATES, strict=True)}
    return rows.assign(state=state, probability=1.0, assessable=True, reason=reasons, **sure)


def _told_before(rows: pd.DataFrame) -> list[str]:
    called = rows["state"].where(rows["assessable"], UNASSESSABLE)
    return [f"before {state} ({p:.2f})" for state, p in zip(called, rows["probability"], strict=True)]


def _points(points: Any, least: int, what: str) -> np.ndarray:
    found = np.asarray(points, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) < least or not np.isfinite(found).all():
        raise UsageError(f"a {what} of {len(found)} points; wanted at least {least} positions (y, x) in um")
    return found


def _window(book: Book, rows: pd.DataFrame | None, ring: np.ndarray | None = None) -> tuple[Box, np.ndarray]:
    """The box that holds fibres and a ring whole, and a copy of its labels; UsageError for a ring beside the image."""
    labels = book.labels["fibres"]
    parts = [] if ring is None else [labels.around(ring, CLEFT_UM)]
    if rows is not None:
        places = rows[["y_um", "x_um", "max_feret_um"]].to_numpy()
        parts += [labels.around(np.array([[y, x]]), size + CLEFT_UM) for y, x, size in places]
    corners = np.array(parts)
    top, left, bottom, right = (int(v) for v in (*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)))
    if bottom <= top or right <= left:
        raise UsageError("the outline lies beside the section; draw it on the tissue")
    return (top, left, bottom, right), labels.read((top, left, bottom, right))


def _drawn(desk: Desk, box: Box, ring: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The pixels of a drawn outline that are free, in one piece; UsageError where too little is left."""
    mask = filled(desk.book.labels["fibres"].grid_of(box).to_px(ring), free.shape)
    piece = largest_piece(mask & free) & free
    if piece.sum() < max(desk.min_px, 1):
        area = desk.settings.segment.min_fibre_um2
        raise UsageError(f"less than {area:g} um2 of this outline is free of other fibres; draw it larger, or delete or redraw those")
    return piece


def _outline(desk: Desk, box: Box, pixels: np.ndarray, rows: pd.DataFrame, how: str) -> None:
    """Write the labels and measure the fibres `rows`, whose index is their ids, anew."""
    desk.book.write(box, pixels)
    ids = [int(i) for i in rows.index]
    found = desk.measuring.rows(desk.book, ids, box)
    unmeasured = "" if desk.measuring.slide else "; stain not measured, the slide was not at hand"
    reasons = [f"{reason}; {how}{unmeasured}" for reason in rows["reason"]]
    desk.book.put("fibres", rows.assign(**{name: found[name] for name in found}, fibre_id=np.array(ids, np.int32), reason=reasons))


def _named(kind: str, ids: list[int]) -> str:
    plural = {"fibre": "fibres", "nucleus": "nuclei"}[kind]
    shown = ", ".join(str(i) for i in ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    return f"{kind if len(ids) == 1 else plural} {shown}"
