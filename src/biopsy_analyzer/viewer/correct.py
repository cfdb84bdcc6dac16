"""Correcting what the machine found: one key a state, lines and outlines drawn by hand, undo, and the score beside the machine's."""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
from napari.layers import Vectors
from napari.qt.threading import thread_worker
from qtpy.QtCore import QProcess, Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QListWidget, QPushButton, QVBoxLayout, QWidget

from biopsy_analyzer.cli.adapt import adaptation_text
from biopsy_analyzer.corrections import Change, Corrections
from biopsy_analyzer.corrections.edits import UNASSESSABLE
from biopsy_analyzer.corrections.export import corrected_document, export
from biopsy_analyzer.corrections.journal import NAME
from biopsy_analyzer.errors import BiopsyAnalyzerError, UsageError
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_TYPES
from biopsy_analyzer.viewer.layers import line_look
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.workspace import Workspace

CLASSES = {"fibres": (*FIBRE_STATES, UNASSESSABLE), "nuclei": NUCLEUS_TYPES}
"""What keys 1 to 5 call the selected fibres, or nuclei."""

ADAPTED = "adapted_models"
"""Folder beside the result that the adapted models go into."""

_DRAWING = "draw here"


class CorrectWidget(QWidget):
    """The tab for corrections. Edits are saved as they are made; the machine's result stays as it is."""

    title: ClassVar[str] = "Correct"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self._drawing: Vectors | None = None
        self._then: Callable[[np.ndarray], Change] | None = None
        self._adapting: QProcess | None = None
        self.buttons: dict[str, QPushButton] = {}
        self.scores, self.edits, self.adapted = QLabel(), QListWidget(), QLabel()
        self._lay_out()
        self._keys: dict[str, Callable[[Any], None]] = {key: self._key(act) for key, act in self._actions().items()}
        self._armed: list[Any] = []
        for holder in (workspace.viewer, workspace.viewer.layers.selection.active):
            if holder is not None:
                self._arm(holder)
        workspace.viewer.layers.selection.events.active.connect(self._activated)
        workspace.session_changed.connect(self._opened)
        self._opened(workspace.session)

    # What is on it

    def _lay_out(self) -> None:
        whole = QVBoxLayout(self)
        whole.addWidget(QLabel("Click selects, Shift and click adds. Edits are saved at once."))
        classes, tools = QGridLayout(), QGridLayout()
        for number in range(5):
            classes.addWidget(self._button(f"class {number}", partial(self.call, number)), number // 3, number % 3)
        for place, (name, label, act) in enumerate(self._tools()):
            tools.addWidget(self._button(name, act, label), place // 3, place % 3)
        whole.addLayout(classes)
        whole.addLayout(tools)
        self.scores.setTextFormat(Qt.TextFormat.RichText)
        self.scores.setWordWrap(True)
        whole.addWidget(self.scores)
        whole.addWidget(self.edits, 1)
        below = QHBoxLayout()
        below.addWidget(self._button("export", self.write_corrected, "Write corrected result"))
        below.addWidget(self._button("adapt", self.adapt, "Adapt to these corrections"))
        whole.addLayout(below)
        self.adapted.setTextFormat(Qt.TextFormat.PlainText)
        self.adapted.setWordWrap(True)
        whole.addWidget(self.adapted)

    def _tools(self) -> list[tuple[str, str, Callable[[], None]]]:
        return [
            ("delete", "Delete (Del)", self.delete),
            ("split", "Split by a line (S)", self.split),
            ("merge", "Merge (M)", self.merge),
            ("redraw", "Redraw outline (R)", self.redraw),
            ("draw", "Draw missed fibre (D)", self.draw),
            ("region", "Region unassessable (U)", self.mark_unassessable),
            ("undo", "Undo (Ctrl+Z)", self.undo),
            ("redo", "Redo (Ctrl+Shift+Z)", self.redo),
            ("cancel", "Cancel drawing (Esc)", self.stop_drawing),
        ]

    def _actions(self) -> dict[str, Callable[[], None]]:
        """By napari's names of keys."""
        tools = {name: act for name, _, act in self._tools()}
        keys: dict[str, Callable[[], None]] = {str(n + 1): partial(self.call, n) for n in range(5)}
        named = {"Delete": "delete", "S": "split", "M": "merge", "R": "redraw", "D": "draw", "U": "region"}
        named |= {"Control-Z": "undo", "Control-Shift-Z": "redo", "Escape": "cancel"}
        return keys | {key: tools[name] for key, name in named.items()}

    def _button(self, name: str, act: Callable[[], None], label: str = "") -> QPushButton:
        self.buttons[name] = QPushButton(label)
        self.buttons[name].clicked.connect(lambda _checked=False: act())
        return self.buttons[name]

    @staticmethod
    def _key(act: Callable[[], None]) -> Callable[[Any], None]:
        return lambda _holder: act()

    def _activated(self, event: Any) -> None:
        """The active layer's own keys come before the viewer's (2 paints in Labels), so it gets ours."""
        if event.value is not None and not any(event.value is holder for holder in self._armed):
            self._arm(event.value)

    def _arm(self, holder: Any) -> None:
        for key, act in self._keys.items():
            holder.bind_key(key, act, overwrite=True)
        self._armed.append(holder)

    # The open result

    def _opened(self, session: Session | None) -> None:
        self.stop_drawing()
        if session is not None:
            session.selection_changed.connect(self._selected)
            if (session.folder / NAME).exists() and session.corrections is None:
                self._guarded(self._corrections)
                if session.corrections is not None:
                    self._show(None)
        self._refresh()

    def _corrections(self) -> Corrections:
        session = self.workspace.session
        if session is None:
            raise UsageError("no result is open; open or make one first")
        if session.corrections is None:
            session.corrections = Corrections.open(session.folder, slide=session.slide)
            if session.corrections.journal.torn:
                self.workspace.say("The last correction was cut off when the program was killed; all before it are there.")
        return session.corrections

    def _selected(self, _kind: str, _ids: list[int]) -> None:
        self._refresh()

    def _ids(self, kind: str | None = None) -> tuple[str, list[int]]:
        """What is selected; UsageError for nothing, or for another kind than wanted."""
        selected, ids = self.workspace.session.selected if self.workspace.session else ("fibres", [])
        if not ids or (kind and selected != kind):
            raise UsageError(f"select {kind or 'a fibre or a nucleus'} first: click on it")
        return selected, ids

    # Edits

    def call(self, number: int) -> None:
        """Call the selected fibres, or nuclei, the class of that number."""

        def act() -> Change:
            kind, ids = self._ids()
            name = CLASSES[kind][number]
            corrections = self._corrections()
            return corrections.set_state(ids, name) if kind == "fibres" else corrections.set_type(ids, name)

        self._edit(act)

    def delete(self) -> None:
        """Take the selected objects away."""
        self._edit(lambda: self._corrections().delete(*self._ids()))  # type: ignore[arg-type]

    def merge(self) -> None:
        """Make one fibre of the selected ones."""
        self._edit(lambda: self._corrections().merge(self._ids("fibres")[1]))

    def split(self) -> None:
        """Cut the selected fibre along the line that is drawn next."""
        fibre = self._guarded(self._one_fibre)
        if fibre is not None:
            self._begin(lambda line: self._corrections().split(fibre, line), "Drag a line through the fibre.")

    def redraw(self) -> None:
        """Give the selected fibre the outline that is drawn next."""
        fibre = self._guarded(self._one_fibre)
        if fibre is not None:
            self._begin(lambda ring: self._corrections().redraw(fibre, ring), "Drag along the fibre's border.")

    def draw(self) -> None:
        """Add the fibre that is outlined next; it is normal until another key says more."""
        if self._guarded(self._corrections) is not None:
            told = "Drag along the border of the missed fibre, then give it a state by its key."
            self._begin(lambda ring: self._corrections().draw(ring, FIBRE_STATES[0]), told)

    def mark_unassessable(self) -> None:
        """Leave out the region that is outlined next."""
        if self._guarded(self._corrections) is not None:
            self._begin(lambda ring: self._corrections().mark_unassessable(ring), "Drag around what can't be judged.")

    def undo(self) -> None:
        """Take the last edit back."""
        self._edit(lambda: self._corrections().undo())

    def redo(self) -> None:
        """Do it again."""
        self._edit(lambda: self._corrections().redo())

    def _one_fibre(self) -> int:
        _, ids = self._ids("fibres")
        if len(ids) != 1:
            raise UsageError(f"{len(ids)} fibres are selected; select one")
        return ids[0]

    def _edit(self, act: Callable[[], Change]) -> None:
        change = self._guarded(act)
        if change is not None:
            self.workspace.say(change.text)
            self._show(change)
            self._refresh()

    def _show(self, change: Change | None) -> None:
        """Hand the corrected state to everyone."""
        session = self.workspace.session
        assert session is not None
        now: Corrections = session.corrections
        session.show(now.fibres, now.nuclei, now.clusters, corrected_document(now), change, now.labels)
        if change is not None and now.edits and now.edits[-1]["edit"] == "draw" and change.text.startswith("fibre"):
            session.select("fibres", now.edits[-1]["made"])

    def _guarded(self, act: Callable[[], Any]) -> Any:
        """What `act` gives; None, and a line in the status, where it can't be done."""
        try:
            return act()
        except BiopsyAnalyzerError as error:
            self.workspace.say(str(error))
            return None

    # Drawing

    def _begin(self, then: Callable[[np.ndarray], Change], told: str) -> None:
        """Take the pen: what is dragged next on the canvas is handed to `then`."""
        self.stop_drawing()
        look = line_look("cyan", 1.5)
        self._drawing = self.workspace.viewer.add_vectors(np.zeros((0, 2, 2)), name=_DRAWING, **look)
        self._drawing.mouse_pan = False  # a drag draws
        self._drawing.mouse_drag_callbacks.append(self._pen)
        self._then = then
        self.workspace.say(f"{told} Esc cancels.")
        self._refresh()

    def _pen(self, layer: Vectors, event: Any) -> Iterator[None]:
        """Follows the mouse while its button is down; the edit is made when the event is over, for it takes this layer away."""
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

    def _drawn(self, then: Callable[[np.ndarray], Change] | None, points: np.ndarray) -> None:
        if then is not None and then is self._then:  # not cancelled meanwhile
            self.stop_drawing()
            self._edit(lambda: then(points))

    def stop_drawing(self) -> None:
        """Put the pen down without an edit."""
        layer, self._drawing, self._then = self._drawing, None, None
        if layer is not None:
            if layer in self.workspace.viewer.layers:
                self.workspace.viewer.layers.remove(layer)
            self._refresh()

    # What it says

    def _refresh(self) -> None:
        session = self.workspace.session
        kind, ids = session.selected if session else ("fibres", [])
        for number, name in enumerate(CLASSES[kind]):
            self.buttons[f"class {number}"].setText(f"{name} ({number + 1})")
            self.buttons[f"class {number}"].setEnabled(bool(ids))
        now: Corrections | None = session.corrections if session else None
        self.buttons["delete"].setEnabled(bool(ids))
        self.buttons["merge"].setEnabled(kind == "fibres" and len(ids) > 1)
        for name in ("split", "redraw"):
            self.buttons[name].setEnabled(kind == "fibres" and len(ids) == 1)
        for name in ("draw", "region"):
            self.buttons[name].setEnabled(session is not None)
        self.buttons["undo"].setEnabled(now is not None and now.can_undo)
        self.buttons["redo"].setEnabled(now is not None and now.can_redo)
        self.buttons["cancel"].setEnabled(self._drawing is not None)
        self.buttons["export"].setEnabled(now is not None)
        self.buttons["adapt"].setEnabled(now is not None and bool(now.edits))
        self.scores.setText(scores_text(session.saved.document, session.document) if session else "")
        self.edits.clear()
        self.edits.addItems([edit_text(line) for line in reversed(now.edits)] if now else [])

    # What takes longer, off the window's thread

    def write_corrected(self) -> None:
        """Write the corrected result into corrected/."""
        corrections = self._guarded(self._corrections)
        if corrections is None:
            return

        def done(folder: Any) -> None:
            self.workspace.say(f"written: {folder}")
            self.buttons["export"].setEnabled(True)

        def failed(error: Exception) -> None:
            self.workspace.say(str(error))
            self.buttons["export"].setEnabled(True)

        self.buttons["export"].setEnabled(False)
        thread_worker(export, connect={"returned": done, "errored": failed})(corrections)

    def adapt(self) -> None:
        """Fit the fibre states anew to these corrections, in a process of its own; once more: stop it."""
        if self._adapting is not None:
            self._adapting.kill()
            return
        session = self.workspace.session
        if session is None or session.corrections is None:
            return
        out = session.folder.parent / ADAPTED
        process = QProcess(self)
        process.finished.connect(lambda *_: self._adapted(process, str(out)))
        self._adapting = process
        self.buttons["adapt"].setText("Stop adapting")
        self.adapted.setText("Adapting to these corrections; you can go on working.")
        given = ["-m", "biopsy_analyzer", "adapt", str(session.folder), "-o", str(out), "--json"]
        images = [] if session.slide is None else ["--images", str(session.slide.path.parent)]
        process.start(sys.executable, [*given, *images])

    def _adapted(self, process: QProcess, out: str) -> None:
        self._adapting = None
        self.buttons["adapt"].setText("Adapt to these corrections")
        text, error = (
            bytes(part.data()).decode("utf-8", "replace") for part in (process.readAllStandardOutput(), process.readAllStandardError())
        )
        process.deleteLater()
        if process.exitStatus() != QProcess.ExitStatus.NormalExit:
            self.adapted.setText("Adapting was stopped.")
        elif process.exitCode():
            self.adapted.setText(error.strip().splitlines()[-1] if error.strip() else f"adapting ended with code {process.exitCode()}")
        else:
            self.adapted.setText(f"{adaptation_text(json.loads(text))}\nAdapted models: {out} (choose them as the model for the next run)")

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Nothing of it stays behind: keys, the pen, a running adaptation."""
        self.stop_drawing()
        self.workspace.viewer.layers.selection.events.active.disconnect(self._activated)
        for holder in self._armed:
            for key in self._keys:
                holder.bind_key(key, None, overwrite=True)
        self._armed.clear()
        if self._adapting is not None:
            self._adapting.finished.disconnect()
            self._adapting.kill()
            self._adapting.waitForFinished()
        super().closeEvent(event)


def scores_text(machine: dict[str, Any], now: dict[str, Any]) -> str:
    """The machine's axes and pattern beside those of now, as Qt's rich text; what changed stands in bold."""
    rows = []
    for name, show in _SHOWN.items():
        before, after = show(machine), show(now)
        shown = html.escape(after) if before == after else f"<b>{html.escape(after)}</b>"
        rows.append(f"<tr><td>{name}&nbsp;&nbsp;</td><td>{html.escape(before)}&nbsp;&nbsp;</td><td>{shown}</td></tr>")
    return f"<table><tr><td></td><td><i>machine&nbsp;&nbsp;</i></td><td><i>now</i></td></tr>{''.join(rows)}</table>"


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


def edit_text(line: dict[str, Any]) -> str:
    """One line of the journal for the list."""
    ids = line.get("fibres") or line.get("nuclei") or ([line["fibre"]] if "fibre" in line else line.get("made", []))
    kind = "nucleus" if "nuclei" in line else "region" if line["edit"] == "unassessable" else "fibre"
    called = line.get("state") or line.get("type") or ""
    parts = [str(line.get("n", "")), line["edit"], kind, ", ".join(map(str, ids[:4])) + ("..." if len(ids) > 4 else ""), called]
    return " ".join(part for part in parts if part) + f"  ({line['who']}, {line['utc'][11:19]} UTC)"
