"""Sections made of objects: muscles with known truth, windows of them, and a reader that errs as the pixel pipeline was seen to err.

What is made: places and sizes of fibres in fascicles, states in patches, cells in foci, and for each object what the reader makes of it,
taken from a section that benchmarks/score_reader.py read (found or missed, class called, probabilities). What is not: pixels; so
neither stain nor outlines vary by themselves, they come in through the reader's section.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial import cKDTree

from biopsy_analyzer.score.axes import axis_values
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import CLUSTERS, FIBRE_STATES, NECROTIC_STATES, NUCLEUS_KINDS, empty

P_STATES = [f"p_{s.replace('-', '_')}" for s in FIBRE_STATES]
P_KINDS = [f"p_{k}" for k in NUCLEUS_KINDS]
MUSCLE_MM = 12.0  # edge of the muscle that a section is a window of
GRID_UM = 40.0  # raster of its patches


@dataclass(frozen=True)
class Disease:
    """What a muscle is like. All priors: no published distribution per group was found (docs/score_validation.md)."""

    necrotic: tuple[float, float]  # share of fibres, least and most
    regenerating: tuple[float, float]
    cells_per_mm2: tuple[float, float]  # interstitial inflammatory cells
    in_foci: float = 0.6  # share of those cells that come in foci
    macrophages: float = 0.4  # share of macrophages among them
    eaten: float = 0.35  # share of necrotic fibres that macrophages have invaded
    patch_um: tuple[float, float] = (60.0, 250.0)  # scale of patches of sick fibres
    patchy: tuple[float, float] = (0.3, 1.2)  # SD of the log odds between patches
    perifascicular: float = 0.0  # log odds that a fibre at a fascicle's border has above one inside
    perimysial: float = 0.2  # share of foci in the perimysium
    truth: str = ""  # the pattern that it stands for


DISEASES = {
    "IMNM": Disease((0.06, 0.3), (0.04, 0.15), (5, 40), in_foci=0.3, macrophages=0.7, truth="necrosis-predominant"),
    "DM-like": Disease(
        (0.0, 0.02), (0.0, 0.04), (180, 900), perifascicular=3.0, perimysial=0.8, macrophages=0.3, truth="inflammation-predominant"
    ),
    "PM-like": Disease((0.005, 0.03), (0.01, 0.05), (250, 1200), in_foci=0.8, perimysial=0.1, truth="inflammation-predominant"),
    "dystrophy": Disease((0.02, 0.1), (0.03, 0.1), (30, 150), patchy=(0.8, 1.5), truth="mixed"),
    "toxic": Disease((0.1, 0.5), (0.05, 0.2), (5, 60), in_foci=0.2, macrophages=0.8, truth="necrosis-predominant"),
    "normal": Disease((0.0, 0.003), (0.0, 0.003), (2, 25), in_foci=0.2, truth="inactive"),
}
ANY = Disease((0.0, 0.3), (0.0, 0.15), (3, 700))


@dataclass(frozen=True)
class Made:
    """A section as tables: true (surely read) and as read; truth of its muscle: necrotic and regenerating share, cells per mm2."""

    fibres: pd.DataFrame
    nuclei: pd.DataFrame
    read_fibres: pd.DataFrame
    read_nuclei: pd.DataFrame
    area_mm2: float
    truth: np.ndarray
    facts: dict[str, float] = field(default_factory=dict)

    def balance(self) -> float:
        """True balance of the muscle."""
        values = axis_values(self.truth, Settings().score)
        return float(values[0] - values[2])


def _patches(rng: np.random.Generator, scale_um: float) -> np.ndarray:
    n = round(MUSCLE_MM * 1000 / GRID_UM)
    noise = ndimage.gaussian_filter(rng.standard_normal((n, n)), scale_um / GRID_UM, mode="wrap")
    return noise / noise.std()


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _offset(share: float, log_odds: np.ndarray) -> float:
    """The constant that gives `log_odds` this mean share."""
    low, high = -25.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _logistic(log_odds + middle).mean() < share else (low, middle)
    return low


def _fibre_places(rng: np.random.Generator, shape_um: tuple[float, float]) -> tuple[pd.DataFrame, np.ndarray]:
    """Fibres on a jittered lattice without those in the perimysium; and their distance to it in um."""
    step = rng.uniform(55, 85)
    y, x = np.mgrid[0 : shape_um[0] : step * 0.866, 0 : shape_um[1] : step]
    yx = np.stack([y.ravel(), (x + (np.arange(len(y))[:, None] % 2) * step / 2).ravel()], axis=1)
    yx += rng.normal(0, 0.1 * step, yx.shape)
    seeds = rng.uniform(
        -400, np.array(shape_um) + 400, (max(4, int((shape_um[0] + 800) * (shape_um[1] + 800) / rng.uniform(350, 800) ** 2)), 2)
    )
    near = cKDTree(seeds).query(yx, 2)
    gap = np.hypot(*(seeds[near[1][:, 0]] - seeds[near[1][:, 1]]).T)
    to_border = (near[0][:, 1] ** 2 - near[0][:, 0] ** 2) / (2 * gap)
    inside = (yx > 0).all(axis=1) & (yx < shape_um).all(axis=1) & (to_border > rng.uniform(0.3, 0.7) * step)
    yx, to_border = yx[inside], to_border[inside]
    area = 0.8 * step**2 * 0.866 * rng.lognormal(0, 0.22, len(yx))
    table = pd.DataFrame({"fibre_id": np.arange(1, len(yx) + 1), "y_um": yx[:, 0], "x_um": yx[:, 1], "area_um2": area})
    return table, to_border - step / 2


def _cell_places(rng: np.random.Generator, disease: Disease, per_mm2: float, shape_um: tuple[float, float]) -> np.ndarray:
    area = shape_um[0] * shape_um[1] / 1e6
    spread = rng.uniform(0, 1, (rng.poisson(per_mm2 * (1 - disease.in_foci) * area), 2)) * shape_um
    size, reach = rng.uniform(8, 40), rng.uniform(20, 60)
    margin = 4 * reach
    wide = (shape_um[0] + 2 * margin) * (shape_um[1] + 2 * margin) / 1e6  # foci beyond the window reach into it
    centres = rng.uniform(-margin, 0, 2) * 0 + rng.uniform(0, 1, (rng.poisson(per_mm2 * disease.in_foci / size * wide), 2))
    centres = centres * (np.array(shape_um) + 2 * margin) - margin
    cells = np.repeat(centres, rng.poisson(size, len(centres)), axis=0)
    cells = cells + rng.normal(0, reach, cells.shape)
    return np.concatenate([spread, cells[((cells > 0) & (cells < shape_um)).all(axis=1)]])


def make_section(rng: np.random.Generator, disease: Disease, area_mm2: float) -> Made:
    """A window of `area_mm2` of a muscle; the truth is the muscle's."""
    shape = (np.sqrt(area_mm2 * rng.uniform(0.6, 1)) * 1000,)
    shape = (shape[0], area_mm2 * 1e6 / shape[0])
    fibres, to_border = _fibre_places(rng, shape)
    n = len(fibres)
    share = {"necrotic": rng.uniform(*disease.necrotic), "regenerating": rng.uniform(*disease.regenerating)}
    if disease is ANY:  # all magnitudes alike
        share = {
            "necrotic": np.exp(rng.uniform(np.log(0.003), np.log(0.3))),
            "regenerating": np.exp(rng.uniform(np.log(0.003), np.log(0.15))),
        }
    at = np.minimum((fibres[["y_um", "x_um"]].to_numpy() / GRID_UM).astype(int), round(MUSCLE_MM * 1000 / GRID_UM) - 1)
    chance, true_share = {}, {}
    for name, mean in share.items():
        field_ = _patches(rng, rng.uniform(*disease.patch_um)) * rng.uniform(*disease.patchy)
        offset = _offset(mean, field_)
        extra = disease.perifascicular * (to_border < 40) if name == "necrotic" else 0.0
        chance[name] = _logistic(field_[at[:, 0], at[:, 1]] + offset + extra)
        true_share[name] = mean if not disease.perifascicular or name != "necrotic" else float(chance[name].mean())
    draw = rng.random(n)
    necrotic = draw < chance["necrotic"]
    regenerating = ~necrotic & (rng.random(n) < np.minimum(chance["regenerating"] / np.maximum(1 - chance["necrotic"], 0.1), 1))
    pale = necrotic & (rng.random(n) < 0.37)
    state = np.select([pale, necrotic, regenerating], ["pale-fragmented", "necrotic", "regenerating"], "normal").astype(object)
    eaten = necrotic & (rng.random(n) < disease.eaten)
    fibres = _fibre_table(fibres, state, np.where(eaten, 2 + rng.poisson(4, n), 0), (rng.random(n) < 0.02) & ~necrotic)
    low, high = disease.cells_per_mm2
    per_mm2 = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    nuclei = _nuclei(rng, disease, fibres, per_mm2, shape)
    truth = np.array([true_share["necrotic"], true_share["regenerating"], per_mm2])
    return Made(fibres, nuclei, fibres, nuclei, area_mm2, truth, {"share": share["necrotic"]})


