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
    cover      of these, that hardly any tissue lies in outlined fibres: cells seen between them may lie in fibres that were missed
    cells      kinds of inflammatory cells are hardly told apart: told with every figure that rests on them
    flags      what was measured, for `reference` and `cells`; and fibres cut obliquely, which forbid nothing
    """

    section: tuple[str, ...] = ()
    cover: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()


NO_DOUBTS = Doubts()


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
    flags = _none_ordinary(fibres) + reference_flags(fibres, nuclei, settings.tissue), cell_flags(nuclei, inflammatory, settings.tissue)
    reference, cells = (tuple(flag.message.rstrip(".") for flag in found) for found in flags)
    return Doubts(tuple(section), tuple(bare), reference, cells, (*flags[0], *flags[1], *oblique_flags(fibres, settings.tissue)))


def _none_ordinary(fibres: pd.DataFrame) -> list[Flag]:
    text = "Even the most normal fibres look normal by {found} only, at least {wanted} is wanted: states are told without comparison."
    flag = below("no-ordinary-fibres", ordinary_look(fibres), EVEN, text, percent)
    return [flag] if flag else []
