"""Findings that criteria name, each with value, interval, present / absent / not assessable, and the objects it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from biopsy_analyzer.score.axes import Observed, observe
from biopsy_analyzer.score.doubts import Doubts
from biopsy_analyzer.score.intervals import Drawn, Resampled
from biopsy_analyzer.score.model import Axis, Evidence, EvidenceObjects, Pattern, Space
from biopsy_analyzer.score.places import find_places, neighbours
from biopsy_analyzer.score.space import NOTHING_CONFLUENT, find_confluent
from biopsy_analyzer.score.tallies import is_sheet
from biopsy_analyzer.settings import EvidenceSettings, Settings
from biopsy_analyzer.tables import EVIDENCE, empty, typed

IDS = 50  # ids of one item that scores.json holds
State = Literal["present", "absent", "not_assessable"]
Kind = Literal["fibre", "nucleus", "cluster"]
ENMC_119, ENMC_224 = "ENMC 119th workshop (2003), IMNM", "ENMC 224th workshop (2016), IMNM"
EULAR, JDM, CLINIC = (
    "EULAR/ACR 2017, muscle biopsy",
    "juvenile dermatomyositis biopsy tool (Wedderburn 2007)",
    "clinical description of IMNM",
)
BROOKE, FSHD = "Brooke and Engel 1969, variability coefficient", "FSHD grade (Rochester)"


@dataclass(frozen=True)
class Finding:
    """What stays the same of an item: its names, who names it, and the kind of objects it rests on (None: it has none of its own)."""

    code: str
    name: str
    criterion: str
    unit: str
    kind: Kind | None = None


FINDINGS = {
    finding.code: finding
    for finding in (
        Finding("necrotic-fibres", "Many necrotic fibres", f"{ENMC_119}; {ENMC_224}", "share of assessable fibres", "fibre"),
        Finding("necrosis-predominant", "Necrosis is the predominant feature", ENMC_119, "balance, -1 to 1"),
        Finding("necrosis-scattered", "Necrotic fibres are scattered", ENMC_224, "neighbouring pairs, observed / by chance", "fibre"),
        Finding("stages-mixed", "Different stages of necrosis, myophagocytosis and regeneration", ENMC_224, "evenness, 0 to 1", "fibre"),
        Finding("myophagocytosis", "Fibres invaded by macrophages", ENMC_224, "share of necrotic fibres", "fibre"),
        Finding("regeneration", "Regenerating fibres", ENMC_224, "share of assessable fibres", "fibre"),
        Finding("large-necrotic-areas", "Large confluent areas of necrosis", CLINIC, "share of the fibres' area in them", "fibre"),
        Finding("sparse-inflammation", "Inflammatory cells are sparse", f"{ENMC_119}; {CLINIC}", "interstitial cells per mm2", "nucleus"),
        Finding("lymphocytes-sparse", "Lymphocytes are sparse", f"{ENMC_224}: pauci-lymphocytic", "interstitial ones per mm2", "nucleus"),
        Finding("macrophage-predominant", "Macrophages outnumber lymphocytes", ENMC_224, "share of inflammatory cells", "nucleus"),
        Finding("clusters-at-necrosis", "Clusters of macrophages in or around necrotic fibres", CLINIC, "clusters", "cluster"),
        Finding("clusters-of-ten", "Clusters of 10 or more inflammatory cells, away from necrotic fibres", JDM, "clusters", "cluster"),
        Finding("endomysial-infiltrate", "Endomysial infiltrate around non-necrotic fibres", f"{EULAR}: 1.7", "cells per mm2", "nucleus"),
        Finding("perimysial-infiltrate", "Perimysial or perivascular infiltrate", f"{EULAR}: 1.2", "cells per mm2", "nucleus"),
        Finding("confluent-infiltrate", "Sheets of inflammatory cells", "textbook", "sheets", "cluster"),
        Finding(
            "perifascicular-necrosis",
            "Perifascicular necrosis",
            "antisynthetase syndrome, dermatomyositis",
            "necrotic share at the border minus inside",
            "fibre",
        ),
        Finding("perifascicular-atrophy", "Perifascicular atrophy", f"{EULAR}: 1.9", "atrophic share at the border minus inside", "fibre"),
        Finding(
            "fibre-invasion", "Lymphocytes inside non-necrotic fibres", "polymyositis, inclusion body myositis", "share of fibres", "fibre"
        ),
        Finding("internal-nuclei", "Internal nuclei", "textbook: more than 3 % of fibres", "share of living fibres", "fibre"),
        Finding("fibre-size-variation", "Variation of fibre sizes", f"{BROOKE}; {FSHD}", "SD / mean of least diameters x 1000", "fibre"),
        Finding("endomysium-widened", "Widened endomysium (fibrosis, oedema or retraction, not told apart)", FSHD, "um between fibres"),
    )
}
NOT_ON_HE = (
    (
        "rimmed-vacuoles",
        "Rimmed vacuoles",
        f"{EULAR}: 3.1",
        "vacuoles are not measured; in frozen H&E freezing makes holes like them, and trichrome shows them best",
    ),
    ("fatty-replacement", "Fatty replacement", FSHD, "fat is not outlined, and not told from other gaps between fibres"),
    ("perimysial-damage", "Perimysial fragmentation", "anti-HMGCR and antisynthetase series", "the texture of perimysium is not measured"),
    (
        "perivascular-apart",
        "Perivascular infiltrate apart",
        EULAR,
        "vessels are not outlined; cells around them count as perimysial or endomysial",
    ),
    ("mhc-i", "MHC class I on fibres", ENMC_224, "needs immunohistochemistry"),
    ("c5b-9", "C5b-9 on fibres or capillaries", ENMC_224, "needs immunohistochemistry"),
    ("antibodies", "Anti-SRP or anti-HMGCR antibodies", ENMC_224, "needs serology"),
    ("creatine-kinase", "Raised creatine kinase", ENMC_224, "needs a blood test"),
)


Judged = tuple[float | None, tuple[float, float] | None, float | None, State, str]
"""Value, interval, threshold, state and reason of one item."""


@dataclass(frozen=True)
class Basis:
    """What evidence is read from; `why_not` says why there is nothing, `cells` whether nuclei and tissue area are known."""

    seen: Resampled | None
    observed: Observed | None
    necrosis: Drawn | None
    regeneration: Drawn | None
    inflammation: Drawn | None
    balance: Axis
    mixing: Drawn | None
    space: Space | None
    pattern: Pattern
    why_not: str
    cells: bool
    doubts: Doubts


def find_evidence(basis: Basis, objects: dict[str, np.ndarray], clusters: pd.DataFrame, settings: Settings) -> tuple[Evidence, ...]:
    """All items in a fixed order, those that H&E can't show last; objects: ids by item, as `objects_of` gives them."""
    judged = {code: _judge(code, basis, clusters, settings) for code in FINDINGS}
    items = [_item(code, _doubted(code, judged, basis.doubts), objects[code]) for code in FINDINGS]
    unseen = [
        Evidence(
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
        for code, name, who, why in NOT_ON_HE
    ]
    return (*items, *unseen)


def _item(code: str, judged: Judged, ids: np.ndarray) -> Evidence:
    value, interval, threshold, state, reason = judged
    finding = FINDINGS[code]
    objects = None
    if finding.kind is not None and value is not None:
        objects = EvidenceObjects(kind=finding.kind, count=len(ids), ids=tuple(int(i) for i in ids[:IDS]))
    return Evidence(
        code=code, name=finding.name, criterion=finding.criterion, value=value, unit=finding.unit, ci95=interval,
        threshold=threshold, state=state, reason=reason, objects=objects,
    )  # fmt: skip


def _judge(code: str, basis: Basis, clusters: pd.DataFrame, settings: Settings) -> Judged:
    """Value, interval, threshold, state and reason of one item."""
    seen = basis.seen
    if seen is None:
        return None, None, None, "not_assessable", basis.why_not
    if code in NEED_CELLS and not basis.cells:
        return None, None, None, "not_assessable", "needs nuclei and a tissue area"
    if code.startswith("clusters-") or code == "confluent-infiltrate":
        return _clusters(code, clusters, settings)
    if code == "large-necrotic-areas":
        return _confluent(basis, seen, settings.evidence.confluent_area_share)
    if code in ("necrosis-predominant", "necrosis-scattered"):
        return _of_section(code, basis, settings)
    if code in NEED_PERIMYSIUM and not (basis.space and basis.space.fascicles):
        return None, None, None, "not_assessable", "no perimysium is seen"
    drawn = _quantity(code, basis, seen, settings.score.cells_design)
    if drawn is None:
        return None, None, None, "not_assessable", "nothing to take a share of, or too few damaged fibres"
    return _against(drawn, _threshold(code, settings), below=code in SPARSE)


SPARSE = {"sparse-inflammation", "lymphocytes-sparse"}  # present below their threshold
NEED_PERIMYSIUM = {"perimysial-infiltrate", "perifascicular-atrophy", "perifascicular-necrosis"}
NEED_CELLS = {
    "necrosis-predominant", "stages-mixed", "myophagocytosis", *SPARSE, "macrophage-predominant", "clusters-at-necrosis",
    "clusters-of-ten", "confluent-infiltrate", "endomysial-infiltrate", "perimysial-infiltrate", "fibre-invasion", "internal-nuclei",
}  # fmt: skip


def _doubted(code: str, judged: dict[str, Judged], doubts: Doubts) -> Judged:
    """The item as judged, or not assessable: where what was not found may have been missed, or what it rests on is itself not settled."""
    value, interval, threshold, state, reason = judged[code]
    of_fibres = FINDINGS[code].kind == "fibre" or code == "clusters-at-necrosis"
    against = doubts.section + (doubts.reference if of_fibres else ())
    if code == "endomysium-widened" and doubts.section and state != "not_assessable":
        return value, interval, threshold, "not_assessable", f"gaps may be missed fibres: {'; '.join(doubts.section)} ({reason})"
    if code in OF_THE_LIVING and doubts.reference and state == "present":
        return value, interval, threshold, "not_assessable", f"living fibres may be dead: {doubts.reference[0]} ({reason})"
    if code in AT_BORDERS and doubts.cover and state == "present":
        return value, interval, threshold, "not_assessable", f"fascicle borders may be gaps of missed fibres: {doubts.cover[0]} ({reason})"
    if against and state == ("present" if code in ABSENCES else "absent"):
        return value, interval, threshold, "not_assessable", f"may have been missed: {'; '.join(against)} ({reason})"
    _, _, _, necrosis, why = judged["necrotic-fibres"]
    if state == "present" and code in REST_ON_NECROSIS and necrosis != "present":
        so_far = "absent" if necrosis == "absent" else "not settled"
        return value, interval, threshold, "not_assessable", f"rests on necrotic fibres, which are {so_far} ({why}); by itself: {reason}"
    if doubts.cover and state != "not_assessable" and code in NEED_KINDS:  # there are cells: an infiltrate, or too many to be sparse
        return value, interval, threshold, "not_assessable", f"cells may lie in fibres that were missed: {doubts.cover[0]} ({reason})"
    if doubts.cells and state != "not_assessable" and code in NEED_KINDS:
        if code in ("macrophage-predominant", "lymphocytes-sparse"):
            state = "not_assessable"
        reason = f"{reason}; {'; '.join(doubts.cells)}"
    return value, interval, threshold, state, reason


# where the dead pass as ordinary, cells that eat them pass as their internal nuclei, and what is left of them as small fibres
OF_THE_LIVING = {"internal-nuclei", "fibre-invasion", "endomysial-infiltrate", "perifascicular-atrophy", "fibre-size-variation"}
AT_BORDERS = {"perifascicular-necrosis", "perifascicular-atrophy"}  # where many fibres are missed those left all seem to lie at a border
ABSENCES = {*SPARSE, "necrosis-scattered"}  # present where cells, or groups, were not found
REST_ON_NECROSIS = {
    "necrosis-scattered", "stages-mixed", "myophagocytosis", "large-necrotic-areas", "clusters-at-necrosis", "perifascicular-necrosis",
}  # fmt: skip
NEED_KINDS = {
    "necrosis-predominant", *SPARSE, "macrophage-predominant", "clusters-at-necrosis", "clusters-of-ten", "confluent-infiltrate",
    "endomysial-infiltrate", "perimysial-infiltrate", "fibre-invasion",
}  # fmt: skip


def _quantity(code: str, basis: Basis, seen: Resampled, design: float) -> Drawn | None:
    """The quantity of an item with its draws; None where it has none."""
    ready = {
        "necrotic-fibres": basis.necrosis,
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
    part, whole, of = {
        "myophagocytosis": ("phagocytosed", "necrotic", None),
        "macrophage-predominant": ("macrophages", "mononuclear", None),
        "fibre-invasion": ("invaded", "living", None),
        "internal-nuclei": ("internal", "living", None),
    }[code]
    return seen.share(part, whole, of)


def _difference(one: Drawn | None, other: Drawn | None) -> Drawn | None:
    return None if one is None or other is None else Drawn(one.value - other.value, one.draws - other.draws)


def _threshold(code: str, settings: Settings) -> float:
    own: EvidenceSettings = settings.evidence
    return {
        "necrotic-fibres": settings.score.necrosis_floor,
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


def _against(drawn: Drawn, threshold: float, below: bool) -> Judged:
    """Present where the whole interval lies on the finding's side of the threshold, absent where none of it does."""
    low, high = drawn.interval()
    text = f"95 % interval {_figure(low)} to {_figure(high)} against {_figure(threshold)}"
    if low >= threshold:
        state: State = "absent" if below else "present"
    elif high < threshold:
        state = "present" if below else "absent"
    else:
        state, text = "not_assessable", f"not settled: {text}"
    return drawn.value, (low, high), threshold, state, text


def _figure(value: float) -> str:
    """Three significant digits without an exponent: 0.0312, 6,750."""
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _clusters(code: str, clusters: pd.DataFrame, settings: Settings) -> Judged:
    chosen = _chosen_clusters(code, clusters, settings)
    count, least = int(chosen.sum()), settings.clusters.min_cells
    large = int((clusters["cells"].to_numpy()[chosen] >= least).sum())  # small ones go with necrosis, large ones may be more than that
    found = f"{count} found" + (f", {large} of them of {least} or more cells" if count and code == "clusters-at-necrosis" else "")
    return float(count), None, 1.0, "present" if count else "absent", f"{found}; counted, so without an interval"


def _confluent(basis: Basis, seen: Resampled, threshold: float) -> Judged:
    share, areas = seen.total("confluent_area") / seen.total("area"), basis.space.confluent if basis.space else NOTHING_CONFLUENT
    reason = f"confluent areas: {areas.count}, with {areas.fibres} necrotic fibres; counted, so without an interval"
    return share, None, threshold, "present" if share >= threshold else "absent", reason


def _chosen_clusters(code: str, clusters: pd.DataFrame, settings: Settings) -> np.ndarray:
    sheet, at_necrosis = is_sheet(clusters, settings.clusters), (clusters["necrotic_fibres"] > 0).to_numpy()
    if code == "confluent-infiltrate":
        return sheet
    if code == "clusters-of-ten":
        return np.asarray((clusters["cells"] >= settings.clusters.min_cells).to_numpy() & ~at_necrosis & ~sheet)
    return np.asarray(at_necrosis & (clusters["kind"] == "macrophage").to_numpy() & ~sheet)


def _of_section(code: str, basis: Basis, settings: Settings) -> Judged:
    """Items that are read from the pattern or the arrangement as a whole."""
    if code == "necrosis-predominant":
        label, threshold = basis.pattern.label, settings.score.balance_margin
        known = label != "indeterminate"
        state: State = "not_assessable" if not known else "present" if label == "necrosis-predominant" else "absent"
        return (
            basis.balance.value,
            basis.balance.ci95,
            threshold,
            state,
            f"pattern: {label}" + ("" if known else f"; {basis.pattern.reasons[0]}"),
        )
    space = basis.space
    if space is None or space.grouping.ratio is None:
        return None, None, None, "not_assessable", "; ".join(space.reasons) if space else basis.why_not
    reason = "; ".join(space.reasons)
    if space.arrangement == "not_assessable":
        return space.grouping.ratio, None, settings.space.min_ratio, "not_assessable", reason
    state = "present" if space.arrangement == "scattered" else "absent"
    return space.grouping.ratio, None, settings.space.min_ratio, state, f"{space.arrangement}: {reason}"


def objects_of(
    fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, observed: Observed, confluent: np.ndarray, settings: Settings
) -> dict[str, np.ndarray]:
    """Ids, ascending, of the objects that each item rests on; none for items of the section as a whole."""
    of_fibres = {
        "necrotic-fibres": "necrotic", "necrosis-scattered": "necrotic", "stages-mixed": "damaged", "myophagocytosis": "phagocytosed",
        "regeneration": "regenerating", "perifascicular-atrophy": "border_small",
        "perifascicular-necrosis": "border_necrotic", "fibre-size-variation": "sized", "fibre-invasion": "invaded",
        "internal-nuclei": "internal",
    }  # fmt: skip
    of_nuclei = {
        "sparse-inflammation": "inflammatory", "lymphocytes-sparse": "lymphocytes", "macrophage-predominant": "macrophages",
        "endomysial-infiltrate": "around_living", "perimysial-infiltrate": "perimysial",
    }  # fmt: skip
    assessable = fibres["fibre_id"].to_numpy()[fibres["assessable"].to_numpy()]
    found = {code: assessable[observed.fibres[name] > 0] for code, name in of_fibres.items()}
    found |= {code: nuclei["nucleus_id"].to_numpy()[observed.nuclei[name] > 0] for code, name in of_nuclei.items()}
    found["large-necrotic-areas"] = fibres["fibre_id"].to_numpy()[confluent]
    for code in ("clusters-at-necrosis", "clusters-of-ten", "confluent-infiltrate"):
        found[code] = clusters["cluster_id"].to_numpy()[_chosen_clusters(code, clusters, settings)]
    for code in ("necrosis-predominant", "endomysium-widened"):
        found[code] = np.empty(0, dtype=np.int32)
    return {code: np.sort(ids) for code, ids in found.items()}


def evidence_objects(fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """All objects that the items rest on, by the tables of a section: the EVIDENCE table, by item and id. No objects: no rows."""
    places = find_places(fibres, nuclei, settings.space)
    confluent = find_confluent(fibres, neighbours(fibres[fibres["assessable"]], settings.space), settings.space)[1]
    observed = observe(fibres, nuclei, places, settings, confluent)
    found = objects_of(fibres, nuclei, clusters, observed, confluent, settings)
    rows = [pd.DataFrame({"item": code, "kind": FINDINGS[code].kind, "object_id": found[code]}) for code in FINDINGS if len(found[code])]
    return typed(pd.concat(rows), EVIDENCE) if rows else empty(EVIDENCE)