def _fibre_table(fibres: pd.DataFrame, state: np.ndarray, eaten_by: np.ndarray, internal: np.ndarray) -> pd.DataFrame:
    sure = {column: (state == name).astype(float) for column, name in zip(P_STATES, FIBRE_STATES, strict=True)}
    return fibres.assign(
        state=state, **sure, probability=1.0, assessable=True, touches_border=False, macrophages_inside=eaten_by.astype(float),
        map_normal=0.9, internal_nuclei_count=internal.astype(float), nuclei_count=2.0, min_feret_um=np.sqrt(fibres["area_um2"]),
        max_feret_um=1.3 * np.sqrt(fibres["area_um2"]),
    )  # fmt: skip


def _nuclei(rng: np.random.Generator, disease: Disease, fibres: pd.DataFrame, per_mm2: float, shape: tuple[float, float]) -> pd.DataFrame:
    """Interstitial cells, macrophages in eaten fibres, and the many other nuclei that are no inflammation."""
    between = _cell_places(rng, disease, per_mm2, shape)
    kind = np.where(rng.random(len(between)) < disease.macrophages, "macrophage", "lymphocyte").astype(object)
    rows = np.repeat(np.arange(len(fibres)), fibres["macrophages_inside"].astype(int))
    eating = fibres[["y_um", "x_um"]].to_numpy()[rows] + rng.normal(0, 8, (len(rows), 2))
    own = np.repeat(np.arange(len(fibres)), rng.poisson(2.2, len(fibres)))
    muscle = fibres[["y_um", "x_um"]].to_numpy()[own] + rng.normal(0, 20, (len(own), 2))
    other = rng.uniform(0, 1, (rng.poisson(450 * shape[0] * shape[1] / 1e6), 2)) * shape  # capillaries, pathology.md
    places = np.concatenate([between, eating, muscle, other])
    owner = np.concatenate([np.zeros(len(between), int), rows + 1, own + 1, np.zeros(len(other), int)])
    kinds = np.concatenate([kind, np.full(len(eating), "macrophage"), np.full(len(muscle), "muscle"), np.full(len(other), "other")])
    inside = np.concatenate([np.zeros(len(between), bool), np.ones(len(eating), bool), np.zeros(len(muscle) + len(other), bool)])
    table = pd.DataFrame(
        {"nucleus_id": np.arange(1, len(places) + 1), "y_um": places[:, 0], "x_um": places[:, 1], "kind": kinds, "cluster_id": 0}
    )
    table = table.assign(owner=owner, inside=inside, **{p: (kinds == k).astype(float) for p, k in zip(P_KINDS, NUCLEUS_KINDS, strict=True)})
    return _placed(table.assign(type=np.where(kinds == "muscle", "myonucleus", kinds), probability=1.0), fibres)


