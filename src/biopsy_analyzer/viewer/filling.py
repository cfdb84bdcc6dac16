"""Layers whose overview is still being read are drawn anew while it grows."""

from __future__ import annotations

from collections.abc import Callable

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import QTimer

from biopsy_analyzer.viewer.overview import Overview, OverviewLevel

_EVERY_MS = 400


class Filling:
    """Watches the images of a viewer; `say` gets a line on how far they are."""

    def __init__(self, viewer: napari.Viewer, say: Callable[[str], None]) -> None:
        self._viewer, self._say = viewer, say
        self._watched: list[tuple[Layer, Overview]] = []
        self._timer = QTimer()
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self._look)

    def watch(self, layer: Layer) -> None:
        """Follow the overview of this layer, where it has one that is being read."""
        levels = layer.data if isinstance(layer, Image) and layer.multiscale else ()
        overview = next((level.overview for level in levels if isinstance(level, OverviewLevel)), None)
        if overview is not None:
            self._watched.append((layer, overview))
            self._timer.start()
            self._look()

    def close(self) -> None:
        """Watch nothing any more."""
        self._timer.stop()
        self._watched.clear()

    def _look(self) -> None:
        for layer, overview in list(self._watched):
            share, error = overview.share, overview.error
            if share == 1 or error or layer not in self._viewer.layers:
                self._watched.remove((layer, overview))
            if layer in self._viewer.layers:
                layer.data = list(layer.data)  # a mere refresh shows the coarsest level as napari 0.9 has kept it
                told = f"{overview.file_name} stores no overview; it is being read: {share:.0%}. Near by all is there."
                self._say(error or (told if share < 1 else f"{overview.file_name}: the overview is complete."))
        if not self._watched:
            self._timer.stop()
