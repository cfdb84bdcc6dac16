"""Drawing by hand: a line or an outline dragged on the canvas is handed to whoever took the pen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Vectors
from psygnal import Signal
from qtpy.QtCore import QTimer

from biopsy_analyzer.viewer.layers import line_look
from biopsy_analyzer.viewer.workspace import Workspace

LAYER = "draw here"


class Pen:
    """At most one drawing at a time, in a layer of its own on top of all others.

    changed()   after the pen was taken up or put down
    """

    changed = Signal()

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._layer: Vectors | None = None
        self._then: Callable[[np.ndarray], None] | None = None

    @property
    def drawing(self) -> bool:
        return self._layer is not None

    def take(self, then: Callable[[np.ndarray], None], told: str) -> None:
        """What is dragged next goes to `then` as positions (k, 2) (y, x) in um, k > 1; `told` says what to draw."""
        self.put_down()
        self._layer = self._workspace.viewer.add_vectors(np.zeros((0, 2, 2)), name=LAYER, **line_look("cyan", 1.5))
        self._layer.mouse_pan = False  # a drag draws
        self._layer.mouse_drag_callbacks.append(self._follow)
        self._then = then
        self._workspace.say(f"{told} Esc cancels.")
        self.changed.emit()

    def put_down(self) -> None:
        """End without anything drawn."""
        layer, self._layer, self._then = self._layer, None, None
        if layer is not None:
            if layer in self._workspace.viewer.layers:
                self._workspace.viewer.layers.remove(layer)
            self.changed.emit()

    def _follow(self, layer: Vectors, event: Any) -> Iterator[None]:
        """Follows the mouse while its button is down; it is handed on when the event is over, for that takes this layer away."""
        points, then = [event.position[-2:]], self._then
        yield
        while event.type == "mouse_move":
            points.append(event.position[-2:])
            drawn = np.array(points)
            layer.data = np.stack([drawn[:-1], np.diff(drawn, axis=0)], axis=1)
            yield
        if len(points) > 1:
            points.append(event.position[-2:])  # where it was let go
            QTimer.singleShot(0, partial(self._drawn, then, np.array(points)))

    def finish(self, points: np.ndarray) -> None:
        """Hand on positions (k, 2) in um as if they had been drawn; nothing where the pen is not taken."""
        then = self._then
        if then is not None:
            try:
                then(points)  # first, for taking the layer away takes longer than what is waited for
            finally:
                if self._then is then:
                    self.put_down()

    def _drawn(self, then: Callable[[np.ndarray], None] | None, points: np.ndarray) -> None:
        if then is self._then:  # not cancelled meanwhile
            self.finish(points)
