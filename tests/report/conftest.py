"""A small result made by hand: three square fibres, three square nuclei, one cluster."""

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.result import Labels, ModelInfo, Picture, Result, SlideInfo
from biopsy_analyzer.score import score
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import CLUSTERS, FIBRES, NUCLEI, typed
from biopsy_analyzer.tissue.flags import Flag


def table(columns: dict[str, str], rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows with what is not named filled in: NaN, 0, "" or False, by dtype."""
    fill = {"float64": np.nan, "int32": 0, "str": "", "bool": False}
    return typed(pd.DataFrame([{name: row.get(name, fill[dtype]) for name, dtype in columns.items()} for row in rows]), columns)


@pytest.fixture
def result() -> Result:
    """A slide of 400 x 500 px at 0.25 um/px; fibres on 0.8 um/px, nuclei on 0.5 um/px from (10, 20) um on."""
    fibre_labels = np.zeros((125, 156), np.int32)
    fibre_labels[10:40, 10:40], fibre_labels[10:40, 50:90], fibre_labels[60:100, 20:60] = 1, 2, 3
    nucleus_labels = np.zeros((100, 120), np.int32)
    nucleus_labels[20:30, 20:30], nucleus_labels[20:30, 40:50], nucleus_labels[40:50, 30:40] = 1, 2, 3
    states = {"p_normal": 0.9, "p_necrotic": 0.1, "p_pale_fragmented": 0.0, "p_regenerating": 0.0, "probability": 0.9}
    judged = {"assessable": True, "min_feret_um": 24.0, **states}
    kinds = {"area_um2": 25.0, "probability": 0.7, "p_muscle": 0.1, "p_macrophage": 0.7, "p_lymphocyte": 0.1, "p_other": 0.1}
    fibres = table(
        FIBRES,
        [
            {"fibre_id": 1, "y_um": 20.0, "x_um": 20.0, "area_um2": 576.0, "state": "normal", **judged},
            {"fibre_id": 2, "y_um": 20.0, "x_um": 56.0, "area_um2": 768.0, "state": "necrotic", **judged},
            {"fibre_id": 3, "y_um": 64.0, "x_um": 32.0, "area_um2": 1024.0, "state": "normal", **states},
        ],
    )
    nuclei = table(
        NUCLEI,
        [
            {"nucleus_id": 1, "y_um": 22.5, "x_um": 32.5, "type": "macrophage", "cluster_id": 1, **kinds},
            {"nucleus_id": 2, "y_um": 22.5, "x_um": 42.5, "type": "macrophage", "cluster_id": 1, **kinds},
            {"nucleus_id": 3, "y_um": 32.5, "x_um": 37.5, "type": "lymphocyte", "cluster_id": 1, **kinds},
        ],
    )
    counts = {"cells": 3, "macrophages": 2, "lymphocytes": 1, "necrotic_fibres": 1}
    place = {"y_um": 25.8, "x_um": 37.5, "area_um2": 50.0, "probability": 0.7}
    clusters = table(CLUSTERS, [{"cluster_id": 1, "kind": "mixed", **counts, **place}])
    rgb = np.full((400, 500, 3), (230, 180, 200), np.uint8)
    return Result(
        status="review",
        slide=SlideInfo("section_a", "section_a.tif", "ab" * 32, 0.25, "given", 500, 400),
        models=(ModelInfo("fibres", "1", "cd" * 32),),
        settings=Settings(),
        tissue_area_mm2=0.0125,
        flags=(Flag("small", 0.0125, 0.1, "little tissue"),),
        fibres=fibres,
        nuclei=nuclei,
        clusters=clusters,
        fibre_labels=Labels(fibre_labels, PixelGrid((125, 156), 0.8)),
        nucleus_labels=Labels(nucleus_labels, PixelGrid((100, 120), 0.5, (10.0, 20.0))),
        picture=Picture(rgb, PixelGrid((400, 500), 0.25)),
        scores=score(fibres, nuclei, clusters, 0.0125, Settings(), nuclei_assessed=True),
    )
