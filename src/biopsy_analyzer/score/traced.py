"""The objects that each finding rests on, so that a reader can look at every one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from biopsy_analyzer.clusters import inside_necrosis
from biopsy_analyzer.score.axes import Observed, observe
from biopsy_analyzer.score.findings import FINDINGS
from biopsy_analyzer.score.places import find_places, neighbours
from biopsy_analyzer.score.space import find_confluent
from biopsy_analyzer.score.tallies import is_sheet
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import EVIDENCE, empty, typed


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
    chosen = _clusters_of(nuclei, clusters, observed.nuclei["inflammatory"] > 0, settings)
    found |= {code: clusters["cluster_id"].to_numpy()[rows] for code, rows in chosen.items()}
    for code in ("necrosis-predominant", "endomysium-widened"):
        found[code] = np.empty(0, dtype=np.int32)
    return {code: np.sort(ids) for code, ids in found.items()}


def fibres_held(fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: np.ndarray) -> int:
    """How many necrotic fibres have cells of these clusters (ids) inside: fewer than the clusters where one fibre holds several."""
    members = nuclei["cluster_id"].isin(clusters).to_numpy() & inside_necrosis(nuclei, fibres)
    return int(nuclei.loc[members, "fibre_id"].nunique())


def evidence_objects(fibres: pd.DataFrame, nuclei: pd.DataFrame, clusters: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """All objects that the items rest on, by the tables of a section: the EVIDENCE table, by item and id. No objects: no rows."""
    places = find_places(fibres, nuclei, settings.space)
    confluent = find_confluent(fibres, neighbours(fibres[fibres["assessable"]], settings.space), settings.space)[1]
    observed = observe(fibres, nuclei, places, settings, confluent)
    found = objects_of(fibres, nuclei, clusters, observed, confluent, settings)
    rows = [pd.DataFrame({"item": code, "kind": FINDINGS[code].kind, "object_id": found[code]}) for code in FINDINGS if len(found[code])]
    return typed(pd.concat(rows), EVIDENCE) if rows else empty(EVIDENCE)


def _clusters_of(nuclei: pd.DataFrame, clusters: pd.DataFrame, counted: np.ndarray, settings: Settings) -> dict[str, np.ndarray]:
    """Which clusters each finding counts, bool (k,) by code; counted bool (m,): the nuclei that count as inflammation."""
    sheet, ids = is_sheet(clusters, settings.clusters), clusters["cluster_id"].to_numpy()
    members = np.bincount(nuclei["cluster_id"].to_numpy()[counted], minlength=int(ids.max(initial=0)) + 1)[ids]
    at_necrosis = (clusters["necrotic_fibres"] > 0).to_numpy() & (clusters["kind"] == "macrophage").to_numpy()
    return {
        "confluent-infiltrate": sheet,
        "clusters-of-ten": (members >= settings.clusters.min_cells) & ~sheet,
        "clusters-at-necrosis": at_necrosis & ~sheet,
    }
