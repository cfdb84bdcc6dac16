"""Every column of every table, once: name -> dtype. Units stand in the names; positions are um from the slide's top-left corner."""

from __future__ import annotations

import pandas as pd

FIBRE_STATES = ("normal", "necrotic", "pale-fragmented", "regenerating")
"""Fibre states in the order of network channels, truth codes 1..4 and probability columns; `unassessable` is no state of its own."""

STATE_MAPS = tuple(f"map_{state.replace('-', '_')}" for state in FIBRE_STATES)
"""Columns of the network's map of each of FIBRE_STATES, mean over the fibre."""

STATE_PROBABILITIES = tuple(f"p_{state.replace('-', '_')}" for state in FIBRE_STATES)
"""Columns of the probability of each of FIBRE_STATES."""

NECROTIC_STATES = ("necrotic", "pale-fragmented")
"""The states that count as necrosis: pale and fragmented is one of its looks."""

NUCLEUS_KINDS = ("muscle", "macrophage", "lymphocyte", "other")
"""Nucleus kinds in the order of network channels and truth codes 1..4. A `muscle` nucleus is a myonucleus or internal by its depth."""

NUCLEUS_TYPES = ("myonucleus", "internal", "macrophage", "lymphocyte", "other")
CLUSTER_KINDS = ("macrophage", "lymphocytic", "mixed")

SHAPE = {
    "y_um": "float64",  # centroid
    "x_um": "float64",
    "area_um2": "float64",
    "perimeter_um": "float64",
    "min_feret_um": "float64",
    "max_feret_um": "float64",
    "equivalent_diameter_um": "float64",
    "eccentricity": "float64",  # 0 circle .. 1 line
    "solidity": "float64",  # area over area of the convex hull
    "circularity": "float64",  # 4 pi area / perimeter^2
    "touches_border": "bool",  # touches the edge of the image: cut off, size unknown
}

COLOUR = {
    "haematoxylin_od": "float64",  # mean optical density of the stain, nuclei left out for fibres
    "eosin_od": "float64",
    "haematoxylin_sd": "float64",  # spread within the object
    "eosin_sd": "float64",
    "mottling": "float64",  # spread of eosin after smoothing at 2 um, over its mean: floccular, moth-eaten
    "white_fraction": "float64",  # share of pixels as bright as glass: holes, vacuoles
}

FIBRES = {
    "fibre_id": "int32",
    **SHAPE,
    **COLOUR,
    "haematoxylin_rel": "float64",  # minus the section's ordinary fibres: basophilia
    "eosin_rel": "float64",  # minus the section's ordinary fibres: negative is pallor, positive hyaline
    **dict.fromkeys(STATE_MAPS, "float64"),
    "nuclei_count": "float64",  # this and the next four: NaN where the image is too coarse for nuclei
    "internal_nuclei_count": "float64",
    "macrophages_inside": "float64",
    "deepest_nucleus_um": "float64",  # centre to border; NaN without nuclei
    "nuclear_fraction": "float64",  # share of the fibre's area under nuclei
    "state": "str",
    "probability": "float64",
    **dict.fromkeys(STATE_PROBABILITIES, "float64"),
    "assessable": "bool",
    "reason": "str",
}

NUCLEI = {
    "nucleus_id": "int32",
    **SHAPE,
    **COLOUR,
    **{f"map_{kind}": "float64" for kind in NUCLEUS_KINDS},
    "fibre_id": "int32",  # 0: between the fibres
    "depth_um": "float64",  # centre to the fibre's border, inside; NaN between the fibres
    "fibre_distance_um": "float64",  # centre to the nearest fibre; 0 inside; NaN without fibres
    "necrosis_distance_um": "float64",  # centre to the nearest necrotic or pale-fragmented fibre; 0 inside; NaN without one
    "type": "str",
    "probability": "float64",
    **{f"p_{kind}": "float64" for kind in NUCLEUS_KINDS},
    "cluster_id": "int32",  # 0: in no cluster
    "reason": "str",
}

CLUSTERS = {
    "cluster_id": "int32",
    "y_um": "float64",
    "x_um": "float64",
    "area_um2": "float64",  # convex hull of the nuclei's centres
    "cells": "int32",
    "macrophages": "int32",
    "lymphocytes": "int32",
    "kind": "str",
    "necrotic_fibres": "int32",  # necrotic fibres it touches
    "probability": "float64",  # mean probability of its cells' types
    "reason": "str",
}

EVIDENCE = {
    "item": "str",  # code of the evidence item
    "kind": "str",  # fibre, nucleus, cluster
    "object_id": "int32",
}


def typed(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """`table` with exactly `columns`, in their order and dtypes; a missing or unknown column is a KeyError (our bug)."""
    if set(table.columns) != set(columns):
        raise KeyError(f"missing columns {sorted(set(columns) - set(table.columns))}, unknown {sorted(set(table.columns) - set(columns))}")
    table = table[list(columns)]
    other = {name: kind for (name, kind), found in zip(columns.items(), table.dtypes, strict=True) if found != kind}
    table = table.astype(other) if other else table
    return table.reset_index(drop=True).copy()  # the copy lays columns together: rows are cut out quicker


def empty(columns: dict[str, str]) -> pd.DataFrame:
    """A table without rows that has `columns` in their dtypes."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


def plural(count: int, noun: str) -> str:
    """ "1 fibre", "2 fibres"."""
    return f"{count} {noun}" + ("" if count == 1 else "s")
