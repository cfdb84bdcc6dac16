"""The scores of one section as they stand in scores.json: every field with its unit, null where a thing can't be assessed, never NaN."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Grade = Annotated[int, Field(ge=0, le=3)]
Probability = Annotated[float, Field(ge=0, le=1)]
PerMm2 = Annotated[float, Field(ge=0)]
Arrangement = Literal["scattered", "grouped", "perifascicular", "not_assessable"]
Pattern_ = Literal["necrosis-predominant", "inflammation-predominant", "mixed", "inactive", "indeterminate"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Spread(_Part):
    """Distribution of one size over the assessable fibres that the image does not cut; null without any."""

    median: float | None = Field(description="50th percentile")
    p10: float | None = Field(description="10th percentile")
    p90: float | None = Field(description="90th percentile")


class FibreCounts(_Part):
    """Fibres of the section. Counts by state are of assessable fibres. All null without tissue."""

    segmented: Count | None = Field(description="fibres outlined")
    assessable: Count | None = Field(description="fibres whose state could be told")
    normal: Count | None
    necrotic: Count | None
    pale_fragmented: Count | None
    regenerating: Count | None
    with_internal_nuclei: Count | None = Field(description="normal or regenerating fibres with an internal nucleus; null without nuclei")
    area_um2: Spread = Field(description="cross-sectional area, um2")
    min_feret_um: Spread = Field(description="smallest Feret diameter, um: robust against oblique cutting")


class AreaFractions(_Part):
    """Shares of the area of all assessable fibres, 0..1; null without assessable fibres."""

    necrotic: Share | None
    pale_fragmented: Share | None
    regenerating: Share | None


class ClusterCounts(_Part):
    """Clusters of one kind; all null without nuclei."""

    count: Count | None
    per_mm2: PerMm2 | None = Field(description="per mm2 of tissue")
    around_necrotic_fibres: Count | None = Field(description="of `count`, those in or at a necrotic or pale-fragmented fibre")


class Clusters(_Part):
    """Clusters by kind."""

    macrophage: ClusterCounts
    lymphocytic: ClusterCounts
    mixed: ClusterCounts


class Sheets(_Part):
    """Confluent infiltrates: what would be a cluster, were it not larger than `sheet_um2`; all null without nuclei."""

    count: Count | None = None
    cells: Count | None = None
    area_mm2: float | None = Field(default=None, ge=0, description="of squares of `reach_um` that hold one of their cells")


class Inflammation(_Part):
    """Inflammatory cells; all null without nuclei. Interstitial: not inside a necrotic or pale-fragmented fibre."""

    macrophages_per_mm2: PerMm2 | None = Field(description="interstitial macrophages per mm2 of tissue")
    macrophages_at_necrosis_per_mm2: PerMm2 | None = Field(description="of these, those hugging a necrotic fibre; no part of the axis")
    lymphocytes_per_mm2: PerMm2 | None = Field(description="interstitial lymphocytes per mm2 of tissue")
    macrophages_in_necrotic_fibres: Count | None = Field(description="macrophages inside necrotic or pale-fragmented fibres")


class Axis(_Part):
    """A value with its 95 % interval [lo, hi]; both null where it can't be assessed."""

    value: float | None
    ci95: tuple[float, float] | None


class MeasuredAxis(Axis):
    """An axis 0..1 = measured / (measured + half), with the quantity it stands for and the grade 0..3 of its value."""

    measured: float | None = Field(description="the quantity itself, in `unit`")
    measured_ci95: tuple[float, float] | None
    unit: str
    grade: Grade | None = Field(description="0 none or hardly, 1 slight, 2 moderate, 3 severe")
    grade_ci95: tuple[Grade, Grade] | None = Field(description="grades of both ends of ci95")


class Axes(_Part):
    """Necrosis, regeneration and inflammation 0..1, balance = necrosis - inflammation, -1..1."""

    necrosis: MeasuredAxis
    regeneration: MeasuredAxis
    inflammation: MeasuredAxis
    balance: Axis


