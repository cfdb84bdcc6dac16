"""The findings that criteria name: what they are called, who names them, and what each rests on. Definitions: docs/score.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["fibre", "nucleus", "cluster"]
ENMC_119, ENMC_224 = "ENMC 119th workshop (2003), IMNM", "ENMC 224th workshop (2016), IMNM"
EULAR, JDM, CLINIC = (
    "EULAR/ACR 2017, muscle biopsy",
    "juvenile dermatomyositis biopsy tool (Wedderburn 2007)",
    "clinical description of IMNM",
)
BROOKE, FSHD = "Brooke and Engel 1969, variability coefficient", "FSHD grade (Rochester)"


@dataclass(frozen=True)
class Finding:
    """What stays the same of an item: its names, who names it, and the kind of objects it rests on (None: it has none of its own)."""

    code: str
    name: str
    criterion: str
    unit: str
    kind: Kind | None = None


FINDINGS = {
    finding.code: finding
    for finding in (
        Finding("necrotic-fibres", "Many necrotic fibres", f"{ENMC_119}; {ENMC_224}", "share of assessable fibres", "fibre"),
        Finding("necrosis-predominant", "Necrosis is the predominant feature", ENMC_119, "balance, -1 to 1"),
        Finding("necrosis-scattered", "Necrotic fibres are scattered", ENMC_224, "neighbouring pairs, observed / by chance", "fibre"),
        Finding("stages-mixed", "Different stages of necrosis, myophagocytosis and regeneration", ENMC_224, "evenness, 0 to 1", "fibre"),
        Finding("myophagocytosis", "Fibres invaded by macrophages", ENMC_224, "share of necrotic fibres", "fibre"),
        Finding("regeneration", "Regenerating fibres", ENMC_224, "share of assessable fibres", "fibre"),
        Finding("large-necrotic-areas", "Large confluent areas of necrosis", CLINIC, "share of the fibres' area in them", "fibre"),
        Finding("sparse-inflammation", "Inflammatory cells are sparse", f"{ENMC_119}; {CLINIC}", "interstitial cells per mm2", "nucleus"),
        Finding("lymphocytes-sparse", "Lymphocytes are sparse", f"{ENMC_224}: pauci-lymphocytic", "interstitial ones per mm2", "nucleus"),
        Finding("macrophage-predominant", "Macrophages outnumber lymphocytes", ENMC_224, "share of inflammatory cells", "nucleus"),
        Finding("clusters-at-necrosis", "Clusters of macrophages in or around necrotic fibres", CLINIC, "clusters", "cluster"),
        Finding("clusters-of-ten", "Clusters with 10 or more inflammatory cells outside necrosis", JDM, "clusters", "cluster"),
        Finding("endomysial-infiltrate", "Endomysial infiltrate around non-necrotic fibres", f"{EULAR}: 1.7", "cells per mm2", "nucleus"),
        Finding("perimysial-infiltrate", "Perimysial or perivascular infiltrate", f"{EULAR}: 1.2", "cells per mm2", "nucleus"),
        Finding("confluent-infiltrate", "Sheets of inflammatory cells", "textbook", "sheets", "cluster"),
        Finding(
            "perifascicular-necrosis",
            "Perifascicular necrosis",
            "antisynthetase syndrome, dermatomyositis",
            "necrotic share at the border minus inside",
            "fibre",
        ),
        Finding("perifascicular-atrophy", "Perifascicular atrophy", f"{EULAR}: 1.9", "atrophic share at the border minus inside", "fibre"),
        Finding(
            "fibre-invasion", "Lymphocytes inside non-necrotic fibres", "polymyositis, inclusion body myositis", "share of fibres", "fibre"
        ),
        Finding("internal-nuclei", "Internal nuclei", "textbook: more than 3 % of fibres", "share of living fibres", "fibre"),
        Finding("fibre-size-variation", "Variation of fibre sizes", f"{BROOKE}; {FSHD}", "SD / mean of least diameters x 1000", "fibre"),
        Finding("endomysium-widened", "Widened endomysium (fibrosis, oedema or retraction, not told apart)", FSHD, "um between fibres"),
    )
}
NOT_ON_HE = (
    (
        "rimmed-vacuoles",
        "Rimmed vacuoles",
        f"{EULAR}: 3.1",
        "vacuoles are not measured; in frozen H&E freezing makes holes like them, and trichrome shows them best",
    ),
    ("fatty-replacement", "Fatty replacement", FSHD, "fat is not outlined, and not told from other gaps between fibres"),
    ("perimysial-damage", "Perimysial fragmentation", "anti-HMGCR and antisynthetase series", "the texture of perimysium is not measured"),
    (
        "perivascular-apart",
        "Perivascular infiltrate apart",
        EULAR,
        "vessels are not outlined; cells around them count as perimysial or endomysial",
    ),
    ("mhc-i", "MHC class I on fibres", ENMC_224, "needs immunohistochemistry"),
    ("c5b-9", "C5b-9 on fibres or capillaries", ENMC_224, "needs immunohistochemistry"),
    ("antibodies", "Anti-SRP or anti-HMGCR antibodies", ENMC_224, "needs serology"),
    ("creatine-kinase", "Raised creatine kinase", ENMC_224, "needs a blood test"),
)

READ = {"necrotic-fibres", "regeneration", "sparse-inflammation"}  # their intervals hold the reader's errors, all others sampling alone
SPARSE = {"sparse-inflammation", "lymphocytes-sparse"}  # present below their threshold
NEED_PERIMYSIUM = {"perimysial-infiltrate", "perifascicular-atrophy", "perifascicular-necrosis"}
NEED_CELLS = {
    "necrosis-predominant", "stages-mixed", "myophagocytosis", *SPARSE, "macrophage-predominant", "clusters-at-necrosis",
    "clusters-of-ten", "confluent-infiltrate", "endomysial-infiltrate", "perimysial-infiltrate", "fibre-invasion", "internal-nuclei",
}  # fmt: skip
# where the dead pass as ordinary, cells that eat them pass as their internal nuclei, and what is left of them as small fibres
OF_THE_LIVING = {"internal-nuclei", "fibre-invasion", "endomysial-infiltrate", "perifascicular-atrophy", "fibre-size-variation"}
AT_BORDERS = {"perifascicular-necrosis", "perifascicular-atrophy"}  # where many fibres are missed those left all seem to lie at a border
ABSENCES = SPARSE  # present where cells were not found
REST_ON_NECROSIS = {"stages-mixed", "myophagocytosis", "large-necrotic-areas", "clusters-at-necrosis", "perifascicular-necrosis"}
# present if what was called dead is dead; cells in and at dead fibres are left out of those that are sparse
OF_THE_DEAD = {"necrotic-fibres", *REST_ON_NECROSIS, *SPARSE}
ARRANGED = "necrosis-scattered"  # read from `space.arrangement`, which has heard all doubts itself
NEED_KINDS = {
    "necrosis-predominant", *SPARSE, "macrophage-predominant", "clusters-at-necrosis", "clusters-of-ten", "confluent-infiltrate",
    "endomysial-infiltrate", "perimysial-infiltrate", "fibre-invasion",
}  # fmt: skip
