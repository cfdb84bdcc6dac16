"""How necrosis and infiltrates lie: scattered, grouped or perifascicular, confluent areas, and the compartments of the cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import gammaincc, gammaln  # scipy.stats would take a third of a second to load

from biopsy_analyzer.near import linked
from biopsy_analyzer.score import model
from biopsy_analyzer.score.axes import is_necrotic
from biopsy_analyzer.score.basis import Basis
from biopsy_analyzer.score.doubts import Doubts
from biopsy_analyzer.score.intervals import Resampled
from biopsy_analyzer.score.judged import Judged
from biopsy_analyzer.score.places import Places
from biopsy_analyzer.settings import Settings, SpaceSettings
from biopsy_analyzer.tables import plural

UNTESTED = model.Tested(ratio=None, observed=None, expected=None, p=None)
NOWHERE = model.Place(value=None, ci95=None, cells=None, share=None)
NO_PLACES = model.Places(endomysial=NOWHERE, perimysial=NOWHERE, perivascular=NOWHERE, around_living_fibres=NOWHERE)
SUGGESTED_P, SUGGESTED_RATIO = 0.05, 1.2  # below, or above: necrosis may be grouped, though that is not proven. Convention, prior
LEAST_FASCICLES = 2  # a border parts two: of one fascicle there is no telling whether what lies beyond it is perimysium
NO_PERIMYSIUM = "perimysium could not be told from endomysium: fewer than two fascicles were found"
NOTHING_CONFLUENT = model.ConfluentAreas(count=0, fibres=0, share=None, largest_fibres=0, largest_um2=0.0)


def find_space(
    fibres: pd.DataFrame,
    places: Places,
    pairs: np.ndarray,
    confluent: model.ConfluentAreas,
    basis: Basis,
    necrosis: Judged,
    whole: Settings,
) -> model.Space:
    """The space block; pairs (k, 2): assessable fibres that are `neighbours`;  necrosis: whether there are necrotic fibres at all."""
    settings = whole.space
    seen = fibres["assessable"].to_numpy()
    necrotic = is_necrotic(fibres[seen])
    told = necrotic.sum() >= settings.min_necrotic and not necrotic.all()
    grouping = join_count(necrotic, pairs) if told else UNTESTED
    border = places.border[seen]
    parted = places.fascicles >= LEAST_FASCICLES
    at_border = _at_border(necrotic, border) if told and parted else UNTESTED
    arrangement, reasons = _name(int(necrotic.sum()), grouping, at_border, necrosis, basis.doubts, settings)
    cells = basis.seen if basis.cells else None
    return model.Space(
        arrangement=arrangement,
        reasons=reasons,
        grouping=grouping,
        perifascicular=at_border,
        perifascicular_fibres=int(border.sum()) if parted else None,
        fascicles=places.fascicles if parted else None,
        confluent=confluent,
        cells=NO_PLACES if cells is None else _cell_places(cells, parted, whole.score.cells_design),
    )


def nowhere(why: str) -> model.Space:
    """The space block of a section of which nothing could be looked at."""
    return model.Space(
        arrangement="not_assessable",
        reasons=(why,),
        grouping=UNTESTED,
        perifascicular=UNTESTED,
        perifascicular_fibres=None,
        fascicles=None,
        confluent=NOTHING_CONFLUENT,
        cells=NO_PLACES,
    )


def join_count(labelled: np.ndarray, pairs: np.ndarray) -> model.Tested:
    """Pairs of neighbours that are both labelled, against random labelling of the same fibres.

    labelled (n,) bool; pairs (k, 2). Mean and variance are exact (Cliff & Ord 1981, sampling without replacement), the upper tail
    is that of the gamma distribution with both. Null without pairs that can be expected. Held against esda's permutations in tests.
    """
    n, m, joins = len(labelled), int(labelled.sum()), len(pairs)
    if joins == 0 or m < 2 or m == n:
        return UNTESTED
    share = np.cumprod([(m - i) / (n - i) for i in range(4)])  # chance that 1, 2, 3, 4 given fibres are all labelled
    degree = np.bincount(pairs.ravel(), minlength=n)
    chains = float((degree * (degree - 1)).sum())  # ordered pairs of joins that share a fibre
    mean = joins * share[1]
    variance = mean + chains * share[2] + (joins * (joins - 1) - chains) * share[3] - mean**2
    observed = int((labelled[pairs[:, 0]] & labelled[pairs[:, 1]]).sum())
    if variance <= 0:
        return UNTESTED
    shape = mean**2 / variance
    # half a join: a count stands for the interval around it
    p = float(gammaincc(shape, max(observed - 0.5, 0.0) * mean / variance))
    return model.Tested(ratio=observed / mean, observed=observed, expected=mean, p=p)


def _at_border(necrotic: np.ndarray, border: np.ndarray) -> model.Tested:
    """Necrotic fibres at fascicle borders; hypergeometric, which random labelling gives exactly."""
    n, m, k = len(necrotic), int(necrotic.sum()), int(border.sum())
    if not 0 < k < n:
        return UNTESTED
    observed, expected = int((necrotic & border).sum()), m * k / n
    return model.Tested(ratio=observed / expected, observed=observed, expected=expected, p=_at_least(observed, n, m, k))


def _at_least(observed: int, n: int, m: int, k: int) -> float:
    """Chance that of m fibres drawn from n, of which k lie at a border, at least `observed` do (hypergeometric)."""
    hits = np.arange(observed, min(m, k) + 1)

    def log_choose(of: int | np.ndarray, chosen: int | np.ndarray) -> np.ndarray:
        return np.asarray(gammaln(np.add(of, 1)) - gammaln(np.add(chosen, 1)) - gammaln(np.subtract(of, chosen) + 1))

    possible = hits[m - hits <= n - k]
    return float(min(np.exp(log_choose(k, possible) + log_choose(n - k, m - possible) - log_choose(n, m)).sum(), 1.0))


def _name(
    necrotic: int, grouping: model.Tested, at_border: model.Tested, necrosis: Judged, doubts: Doubts, settings: SpaceSettings
) -> tuple[model.Arrangement, tuple[str, ...]]:
    """How the necrotic fibres lie, and why; not assessable where they may be none, or what speaks against it may have been missed."""
    if grouping.ratio is None or grouping.p is None:
        wanted = f"at least {settings.min_necrotic}, and some fibres that are not necrotic, are wanted to tell how they lie"
        return "not_assessable", (f"{plural(necrotic, 'necrotic fibre')}; {wanted}",)
    tested = ((grouping, "pairs of necrotic neighbours"), (at_border, "necrotic fibres at fascicle borders"))
    told, counted = (tuple(_told(test, what, with_p) for test, what in tested) for with_p in (True, False))
    if necrosis.state != "present":
        return "not_assessable", (rests_on(necrosis), *counted)
    if doubts.alone:
        return "not_assessable", (f"necrotic fibres are {doubts.if_dead}", *counted)
    if _proven(at_border, settings) and not doubts.cover:
        return "perifascicular", told
    if _proven(grouping, settings):
        return "grouped", told
    if _proven(at_border, settings):
        return "not_assessable", (f"fascicle borders may be gaps of missed fibres: {doubts.cover[0]}", *counted)
    if grouping.p < SUGGESTED_P or grouping.ratio > SUGGESTED_RATIO:
        return "not_assessable", ("not settled: grouping is neither shown nor ruled out", *told)
    if missed := (*doubts.section, *doubts.reference):
        return "not_assessable", (f"groups may have been missed: {'; '.join(missed)}", *counted)
    return "scattered", told


def rests_on(necrosis: Judged) -> str:
    """Why nothing is told that rests on necrotic fibres, where these are not present."""
    state = "absent" if necrosis.state == "absent" else "not settled"
    return f"rests on necrotic fibres, which are {state} ({necrosis.reason.removeprefix('not settled: ')})"


def _proven(tested: model.Tested, settings: SpaceSettings) -> bool:
    return tested.p is not None and tested.ratio is not None and tested.p < settings.alpha and tested.ratio >= settings.min_ratio


def _told(tested: model.Tested, what: str, with_p: bool) -> str:
    """What was found and what chance gives; `with_p` False where nothing rests on it: a p of what can't be assessed would speak."""
    if tested.ratio is None or tested.p is None:
        return f"{what}: {NO_PERIMYSIUM}"
    return f"{tested.observed:g} {what}, {tested.expected:.1f} by chance" + (f" (p {_p(tested.p)})" if with_p else "")


