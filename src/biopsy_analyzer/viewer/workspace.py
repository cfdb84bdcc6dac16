"""One viewer with the result that is open in it: layers follow the session, clicks select. What the dock's tabs share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import napari
import numpy as np
import pandas as pd
from napari.layers import Labels, Layer, Points, Vectors
from psygnal import Signal
from qtpy.QtCore import QTimer

from biopsy_analyzer.corrections import Change
from biopsy_analyzer.corrections.book import Kind
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.viewer.filling import Filling
from biopsy_analyzer.viewer.layers import (
    MOST_NUCLEI,
    OWN,
    cluster_vectors,
    fibre_levels,
    fibre_look,
    follow,
    line_look,
    nucleus_look,
    nucleus_points,
    result_layers,
    same_section,
    sides,
)
from biopsy_analyzer.viewer.session import Pyramid, Session

_SETTLED_MS = 80  # the view has come to rest
_CLICK_PX = 4.0  # the mouse may move in a click
_CLOSE_UP_UM = 300.0  # width of the view on an object that is jumped to


@dataclass
class Layers:
    """The layers of the open result; None where one was deleted."""

    fibres: Labels | None = None
    nuclei: Points | None = None
    clusters: Vectors | None = None
    selected: Vectors | None = None


class Workspace:
    """Takes up every session that is opened in `viewer`.

    session_changed(Session | None)     another result is open, or none
    said(text)                          a line for the person before the screen
    writing                             the corrected result is being written: no edits meanwhile
    put_away                            the result that is open in blind reading, when `session` is None and no layer shows it
    """

    session_changed = Signal(object)
    said = Signal(str)

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer, self.layers = viewer, Layers()
        self.session: Session | None = None
        self.blind, self.writing = False, False
        self.put_away: Session | None = None
        self._drawn: pd.DataFrame | None = None
        self._drawn_labels: Mapping[Kind, Pyramid] | None = None
        self.filled, self.hidden = False, frozenset({"myonucleus", "other"})
        self._filling = Filling(viewer, self.say)
        self._settle = QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLED_MS)
        self._settle.timeout.connect(self.show_nuclei_in_view)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        viewer.scene.camera.events.connect(self._moved)
        viewer.mouse_drag_callbacks.append(self._clicked)
        bar = viewer.canvas.overlays.scale_bar
        bar.visible, bar.box = True, True
        for layer in list(viewer.layers):
            self._take_up(layer)

    def close(self) -> None:
        """Let go of the viewer."""
        self._settle.stop()
        self._filling.close()
        self.viewer.layers.events.inserted.disconnect(self._inserted)
        self.viewer.layers.events.removed.disconnect(self._removed)
        self.viewer.scene.camera.events.disconnect(self._moved)
        if self._clicked in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._clicked)
        self._open(None)

    def say(self, text: str) -> None:
        """A line in the dock's status."""
        self.said.emit(text)

    def open(self, session: Session) -> None:
        """Show a session over its slide, where that is in the viewer, in place of what was open."""
        self._remove_layers()
        for data, facts, kind in result_layers(session):
            self.viewer.add_layer(Layer.create(data, facts, kind))
        self._show_slide(session)

    def slides(self) -> list[Slide]:
        """The slides in the viewer, the topmost first."""
        found = [layer.metadata.get(OWN) for layer in reversed(self.viewer.layers)]
        return [one for one in found if isinstance(one, Slide)]

    def read_blind(self, blind: bool) -> None:
        """Put away all that the machine found, of this result and of those that are opened meanwhile; False: bring it back.

        Layers are taken out, not hidden: their thumbnails and the keys that find doubtful fibres would tell.
        """
        self.blind, session = blind, self.session if blind else self.put_away
        self.put_away = session if blind else None
        if blind:
            if session is not None:
                session.select("fibres", [])
            self._remove_layers()
            self.say("")
        elif session is not None:
            self.open(session)

    def _remove_layers(self) -> None:
        """Take out what shows a session."""
        for layer in [layer for layer in self.viewer.layers if isinstance(layer.metadata.get(OWN), Session)]:
            self.viewer.layers.remove(layer)
        if self.layers.selected is not None:
            self.viewer.layers.remove(self.layers.selected)

    def look(self, *, filled: bool | None = None, hidden: frozenset[str] | None = None) -> None:
        """Fibres filled or as contours, and classes of fibres and types of nuclei that are not shown."""
        self.filled = self.filled if filled is None else filled
        self.hidden = self.hidden if hidden is None else hidden
        if self.layers.fibres is not None:
            self.layers.fibres.colormap = fibre_look(self.filled, self.hidden)["colormap"]
        self.show_nuclei_in_view()

    def go_to(self, kind: Kind, number: int) -> None:
        """Select an object and bring it into the middle of the view, large enough to judge it."""
        if self.session is None or (row := self.session.row(kind, number)) is None:
            return
        self.session.select(kind, [number])
        self.look_at(float(row["y_um"]), float(row["x_um"]))

    def look_at(self, y_um: float, x_um: float) -> None:
        """Bring a place on the slide into the middle, at least so large that a fibre can be judged."""
        camera = self.viewer.scene.camera
        camera.center = (0.0, y_um, x_um)
        camera.zoom = max(camera.zoom, self._canvas_px()[1] / _CLOSE_UP_UM)

    def view_um(self) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) of what the canvas shows."""
        height, width = self._canvas_px()
        _, y, x = self.viewer.scene.camera.center
        half_y, half_x = height / 2 / self.viewer.scene.camera.zoom, width / 2 / self.viewer.scene.camera.zoom
        return y - half_y, x - half_x, y + half_y, x + half_x

    def show_nuclei_in_view(self) -> None:
        """Draw the nuclei that lie in the view and a little around it, none where they are too many to be told apart."""
        points = self.layers.nuclei
        if points is None or self.session is None or not points.visible:  # hidden, it keeps its old slice
            return
        top, left, bottom, right = self.view_um()
        margin = 0.25 * (bottom - top)
        y, x = nucleus_points(self.session).T
        near = (y > top - margin) & (y < bottom + margin) & (x > left - margin) & (x < right + margin)
        if self.hidden:
            near &= ~self.session.nuclei["type"].isin(self.hidden).to_numpy()
        rows = np.flatnonzero(near)
        if len(rows) > MOST_NUCLEI:
            if self._drawn is None or len(self._drawn):
                self.say(f"{len(rows)} nuclei are in view; they are drawn below {MOST_NUCLEI}: zoom in.")
            rows = rows[:0]
        shown = self.session.nuclei.iloc[rows]
        told = shown[["nucleus_id", "type", "probability"]].reset_index(drop=True)  # a nucleus never moves
        if self._drawn is None or not told.equals(self._drawn):
            self._drawn = told
            self._draw_nuclei(points, shown)

    @staticmethod
    def _draw_nuclei(points: Points, nuclei: pd.DataFrame) -> None:
        """Only these: napari 0.9 heeds `Points.shown` in more than two dimensions alone."""
        points.data = nuclei[["y_um", "x_um"]].to_numpy()
        if len(nuclei):
            look = nucleus_look(nuclei)
            points.features, points.face_color, points.symbol = look["features"], look["face_color"], look["symbol"]

    def _canvas_px(self) -> tuple[int, int]:
        return self.viewer.canvas.size

    def _inserted(self, event: Any) -> None:
        self._take_up(event.value)

    def _take_up(self, layer: Layer) -> None:
        own = layer.metadata.get(OWN)
        if isinstance(own, Slide):
            self._filling.watch(layer)
            self._hide_others(own)
            layer.events.visible.connect(self._seen)
        if not isinstance(own, Session):
            return
        if self.blind:
            self._put_away_too(layer, own)
            return
        if own is not self.session:
            self._hide_others(own)
            self._open(own)
        self._keep(layer)
        layer.events.visible.connect(self._seen)
        self._settle.start()

    def _keep(self, layer: Layer) -> None:
        for kind, name in ((Labels, "fibres"), (Points, "nuclei"), (Vectors, "clusters")):
            if isinstance(layer, kind):
                setattr(self.layers, name, layer)

    def _hide_others(self, own: Slide | Session) -> None:
        """Hide other sections, which lie at the same origin, and other results; the dock never tells of a section that is hidden."""
        hidden = 0
        for layer in list(self.viewer.layers):
            other = layer.metadata.get(OWN)
            if not isinstance(other, Slide | Session):
                continue
            another_result = isinstance(own, Session) and isinstance(other, Session) and other is not own
            if layer.visible and (another_result or not same_section(other, own)):
                layer.visible = False
                hidden += 1
        if self.session is not None and not same_section(self.session, own):
            self.session.select(self.session.selected[0], [])
            self._open(None)
        if hidden:
            self.say("Another section is open: the one before is hidden. The eye beside its layers brings it back.")

    def _seen(self, event: Any) -> None:
        """What was hidden and is shown again hides other sections; a result is the open one again, with its slide."""
        own = event.source.metadata.get(OWN)
        if isinstance(own, Slide) and event.source.visible:
            self._hide_others(own)
        elif own is not self.session and event.source.visible and not self.blind:
            self._hide_others(own)
            self._open(own)
            for layer in [layer for layer in self.viewer.layers if layer.metadata.get(OWN) is own]:
                self._keep(layer)
                layer.visible = True
            self._show_slide(own)
        self.show_nuclei_in_view()

    def _show_slide(self, session: Session) -> None:
        for layer in list(self.viewer.layers):
            slide = layer.metadata.get(OWN)
            if isinstance(slide, Slide) and same_section(slide, session):
                layer.visible = True

    def _put_away_too(self, layer: Layer, session: Session) -> None:
        """A result that is opened in blind reading: its layers are not seen and go at once, when napari is done with adding them."""
        layer.visible = False
        QTimer.singleShot(0, lambda: self.viewer.layers.remove(layer) if layer in self.viewer.layers else None)
        if session is not self.put_away:
            self.put_away = session
            self.session_changed.emit(None)

    def _removed(self, event: Any) -> None:
        for name, layer in vars(self.layers).items():
            if layer == event.value:  # not `is`: napari hands out proxies
                setattr(self.layers, name, None)
        if self.session is not None and not any((self.layers.fibres, self.layers.nuclei, self.layers.clusters)):
            self._open(None)

    def _open(self, session: Session | None) -> None:
        if self.session is not None:
            self.session.selection_changed.disconnect(self._draw_selection)
            self.session.shown.disconnect(self._redraw)
        self.session, self.layers, self._drawn = session, Layers(selected=self.layers.selected), None
        self._drawn_labels = session.labels if session is not None else None
        if session is not None:
            session.selection_changed.connect(self._draw_selection)
            session.shown.connect(self._redraw)
        self.session_changed.emit(session)

    def _redraw(self, change: Change | None) -> None:
        """All that `change` (None: anything) may have changed; outlines are read again where they changed only."""
        session, (fibres, nuclei, clusters) = self.session, (self.layers.fibres, self.layers.nuclei, self.layers.clusters)
        if session is None:
            return
        if fibres is not None:
            if change is None or session.labels is not self._drawn_labels:
                fibres.data = fibre_levels(session)
            else:
                fibres.data = follow(fibres.data, session, change.boxes_um["fibres"])
        self._drawn_labels = session.labels
        if nuclei is not None and (change is None or change.nucleus_ids):
            self.show_nuclei_in_view()
        if clusters is not None:
            data, facts = cluster_vectors(session, {})
            if data.shape != clusters.data.shape or not np.array_equal(data, clusters.data):
                clusters.data = data
            clusters.edge_color = facts["edge_color"]

    def _draw_selection(self, kind: Kind, ids: list[int]) -> None:
        rings = [self.session.outline(kind, number) for number in ids] if self.session else []
        data = sides([ring for ring in rings if ring is not None])
        if self.layers.selected is None:
            active = self.viewer.layers.selection.active
            look = line_look("cyan", 1.5)
            self.layers.selected = self.viewer.add_vectors(data, name="selected", **look)
            self.viewer.layers.selection.active = active
        else:
            self.layers.selected.data = data

    def _moved(self, _event: Any) -> None:
        self._settle.start()

    def _clicked(self, viewer: napari.Viewer, event: Any) -> Iterator[None]:
        """A click, not a drag, selects what lies there; with Shift it is added, or taken away again."""
        start, where, added = np.array(event.pos), event.position[-2:], "Shift" in event.modifiers
        active = viewer.layers.selection.active
        yield
        while event.type == "mouse_move":
            yield
        drawing = active is not None and active.mode != "pan_zoom"
        if self.session is None or drawing or event.button != 1 or np.linalg.norm(np.array(event.pos) - start) > _CLICK_PX:
            return
        nuclei = self.layers.nuclei
        found = self.session.at(where[0], where[1], nuclei=nuclei is not None and bool(nuclei.visible) and len(nuclei.data) > 0)
        self._select(found, added)

    def _select(self, found: tuple[Kind, int] | None, added: bool) -> None:
        assert self.session is not None
        kind, ids = self.session.selected
        if found is None:
            self.session.select(kind, ids if added else [])
        elif not added or found[0] != kind:
            self.session.select(found[0], [found[1]])
        else:
            self.session.select(kind, [number for number in ids if number != found[1]] if found[1] in ids else [*ids, found[1]])
