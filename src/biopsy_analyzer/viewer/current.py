"""The folder that holds what is shown: the machine's result, or the corrected one, written first where edits came since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.qt.threading import create_worker

from biopsy_analyzer.corrections.export import export, written
from biopsy_analyzer.viewer.workspace import Workspace


def with_current_folder(workspace: Workspace, then: Callable[[Path], None]) -> None:
    """Hand that folder to `then`; nothing happens without a result, or while another is being written.

    Writing runs off the window's thread, and edits wait for it (`workspace.writing`). What goes wrong is said in the status.
    """
    session = workspace.session
    if session is None or workspace.writing:
        return
    corrections = session.corrections
    if corrections is None or not corrections.edits:
        then(session.folder)
        return
    ready = written(corrections)
    if ready is not None:
        then(ready)
        return

    def done(folder: Path) -> None:
        workspace.writing = False
        workspace.say(f"written: {folder}")
        then(folder)

    def failed(error: Exception) -> None:
        workspace.writing = False
        workspace.say(str(error))

    workspace.writing = True
    workspace.say("Writing the corrected result.")
    worker = create_worker(export, corrections)
    worker.returned.connect(done)
    worker.errored.connect(failed)
    worker.start()
