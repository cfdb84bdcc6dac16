"""What a saved result may hold: the first value that no analysis can have written is named, with where it stands and what was wanted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from biopsy_analyzer.errors import OlderResult, ResultError
from biopsy_analyzer.report.scores_json import ScoresDocument
from biopsy_analyzer.tables import CLUSTER_KINDS, FIBRE_STATES, NUCLEUS_TYPES, typed

REMEDY = "Put it back as the analysis wrote it, or run analyze again"

_WORDS = {"state": FIBRE_STATES, "type": NUCLEUS_TYPES, "kind": CLUSTER_KINDS}
_SHARES = ("eccentricity", "white_fraction", "nuclear_fraction", "probability", "map_", "p_")
_COUNTS = ("nuclei_count", "internal_nuclei_count", "macrophages", "lymphocytes", "cells", "necrotic_fibres", "fibre_id", "cluster_id")
_AMOUNTS = ("perimeter_um", "solidity", "circularity")
_MOST = float(np.iinfo(np.int32).max)
_ROUNDED = 1 + 1e-6  # sums of pixels may end in the last bits above what they can be
_NEEDED = ("y_um", "x_um", "area_um2", "probability", "p_")
"""Beginnings of the columns that are never empty; others are where a thing can't be told, such as the colour of a fibre drawn by hand."""

_KINDS = {"float64": ("iuf", "numbers"), "int32": ("iu", "whole numbers"), "bool": ("b", "true or false")}


def check_document(content: bytes) -> None:
    """That `content` is a scores.json of this version. OlderResult: a field of another version; ResultError: a value that can't be."""
    try:
        ScoresDocument.model_validate_json(content, strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place, message = ".".join(map(str, fault["loc"])) or "the top", fault["msg"][0].lower() + fault["msg"][1:]
        if fault["type"] in ("missing", "extra_forbidden"):
            raise OlderResult(f"{place}: {message}, so it is of another version. Run analyze again") from error
        raise ResultError(f"{place} is {_short(fault['input'])}; {message}. {REMEDY}") from error


def checked_table(table: pd.DataFrame, columns: dict[str, str], size_um: tuple[float, float]) -> pd.DataFrame:
    """`table` in the dtypes of `columns`, which it has.

    size_um  (height, width) of the slide, which positions lie in
    ResultError naming column, row (from 1) and value: another dtype, NaN or infinity where a number is needed, a number outside what the
    column can hold, an unknown word, an id that is no positive number or stands there twice.
    """
    for name, dtype in columns.items():
        _check_dtype(table[name], dtype)
    _check_ids(table[next(iter(columns))])
    for name, dtype in columns.items():
        if dtype == "str":
            _check_words(table[name], _WORDS.get(name))
        elif dtype != "bool":
            _check_numbers(table[name], _limits(name, size_um), needed=dtype == "int32" or name.startswith(_NEEDED))
    return typed(table, columns)


def check_reference(ids: pd.Series, known: pd.Series) -> None:
    """That each of `ids` is 0 or one of `known`; ResultError naming the first that isn't."""
    _refuse(ids, ~(ids.isin(known) | (ids == 0)), f"0 or a {known.name} of its table")


def _limits(name: str, size_um: tuple[float, float]) -> tuple[float, float]:
    """What a number of that column can be on a slide of that (height, width)."""
    height, width = size_um
    if name in ("y_um", "x_um"):
        return 0.0, width if name == "x_um" else height
    if name.startswith(_SHARES):
        return 0.0, 1.0
    if name.startswith(_COUNTS):
        return 0.0, _MOST
    if name.endswith("_um2"):
        return 0.0, height * width
    if name.endswith("_um") and name != "perimeter_um":
        return 0.0, height + width
    return (0.0, math.inf) if name in _AMOUNTS else (-math.inf, math.inf)


def _check_dtype(column: pd.Series, dtype: str) -> None:
    if dtype == "str":
        if not (pd.api.types.is_string_dtype(column) or column.empty):
            raise ResultError(f"column {column.name} holds {column.dtype}; wanted text. {REMEDY}")
        return
    kinds, wanted = _KINDS[dtype]
    if getattr(column.dtype, "kind", "O") not in kinds:
        raise ResultError(f"column {column.name} holds {column.dtype}; wanted {wanted}. {REMEDY}")


def _check_ids(ids: pd.Series) -> None:
    _refuse(ids, (ids < 1) | (ids > _MOST), "a whole number from 1")
    _refuse(ids, ids.duplicated(), "each id once")


def _check_words(column: pd.Series, known: tuple[str, ...] | None) -> None:
    _refuse(column, column.isna() if known is None else ~column.isin(known), "text" if known is None else ", ".join(known))


def _check_numbers(column: pd.Series, limits: tuple[float, float], needed: bool) -> None:
    low, high = limits
    values = column.to_numpy(dtype=float, na_value=np.nan)
    good = np.isfinite(values) & (values >= low) & (values <= high * _ROUNDED)
    span = "a finite number" + ("" if low < 0 else " from 0" if high == math.inf else f" from 0 to {high:g}")
    _refuse(column, ~(good if needed else good | np.isnan(values)), span if needed else f"{span}, or none")


def _refuse(column: pd.Series, bad: pd.Series | np.ndarray, wanted: str) -> None:
    """ResultError for the first row of `column` that is `bad`, if any is."""
    rows = np.flatnonzero(np.asarray(bad, dtype=bool))
    if len(rows):
        raise ResultError(f"column {column.name}, row {rows[0] + 1}: {_short(column.iloc[rows[0]])}; wanted {wanted}. {REMEDY}")


def _short(value: Any) -> str:
    """A value of somebody's file in a line of an error."""
    text = f"{value:.6g}" if isinstance(value, float) else repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
