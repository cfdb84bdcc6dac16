"""What a reader is shown, the same in table, map and picture."""

from __future__ import annotations

import pandas as pd


def fibre_class(fibres: pd.DataFrame) -> pd.Series:
    """The class by row: the state, or `unassessable` where the fibre can't be judged, whatever its likeliest state."""
    return fibres["state"].where(fibres["assessable"], "unassessable")
