"""Tables made up for tests: plausible values in every column, each of which a test may set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.tables import FIBRE_STATES, FIBRES, NUCLEI, NUCLEUS_KINDS, typed


def make_fibres(state: list[str], **columns: Any) -> pd.DataFrame:
    """A FIBRES table on a square lattice of 70 um with the given states, all surely called, with two nuclei at the border."""
    n = len(state)
    side = max(int(np.ceil(np.sqrt(n))), 1)
    usual: dict[str, Any] = dict.fromkeys(FIBRES, 0.0) | {
        "fibre_id": np.arange(1, n + 1),
        "y_um": np.arange(n) // side * 70.0 + 35,
        "x_um": np.arange(n) % side * 70.0 + 35,
        "area_um2": 4000.0,
        "min_feret_um": 65.0,
        "equivalent_diameter_um": 71.0,
        "solidity": 0.95,
        "touches_border": False,
        "haematoxylin_od": 0.1,
        "eosin_od": 0.3,
        "eosin_sd": 0.03,
        "map_normal": 0.9,
        "map_necrotic": 0.03,
        "map_pale_fragmented": 0.03,
        "map_regenerating": 0.04,
        "nuclei_count": 2.0,
        "deepest_nucleus_um": 1.0,
        "state": state,
        "probability": 1.0,
        **{f"p_{name.replace('-', '_')}": np.array([s == name for s in state], dtype=float) for name in FIBRE_STATES},
        "assessable": True,
        "reason": "",
    }
    return typed(pd.DataFrame(usual | columns, index=range(n)), FIBRES)


def make_nuclei(kind: list[str], **columns: Any) -> pd.DataFrame:
    """A NUCLEI table of surely called types, between the fibres, 40 um apart along x."""
    n = len(kind)
    of_kind = ["muscle" if k in ("myonucleus", "internal") else k for k in kind]
    usual: dict[str, Any] = dict.fromkeys(NUCLEI, 0.0) | {
        "nucleus_id": np.arange(1, n + 1),
        "y_um": 0.0,
        "x_um": np.arange(n) * 40.0,
        "area_um2": 40.0,
        "eccentricity": 0.6,
        "solidity": 0.9,
        "touches_border": False,
        **{f"map_{name}": np.array([0.91 if k == name else 0.03 for k in of_kind]) for name in NUCLEUS_KINDS},
        "depth_um": np.nan,
        "fibre_distance_um": 20.0,
        "necrosis_distance_um": np.nan,
        "type": kind,
        "probability": 1.0,
        **{f"p_{name}": np.array([k == name for k in of_kind], dtype=float) for name in NUCLEUS_KINDS},
        "reason": "",
    }
    return typed(pd.DataFrame(usual | columns, index=range(n)), NUCLEI)


def two_fascicles(gap_um: float) -> pd.DataFrame:
    """Two lattices of 6 x 6 touching fibres of 60 um, `gap_um` apart along x."""
    y, x = (a.ravel() for a in np.mgrid[0:6, 0:12])
    disc = np.pi * 33.0**2  # a little more than the squares hold: discs that overlap, as polygons that touch do
    return make_fibres(["normal"] * 72, y_um=y * 60.0, x_um=x * 60.0 + np.where(x > 5, gap_um, 0.0), area_um2=disc)
