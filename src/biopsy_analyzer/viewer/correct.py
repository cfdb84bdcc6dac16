"""Correcting what the machine found: one key a state, lines and outlines drawn by hand, undo, and the score beside the machine's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QListWidget, QPushButton, QVBoxLayout, QWidget

from biopsy_analyzer.corrections import Change, Corrections
from biopsy_analyzer.corrections.book import Kind
from biopsy_analyzer.corrections.edits import UNASSESSABLE
from biopsy_analyzer.corrections.export import corrected_document
from biopsy_analyzer.corrections.journal import NAME
from biopsy_analyzer.errors import BiopsyAnalyzerError, UsageError
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_TYPES
from biopsy_analyzer.viewer.correct_text import edit_text, scores_text
from biopsy_analyzer.viewer.current import with_current_folder
from biopsy_analyzer.viewer.pen import Pen
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.teach import Teacher
from biopsy_analyzer.viewer.workspace import Workspace

CLASSES: dict[Kind, tuple[str, ...]] = {"fibres": (*FIBRE_STATES, UNASSESSABLE), "nuclei": NUCLEUS_TYPES}
"""What keys 1 to 5 call the selected fibres, or nuclei."""


class CorrectWidget(QWidget):
    """The tab for corrections. Edits are saved as they are made; the machine's result stays as it is."""

    title: ClassVar[str] = "Correct"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace, self.pen, self.teacher = workspace, Pen(workspace), Teacher(workspace)
        self.buttons: dict[str, QPushButton] = {"adapt": self.teacher.button}
        self.scores, self.edits = QLabel(), QListWidget()
        self._lay_out()
        self._keys: dict[str, Callable[[Any], None]] = {key: self._key(act) for key, act in self._actions().items()}
        self._armed: list[Any] = []
        for holder in (workspace.viewer, workspace.viewer.layers.selection.active):
            if holder is not None:
                self._arm(holder)
        workspace.viewer.layers.selection.events.active.connect(self._activated)
        workspace.session_changed.connect(self._opened)
        self.pen.changed.connect(self._refresh)
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
        below.addWidget(self.teacher.button)
        whole.addLayout(below)
        whole.addWidget(self.teacher.said)

    def _tools(self) -> list[tuple[str, str, Callable[[], None]]]:
        return [
            ("delete", "Delete (Del)", self.delete),
            ("split", "Split by line (S)", self.split),
            ("merge", "Merge (M)", self.merge),
            ("redraw", "Redraw (R)", self.redraw),
            ("draw", "Draw missed (D)", self.draw),
            ("region", "Leave out (U)", self.mark_unassessable),
            ("undo", "Undo (Ctrl+Z)", self.undo),
            ("redo", "Redo (Ctrl+Shift+Z)", self.redo),
            ("cancel", "Stop drawing (Esc)", self.pen.put_down),
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
        self.buttons[name].setToolTip(_TIPS.get(name, ""))
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
        self.pen.put_down()
        if session is not None:
            session.selection_changed.connect(self._selected, unique=True)
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

    def _selected(self, _kind: Kind, _ids: list[int]) -> None:
        self._refresh()

    def _ids(self, kind: Kind | None = None) -> tuple[Kind, list[int]]:
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
        self._edit(lambda: self._corrections().delete(*self._ids()))

    def merge(self) -> None:
        """Make one fibre of the selected ones."""
        self._edit(lambda: self._corrections().merge(self._ids("fibres")[1]))

    def split(self) -> None:
        """Cut the selected fibre along the line that is drawn next."""
        fibre = self._guarded(self._one_fibre)
        if fibre is not None:
            self._draw_for(lambda line: self._corrections().split(fibre, line), "Drag a line through the fibre.")

    def redraw(self) -> None:
        """Give the selected fibre the outline that is drawn next."""
        fibre = self._guarded(self._one_fibre)
        if fibre is not None:
            self._draw_for(lambda ring: self._corrections().redraw(fibre, ring), "Drag along the fibre's border.")

    def draw(self) -> None:
        """Add the fibre that is outlined next; it is normal until another key says more."""
        if self._guarded(self._corrections) is not None:
            told = "Drag along the border of the missed fibre, then give it a state by its key."
            self._draw_for(lambda ring: self._corrections().draw(ring, FIBRE_STATES[0]), told, self._select_drawn)

    def mark_unassessable(self) -> None:
        """Leave out the region that is outlined next."""
        if self._guarded(self._corrections) is not None:
            self._draw_for(lambda ring: self._corrections().mark_unassessable(ring), "Drag around what can't be judged.")

    def undo(self) -> None:
        """Take the last edit back."""
        self._edit(lambda: self._corrections().undo())

    def redo(self) -> None:
        """Do it again."""
        self._edit(lambda: self._corrections().redo())

    def _draw_for(self, make: Callable[[np.ndarray], Change], told: str, then: Callable[[], None] = lambda: None) -> None:
        self.pen.take(lambda points: self._edit(lambda: make(points), then), told)

    def _select_drawn(self) -> None:
        """The fibre just drawn is selected, for the key that gives it a state."""
        session = self.workspace.session
        if session is not None and session.corrections is not None:
            session.select("fibres", session.corrections.edits[-1]["made"])

    def _one_fibre(self) -> int:
        _, ids = self._ids("fibres")
        if len(ids) != 1:
            raise UsageError(f"{len(ids)} fibres are selected; select one")
        return ids[0]

    def _edit(self, act: Callable[[], Change], then: Callable[[], None] = lambda: None) -> None:
        if self.workspace.writing:
            self.workspace.say("The corrected result is being written; make this edit when it is done.")
            return
        change = self._guarded(act)
        if change is not None:
            self.workspace.say(change.text)
            self._show(change)
            then()
            self._refresh()

    def _show(self, change: Change | None) -> None:
        """Hand the corrected state to everyone."""
        session = self.workspace.session
        assert session is not None
        now = self._corrections()
        document = corrected_document(now)
        self.scores.setText(scores_text(session.saved.document, document))
        self.scores.repaint()  # the score is seen at once; the picture of many fibres takes longer to follow
        session.show(now.fibres, now.nuclei, now.clusters, document, change, now.labels)

    def _guarded(self, act: Callable[[], Any]) -> Any:
        """What `act` gives; None, and a line in the status, where it can't be done."""
        try:
            return act()
        except BiopsyAnalyzerError as error:
            self.workspace.say(str(error))
            return None

    # What it says

    def _refresh(self) -> None:
        session = self.workspace.session
        kind, ids = session.selected if session else ("fibres", [])
        for number, name in enumerate(CLASSES[kind]):
            self.buttons[f"class {number}"].setText(f"{name} ({number + 1})")
            self.buttons[f"class {number}"].setEnabled(bool(ids))
        now = session.corrections if session else None
        self.buttons["delete"].setEnabled(bool(ids))
        self.buttons["merge"].setEnabled(kind == "fibres" and len(ids) > 1)
        for name in ("split", "redraw"):
            self.buttons[name].setEnabled(kind == "fibres" and len(ids) == 1)
        for name in ("draw", "region"):
            self.buttons[name].setEnabled(session is not None)
        self.buttons["undo"].setEnabled(now is not None and now.can_undo)
        self.buttons["redo"].setEnabled(now is not None and now.can_redo)
        self.buttons["cancel"].setEnabled(self.pen.drawing)
        self.buttons["export"].setEnabled(now is not None and bool(now.edits))
        self.buttons["adapt"].setEnabled(now is not None and bool(now.edits))
        self.scores.setText(scores_text(session.saved.document, session.document) if session else "")
        self.edits.clear()
        self.edits.addItems([edit_text(line) for line in reversed(now.edits)] if now else [])

    def write_corrected(self) -> None:
        """Write the corrected result into corrected/."""
        with_current_folder(self.workspace, lambda folder: self.workspace.say(f"written: {folder}"))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Nothing of it stays behind: keys, the pen, a running adaptation."""
        self.pen.put_down()
        self.workspace.viewer.layers.selection.events.active.disconnect(self._activated)
        for holder in self._armed:
            for key in self._keys:
                holder.bind_key(key, None, overwrite=True)
        self._armed.clear()
        self.teacher.close()
        super().closeEvent(event)


_TIPS = {
    "delete": "What is no fibre, or no nucleus",
    "split": "Drag a line through the selected fibre",
    "merge": "The selected fibres are pieces of one",
    "redraw": "Drag along the selected fibre's true border",
    "draw": "Drag along the border of a fibre that the machine missed",
    "region": "Drag around a region that can't be judged: its fibres become unassessable, its nuclei and tissue are left out",
    "export": "A result of its own, in corrected/ beside the machine's files",
}
