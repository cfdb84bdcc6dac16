"""Tables, labels and regions of one section under correction, with a log that takes every step back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from biopsy_analyzer.corrections.edited_labels import Box, EditedLabels
from biopsy_analyzer.errors import UsageError

Kind = Literal["fibres", "nuclei"]
ID: dict[Kind, str] = {"fibres": "fibre_id", "nuclei": "nucleus_id"}
"""The column of each table that holds its ids."""

Log = list[Callable[[], None]]
"""What takes the changes of an edit back, in the order in which they were made."""


class Touched:
    """What one edit changed: where everything that follows from it has to be looked at again.

    fibre_rows      places and sizes of fibres, as they were before and are after
    fibres, nuclei  ids of those that changed, came or went
    boxes           where labels changed, by "fibres" and "nuclei"; none of fibres: no outline changed
    """

    def __init__(self) -> None:
        self.fibre_rows: list[pd.DataFrame] = []
        self.nuclei: set[int] = set()
        self.fibres: set[int] = set()
        self.boxes: dict[Kind, list[Box]] = {"fibres": [], "nuclei": []}

    def add(self, other: Touched) -> None:
        """What another edit changed as well."""
        self.fibre_rows += other.fibre_rows
        self.nuclei |= other.nuclei
        self.fibres |= other.fibres
        for kind, boxes in other.boxes.items():
            self.boxes[kind] += boxes


class Book:
    """The present state. All changes go through `put`, `remove`, `write` and `exclude`; `revert` takes the changes of an edit back.

    tables    fibres and nuclei, indexed by their ids, which never change
    labels    what is outlined
    squares   centres (m, 2) in um of the squares of tissue;  excluded: bool (m,), those that a reader marked unassessable
    touched   what the edit that is under way, or was the last, has changed
    """

    def __init__(self, fibres: pd.DataFrame, nuclei: pd.DataFrame, labels: dict[Kind, EditedLabels], squares: np.ndarray) -> None:
        self.tables: dict[Kind, pd.DataFrame] = {"fibres": _indexed(fibres, "fibres"), "nuclei": _indexed(nuclei, "nuclei")}
        self.labels = labels
        self.squares, self.excluded = squares, np.zeros(len(squares), bool)
        self._log: Log = []
        self.touched = Touched()

    def begin(self) -> None:
        """Start the log of an edit."""
        self._log, self.touched = [], Touched()

    def finish(self) -> Log:
        """What `revert` needs to take this edit back."""
        return self._log

    def rows(self, kind: Kind, ids: list[int]) -> pd.DataFrame:
        """The rows of `ids`; UsageError for one that isn't there, or for none."""
        at, known = self.places(kind, ids)
        if not known.all() or not ids:
            missing = [int(i) for i in np.array(ids, np.int64)[~known]]
            raise UsageError(f"no {kind} {missing}: deleted, merged, or never there; select {kind} that are shown")
        return self.tables[kind].iloc[at]

    def places(self, kind: Kind, ids: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
        """Where `ids` stand in the table, and which of them are there, bool; of the others the place means nothing.

        The index is sorted, so no hash table of 200,000 nuclei has to be built after every edit.
        """
        index, wanted = self.tables[kind].index.to_numpy(), np.fromiter(ids, np.int64)
        if not len(index):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        at = np.minimum(np.searchsorted(index, wanted), len(index) - 1)
        return at, index[at] == wanted

    def among(self, kind: Kind, ids: Iterable[int]) -> np.ndarray:
        """Which rows of the table `ids` have, bool (n,)."""
        at, known = self.places(kind, ids)
        found = np.zeros(len(self.tables[kind]), bool)
        found[at[known]] = True
        return found

    def put(self, kind: Kind, rows: pd.DataFrame) -> None:
        """Replace the rows that `rows` has the ids of, and add the others."""
        table = self.tables[kind]
        at, known = self.places(kind, rows.index)
        old, replaced, new = table.iloc[at[known]], rows.iloc[known], rows.iloc[~known]
        self._log.append(partial(self._unput, kind, old, list(new.index)))
        self._touch(kind, old, rows)
        if len(replaced):
            table = table.copy(deep=False)
            for name in rows.columns:
                if not old[name].equals(replaced[name]):
                    values = table[name].array.copy()
                    values[at[known]] = replaced[name].array
                    table[name] = values
        self.tables[kind] = pd.concat([table, new]).sort_index() if len(new) else table

    def remove(self, kind: Kind, ids: list[int]) -> None:
        """Take objects away, from the table and from what is outlined."""
        old = self.rows(kind, ids)
        self._log.append(partial(self._unremove, kind, old))
        self._touch(kind, old, old.iloc[:0])
        self._take_away(kind, ids)
        self.tables[kind] = self.tables[kind][~self.among(kind, ids)]

    def write(self, box: Box, pixels: np.ndarray) -> None:
        """New fibre labels in a box."""
        self._log.append(partial(self._unwrite, box))
        self.touched.boxes["fibres"].append(box)
        self.labels["fibres"].write(box, pixels)

    def exclude(self, squares: np.ndarray) -> None:
        """Mark squares of the tissue as unassessable."""
        self._log.append(partial(setattr, self, "excluded", self.excluded))
        self.excluded = self.excluded | squares

    def revert(self, log: Log) -> None:
        """Take an edit back; `touched` says what changed by that."""
        self.begin()
        for take_back in reversed(log):
            take_back()

    def next_id(self) -> int:
        """A fibre id above all that are, or were taken away."""
        return max([0, self.labels["fibres"].highest_gone, *self.tables["fibres"].index[-1:]]) + 1

    def _unput(self, kind: Kind, old: pd.DataFrame, new: list[int]) -> None:
        if new:
            self._touch(kind, self.rows(kind, new), old.iloc[:0])
            self.tables[kind] = self.tables[kind][~self.among(kind, new)]
        self.put(kind, old)

    def _unremove(self, kind: Kind, old: pd.DataFrame) -> None:
        self.put(kind, old)
        self._take_away(kind, list(old.index), away=False)

    def _unwrite(self, box: Box) -> None:
        self.labels["fibres"].unwrite()
        self.touched.boxes["fibres"].append(box)

    def _take_away(self, kind: Kind, ids: list[int], away: bool = True) -> None:
        labels = self.labels[kind]
        labels.take_away(ids, away)
        at, known = self.places(kind, ids)
        rows = self.tables[kind].iloc[at[known]]
        if len(rows):
            reach = float(rows["max_feret_um"].max())
            self.touched.boxes[kind].append(labels.around(rows[["y_um", "x_um"]].to_numpy(), reach))

    def _touch(self, kind: Kind, old: pd.DataFrame, new: pd.DataFrame) -> None:
        if kind == "nuclei":
            self.touched.nuclei.update(old.index, new.index)
        else:
            self.touched.fibres.update(old.index, new.index)
            self.touched.fibre_rows += [part[["y_um", "x_um", "max_feret_um"]] for part in (old, new) if len(part)]


def _indexed(table: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    return table.set_index(table[ID[kind]].to_numpy(), drop=False)