def _p(p: float) -> str:
    """Below a thousandth the approximations of the tails tell no more."""
    return f"{p:.2g}" if p >= 0.001 else "below 0.001"


def find_confluent(fibres: pd.DataFrame, pairs: np.ndarray, settings: SpaceSettings) -> tuple[model.ConfluentAreas, np.ndarray]:
    """Groups of necrotic neighbours, and which rows of `fibres` lie in confluent areas, bool (n,); pairs as in `find_space`."""
    rows = np.zeros(len(fibres), dtype=bool)
    seen = np.flatnonzero(fibres["assessable"].to_numpy())
    table = fibres.iloc[seen]
    necrotic = is_necrotic(table)
    if not necrotic.any():
        return NOTHING_CONFLUENT, rows
    group = linked(pairs[necrotic[pairs].all(axis=1)], len(table))
    size = np.bincount(group[necrotic], minlength=int(group.max()) + 1)
    rows[seen] = in_area = necrotic & (size[group] >= settings.confluent_fibres)
    largest = necrotic & (group == size.argmax())
    found = model.ConfluentAreas(
        count=int((size >= settings.confluent_fibres).sum()),
        fibres=int(in_area.sum()),
        share=in_area.sum() / necrotic.sum(),
        largest_fibres=int(size.max()),
        largest_um2=float(table["area_um2"].to_numpy()[largest].sum()),
    )
    return found, rows


def _cell_places(cells: Resampled, parted: bool, design: float) -> model.Places:
    def place(name: str) -> model.Place:
        drawn, all_cells = cells.density(name, design), cells.total("inflammatory")
        if drawn is None:
            return NOWHERE
        count = cells.total(name)
        return model.Place(value=drawn.value, ci95=drawn.interval(), cells=int(count), share=count / all_cells if all_cells else None)

    return model.Places(
        endomysial=place("endomysial"),
        perimysial=place("perimysial") if parted else NOWHERE,
        perivascular=NOWHERE,
        around_living_fibres=place("around_living"),
    )