class Pattern(_Part):
    """The pattern of damage, and what it rests on."""

    label: Pattern_
    support: Share | None = Field(description="share of bootstrap rounds that give the likeliest pattern; null without scores")
    fits: tuple[Pattern_, ...] = Field(
        default=(),
        description="patterns of at least a twentieth of the rounds, the likeliest first; empty where something forbids a pattern",
    )
    reasons: tuple[str, ...]


class Stages(_Part):
    """The stages that damaged fibres are in; all null without nuclei, which tell who is being eaten."""

    damaged: Count | None = Field(description="assessable fibres in any of the stages")
    necrotic_not_invaded: Count | None = Field(description="necrotic (hyaline, dusky, ghost), fewer than `invaded_by` macrophages inside")
    pale_fragmented_not_invaded: Count | None
    phagocytosed: Count | None = Field(description="necrotic or pale-fragmented with at least `invaded_by` macrophages inside")
    regenerating: Count | None
    mixing: Axis = Field(description="evenness of the four: 0 all damaged fibres in one stage, 1 equally many in each")


class Tested(_Part):
    """What was seen against what random labelling of the same fibres gives; all null where it can't be tested."""

    ratio: float | None = Field(description="observed / expected")
    observed: float | None
    expected: float | None
    p: Probability | None = Field(description="of so much or more under random labelling, one-sided")


class ConfluentAreas(_Part):
    """Groups of at least `confluent_fibres` necrotic fibres that are neighbours."""

    count: Count
    fibres: Count = Field(description="necrotic fibres in them")
    share: Share | None = Field(description="of all necrotic fibres; null without any")
    largest_fibres: Count = Field(description="fibres of the largest group of necrotic neighbours, however small")
    largest_um2: float = Field(ge=0, description="their area")


class Place(Axis):
    """Interstitial inflammatory cells of one place per mm2 of all tissue; null where the place can't be told."""

    cells: Count | None
    share: Share | None = Field(description="of the interstitial inflammatory cells; null without any")


class Places(_Part):
    """Where the interstitial inflammatory cells lie. Endomysial and perimysial add up to the inflammation axis."""

    endomysial: Place
    perimysial: Place = Field(description="in gaps between fibres wider than `perimysium_um`, walls of vessels there included")
    perivascular: Place = Field(description="null: vessels are not outlined; those in the perimysium count as perimysial")
    around_living_fibres: Place = Field(
        description="of the endomysial ones, within `around_um` of a fibre, none necrotic within `at_necrosis_um`"
    )


class Space(_Part):
    """How damage and infiltrates lie in the section."""

    arrangement: Arrangement = Field(description="of the necrotic fibres")
    reasons: tuple[str, ...]
    grouping: Tested = Field(description="pairs of necrotic neighbours (join count)")
    perifascicular: Tested = Field(description="necrotic fibres at the border of a fascicle")
    perifascicular_fibres: Count | None = Field(
        description="assessable fibres at the border of a fascicle; null where fewer than two fascicles are found"
    )
    fascicles: Count | None = Field(description="groups of fibres parted by perimysium; null where fewer than two are found")
    confluent: ConfluentAreas
    cells: Places


class EvidenceObjects(_Part):
    """What an item rests on; `evidence_objects` gives all ids."""

    kind: Literal["fibre", "nucleus", "cluster"]
    count: Count
    ids: tuple[int, ...] = Field(description="the first 50, by id")


class Evidence(_Part):
    """A finding that criteria name: present or absent where its interval lies beyond its threshold, else not assessable."""

    code: str
    name: str
    criterion: str = Field(description="who names it")
    value: float | None
    unit: str
    ci95: tuple[float, float] | None
    threshold: float | None = Field(description="in `unit`; from here on the finding counts as present")
    state: Literal["present", "absent", "not_assessable"]
    reason: str
    objects: EvidenceObjects | None


class Scores(_Part):
    """All scores of one section: the parts of scores.json from `fibres` on."""

    fibres: FibreCounts
    area_fractions: AreaFractions
    clusters: Clusters
    inflammation: Inflammation
    sheets: Sheets = Field(default=Sheets(), description="null in results of versions that did not tell them from clusters")
    scores: Axes
    pattern: Pattern
    stages: Stages
    space: Space
    evidence: tuple[Evidence, ...]
    warnings: tuple[str, ...]
