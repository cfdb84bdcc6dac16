"""What speaks against reading a section as it was counted, and which statements it forbids: sentences for readers, by the tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.classify.features import EVEN, ordinary_look
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tissue.flags import Flag, below, cell_flags, oblique_flags, percent, reference_flags


@dataclass(frozen=True)
class Doubts:
    """Sentences, none where nothing speaks against it.

    section    a single field, tissue that is hardly muscle or was not understood, few fibres that could be judged: what was not found
               may have been missed, and no pattern is named
    reference  no fibre looks ordinary, or dead ones may be what is ordinary here: necrosis that was not found may be there, and no pattern
               is named
    cover      of `section`, that hardly any tissue lies in outlined fibres: cells seen between them may lie in fibres that were missed
    alone      of `reference`, that no fibre looks ordinary: what was called dead may be living
    cells      kinds of inflammatory cells are hardly told apart: told with every figure that rests on them
    flags      what was measured, for `reference` and `cells`; and fibres cut obliquely, which forbid nothing
    """

    section: tuple[str, ...] = ()
    cover: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()

    @property
    def if_dead(self) -> str:
        """Why what rests on dead fibres is not simply present where no fibre looks ordinary; to be asked there only."""
        return f"present if the section is dead throughout, but living fibres may have been called dead: {self.alone[0]}"


NO_DOUBTS = Doubts()
FORBIDDING = ("thin-cover", "no-ordinary-fibres", "reference-doubtful")
"""Codes of the flags that forbid a pattern, whatever was counted."""


def find_doubts(fibres: pd.DataFrame, nuclei: pd.DataFrame, inflammatory: np.ndarray, area: float | None, settings: Settings) -> Doubts:
    """The doubts of a section; inflammatory bool (m,): the nuclei that count as inflammation; area: mm2 of tissue, None unknown."""
    section, bare = [], []
    if area is not None and area < settings.tissue.small_tissue_mm2:
        wanted = f"at least {settings.tissue.small_tissue_mm2:g} mm2 is wanted: damage comes in patches"
        section.append(f"{area:.2g} mm2 of tissue is one field, {wanted}")
    cover = fibres["area_um2"].sum() / 1e6 / area if area is not None else 1.0
    if cover < settings.score.min_cover:
        wanted = f"at least {percent(settings.score.min_cover)} is wanted: fibres were missed, or it is hardly muscle"
        bare.append(f"outlined fibres cover {percent(cover)} of the tissue, {wanted}")
    section += bare
    assessed = float(fibres["assessable"].mean()) if len(fibres) else 1.0
    if assessed < settings.score.min_assessed:
        section.append(
            f"{percent(assessed)} of the outlined fibres could be judged, at least {percent(settings.score.min_assessed)} is wanted"
        )
    flags = (
        _none_ordinary(fibres),
        reference_flags(fibres, nuclei, settings.tissue),
        cell_flags(nuclei, inflammatory, settings.tissue),
        oblique_flags(fibres, settings.tissue),
    )
    # the first sentence of a flag: what comes after it says what to make of it, which a reason says for itself
    alone, passing, cells = (tuple(flag.message.split(". ")[0].rstrip(".") for flag in found) for found in flags[:3])
    every = tuple(flag for found in flags for flag in found)
    return Doubts(tuple(section), tuple(bare), (*alone, *passing), alone, cells, every)


def _none_ordinary(fibres: pd.DataFrame) -> list[Flag]:
    text = (
        "No fibre here looks ordinary to the network: its most normal ones look normal by {found} only, at least {wanted} is wanted. "
        "The section is dead throughout or unlike all that was learned from, which can't be told from it: states are told without "
        "comparison, check them by eye."
    )
    flag = below("no-ordinary-fibres", ordinary_look(fibres), EVEN, text, percent)
    return [flag] if flag else []
