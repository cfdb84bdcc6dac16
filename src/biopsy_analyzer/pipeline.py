"""The whole method in one screen: from a slide to its scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biopsy_analyzer.canvas import picture_grid, section_stains
from biopsy_analyzer.classify import classify_fibres, classify_nuclei, mark_cut_edge, mark_hidden, mark_hidden_nuclei
from biopsy_analyzer.clusters import distance_to_necrosis, find_clusters, necrotic_border_by_window
from biopsy_analyzer.collection import Objects
from biopsy_analyzer.measure.nuclei_in_fibres import assign_by_window
from biopsy_analyzer.report.crops import cut_crops
from biopsy_analyzer.report.result import ModelInfo, Picture, Result, SlideInfo
from biopsy_analyzer.score import Doubts, judge, unassessed
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.tables import FIBRES, NUCLEI, typed
from biopsy_analyzer.tissue.flags import Flag, nucleus_size_flags, size_flags
from biopsy_analyzer.tissue.mask import Tissue, find_tissue, to_glass_um, within, without
from biopsy_analyzer.tissue.quality import assess, cover_flags, damage_flags
from biopsy_analyzer.walk import Progress, cut_notes, find_section

if TYPE_CHECKING:
    from biopsy_analyzer.models import Models


_BLANK = "nothing is assessed: no tissue was found"


@dataclass(frozen=True)
class _Section:
    """What the slide shows before its cells are looked for.

    whole, tissue  all tissue, and that in the region
    flags, hidden  doubts about its quality, and what hides cells: masks on the tissue's grid
    picture        of the whole section, and in `stains` its two stains
    with_nuclei    whether there is tissue, and its pixels are fine enough
    area_mm2       of the tissue that nothing hides
    """

    whole: Tissue
    tissue: Tissue
    flags: list[Flag]
    hidden: dict[str, np.ndarray]
    picture: Picture
    stains: np.ndarray
    with_nuclei: bool
    area_mm2: float

    @property
    def blank(self) -> bool:
        return not self.tissue.mask.any()

    def under(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        """Which rows' centres lie under what hides them, bool (n,) each."""
        centres = table[["y_um", "x_um"]].to_numpy()
        return {what: self.tissue.grid.at(mask, centres, beyond=False) for what, mask in self.hidden.items()}


@dataclass(frozen=True)
class _Cells:
    """The tables of a section."""

    fibres: pd.DataFrame
    nuclei: pd.DataFrame
    clusters: pd.DataFrame


def analyze_slide(
    slide: Slide,
    models: Models,
    settings: Settings = Settings(),  # noqa: B008
    progress: Progress | None = None,
    region: np.ndarray | None = None,
) -> Result:
    """Find the tissue, segment and measure every fibre and nucleus, classify them, find clusters, score.

    Fibres and nuclei whose centre lies outside the tissue are dropped. An image coarser than `max_nucleus_um_per_px`: no nuclei,
    and what needs them is null with a warning. No tissue: status "refused", flag "no-tissue", empty tables, no scores.
    region: corners (k, 2), (y, x) in um, of a polygon; tissue outside it is left out.
    WrongStain if the section is not H&E; NotASlide if the file turns out to be damaged.
    """
    step = progress or (lambda stage, done, total: None)
    for network in (models.fibres, models.nuclei):
        network.notes.clear()  # of the slide before
    section = _look(slide, region, settings)
    fibres, nuclei = find_section(slide, section.tissue, models, section.with_nuclei, section.stains, settings.segment, step)
    step("measure", 0, 1)
    cells = _told(section, fibres, nuclei, models, settings)
    scores, doubts = unassessed(_BLANK), Doubts()
    if not section.blank:
        scores, doubts = judge(cells.fibres, cells.nuclei, cells.clusters, section.area_mm2, settings, section.with_nuclei)
    notes = (*slide.notes, *cut_notes(fibres, nuclei, settings.segment), *models.fibres.notes, *models.nuclei.notes)
    warnings = dict.fromkeys((*scores.warnings, *notes))  # each once: a note may come with every tile
    flags = (*section.flags, *_flags(slide, section, cells, fibres.cut, settings), *doubts.flags)
    crops = cut_crops(slide, cells.fibres, cells.nuclei, cells.clusters, scores.evidence)
    step("measure", 1, 1)
    return Result(
        status="refused" if section.blank else "review" if flags else "ok",
        slide=_slide_info(slide),
        models=_model_infos(models),
        settings=settings,
        tissue_area_mm2=section.area_mm2,
        flags=flags,
        fibres=cells.fibres,
        nuclei=cells.nuclei,
        clusters=cells.clusters,
        fibre_labels=fibres.labels,
        nucleus_labels=nuclei.labels,
        picture=section.picture,
        scores=scores.model_copy(update={"warnings": tuple(warnings)}),
        crops=crops,
        region_um=None if region is None else tuple((float(y), float(x)) for y, x in region),
    )


