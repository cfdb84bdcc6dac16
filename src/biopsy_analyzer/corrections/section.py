"""One analysed section under correction: every edit is in the journal before it counts, and tables and scores follow at once."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.corrections.book import Book, Kind, Log, Touched
from biopsy_analyzer.corrections.edited_labels import EditedLabels
from biopsy_analyzer.corrections.edits import EDITS, Desk
from biopsy_analyzer.corrections.follow import Following, settle_counts, settle_nuclei
from biopsy_analyzer.corrections.journal import Journal, standing
from biopsy_analyzer.corrections.measuring import Measuring
from biopsy_analyzer.errors import ResultError, UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.labels import read_labels
from biopsy_analyzer.report.outlines import outlines
from biopsy_analyzer.report.saved import Saved, read_saved
from biopsy_analyzer.score import Scores, score
from biopsy_analyzer.score.intervals import OCCUPIED_UM, occupied
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import Slide

_DECIMALS = 2  # of a um, in the journal


@dataclass(frozen=True)
class Change:
    """What an edit did: one line for the reader, ids that changed, came or went, and the boxes of labels to draw anew.

    boxes_um  (top, left, bottom, right) in um, by "fibres" and "nuclei"
    """

    text: str
    fibre_ids: tuple[int, ...]
    nucleus_ids: tuple[int, ...]
    boxes_um: dict[Kind, list[tuple[float, float, float, float]]]


class Corrections:
    """The corrected state of a result folder, whose own files stay as they are.

    saved    the machine's result;  labels: EditedLabels of "fibres" and "nuclei";  journal: all edits ever made
    clusters the CLUSTERS table now
    Positions are (y, x) in um from the slide's top-left corner; numbers of fibres and nuclei never change.
    """

    def __init__(self, saved: Saved, slide: Slide | None, who: str) -> None:
        document = saved.document
        if document["status"] == "refused":
            raise ResultError(f"{saved.folder}: this section was refused, there is nothing to correct; analyse one with tissue on it")
        facts = document["slide"]
        if slide is not None and slide.shape != (facts["height_px"], facts["width_px"]):  # its SHA-256 would take minutes
            found, wanted = " x ".join(map(str, slide.shape[::-1])), f"{facts['width_px']} x {facts['height_px']}"
            raise UsageError(f"{slide.file_name}: {found} px, but {saved.folder.name} was made on {wanted}; open {facts['file_name']}")
        self.saved, self.who = saved, who
        self._settings = Settings.model_validate(document["settings"])
        self._nuclei_assessed = document["inflammation"]["macrophages_in_necrotic_fibres"] is not None
        pyramids = read_labels(saved.folder)
        self.labels: dict[Kind, EditedLabels] = {"fibres": EditedLabels(pyramids.fibres), "nuclei": EditedLabels(pyramids.nuclei)}
        self._book = Book(saved.fibres, saved.nuclei, self.labels, _squares(saved))
        self._desk = Desk(self._book, Measuring(slide, saved.fibres, self._settings), self._settings)
        self._following = Following(self._book, saved.clusters, self._settings)
        self._scores: Scores | None = None
        self.journal = Journal(saved)
        self._done: list[tuple[dict[str, Any], Log]] = []
        self._undone: list[dict[str, Any]] = []
        self._replay()

    @classmethod
    def open(cls, folder: Path, *, slide: Slide | None = None, who: str | None = None) -> Corrections:
        """Open a result folder, with the edits that its journal holds done again.

        slide  measures the stain of fibres whose outline changes; without it only their size and form are;  who: for the journal
        ResultError and OlderResult for a folder or a journal that can't be read; UsageError for another slide.
        """
        return cls(read_saved(Path(folder)), slide, who or getpass.getuser())

    # What is there now

    @property
    def fibres(self) -> pd.DataFrame:
        return self._tables["fibres"]

    @property
    def nuclei(self) -> pd.DataFrame:
        return self._tables["nuclei"]

    @cached_property
    def _tables(self) -> dict[Kind, pd.DataFrame]:
        """As the analysis would give them; forgotten with every edit."""
        fibres, nuclei = self._book.tables["fibres"], self._book.tables["nuclei"]
        ids, following = nuclei.index.to_numpy(), self._following
        derived = {"necrosis_distance_um": following.distance[ids], "cluster_id": following.cluster[ids]}
        return {"fibres": fibres.reset_index(drop=True), "nuclei": nuclei.assign(**derived).reset_index(drop=True)}

    @property
    def clusters(self) -> pd.DataFrame:
        return self._following.clusters

    @property
    def tissue_area_mm2(self) -> float:
        """Of the tissue, without the regions marked unassessable: these count by the squares of 25 um in them that hold objects."""
        whole = float(self.saved.document["quality"]["tissue_area_mm2"])
        return max(0.0, whole - float(self._book.excluded.sum()) * OCCUPIED_UM**2 / 1e6)

    def scores(self) -> Scores:
        """The scores of the corrected section."""
        if self._scores is None:
            self._scores = self.scored(self.fibres, self.nuclei, self.clusters, self.tissue_area_mm2)
        return self._scores

    def scored(self, fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, tissue_area_mm2: float) -> Scores:
        """Any tables scored with the settings of this analysis."""
        return score(fibres, nuclei, clusters, tissue_area_mm2, self._settings, self._nuclei_assessed)

    @cached_property
    def machine_scores(self) -> Scores:
        """The machine's tables scored by this version, to compare with."""
        saved = self.saved
        return self.scored(saved.fibres, saved.nuclei, saved.clusters, saved.document["quality"]["tissue_area_mm2"])

    def outline(self, fibre: int) -> np.ndarray:
        """Corners (k, 2) in um of a fibre as it is now; UsageError where there is none."""
        row = self._book.rows("fibres", [fibre])
        labels = self.labels["fibres"]
        box = labels.around(row[["y_um", "x_um"]].to_numpy(), float(row["max_feret_um"].iloc[0]))
        return outlines((labels.read(box) == fibre).astype(np.int32), labels.grid_of(box))[0]

    def reshaped(self) -> set[int]:
        """Fibres whose outline is not the machine's."""
        now, machine = (table.set_index("fibre_id")[["y_um", "x_um", "area_um2"]] for table in (self.fibres, self.saved.fibres))
        return set(now.index[~(now == machine.reindex(now.index)).all(axis=1)])

    @property
    def edits(self) -> list[dict[str, Any]]:
        """The lines of the journal that stand, in order."""
        return [line for line, _ in self._done]

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    # Edits; UsageError where one can't be done, OutputError where it can't be saved: then nothing has changed

    def set_state(self, fibres: list[int], state: str) -> Change:
        """Call fibres one of FIBRE_STATES, or "unassessable"."""
        return self._edit({"edit": "state", "fibres": _ids(fibres), "state": state})

    def set_type(self, nuclei: list[int], kind: str) -> Change:
        """Call nuclei one of NUCLEUS_TYPES."""
        return self._edit({"edit": "type", "nuclei": _ids(nuclei), "type": kind})

    def delete(self, kind: Kind, ids: list[int]) -> Change:
        """Take away what is no fibre, or no nucleus."""
        return self._edit({"edit": "delete", kind: _ids(ids)})

    def split(self, fibre: int, line_um: np.ndarray) -> Change:
        """Cut a fibre along a line (k, 2)."""
        return self._edit({"edit": "split", "fibre": int(fibre), "line_um": _rounded(line_um)})

    def merge(self, fibres: list[int]) -> Change:
        """Make one fibre of several neighbours."""
        return self._edit({"edit": "merge", "fibres": _ids(fibres)})

    def redraw(self, fibre: int, ring_um: np.ndarray) -> Change:
        """Give a fibre another outline (k, 2)."""
        return self._edit({"edit": "redraw", "fibre": int(fibre), "ring_um": _rounded(ring_um)})

    def draw(self, ring_um: np.ndarray, state: str) -> Change:
        """Add a fibre that was missed."""
        return self._edit({"edit": "draw", "ring_um": _rounded(ring_um), "state": state})

    def mark_unassessable(self, ring_um: np.ndarray) -> Change:
        """Leave a region (k, 2) out."""
        return self._edit({"edit": "unassessable", "ring_um": _rounded(ring_um)})

    def undo(self) -> Change:
        """Take the last edit back; UsageError without any."""
        if not self._done:
            raise UsageError("nothing to undo")
        self.journal.append({"edit": "undo"}, self.who)
        line, log = self._done.pop()
        self._undone.append(line)
        self._book.revert(log)
        return self._changed(f"undone: {line['edit']}")

    def redo(self) -> Change:
        """Do the last undone edit again; UsageError without any."""
        if not self._undone:
            raise UsageError("nothing to redo")
        self.journal.append({"edit": "redo"}, self.who)
        line = self._undone.pop()
        self._done.append((line, self._apply(line)[1]))
        return self._changed(f"done again: {line['edit']}")

    def _edit(self, edit: dict[str, Any]) -> Change:
        text, log = self._apply(edit)
        try:
            self.journal.append(edit, self.who)
        except Exception:
            self._book.revert(log)
            raise
        self._done.append((self.journal.lines[-1], log))
        self._undone.clear()
        return self._changed(text)

    def _apply(self, edit: dict[str, Any]) -> tuple[str, Log]:
        """Do an edit and what follows for nuclei and counts; on an error the book is as before."""
        owner_before = self._book.tables["nuclei"]["fibre_id"]
        self._book.begin()
        try:
            text = EDITS[edit["edit"]](self._desk, edit)
            if self._book.touched.boxes["fibres"]:
                settle_nuclei(self._book, self._settings)
            if self._nuclei_assessed and (self._book.touched.nuclei or self._book.touched.boxes["fibres"]):
                settle_counts(self._book, owner_before)
        except Exception:
            self._book.revert(self._book.finish())
            raise
        return text, self._book.finish()

    def _changed(self, text: str) -> Change:
        self._following.update(self._book)
        self._scores = None
        self.__dict__.pop("_tables", None)
        touched = self._book.touched
        boxes = {kind: [_box_um(self.labels[kind].grid, box) for box in found] for kind, found in touched.boxes.items()}
        return Change(text, tuple(sorted(touched.fibres)), tuple(sorted(touched.nuclei)), boxes)

    def _replay(self) -> None:
        """Do the edits of the journal again; what follows for distances and clusters is brought up to date once, at the end."""
        lines, self._undone = standing(self.journal.lines)
        everything = Touched()
        for line in lines:
            try:
                _check_numbers(line)
                self._done.append((line, self._apply(line)[1]))
            except (KeyError, TypeError, ValueError, OverflowError, UsageError) as error:
                where = f"{self.journal.path}: edit {line.get('n')} ({line['edit']})"
                raise ResultError(f"{where} can't be done again ({error}); bring back a copy of the journal, or move it away") from error
            everything.add(self._book.touched)
        if lines:
            self._book.touched = everything
            self._following.update(self._book)


