"""Read drawn sections by the whole pixel pipeline and keep what was found beside what is true: the error model of docs/score_validation.md.

    python benchmarks/score_reader.py --out OUT --count 48 --first 9150000

Each section gives OUT/<seed>_{found,true}_{fibres,nuclei}.parquet and a line in OUT/sections.csv. Found tables are those of the
analysis with `truth` (the drawn class; "" a false find). True tables hold what was drawn, surely called, with `found` (bool): read
by a perfect reader. Drawn sections, not tissue.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from biopsy_analyzer.clusters import distance_to_necrosis, necrotic_border, necrotic_fibre_ids
from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.measure.nuclei_in_fibres import assign
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.score.axes import observe
from biopsy_analyzer.score.places import no_places
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import FIBRE_STATES, FIBRES, NECROTIC_STATES, NUCLEI, NUCLEUS_KINDS, typed
from biopsy_analyzer.training.agreement import match
from biopsy_analyzer.training.judge import onto
from biopsy_analyzer.training.truth import Truth, draw_truth


def true_tables(truth: Truth) -> tuple[pd.DataFrame, pd.DataFrame]:
    """FIBRES and NUCLEI of what was drawn, each surely called; labels keep their numbers, fibres hidden by artefacts are unassessable."""
    if truth.fibres is None or truth.nuclei is None or truth.fibre_state is None or truth.nucleus_type is None:
        raise ValueError(f"{truth.name}: wanted a drawn section, of which all is known")
    fibres = measure_shape(truth.fibres, truth.grid)
    state = np.array(truth.fibre_state[1 : len(fibres) + 1], dtype=object)
    known = state != ""
    state[~known] = "normal"
    share = {f"p_{s.replace('-', '_')}": (state == s).astype(float) for s in FIBRE_STATES}
    fibres = fibres.assign(fibre_id=np.arange(1, len(fibres) + 1), state=state, probability=1.0, **share, reason="drawn")
    fibres["assessable"] = known & (fibres["area_um2"] >= Settings().classify.min_state_um2)
    nuclei = measure_shape(truth.nuclei, truth.grid)
    kind = np.array(truth.nucleus_type[1 : len(nuclei) + 1], dtype=object)
    nuclei = nuclei.assign(nucleus_id=np.arange(1, len(nuclei) + 1), **{f"p_{k}": (kind == k).astype(float) for k in NUCLEUS_KINDS})
    nuclei = nuclei.join(assign(nuclei, truth.fibres, truth.grid)).assign(probability=1.0, reason="drawn")
    deep = (nuclei["depth_um"] > Settings().classify.internal_depth_um).to_numpy()
    nuclei["type"] = np.where(kind == "muscle", np.where(deep, "internal", "myonucleus"), kind)
    border = necrotic_border(necrotic_fibre_ids(fibres), truth.fibres, truth.grid)
    nuclei["necrosis_distance_um"] = distance_to_necrosis(nuclei, fibres, border)
    inner = nuclei[(nuclei["type"] == "internal")]["fibre_id"].value_counts()
    fibres["internal_nuclei_count"] = inner.reindex(fibres["fibre_id"]).fillna(0.0).to_numpy()
    eaten = nuclei[(nuclei["type"] == "macrophage") & (nuclei["depth_um"] >= 2)]["fibre_id"].value_counts()
    fibres["macrophages_inside"] = eaten.reindex(fibres["fibre_id"]).fillna(0.0).to_numpy()
    return _filled(fibres, FIBRES), _filled(nuclei, NUCLEI)


def _filled(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    missing = {name: 0 if dtype != "str" else "" for name, dtype in columns.items() if name not in table}
    return typed(table.assign(**missing)[list(columns)], columns)


def read_section(difficulty: str, seed: int, folder: Path, models: Models) -> tuple[Result, dict[str, pd.DataFrame]]:
    """Draw, analyse, match."""
    truth = draw_truth(difficulty, 0, folder, seed=seed)  # type: ignore[arg-type]
    with open_slide(truth.image, um_per_px=truth.grid.um_per_px) as slide:
        result = analyze_slide(slide, models)
    fibres, nuclei = true_tables(truth)
    tables = {}
    for name, true, drawn, labels, found, klass in (
        ("fibres", fibres, truth.fibres, result.fibre_labels, result.fibres, "state"),
        ("nuclei", nuclei, truth.nuclei, result.nucleus_labels, result.nuclei, "type"),
    ):
        assert drawn is not None
        units = match(drawn, onto(labels, truth.grid), ignore=truth.ignore)
        hits = units[(units.truth_id > 0) & (units.pred_id > 0)]
        truth_of = np.zeros(len(found) + 1, dtype=int)
        truth_of[hits.pred_id] = hits.truth_id
        names = np.array(["", *true[klass]], dtype=object)
        void = np.zeros(len(found) + 1, dtype=bool)
        void[units.pred_id[units.void]] = True
        tables[f"found_{name}"] = found.assign(truth=names[truth_of[1:]], truth_id=truth_of[1:], void=void[1:]).drop(columns="reason")
        tables[f"true_{name}"] = true.assign(found=np.isin(np.arange(1, len(true) + 1), hits.truth_id)).drop(columns="reason")
    return result, tables


def between(hits: list[float], of: list[float]) -> tuple[float, float]:
    """Pooled rate, and the SD between sections beyond what chance gives for so few objects each (method of moments)."""
    k, n = (np.array(a, dtype=float)[np.array(of) > 0] for a in (hits, of))
    mean, weight = k.sum() / n.sum(), n / n.sum()
    left = 1 - (weight**2).sum()
    spread = (weight * (k / n - mean) ** 2).sum() / left - mean * (1 - mean) * (len(n) - 1) / (n.sum() * left)
    return float(mean), float(max(spread, 0.0) ** 0.5)


def density_between(counts: list[float], areas: list[float]) -> tuple[float, float]:
    """Mean of counts per area, and the SD between sections beyond what chance gives for so small areas (method of moments)."""
    k, area = np.array(counts, dtype=float), np.array(areas)
    mean = k.sum() / area.sum()
    return float(mean), float(max((k / area).var() - mean * (1 / area).mean(), 0.0) ** 0.5)


def cells(nuclei: pd.DataFrame, fibres: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which nuclei count as inflammation, and which macrophages as clearing the dead away, by the score's own rules."""
    columns = observe(fibres, nuclei, no_places(fibres, nuclei), Settings()).nuclei
    return columns["inflammatory"] > 0, columns["clearing"] > 0


