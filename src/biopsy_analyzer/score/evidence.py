"""Findings that criteria name, each with value, interval, present / absent / not assessable, and the objects it rests on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from biopsy_analyzer.score.basis import Basis
from biopsy_analyzer.score.doubts import Doubts
from biopsy_analyzer.score.findings import (
    ABSENCES,
    ARRANGED,
    AT_BORDERS,
    FINDINGS,
    NEED_CELLS,
    NEED_KINDS,
    NEED_PERIMYSIUM,
    NOT_ON_HE,
    OF_THE_DEAD,
    OF_THE_LIVING,
    READ,
    REST_ON_NECROSIS,
    SPARSE,
)
from biopsy_analyzer.score.intervals import Drawn, Resampled
from biopsy_analyzer.score.judged import Judged, State, against, figure, not_judged
from biopsy_analyzer.score.model import Evidence, EvidenceObjects, Space
from biopsy_analyzer.score.space import NO_PERIMYSIUM, rests_on
from biopsy_analyzer.settings import EvidenceSettings, Settings
from biopsy_analyzer.tables import plural

IDS = 50  # ids of one item that scores.json holds
NECROSIS = "necrotic-fibres"


def find_evidence(
    basis: Basis, space: Space, objects: dict[str, np.ndarray], clusters: pd.DataFrame, held: int, settings: Settings
) -> tuple[Evidence, ...]:
    """All items in a fixed order, those that H&E can't show last; objects: ids by item, as `objects_of` gives them.

    held  how many necrotic fibres have cells of `clusters-at-necrosis` inside, by `fibres_held`
    """
    necrosis = judge_necrosis(basis, settings)
    items = []
    for code in FINDINGS:
        judged = _judge(code, basis, space, clusters.loc[clusters["cluster_id"].isin(objects[code])], held, settings)
        items.append(_item(code, judged if code == ARRANGED else _doubted(code, judged, necrosis, basis.doubts), objects[code]))
    return (*items, *(_unseen(*finding) for finding in NOT_ON_HE))


def judge_necrosis(basis: Basis, settings: Settings) -> Judged:
    """Whether there are necrotic fibres, before any doubt."""
    if basis.necrosis is None:
        return not_judged(basis.why_not)
    return against(basis.necrosis, settings.score.necrosis_floor, FINDINGS[NECROSIS].unit)


def _item(code: str, judged: Judged, ids: np.ndarray) -> Evidence:
    finding = FINDINGS[code]
    objects = None
    if finding.kind is not None and judged.value is not None:
        objects = EvidenceObjects(kind=finding.kind, count=len(ids), ids=tuple(int(i) for i in ids[:IDS]))
    return Evidence(
        code=code,
        name=finding.name,
        criterion=finding.criterion,
        value=judged.value,
        unit=finding.unit,
        ci95=judged.interval,
        threshold=judged.threshold,
        state=judged.state,
        reason=judged.reason,
        objects=objects,
    )


def _unseen(code: str, name: str, who: str, why: str) -> Evidence:
    """An item that H&E can't show."""
    return Evidence(
        code=code,
        name=name,
        criterion=who,
        value=None,
        unit="",
        ci95=None,
        threshold=None,
        state="not_assessable",
        reason=why,
        objects=None,
    )


def _judge(code: str, basis: Basis, space: Space, clusters: pd.DataFrame, held: int, settings: Settings) -> Judged:
    """One item before any doubt; clusters: those that it counts, none where it counts others."""
    seen = basis.seen
    if seen is None:
        return not_judged(basis.why_not)
    if code in NEED_CELLS and not basis.cells:
        return not_judged("needs nuclei and a tissue area")
    if FINDINGS[code].kind == "cluster":
        return _clusters(code, clusters, held, settings.clusters.min_cells)
    if code == "large-necrotic-areas":
        return _confluent(space, seen, settings.evidence.confluent_area_share)
    if code == "necrosis-predominant":
        return _predominant(basis, settings.score.balance_margin)
    if code == ARRANGED:
        return _arranged(space)
    if code in NEED_PERIMYSIUM and not space.fascicles:
        return not_judged(NO_PERIMYSIUM)
    drawn = _quantity(code, basis, seen, settings.score.cells_design)
    if drawn is None:
        return not_judged("nothing to take a share of, or too few damaged fibres")
    return against(drawn, _threshold(code, settings), FINDINGS[code].unit, below=code in SPARSE, sampling=code not in READ)


def _doubted(code: str, judged: Judged, necrosis: Judged, doubts: Doubts) -> Judged:
    """The item as judged, or not assessable: where what was not found may have been missed, or what it rests on is itself not settled."""
    if judged.state == "not_assessable":
        return judged
    present = judged.state == "present"
    of_fibres = FINDINGS[code].kind == "fibre" or code == "clusters-at-necrosis"
    missed = doubts.section + (doubts.reference if of_fibres else ())
    if code == "endomysium-widened" and doubts.section:
        return judged.doubted(f"gaps may be missed fibres: {'; '.join(doubts.section)}")
    if code in OF_THE_LIVING and doubts.reference and present:
        return judged.doubted(f"living fibres may be dead: {doubts.reference[0]}")
    if code in AT_BORDERS and doubts.cover and present:
        return judged.doubted(f"fascicle borders may be gaps of missed fibres: {doubts.cover[0]}")
    if missed and present is (code in ABSENCES):
        return judged.doubted(f"may have been missed: {'; '.join(missed)}")
    if present and code in REST_ON_NECROSIS and necrosis.state != "present":
        return judged.doubted(rests_on(necrosis))
    if present and code in OF_THE_DEAD and doubts.alone:
        return judged.doubted(doubts.if_dead)
    if code in NEED_KINDS:
        return _doubted_cells(code, judged, doubts)
    return judged


