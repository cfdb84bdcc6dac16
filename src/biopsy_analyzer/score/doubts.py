"""What speaks against reading a section as it was counted, and which statements it forbids: sentences for readers, by the tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tissue.flags import Flag, cell_flags, oblique_flags, reference_flags


@dataclass(frozen=True)
class Doubts:
    """Sentences, none where nothing speaks against it.

    section    a single field, tissue that is hardly muscle or was not understood, few fibres that could be judged: what was not found
               may have been missed, and no pattern is named
    reference  dead fibres may be what is ordinary here: necrosis that was not found may be there, and no pattern is named
    cover      of these, that hardly any tissue lies in outlined fibres: cells seen between them may lie in fibres that were missed
    cells      kinds of inflammatory cells are hardly told apart: told with every figure that rests on them
    flags      what was measured, for `reference` and `cells`; and fibres cut obliquely, which forbid nothing
    """

    section: tuple[str, ...] = ()
    cover: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()


def find_doubts(fibres: pd.DataFrame, nuclei: pd.DataFrame, inflammatory: np.ndarray, area: float | None, settings: Settings) -> Doubts:
    """The doubts of a section; inflammatory bool (m,): the nuclei that count as inflammation; area: mm2 of tissue, None unknown."""
    section, bare = [], []
    if area is not None and area < settings.tissue.small_tissue_mm2:
        section.append(f"{area:.2g} mm2 of tissue are one field (at least {settings.tissue.small_tissue_mm2:g}): damage comes in patches")
    cover = fibres["area_um2"].sum() / 1e6 / area if area is not None else 1.0
    if cover < settings.score.min_cover:
        bare.append(f"fibres cover {cover:.0%} of the tissue (at least {settings.score.min_cover:.0%}): fibres missed, or hardly muscle")
    section += bare
    assessed = float(fibres["assessable"].mean()) if len(fibres) else 1.0
    if assessed < settings.score.min_assessed:
        section.append(f"{assessed:.0%} of the outlined fibres could be judged (at least {settings.score.min_assessed:.0%})")
    flags = reference_flags(fibres, nuclei, settings.tissue), cell_flags(nuclei, inflammatory, settings.tissue)
    reference, cells = (tuple(flag.message.rstrip(".") for flag in found) for found in flags)
    return Doubts(tuple(section), tuple(bare), reference, cells, (*flags[0], *flags[1], *oblique_flags(fibres, settings.tissue)))
