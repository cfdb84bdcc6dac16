"""Every number that a user may change: frozen, each with its unit and its source.

"Prior" in a source means that no published value was found: a documented default, not a fact.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TissueSettings(_Group):
    """What counts as tissue, and which sections are good enough."""

    um_per_px: float = Field(4.0, ge=1, le=20, description="um/px of the tissue mask. Prior.")
    min_piece_um2: float = Field(20_000.0, ge=0, description="um2; smaller pieces are debris. Prior.")
    min_colour_od: float = Field(0.025, gt=0, description="OD; spread over R, G, B above the glass that makes a pixel tissue. Prior.")
    min_grey_od: float = Field(0.12, gt=0, description="OD above the glass that makes a pixel tissue whatever its colour. Prior.")
    speck_um: float = Field(8.0, ge=0, le=1000, description="um; radius of specks and threads that are no tissue. Prior.")
    cleft_um: float = Field(28.0, ge=0, le=1000, description="um; half the width of clefts that belong to the tissue. Prior.")
    max_hole_um2: float = Field(50_000.0, ge=0, description="um2; larger holes are tears or lumina, not tissue. Prior.")
    min_he_share: float = Field(0.6, ge=0, le=1, description="Share of colour in the hues of H&E; less is refused. H&E 0.7-1, others 0-0.5")
    min_eosin_share: float = Field(0.05, ge=0, le=1, description="Share of colour in eosin's hues; less is refused. H&E 0.06-1, others 0.")
    usual_he_share: float = Field(0.9, ge=0, le=1, description="As min_he_share; less is reported. Prior.")
    max_hue_spread: float = Field(95.0, gt=0, description="Degrees of hue, 5 to 95 % of colour; more is reported (three dyes?). H&E 12-45.")
    small_tissue_mm2: float = Field(0.3, ge=0, description="mm2; less tissue is reported. Prior.")
    min_density: float = Field(0.08, ge=0, description="OD above the glass, middle of the tissue; less is faded. Prior.")
    max_lightest: float = Field(
        0.3,
        gt=0,
        description="OD of the lightest hundredth; more is a dark scan that hides glass and pale fibres. Usual 0-0.2. Prior.",
    )
    max_pen_share: float = Field(0.01, ge=0, description="Inked area over the tissue's area; more is reported. Prior.")
    max_fold_share: float = Field(0.02, ge=0, description="Folded share of the tissue; more is reported. Prior.")
    min_sharpness: float = Field(0.18, ge=0, description="Fine over all contrast; less is blurred. Sharp 0.3-0.8, 2 um blur 0.09-0.17.")
    min_fibre_um: float = Field(
        14.0, ge=0, le=1000, description="um; median least diameter below it is reported. Adults 30-80, mice 20-50. Prior."
    )
    max_fibre_um: float = Field(100.0, gt=0, le=1000, description="um; median least diameter above it is reported. Prior.")
    min_median_nucleus_um2: float = Field(
        9.0,
        ge=0,
        description="um2; median nucleus area below it is reported. Two mouse laboratories 12-15, at half the pixel size 7. Prior.",
    )
    max_median_nucleus_um2: float = Field(
        60.0, gt=0, description="um2; median nucleus area above it is reported. Drawn sections 31-39, a disc of 9 um is 64. Prior."
    )
    max_cut_share: float = Field(
        0.05, ge=0, le=1, description="Pieces of fibres cut between blocks, over all fibres; more is reported. Cross-sections 0. Prior."
    )
    max_elongation: float = Field(
        1.8,
        ge=1,
        le=1000,
        description="Greatest over least diameter, median of whole fibres; more is reported. Cross-sections 1.3-1.75. Prior.",
    )
    max_bare_share: float = Field(
        0.4,
        gt=0,
        le=1,
        description="Share of fibres called normal without a nucleus of their own; more is reported. Living fibres 0-0.25. Prior.",
    )
    unsure_cell: float = Field(0.6, gt=0, le=1, description="Probability below which the kind of an inflammatory cell is unsure. Prior.")
    max_unsure_cells: float = Field(0.25, ge=0, le=1, description="Share of inflammatory cells so unsure; more is reported. Prior.")
    focus_um_per_px: float = Field(1.0, ge=0.1, le=5, description="um/px at which focus is judged. Prior.")
    close_ups: int = Field(24, ge=1, le=1000, description="Fields of 256 px in which focus is judged. Prior.")


class SegmentSettings(_Group):
    """How maps become fibres and nuclei."""

    fibre_threshold: float = Field(0.5, gt=0, lt=1, description="Probability; fibre foreground. 0.4-0.6 measured alike.")
    fibre_seed: float = Field(
        0.4, gt=0, lt=1, description="Relative depth (0 border, 1 deepest) above which seeds lie. 0.35-0.55 measured alike."
    )
    fibre_join: float = Field(
        0.4,
        gt=0,
        description="Mean depth along a shared edge over the lower of the two greatest depths; above it two pieces are one. Drawn maps.",
    )
    min_fibre_um2: float = Field(60.0, ge=0, description="um2; smaller finds are dropped (a fibre of 9 um). Prior.")
    largest_fibre_um: float = Field(
        192.0, gt=20, le=1000, description="um; longer fibres may be cut where a large section is cut into blocks, and are told. Prior."
    )
    nucleus_threshold: float = Field(
        0.4, gt=0, lt=1, description="Probability; nucleus foreground. 0.35-0.45 measured alike, see nucleus_seed."
    )
    nucleus_seed: float = Field(
        0.4, gt=0, lt=1, description="As fibre_seed. 0.25-0.5 tried on drawn and real training images, 0.35-0.4 best."
    )
    nucleus_join: float = Field(0.45, gt=0, description="As fibre_join, for nuclei. 0.4-0.5 measured alike.")
    min_nucleus_um2: float = Field(5.0, ge=0, description="um2; smaller finds are dropped. 4-6 measured alike, see nucleus_seed.")
    largest_nucleus_um: float = Field(48.0, gt=10, le=500, description="As largest_fibre_um. Prior.")
    max_nucleus_um_per_px: float = Field(
        0.75, gt=0, description="um/px; coarser images show no nuclei well enough: null with a warning. Prior."
    )


class ClassifySettings(_Group):
    """Fibre states and nucleus types."""

    internal_depth_um: float = Field(
        5.0, gt=0, le=1000, description="um from nucleus centre to the fibre's border; deeper is internal. Published rule, dbi-infra.eu."
    )
    min_state_um2: float = Field(100.0, ge=0, description="um2; smaller fibres (11 um) show too little sarcoplasm for a state. Prior.")
    min_probability: float = Field(0.4, ge=0, le=1, description="A fibre whose likeliest state is less likely is unassessable. Prior.")


class ClusterSettings(_Group):
    """What makes cells a cluster."""

    reach_um: float = Field(20.0, gt=0, le=1000, description="um between nucleus centres that link two cells. Prior.")
    min_cells: int = Field(
        10, ge=2, description="Cells that make a cluster. Wedderburn 2007 / Varsani 2015 (juvenile dermatomyositis tool)."
    )
    min_cells_at_necrosis: int = Field(3, ge=2, description="Cells that make a cluster around a necrotic fibre. Prior.")
    at_necrosis_um: float = Field(
        10.0, gt=0, le=1000, description="um from a cell to a necrotic fibre's border that counts as around it. Prior."
    )
    sheet_um2: float = Field(
        200_000.0, gt=0, description="um2 of hull (a disc of 500 um); a larger group of cells is a sheet and no cluster. Prior."
    )
    pure_share: float = Field(
        0.7, gt=0.5, le=1, description="Share of one cell type above which a cluster bears its name, otherwise mixed. Prior."
    )


class ScoreSettings(_Group):
    """The axes, their mapping to 0..1 and their intervals."""

    min_fibres: int = Field(50, ge=1, description="Assessable fibres below which scores are null. Prior (error falls until ~600 fibres).")
    necrosis_half: float = Field(0.05, gt=0, description="Share of necrotic and pale/fragmented fibres at which the axis is 0.5. Prior.")
    regeneration_half: float = Field(0.05, gt=0, description="Share of regenerating fibres at which the axis is 0.5. Prior.")
    inflammation_half_per_mm2: float = Field(
        100.0, gt=0, description="Interstitial inflammatory cells per mm2 at which the axis is 0.5. Prior."
    )
    grades: tuple[float, float, float] = Field(
        (0.25, 0.5, 0.75), description="Axis values from which the grades 1, 2 and 3 begin: 1.7, 5, 15 % or 33, 100, 300 per mm2. Prior."
    )
    block_um: float = Field(
        600.0, ge=10, le=10_000, description="um; edge of the blocks that the bootstrap draws. By simulation: docs/score_validation.md."
    )
    min_blocks: int = Field(9, ge=4, le=1000, description="Blocks wanted; a small section is cut into smaller blocks. By simulation.")
    cells_design: float = Field(
        4.0,
        ge=1,
        le=1000,
        description="Inflammatory cells come in groups at least so large, seen or not: no interval is narrower. By simulation.",
    )
    min_support: float = Field(
        0.9,
        gt=0.5,
        le=1,
        description="Share of bootstrap rounds that must give the likeliest pattern, else indeterminate. "
        "By simulation (score_validation.md).",
    )
    firm_call: float = Field(
        0.8,
        ge=0,
        le=0.9,
        description="Probability from which the call of a necrotic fibre is firm; its interval is made of firm calls. Prior. Another one "
        "needs a necrosis_recall and necrosis_false of its own; above 0.9 too few calls are firm.",
    )
    bootstrap_rounds: int = Field(1000, ge=100, le=100_000, description="Rounds of the block bootstrap.")
    seed: int = Field(0, ge=0, le=2**31, description="Seed of the bootstrap.")
    active: float = Field(0.25, gt=0, lt=1, description="Value of an axis below which the pattern's reasons call it little. Prior.")
    necrosis_floor: float = Field(
        0.03,
        ge=0,
        lt=1,
        description="Share of fibres called necrotic that false calls alone may give; not above it no necrosis is named in the pattern. "
        "Normal fibres called sick on sections left out: models/states/card.json.",
    )
    inflammation_floor_per_mm2: float = Field(
        100.0,
        ge=0,
        description="The same of inflammatory cells per mm2: one false call in ten among some 450 capillary and 500 muscle nuclei. Prior.",
    )
    min_cover: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="Share of the tissue that fibres must cover, else the pattern is indeterminate. Muscle 0.65-0.9. Prior.",
    )
    min_assessed: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share of the outlined fibres that must be assessable, else the pattern is indeterminate. Prior.",
    )
    settled_fibres: int = Field(
        600, ge=1, description="Assessable fibres from which fibre figures hardly change; fewer are told. Published."
    )
    balance_margin: float = Field(0.1, gt=0, lt=1, description="Balance beyond +-margin names a predominant side. Prior.")
    little_inflammation: float = Field(
        0.5, gt=0, lt=1, description="Inflammation up to which necrosis may be predominant: grades 0 and 1, 100 cells per mm2. Prior."
    )


Rate = tuple[Annotated[float, Field(ge=0, le=1e4)], Annotated[float, Field(ge=0, le=1e4)]]
"""Mean and SD between sections."""

ShareRate = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
"""The same of a share."""


class ReaderSettings(_Group):
    """How the reader errs, by section, [mean, SD]: means by benchmarks/score_reader.py on drawn sections (usual), not on tissue.

    SDs likewise, but those of necrosis and of `regeneration_found`, which are wider, by simulation: docs/score_validation.md.
    """

    necrosis_recall: ShareRate = Field(
        (0.885, 0.07), description="Necrotic and pale-fragmented fibres firmly called so, of those outlined."
    )
    necrosis_false: ShareRate = Field((0.005, 0.0115), description="Other fibres firmly called necrotic or pale-fragmented.")
    necrosis_found: Rate = Field((0.96, 0.18), description="How often a necrotic fibre is outlined, over how often another is.")
    regeneration_recall: ShareRate = Field((0.93, 0.08), description="Regenerating fibres called so, among those outlined.")
    regeneration_false: ShareRate = Field((0.0015, 0.001), description="Other fibres called regenerating.")
    regeneration_found: Rate = Field((1.0, 0.25), description="How often a regenerating fibre is outlined, over how often another is.")
    cells_recall: ShareRate = Field((0.9, 0.1), description="Interstitial inflammatory cells found and called so.")
    cells_false: Rate = Field((16.0, 18.0), description="Other nuclei called interstitial inflammatory cells, per mm2.")
    cells_leak: Rate = Field((0.03, 0.07), description="Macrophages of missed necrotic fibres over those seen in and at necrotic ones.")

    @field_validator("*")
    @classmethod
    def _can_be(cls, rate: Rate, info: ValidationInfo) -> Rate:
        """Beta and Gamma, which rates are drawn from, exist for these only."""
        mean, sd = rate
        share = mean < 1 and not str(info.field_name).endswith("_found")
        if sd > 0 and (mean == 0 or (share and sd**2 >= mean * (1 - mean))):
            raise ValueError(f"no rate of mean {mean:g} has an SD of {sd:g}")
        return rate

    def by_state(self) -> dict[str, tuple[Rate, Rate, Rate]]:
        """Recall, false calls and share found, by the state's name among what is summed up."""
        return {
            "necrotic": (self.necrosis_recall, self.necrosis_false, self.necrosis_found),
            "regenerating": (self.regeneration_recall, self.regeneration_false, self.regeneration_found),
        }