def _doubted_cells(code: str, judged: Judged, doubts: Doubts) -> Judged:
    """The same for an item of cells."""
    if doubts.cover:  # there are cells: an infiltrate, or too many to be sparse
        return judged.doubted(f"cells may lie in fibres that were missed: {doubts.cover[0]}")
    if doubts.cells and code in ("macrophage-predominant", "lymphocytes-sparse"):
        return judged.doubted("; ".join(doubts.cells))
    return judged._replace(reason="; ".join((judged.reason, *doubts.cells)))


def _quantity(code: str, basis: Basis, seen: Resampled, design: float) -> Drawn | None:
    """The quantity of an item with its draws; None where it has none."""
    ready = {
        NECROSIS: basis.necrosis,
        "regeneration": basis.regeneration,
        "sparse-inflammation": basis.inflammation,
        "stages-mixed": basis.mixing,
    }
    if code in ready:
        return ready[code]
    cells = {"endomysial-infiltrate": "around_living", "perimysial-infiltrate": "perimysial", "lymphocytes-sparse": "lymphocytes"}
    if code in cells:
        return seen.density(cells[code], design)
    if code == "perifascicular-atrophy":
        return _difference(seen.share("border_small", "border_living"), seen.share("inner_small", "inner_living"))
    if code == "perifascicular-necrosis":
        return _difference(seen.share("border_necrotic", "border"), seen.share("inner_necrotic", "inner"))
    if code == "fibre-size-variation":
        return seen.variation("diameter", "sized")
    if code == "endomysium-widened":
        return seen.mean("gap_um", "facing")
    part, whole = {
        "myophagocytosis": ("phagocytosed", "necrotic"),
        "macrophage-predominant": ("macrophages", "mononuclear"),
        "fibre-invasion": ("invaded", "living"),
        "internal-nuclei": ("internal", "living"),
    }[code]
    return seen.share(part, whole)


def _difference(one: Drawn | None, other: Drawn | None) -> Drawn | None:
    return None if one is None or other is None else Drawn(one.value - other.value, one.draws - other.draws)


def _threshold(code: str, settings: Settings) -> float:
    own: EvidenceSettings = settings.evidence
    return {
        NECROSIS: settings.score.necrosis_floor,
        "regeneration": own.regenerating_share,
        "sparse-inflammation": own.sparse_per_mm2,
        "lymphocytes-sparse": own.sparse_lymphocytes_per_mm2,
        "stages-mixed": own.mixing,
        "endomysial-infiltrate": own.endomysial_per_mm2,
        "perimysial-infiltrate": own.perimysial_per_mm2,
        "perifascicular-atrophy": own.perifascicular_atrophy,
        "perifascicular-necrosis": own.perifascicular_necrosis,
        "fibre-size-variation": own.size_variation,
        "endomysium-widened": own.endomysium_um,
        "myophagocytosis": own.phagocytosed_share,
        "macrophage-predominant": own.macrophage_share,
        "fibre-invasion": own.invaded_share,
        "internal-nuclei": own.internal_share,
    }[code]


def _clusters(code: str, clusters: pd.DataFrame, held: int, least: int) -> Judged:
    count = len(clusters)
    large = int((clusters["cells"] >= least).sum())  # small ones go with necrosis, large ones may be more than that
    found = plural(count, "sheet" if code == "confluent-infiltrate" else "cluster") + (
        # one reaction of a large fibre may be several clusters: how many fibres there are says how many reactions
        f", {large} of them of {least} or more cells; their cells lie inside {plural(held, 'necrotic fibre')}"
        if count and code == "clusters-at-necrosis"
        else ""
    )
    return Judged(float(count), None, 1.0, "present" if count else "absent", f"{found}; counted, so without an interval")


def _confluent(space: Space, seen: Resampled, threshold: float) -> Judged:
    share, areas = seen.total("confluent_area") / seen.total("area"), space.confluent
    present = share >= threshold
    limit = f"{'at or above' if present else 'below'} the limit of {figure(threshold, 'share')}"
    found = plural(areas.count, "confluent area") + (f" of {plural(areas.fibres, 'necrotic fibre')}" if areas.count else "")
    held = f"{found}, {figure(share, 'share')}"
    reason = f"{held} of the muscle fibres' area, {limit}; counted, so without an interval"
    return Judged(share, None, threshold, "present" if present else "absent", reason)


def _predominant(basis: Basis, margin: float) -> Judged:
    """Read from the pattern."""
    label = basis.pattern.label
    value, interval = basis.balance.value, basis.balance.ci95
    if label == "indeterminate":
        return Judged(value, interval, margin, "not_assessable", f"pattern: {label}; {basis.pattern.reasons[0]}")
    return Judged(value, interval, margin, "present" if label == "necrosis-predominant" else "absent", f"pattern: {label}")


def _arranged(space: Space) -> Judged:
    """Read from the arrangement, which rests on a ratio and on what chance gives: there is no one threshold."""
    ratio, reason = space.grouping.ratio, "; ".join(space.reasons)
    if ratio is None:
        return not_judged(reason)
    if space.arrangement == "not_assessable":
        return Judged(ratio, None, None, "not_assessable", reason)
    state: State = "present" if space.arrangement == "scattered" else "absent"
    return Judged(ratio, None, None, state, f"{space.arrangement}: {reason}")