def _check_numbers(line: dict[str, Any]) -> None:
    """UsageError for numbers of fibres or nuclei in a line of the journal that are no whole numbers: 1.7 would be taken for 1."""
    for name in ("fibres", "nuclei", "made"):
        if not all(type(number) is int for number in line.get(name, [])):
            raise UsageError(f"{name} {line[name]!r}; wanted whole numbers")
    if type(line.get("fibre", 0)) is not int:
        raise UsageError(f"fibre {line['fibre']!r}; wanted a whole number")


def _squares(saved: Saved) -> np.ndarray:
    """Centres in um (m, 2) of the squares of tissue, by which a region's share of the tissue's area is told."""
    positions = np.concatenate([saved.fibres[["y_um", "x_um"]].to_numpy(), saved.nuclei[["y_um", "x_um"]].to_numpy()])
    return occupied(positions, positions.mean(axis=0)) if len(positions) else np.empty((0, 2))


def _ids(ids: list[int]) -> list[int]:
    return list(dict.fromkeys(int(i) for i in ids))


def _rounded(points_um: np.ndarray) -> list[list[float]]:
    return np.round(np.asarray(points_um, dtype=np.float64), _DECIMALS).tolist()


def _box_um(grid: PixelGrid, box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    (top, left), (bottom, right) = grid.to_um(np.array([box[:2], box[2:]]))
    return float(top), float(left), float(bottom), float(right)