class SpaceSettings(_Group):
    """How damage and infiltrates lie in the section."""

    raster_um: float = Field(10.0, ge=1, le=100, description="um; raster on which gaps between fibres are measured.")
    perimysium_um: float = Field(30.0, gt=0, le=1000, description="um; a gap between fibres wider than this is perimysium. Prior.")
    missed_fibres: float = Field(
        2.0, ge=0, le=1000, description="Median fibre areas; a smaller wide gap is a missed fibre, not perimysium. Prior."
    )
    tissue_um: float = Field(150.0, gt=0, le=1000, description="um; perimysium lies between fibres no more than twice this apart. Prior.")
    septum_um: float = Field(
        7.0,
        ge=0,
        le=1000,
        description="um by which the mean gap along a septum is wider than that within fascicles. Prior, by drawn sections.",
    )
    septum_share: float = Field(
        0.1, ge=0, le=10, description="The same as a share of the fibres' median diameter. Prior, by drawn sections."
    )
    least_fascicle: int = Field(
        5, ge=1, description="Fibres of a fascicle; fewer are part of the nearest one, if there is one near. Prior."
    )
    border_um: float = Field(15.0, ge=0, le=1000, description="um from the perimysium to a fibre at the border of its fascicle. Prior.")
    neighbour_um: float = Field(15.0, gt=0, le=1000, description="um between the equal-area discs of fibres that are neighbours. Prior.")
    confluent_fibres: int = Field(10, ge=2, description="Necrotic neighbours that make a confluent area. Prior.")
    min_necrotic: int = Field(10, ge=2, description="Necrotic fibres from which their arrangement is tested. Prior.")
    alpha: float = Field(0.01, gt=0, lt=0.5, description="p below which an arrangement is no chance. Convention.")
    min_ratio: float = Field(1.5, gt=1, description="Observed over expected from which an arrangement is named. Prior.")
    around_um: float = Field(10.0, gt=0, le=1000, description="um from a cell to a living fibre's border that counts as around it. Prior.")
    invaded_by: int = Field(2, ge=1, description="Macrophages inside from which a necrotic fibre is phagocytosed. Prior.")
    min_damaged: int = Field(10, ge=2, description="Damaged fibres from which the mixture of stages is told. Prior.")
    atrophic: float = Field(0.5, gt=0, lt=1, description="Of the section's median area; a smaller fibre is atrophic. Prior.")


