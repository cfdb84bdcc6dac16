"""The whole method in one screen: from a slide to its scores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from biopsy_analyzer.canvas import picture_grid, section_stains
from biopsy_analyzer.classify import classify_fibres, classify_nuclei
from biopsy_analyzer.clusters import distance_to_necrosis, find_clusters, necrotic_border, necrotic_fibre_ids
from biopsy_analyzer.measure.nuclei_in_fibres import assign
from biopsy_analyzer.objects import Progress, find_objects, measure_objects
from biopsy_analyzer.report.result import ModelInfo, Picture, Result, SlideInfo
from biopsy_analyzer.score import score, unassessed
from biopsy_analyzer.segment.fibres import fibre_labels
from biopsy_analyzer.segment.nuclei import nucleus_labels
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.tables import FIBRES, NUCLEI, typed
from biopsy_analyzer.tissue.mask import Tissue, find_tissue
from biopsy_analyzer.tissue.quality import assess, cover_flags, damage_flags, size_flags

if TYPE_CHECKING:
    from biopsy_analyzer.models import Models


_BLANK = "nothing is assessed: no tissue was found"


def analyze_slide(slide: Slide, models: Models, settings: Settings = Settings(), progress: Progress | None = None) -> Result:  # noqa: B008
    """Find the tissue, segment and measure every fibre and nucleus, classify them, find clusters, score.

    Fibres and nuclei whose centre lies outside the tissue are dropped. An image coarser than `max_nucleus_um_per_px`: no nuclei,
    and what needs them is null with a warning. No tissue: status "refused", flag "no-tissue", empty tables, no scores.
    WrongStain if the section is not H&E; NotASlide if the file turns out to be damaged.
    """
    step = progress or (lambda stage, done, total: None)
    tissue = find_tissue(slide, settings.tissue)
    flags = assess(slide, tissue, settings.tissue)
    picture = _picture(slide, tissue)
    stains = section_stains(picture.rgb, picture.grid, tissue)
    blank = not tissue.mask.any()
    with_nuclei = not blank and slide.um_per_px <= settings.segment.max_nucleus_um_per_px

    with ThreadPoolExecutor(1) as side:  # one kind is read and labelled while the network of the other computes
        coming = side.submit(find_objects, slide, tissue, models.fibres, fibre_labels, settings.segment, step)
        found_nuclei = find_objects(slide, tissue if with_nuclei else None, models.nuclei, nucleus_labels, settings.segment, step)
        found_fibres = coming.result()
    step("measure", 0, 2)
    fibres = measure_objects(slide, found_fibres, stains, leave_out=found_nuclei.labels)
    nuclei = measure_objects(slide, found_nuclei, stains)
    step("measure", 1, 2)
    where = found_fibres.labels.pixels, found_fibres.labels.grid
    nuclei = nuclei.join(assign(nuclei, *where))
    nuclei = classify_nuclei(nuclei, fibres, settings.classify)
    fibres = classify_fibres(fibres, nuclei if with_nuclei else None, models.states, settings.classify)
    border = necrotic_border(necrotic_fibre_ids(fibres), *where)
    nuclei = nuclei.assign(necrosis_distance_um=distance_to_necrosis(nuclei, fibres, border))
    clusters, cluster_id = find_clusters(nuclei, fibres, border, settings.clusters)
    fibres, nuclei = typed(fibres, FIBRES), typed(nuclei.assign(cluster_id=cluster_id), NUCLEI)
    scores = unassessed(_BLANK) if blank else score(fibres, nuclei, clusters, tissue.area_mm2, settings, with_nuclei)
    warnings = dict.fromkeys((*scores.warnings, *models.fibres.notes, *models.nuclei.notes))  # each once: a note may come with every tile
    flags += damage_flags(slide) + cover_flags(fibres["area_um2"].sum(), tissue.area_mm2, settings.score.min_cover)
    flags += size_flags(fibres["min_feret_um"][~fibres["touches_border"]].to_numpy(), settings.tissue)
    step("measure", 2, 2)

    return Result(
        status="refused" if blank else "review" if flags else "ok",
        slide=_slide_info(slide),
        models=_model_infos(models),
        settings=settings,
        tissue_area_mm2=tissue.area_mm2,
        flags=tuple(flags),
        fibres=fibres,
        nuclei=nuclei,
        clusters=clusters,
        fibre_labels=found_fibres.labels,
        nucleus_labels=found_nuclei.labels,
        picture=picture,
        scores=scores.model_copy(update={"warnings": tuple(warnings)}),
    )


def _picture(slide: Slide, tissue: Tissue) -> Picture:
    grid = picture_grid(slide.grid(), tissue)
    return Picture(slide.read(grid), grid)


def _slide_info(slide: Slide) -> SlideInfo:
    height, width = slide.shape
    name = slide.file_name.encode("utf-8", "backslashreplace").decode("utf-8")  # bytes that are no UTF-8 can't stand in JSON
    return SlideInfo(slide.id, name, slide.sha256, slide.um_per_px, slide.um_per_px_source, width, height)


def _model_infos(models: Models) -> tuple[ModelInfo, ...]:
    states = models.states.card
    networks = tuple(ModelInfo(network.name, network.version, network.sha256) for network in (models.fibres, models.nuclei))
    return (*networks, ModelInfo(states["name"], states["version"], states["sha256"]))
