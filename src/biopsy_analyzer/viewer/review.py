"""Which fibres a reader should look at first."""

from __future__ import annotations

import numpy as np
import pandas as pd

DOUBTFUL = 0.7
"""Fibres whose state is less likely than this are for review. Prior."""


def review_queue(fibres: pd.DataFrame) -> list[int]:
    """Ids of the doubtful fibres, the least sure first, equals by id. Empty table: none.

    Left out are fibres that the image cuts, for what lies beyond may settle them, and unassessable ones, which have no state to doubt.
    """
    doubtful = fibres[(fibres["probability"] < DOUBTFUL) & ~fibres["touches_border"] & fibres["assessable"]]
    order = np.lexsort((doubtful["fibre_id"], doubtful["probability"]))
    return [int(number) for number in doubtful["fibre_id"].to_numpy()[order]]


def next_in_queue(queue: list[int], current: int | None, step: int, left: set[int]) -> int | None:
    """The one after (step -1: before) `current` that is still in `left`, round and round; from an end where `current` is not in `queue`.

    The queue stays as it was when the result was opened, so that one who corrects and goes on never meets a fibre twice in a round.
    None where none is left.
    """
    ahead = queue if step > 0 else queue[::-1]
    start = ahead.index(current) + 1 if current in ahead else 0
    return next((number for number in ahead[start:] + ahead[:start] if number in left), None)