def _placed(nuclei: pd.DataFrame, fibres: pd.DataFrame) -> pd.DataFrame:
    """Which fibre of `fibres` holds each nucleus, and how far necrosis is, by the states there."""
    known = nuclei["owner"].isin(fibres["fibre_id"]).to_numpy()
    dead = fibres.loc[fibres["state"].isin(NECROTIC_STATES) & fibres["assessable"], "fibre_id"]
    at = known & nuclei["owner"].isin(dead).to_numpy() & nuclei["inside"].to_numpy()
    return nuclei.assign(
        fibre_id=np.where(known, nuclei["owner"], 0),
        depth_um=np.where(nuclei["inside"], 10.0, np.where(known, 1.0, np.nan)),
        fibre_distance_um=np.where(known, 0.0, 6.0),
        necrosis_distance_um=np.where(at, 0.0, 50.0),
    )


COLUMNS = {
    "found_fibres": ["truth", "state", "assessable", "probability", *P_STATES],
    "true_fibres": ["state", "assessable", "found"],
    "found_nuclei": ["truth", "type", "probability", *P_KINDS],
    "true_nuclei": ["type", "found"],
}


def pack(folder: Path, out: Path) -> None:
    """What `Reader` needs of the sections that score_reader.py read into `folder`, as four tables in `out`."""
    sections = pd.read_csv(folder / "sections.csv", names=["seed", "difficulty", "area", "status"]).drop_duplicates("seed")
    seeds = sections["seed"][sections["area"] >= 0.1]  # mm2; a sliver of tissue is no section
    out.mkdir(exist_ok=True)
    for name, columns in COLUMNS.items():
        tables = [pd.read_parquet(folder / f"{seed}_{name}.parquet", columns=columns).assign(seed=seed) for seed in seeds]
        table = pd.concat(tables, ignore_index=True)
        numbers = {column: table[column].round(4).astype("float32") for column in columns if column.startswith("p")}
        table.assign(**numbers).to_parquet(out / f"{name}.parquet", index=False)


