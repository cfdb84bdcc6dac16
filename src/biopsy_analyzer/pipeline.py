"""The whole method in one screen: from a slide to its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biopsy_analyzer.canvas import picture_grid, section_stains
from biopsy_analyzer.classify import classify_fibres, classify_nuclei, mark_cut_edge, mark_hidden, mark_hidden_nuclei
from biopsy_analyzer.clusters import distance_to_necrosis, find_clusters, necrotic_border_by_window
from biopsy_analyzer.measure.nuclei_in_fibres import assign_by_window
from biopsy_analyzer.report.crops import cut_crops
from biopsy_analyzer.report.result import ModelInfo, Picture, Result, SlideInfo
from biopsy_analyzer.score import Doubts, judge, unassessed
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.tables import FIBRES, NUCLEI, typed
from biopsy_analyzer.tissue.flags import nucleus_size_flags, size_flags
from biopsy_analyzer.tissue.mask import Tissue, find_tissue, to_glass_um, within, without
from biopsy_analyzer.tissue.quality import assess, cover_flags, damage_flags
from biopsy_analyzer.walk import Progress, cut_notes, find_section

if TYPE_CHECKING:
    from biopsy_analyzer.models import Models


_BLANK = "nothing is assessed: no tissue was found"


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
    whole = find_tissue(slide, settings.tissue)
    tissue = within(whole, region)
    flags, hidden = assess(slide, tissue, settings.tissue)
    picture = _picture(slide, tissue)
    stains = section_stains(picture.rgb, picture.grid, tissue)
    blank = not tissue.mask.any()
    with_nuclei = not blank and slide.um_per_px <= settings.segment.max_nucleus_um_per_px

    found_fibres, found_nuclei = find_section(slide, tissue, models, with_nuclei, stains, settings.segment, step)
    step("measure", 0, 1)
    where = found_fibres.labels.pixels, found_fibres.labels.grid
    nuclei = found_nuclei.table.join(assign_by_window(found_nuclei.table, *where))
    area_mm2 = without(tissue, hidden.values())
    nuclei = classify_nuclei(nuclei, found_fibres.table, settings.classify)
    nuclei = mark_hidden_nuclei(nuclei, _under(hidden, tissue, nuclei))
    fibres = classify_fibres(found_fibres.table, nuclei if with_nuclei else None, models.states, settings.classify)
    fibres = mark_hidden(fibres, _under(hidden, tissue, fibres))
    fibres = mark_cut_edge(fibres, to_glass_um(whole, fibres[["y_um", "x_um"]].to_numpy()))
    border = necrotic_border_by_window(fibres, *where)
    nuclei = nuclei.assign(necrosis_distance_um=distance_to_necrosis(nuclei, fibres, border))
    clusters, cluster_id = find_clusters(nuclei, fibres, border, settings.clusters)
    fibres, nuclei = typed(fibres, FIBRES), typed(nuclei.assign(cluster_id=cluster_id), NUCLEI)
    scores, doubts = unassessed(_BLANK), Doubts()
    if not blank:
        scores, doubts = judge(fibres, nuclei, clusters, area_mm2, settings, with_nuclei)
    notes = (*slide.notes, *cut_notes(found_fibres, found_nuclei, settings.segment), *models.fibres.notes, *models.nuclei.notes)
    warnings = dict.fromkeys((*scores.warnings, *notes))  # each once: a note may come with every tile
    flags += damage_flags(slide) + cover_flags(fibres, tissue, area_mm2, settings.score.min_cover)
    flags += size_flags(fibres["min_feret_um"][~fibres["touches_border"]].to_numpy(), found_fibres.cut, settings.tissue)
    flags += nucleus_size_flags(nuclei["area_um2"].to_numpy(), settings.tissue)
    flags += doubts.flags
    crops = cut_crops(slide, fibres, nuclei, clusters, scores.evidence)
    step("measure", 1, 1)

    return Result(
        status="refused" if blank else "review" if flags else "ok",
        slide=_slide_info(slide),
        models=_model_infos(models),
        settings=settings,
        tissue_area_mm2=area_mm2,
        flags=tuple(flags),
        fibres=fibres,
        nuclei=nuclei,
        clusters=clusters,
        fibre_labels=found_fibres.labels,
        nucleus_labels=found_nuclei.labels,
        picture=picture,
        scores=scores.model_copy(update={"warnings": tuple(warnings)}),
        crops=crops,
        region_um=None if region is None else tuple((float(y), float(x)) for y, x in region),
    )


def _under(hidden: dict[str, np.ndarray], tissue: Tissue, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which rows' centres lie under what hides them, bool (n,) each."""
    centres = table[["y_um", "x_um"]].to_numpy()
    return {what: tissue.grid.at(mask, centres, beyond=False) for what, mask in hidden.items()}


def _picture(slide: Slide, tissue: Tissue) -> Picture:
    grid = picture_grid(slide.grid(), tissue)
    return Picture(slide.read(grid), grid)


def _slide_info(slide: Slide) -> SlideInfo:
    height, width = slide.shape
    name = slide.file_name.encode("utf-8", "backslashreplace").decode("utf-8")  # bytes that are no UTF-8 can't stand in JSON
    return SlideInfo(slide.id, name, slide.sha256, slide.um_per_px, slide.um_per_px_source, width, height)


def _model_infos(models: Models) -> tuple[ModelInfo, ...]:
    states = models.states.card
    networks = tuple(ModelInfo(n.name, n.version, n.sha256, n.precision) for n in (models.fibres, models.nuclei))
    return (*networks, ModelInfo(states["name"], states["version"], states["sha256"]))