class EvidenceSettings(_Group):
    """From where on a finding that criteria name counts as present; the criteria themselves state no numbers."""

    regenerating_share: float = Field(0.03, ge=0, le=1, description="Of assessable fibres. Prior.")
    phagocytosed_share: float = Field(0.1, ge=0, le=1, description="Of necrotic fibres. Prior.")
    mixing: float = Field(0.5, ge=0, le=1, description="Evenness of the stages. Prior.")
    sparse_per_mm2: float = Field(100.0, ge=0, description="Interstitial inflammatory cells per mm2; fewer are sparse. Prior.")
    sparse_lymphocytes_per_mm2: float = Field(50.0, ge=0, description="Interstitial lymphocytes per mm2; fewer are sparse. Prior.")
    macrophage_share: float = Field(0.5, ge=0, le=1, description="Of all inflammatory cells, in necrotic fibres too. Prior.")
    confluent_area_share: float = Field(0.05, ge=0, le=1, description="Share of the fibres' area in confluent areas of necrosis. Prior.")
    endomysial_per_mm2: float = Field(60.0, ge=0, description="Endomysial cells around living fibres per mm2 of tissue. Prior.")
    perimysial_per_mm2: float = Field(40.0, ge=0, description="Perimysial cells per mm2 of tissue. Prior.")
    perifascicular_necrosis: float = Field(
        0.1, ge=0, le=1, description="Necrotic share of fibres at fascicle borders minus that inside. Prior."
    )
    size_variation: float = Field(
        250.0, ge=0, description="SD over mean of the living fibres' least diameters, times 1000. Published: Brooke and Engel 1969."
    )
    endomysium_um: float = Field(12.0, ge=0, description="um; mean gap between the discs of fibres that face each other. Prior.")
    perifascicular_atrophy: float = Field(0.1, ge=0, le=1, description="Atrophic share at fascicle borders minus that inside. Prior.")
    invaded_share: float = Field(0.02, ge=0, le=1, description="Living fibres with a lymphocyte deeper than 5 um inside. Prior.")
    internal_share: float = Field(0.03, ge=0, le=1, description="Living fibres with internal nuclei. Textbook.")


class Settings(_Group):
    """All settings of one analysis."""

    tissue: TissueSettings = TissueSettings()
    segment: SegmentSettings = SegmentSettings()
    classify: ClassifySettings = ClassifySettings()
    clusters: ClusterSettings = ClusterSettings()
    score: ScoreSettings = ScoreSettings()
    reader: ReaderSettings = ReaderSettings()
    space: SpaceSettings = SpaceSettings()
    evidence: EvidenceSettings = EvidenceSettings()