def rates(folder: Path) -> dict[str, tuple[float, float]]:
    """`ReaderSettings` by the sections read into `folder`.

    Found pieces that match no drawn fibre stand for the fibres missed: those called necrotic count as found necrotic ones, and so on.
    """
    counts: dict[str, tuple[list[float], list[float]]] = {}
    false_cells, areas = [], []

    def add(name: str, hits: float, of: float) -> None:
        for values, value in zip(counts.setdefault(name, ([], [])), (hits, of), strict=True):
            values.append(value)

    sections = pd.read_csv(folder / "sections.csv", names=["seed", "difficulty", "area", "status"]).drop_duplicates("seed")
    for seed, area in zip(sections["seed"], sections["area"], strict=True):
        if area < 0.1:  # mm2; a sliver of tissue is no section
            continue
        found, true, found_nuclei, true_nuclei = (
            pd.read_parquet(folder / f"{seed}_{name}.parquet") for name in ("found_fibres", "true_fibres", "found_nuclei", "true_nuclei")
        )
        found, drawn = found[found["assessable"] & ~found["void"]], true[true["assessable"]]
        matched = found[found["truth"] != ""]
        for name, states in (("necrosis", NECROTIC_STATES), ("regeneration", ("regenerating",))):
            is_true, called = matched["truth"].isin(states), matched["state"].isin(states)
            if name == "necrosis":  # its rates are those of firm calls
                called &= matched[["p_necrotic", "p_pale_fragmented"]].sum(axis=1) >= Settings().score.firm_call
            pieces = found[found["truth"] == ""]["state"].isin(states)
            add(f"{name}_recall", (is_true & called).sum(), is_true.sum())
            add(f"{name}_false", (~is_true & called).sum(), (~is_true).sum())
            of_class = drawn["state"].isin(states)
            add(f"{name}_found", drawn["found"][of_class].sum() + pieces.sum(), of_class.sum())
            add(f"{name}_others", drawn["found"][~of_class].sum() + (~pieces).sum(), (~of_class).sum())
        counts_found, clearing_found = cells(found_nuclei, pd.read_parquet(folder / f"{seed}_found_fibres.parquet"))
        counts_true, clearing_true = cells(true_nuclei, true)
        of = found_nuclei["truth_id"].to_numpy()
        of_count, of_clearing = np.r_[False, counts_true][of], np.r_[False, clearing_true][of]
        add("cells_recall", (counts_found & of_count).sum(), counts_true.sum())
        add("cells_leak", (counts_found & of_clearing).sum(), clearing_found.sum() + (counts_found & of_clearing).sum())
        false_cells.append((counts_found & ~of_count & ~of_clearing).sum())
        areas.append(area)
    measured = {name: between(*values) for name, values in counts.items()}
    for name in ("necrosis", "regeneration"):
        others = measured.pop(f"{name}_others")[0]
        mean, sd = measured[f"{name}_found"]
        measured[f"{name}_found"] = mean / others, sd / others
    return measured | {"cells_false": density_between(false_cells, areas)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--first", type=int, default=9_150_000, help="first seed; from 9,000,000 on nothing was trained on")
    parser.add_argument("--difficulty", default="usual")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    models = load_models(None, "cpu")
    for seed in range(options.first, options.first + options.count):
        if (options.out / f"{seed}_true_nuclei.parquet").exists():
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                result, tables = read_section(options.difficulty, seed, Path(folder), models)
        except SlideError as error:  # a section that is refused gives no score to judge
            print(seed, error, flush=True)
            continue
        for name, table in tables.items():
            table.to_parquet(options.out / f"{seed}_{name}.parquet")
        with (options.out / "sections.csv").open("a") as file:
            file.write(f"{seed},{options.difficulty},{result.tissue_area_mm2},{result.status}\n")
        print(seed, len(result.fibres), len(result.nuclei), result.scores.pattern.label, flush=True)
    for name, (mean, sd) in rates(options.out).items():
        print(f"{name:20} {mean:.4f} {sd:.4f}")


if __name__ == "__main__":
    main()
