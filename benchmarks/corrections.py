"""How long a correction takes on a large section: 20,000 fibres and 200,000 nuclei on a lattice, edited as in the viewer, scores included.

    python benchmarks/corrections.py [--fibres 20000] [--rounds 5]

Prints CPU seconds (and seconds on the clock) of each kind of edit until the new scores stand, the median of some rounds. The aim is 0.5 s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from biopsy_analyzer.clusters import find_clusters
from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.labels import write_labels
from biopsy_analyzer.report.result import Labels, SlideInfo
from biopsy_analyzer.report.scores_json import Quality, ScoresDocument, to_text
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.score import score
from biopsy_analyzer.settings import Settings
from made_tables import make_fibres, make_nuclei

STEP_UM, EDGE_UM = 70.0, 56.0
STATES, TYPES = ("normal", "necrotic", "pale-fragmented", "regenerating"), ("myonucleus", "internal", "macrophage", "lymphocyte", "other")


class Lattice:
    """A label image that is computed window by window: square fibres 1..n on a lattice of 70 um."""

    def __init__(self, side: int, count: int, um_per_px: float) -> None:
        self.side, self.count, self.um = side, count, um_per_px
        self.shape = (int(side * STEP_UM / um_per_px),) * 2

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        places = [(np.arange(*part.indices(n)) + 0.5) * self.um for part, n in zip(key, self.shape, strict=True)]
        rows, columns = ((at // STEP_UM).astype(np.int32) for at in places)
        inside = [at % STEP_UM < EDGE_UM for at in places]
        number = rows[:, None] * self.side + columns + 1
        return np.where(inside[0][:, None] & inside[1] & (number <= self.count), number, 0).astype(np.int32)


def make_result(folder: Path, n_fibres: int) -> None:
    """Write tables, scores.json and labels as an analysis would leave them."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(n_fibres)))
    states = rng.choice(STATES, n_fibres, p=[0.9, 0.05, 0.02, 0.03]).tolist()
    at = np.arange(n_fibres)
    place = {"y_um": at // side * STEP_UM + EDGE_UM / 2, "x_um": at % side * STEP_UM + EDGE_UM / 2}
    fibres = make_fibres(states, **place, area_um2=EDGE_UM**2, max_feret_um=EDGE_UM * 1.42)
    n = 10 * n_fibres
    y, x = rng.uniform(0, side * STEP_UM, (2, n))
    inside = (y % STEP_UM < EDGE_UM) & (x % STEP_UM < EDGE_UM)
    owner = np.where(inside, (y // STEP_UM * side + x // STEP_UM + 1).astype(int), 0)
    owner[owner > n_fibres] = 0
    depth = np.minimum.reduce([y % STEP_UM, EDGE_UM - y % STEP_UM, x % STEP_UM, EDGE_UM - x % STEP_UM])
    kinds = rng.choice(TYPES, n, p=[0.58, 0.05, 0.07, 0.05, 0.25]).tolist()
    near = {"depth_um": np.where(owner > 0, depth, np.nan), "fibre_distance_um": np.where(owner > 0, 0.0, 7.0)}
    nuclei = make_nuclei(kinds, y_um=y, x_um=x, fibre_id=owner, max_feret_um=8.0, **near)
    nothing = (np.empty((0, 2)), np.empty(0, np.int32))
    clusters, of_nucleus = find_clusters(nuclei, fibres, nothing, Settings().clusters)
    nuclei["cluster_id"] = of_nucleus
    area = (side * STEP_UM / 1000) ** 2
    for name, table in (("fibres", fibres), ("nuclei", nuclei), ("clusters", clusters)):
        write_table(table, folder, name)
    pixels = int(side * STEP_UM / 0.5)
    scores = score(fibres, nuclei, clusters, area, Settings(), True)
    facts: dict[str, Any] = {"id": "lattice", "file_name": "lattice.tif", "sha256": "0" * 64, "um_per_px": 0.5, "um_per_px_source": "given"}
    document = ScoresDocument(
        status="ok",
        slide=SlideInfo(**facts, width_px=pixels, height_px=pixels),
        software={},
        models=[],
        settings=Settings(),
        quality=Quality(tissue_area_mm2=area, flags=[]),
        **{name: getattr(scores, name) for name in type(scores).model_fields},
    )
    (folder / "scores.json").write_text(to_text(document.model_dump(mode="json")), encoding="utf-8")
    lattice, few = Lattice(side, n_fibres, 0.8), Lattice(side, n_fibres, 2.0)  # nuclei's own pixels play no part here
    write_labels(Labels(lattice, PixelGrid(lattice.shape, 0.8)), Labels(few, PixelGrid(few.shape, 2.0)), folder)  # type: ignore[arg-type]


def main() -> None:
    """Make a section and edit it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fibres", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_result(folder, given.fibres)
        started = time.process_time()
        corrections = Corrections.open(folder, who="benchmark")
        print(f"open                     {time.process_time() - started:6.2f} CPU s")
        middle = given.fibres // 2
        line = np.array([[-40.0, 3.0], [40.0, 3.0]])
        edits = {
            "state, becomes necrotic": lambda k: corrections.set_state([middle + 3 * k + 1], "necrotic"),
            "state, becomes normal": lambda k: corrections.set_state([middle + 3 * k + 1], "normal"),
            "type of a nucleus": lambda k: corrections.set_type([1000 + k], "lymphocyte"),
            "split": lambda k: corrections.split(middle + 3 * k, place(corrections, middle + 3 * k) + line),
            "delete a fibre": lambda k: corrections.delete("fibres", [middle + 3 * k]),
            "delete a nucleus": lambda k: corrections.delete("nuclei", [5000 + k]),
            "undo": lambda k: corrections.undo(),
        }
        for name, edit in edits.items():
            spent = []
            for k in range(given.rounds):
                cpu, clock = time.process_time(), time.perf_counter()
                edit(k)
                corrections.scores()
                spent.append((time.process_time() - cpu, time.perf_counter() - clock))
            cpu, clock = np.median(spent, axis=0)
            print(f"{name:<24} {cpu:6.2f} CPU s, {clock:6.2f} s")


def place(corrections: Corrections, fibre: int) -> np.ndarray:
    """Centre of a fibre."""
    return corrections.saved.fibres.loc[fibre - 1, ["y_um", "x_um"]].to_numpy(dtype=float)


if __name__ == "__main__":
    main()