class Reader:
    """Sections read by the pixel pipeline, to err like."""

    def __init__(self, folder: Path) -> None:
        parts = {name: dict(iter(pd.read_parquet(folder / f"{name}.parquet").groupby("seed"))) for name in COLUMNS}
        self.seeds = sorted(parts["true_fibres"])
        self.tables = {seed: {name: of[seed] for name, of in parts.items() if seed in of} for seed in self.seeds}

    def read(self, made: Made, rng: np.random.Generator, misses: bool = True) -> Made:
        """`made` as a reader in the conditions of one section, drawn at random, reads it; misses False: every fibre is outlined."""
        seed = int(rng.choice(self.seeds))
        fibres = self._fibres(made.fibres, seed, rng, misses)
        nuclei = _placed(self._nuclei(made.nuclei, seed, rng), fibres)
        inside = nuclei[nuclei["inside"] & (nuclei["type"] == "macrophage")]["fibre_id"].value_counts()
        fibres = fibres.assign(macrophages_inside=inside.reindex(fibres["fibre_id"]).fillna(0.0).to_numpy())
        return replace(
            made, read_fibres=fibres.reset_index(drop=True), read_nuclei=nuclei.reset_index(drop=True), facts={**made.facts, "reader": seed}
        )

    def _section_with(self, seed: int, table: str, chosen: str, column: str, rng: np.random.Generator, least: int = 5) -> int:
        """`seed` where its section holds enough objects of the class to err like, else another that does."""
        for other in (seed, *rng.permutation(self.seeds)):
            if (self.tables[int(other)][table][column] == chosen).sum() >= least:
                return int(other)
        return seed

    def _fibres(self, fibres: pd.DataFrame, seed: int, rng: np.random.Generator, misses: bool) -> pd.DataFrame:
        columns = ["state", "probability", "assessable", *P_STATES]
        parts = []
        for state in FIBRE_STATES:
            own = fibres[fibres["state"] == state]
            if not len(own):
                continue
            other = self._section_with(seed, "true_fibres", state, "state", rng)
            true = self.tables[other]["true_fibres"]
            found = true["found"][(true["state"] == state) & true["assessable"]].mean()
            if misses:
                own = own[rng.random(len(own)) < found]
            pool = self.tables[self._section_with(seed, "found_fibres", state, "truth", rng)]["found_fibres"]
            pool = pool[pool["truth"] == state]
            read = pool.iloc[rng.integers(len(pool), size=len(own))][columns].reset_index(drop=True)
            parts.append(pd.concat([own.drop(columns=columns).reset_index(drop=True), read], axis=1))
        return pd.concat(parts, ignore_index=True)

    def _nuclei(self, nuclei: pd.DataFrame, seed: int, rng: np.random.Generator) -> pd.DataFrame:
        columns = ["type", "probability", *P_KINDS]
        parts = []
        for kind in NUCLEUS_KINDS:
            own = nuclei[nuclei["kind"] == kind]
            if not len(own):
                continue
            types = ("myonucleus", "internal") if kind == "muscle" else (kind,)
            other = self._section_with(seed, "true_nuclei", types[0], "type", rng)
            true, pool = self.tables[other]["true_nuclei"], self.tables[other]["found_nuclei"]
            own = own[rng.random(len(own)) < true["found"][true["type"].isin(types)].mean()]
            pool = pool[pool["truth"].isin(types)]
            if not len(pool):
                continue
            read = pool.iloc[rng.integers(len(pool), size=len(own))][columns].reset_index(drop=True)
            parts.append(pd.concat([own.drop(columns=columns).reset_index(drop=True), read], axis=1))
        return pd.concat(parts, ignore_index=True)


NO_CLUSTERS = empty(CLUSTERS)
