"""The scores of one section as they stand in scores.json: every field with its unit, null where a thing can't be assessed, never NaN."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
PerMm2 = Annotated[float, Field(ge=0)]
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
    """An axis 0..1 = measured / (measured + half), with the quantity it stands for."""

    measured: float | None = Field(description="the quantity itself, in `unit`")
    measured_ci95: tuple[float, float] | None
    unit: str


class Axes(_Part):
    """Necrosis, regeneration and inflammation 0..1, balance = necrosis - inflammation, -1..1."""

    necrosis: MeasuredAxis
    regeneration: MeasuredAxis
    inflammation: MeasuredAxis
    balance: Axis


class Pattern(_Part):
    """The pattern of damage, and what it rests on."""

    label: Pattern_
    support: Share | None = Field(description="share of bootstrap rounds that give the pattern of the values; null without scores")
    reasons: tuple[str, ...]


class Scores(_Part):
    """All scores of one section: the parts of scores.json from `fibres` on."""

    fibres: FibreCounts
    area_fractions: AreaFractions
    clusters: Clusters
    inflammation: Inflammation
    scores: Axes
    pattern: Pattern
    warnings: tuple[str, ...]
