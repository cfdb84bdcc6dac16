"""The child process of one analysis: a reader that crashes or a full GPU ends it, never napari.

    python -m biopsy_analyzer.viewer.worker JOB.json

Progress goes to standard output as JSON lines, an error to standard error as one line. When standard input is closed, which also
happens when napari dies, the analysis is interrupted.
"""

from __future__ import annotations

import _thread
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from biopsy_analyzer.terminal import errors_in_one_line

_PATIENCE_S = 2.0  # for an interrupted analysis to clean up; a convolution can't be interrupted


def main(job: dict[str, Any]) -> None:
    """Analyse one slide; job: what `RunTab` writes into JOB.json."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    path, out = Path(job["slide"]), Path(job["out"])
    with errors_in_one_line(path.name, out):
        from biopsy_analyzer.batch.one import analyze_file

        done = analyze_file(
            path,
            out,
            um_per_px=job["um_per_px"],
            models=Path(job["models"]) if job["models"] else None,
            device=job["device"],
            region=np.array(job["region"]) if job["region"] else None,
            progress=lambda stage, done, total: say(stage=stage, done=done, total=total),
        )
        say(folder=str(done.folder))


def say(**facts: Any) -> None:
    """One line that napari reads; where nobody reads any more the analysis is about to be stopped."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _stop_with_parent() -> None:
    sys.stdin.read()
    _thread.interrupt_main()
    time.sleep(_PATIENCE_S)
    os._exit(130)  # nothing is left half: files are written whole or not at all


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