def _look(slide: Slide, region: np.ndarray | None, settings: Settings) -> _Section:
    whole = find_tissue(slide, settings.tissue)
    tissue = within(whole, region)
    flags, hidden = assess(slide, tissue, settings.tissue)
    grid = picture_grid(slide.grid(), tissue)
    picture = Picture(slide.read(grid), grid)
    stains = section_stains(picture.rgb, grid, tissue)
    with_nuclei = slide.um_per_px <= settings.segment.max_nucleus_um_per_px and bool(tissue.mask.any())
    return _Section(whole, tissue, flags, hidden, picture, stains, with_nuclei, without(tissue, hidden.values()))


def _told(section: _Section, fibres: Objects, nuclei: Objects, models: Models, settings: Settings) -> _Cells:
    """Fibres and nuclei as what they are, the ones by the others, and their clusters."""
    where = fibres.labels.pixels, fibres.labels.grid
    cells = classify_nuclei(nuclei.table.join(assign_by_window(nuclei.table, *where)), fibres.table, settings.classify)
    cells = mark_hidden_nuclei(cells, section.under(cells))
    muscle = classify_fibres(fibres.table, cells if section.with_nuclei else None, models.states, settings.classify)
    muscle = mark_hidden(muscle, section.under(muscle))
    muscle = mark_cut_edge(muscle, to_glass_um(section.whole, muscle[["y_um", "x_um"]].to_numpy()))
    border = necrotic_border_by_window(muscle, *where)
    cells = cells.assign(necrosis_distance_um=distance_to_necrosis(cells, muscle, border))
    clusters, cluster_id = find_clusters(cells, muscle, border, settings.clusters)
    return _Cells(typed(muscle, FIBRES), typed(cells.assign(cluster_id=cluster_id), NUCLEI), clusters)


def _flags(slide: Slide, section: _Section, cells: _Cells, cut: int, settings: Settings) -> list[Flag]:
    """Doubts that show only when the cells are found."""
    flags = damage_flags(slide) + cover_flags(cells.fibres, section.tissue, section.area_mm2, settings.score.min_cover)
    flags += size_flags(cells.fibres["min_feret_um"][~cells.fibres["touches_border"]].to_numpy(), cut, settings.tissue)
    return flags + nucleus_size_flags(cells.nuclei["area_um2"].to_numpy(), settings.tissue)


def _slide_info(slide: Slide) -> SlideInfo:
    height, width = slide.shape
    name = slide.file_name.encode("utf-8", "backslashreplace").decode("utf-8")  # bytes that are no UTF-8 can't stand in JSON
    return SlideInfo(slide.id, name, slide.sha256, slide.um_per_px, slide.um_per_px_source, width, height)


def _model_infos(models: Models) -> tuple[ModelInfo, ...]:
    states = models.states.card
    networks = tuple(ModelInfo(n.name, n.version, n.sha256, n.precision) for n in (models.fibres, models.nuclei))
    return (*networks, ModelInfo(states["name"], states["version"], states["sha256"]))
