"""What a fibre's state is read from: each fibre against the ordinary fibres of its own section.

Stain strength differs more between sections than sick from ordinary fibres within one, so absolute values do not carry over and
differences do (measured on real images of three laboratories). The network's own view stands beside its difference, because where most
fibres are sick the ordinary ones may be so too; and where even the ordinary ones look sick, nothing is compared. All functions take
whole sections, never parts of one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SEEN = {"map_necrotic": "seen_necrotic", "map_pale_fragmented": "seen_pale_fragmented", "map_regenerating": "seen_regenerating"}
"""Log odds of the network's pooled maps: the feature that compares them with ordinary fibres, and the one that takes them as they are."""
TOLD_BY = {seen: compared for compared, seen in SEEN.items()} | {"eosin_ratio": "eosin", "eosin_spreads": "eosin"}
"""Features that say again what another one says, and that one: together they weigh more, a reader is told once."""
NUCLEAR_FEATURES = ("nuclear_fraction", "internal_nuclei", "macrophages_inside", "deepest_nucleus")
FEATURES = (
    "haematoxylin",  # difference to ordinary fibres over their optical density: basophilia
    "eosin",  # the same of eosin: negative pale, positive hyaline
    "eosin_ratio",  # log2 of eosin over that of ordinary fibres: tells a ghost from what is merely pale
    "eosin_spreads",  # the difference in spreads of the ordinary fibres: what stands out where all are alike may not where they vary
    "haematoxylin_sd",
    "eosin_sd",
    "mottling",  # difference to ordinary fibres
    "white_fraction",
    "solidity",
    "size",  # log2 of the equivalent diameter over that of ordinary fibres
    *SEEN,  # log odds of the network's pooled map minus those of ordinary fibres
    *SEEN.values(),  # the log odds themselves
    *NUCLEAR_FEATURES,
)
"""Columns of `state_features`; the last four are NaN where nuclei could not be assessed, COMPARED where no fibre looks ordinary."""

COMPARED = tuple(name for name in FEATURES if name not in (*SEEN.values(), *NUCLEAR_FEATURES))
"""Features that hold a fibre against the ordinary ones of its section."""

ORDINARY_SHARE = 0.25
"""Of a section's fibres, taken for ordinary. Half and a tenth read left-out drawn sections worse or no better (docs/networks.md)."""

FAINTEST_SHARE, LEAST_SPREAD = 0.01, 0.03
"""Of the ordinary fibres' density: what is added to eosin before its ratio, and to the ordinary fibres' spread, so that neither is 0.
Other values read left-out drawn sections no better (docs/networks.md)."""

EVEN = 0.5
"""Of `ordinary_look`: below it the ordinary fibres look sick sooner than normal."""

INSIDE_UM = 2.0  # a macrophage nearer to the border may as well lie on the fibre: outlines are no better than that


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Natural log odds, clipped at probabilities 0.001 and 0.999 so that saturated maps stay finite; NaN stays NaN."""
    clipped = np.clip(np.asarray(probability, dtype=np.float64), 1e-3, 1 - 1e-3)
    return np.log(clipped / (1 - clipped))


def ordinary_fibres(fibres: pd.DataFrame) -> np.ndarray:
    """Which fibres stand for "ordinary" in their section: bool (n,), the quarter that the network finds most normal, ties included.

    A median over them is that of normal fibres as long as an eighth of the fibres is normal. Without a finite `map_normal` all are.
    """
    normal = fibres["map_normal"].to_numpy(dtype=np.float64)
    if not np.isfinite(normal).any():
        return np.ones(len(fibres), dtype=bool)
    return np.asarray(normal >= np.nanquantile(normal, 1 - ORDINARY_SHARE))


def ordinary_look(fibres: pd.DataFrame) -> float:
    """How normal the fibres that stand for "ordinary" look to the network, 0..1: the median of their `map_normal`; NaN where it is unknown.

    Below EVEN there is nothing to compare with: the section is dead throughout, or unlike all that the network learned from.
    """
    return _median(fibres["map_normal"], ordinary_fibres(fibres))


def relative_to_section(fibres: pd.DataFrame) -> pd.DataFrame:
    """`fibres` of one section with `haematoxylin_rel` and `eosin_rel`: OD minus the median of its ordinary fibres."""
    ordinary = ordinary_fibres(fibres)
    stains = ("haematoxylin", "eosin")
    return fibres.assign(**{f"{s}_rel": fibres[f"{s}_od"] - _median(fibres[f"{s}_od"], ordinary) for s in stains})


def count_nuclei(fibres: pd.DataFrame, nuclei: pd.DataFrame | None) -> pd.DataFrame:
    """`fibres` with the columns that nuclei decide: counts, the deepest one, the share of area under them.

    nuclei  table with `fibre_id`, `depth_um`, `area_um2`, `type`; None: not assessed, and all these columns are NaN
    A fibre without nuclei has counts 0 and `deepest_nucleus_um` NaN. A macrophage counts as inside from 2 um under the border on.
    """
    if nuclei is None:
        columns = ("nuclei_count", "internal_nuclei_count", "macrophages_inside", "deepest_nucleus_um", "nuclear_fraction")
        return fibres.assign(**dict.fromkeys(columns, np.nan))
    inside = nuclei[nuclei["fibre_id"] > 0]
    owner = inside["fibre_id"]
    macrophage = (inside["type"] == "macrophage") & ~(inside["depth_um"] < INSIDE_UM)  # NaN: no border near
    per_fibre = pd.DataFrame(
        {
            "nuclei_count": owner.groupby(owner).size(),
            "internal_nuclei_count": (inside["type"] == "internal").groupby(owner).sum(),
            "macrophages_inside": macrophage.groupby(owner).sum(),
            "area": inside["area_um2"].groupby(owner).sum(),
        }
    ).reindex(fibres["fibre_id"], fill_value=0)
    counts = {name: per_fibre[name].to_numpy(dtype=np.float64) for name in per_fibre}
    covered = np.minimum(counts.pop("area") / fibres["area_um2"].to_numpy(), 1.0)
    deepest = inside["depth_um"].groupby(owner).max().reindex(fibres["fibre_id"]).to_numpy(dtype=np.float64)
    return fibres.assign(**counts, deepest_nucleus_um=deepest, nuclear_fraction=covered)


def state_features(fibres: pd.DataFrame) -> pd.DataFrame:
    """FEATURES of all fibres of one section, float64, one row a fibre.

    fibres  table with SHAPE, COLOUR, `*_rel`, `map_*` and the columns of `count_nuclei`
    Empty in, empty out. A section of a handful of fibres is compared with itself and says little; one whose
    `ordinary_look` is below EVEN is not compared.
    """
    ordinary = ordinary_fibres(fibres)
    density = max(_median(fibres["haematoxylin_od"] + fibres["eosin_od"], ordinary), 0.05)  # 0.05: an almost unstained section
    assessed = fibres["nuclei_count"].notna()
    radius = fibres["equivalent_diameter_um"] / 2
    features = {
        "haematoxylin": fibres["haematoxylin_rel"] / density,
        "eosin": fibres["eosin_rel"] / density,
        **_eosin(fibres["eosin_od"], ordinary, density),
        **{name: (fibres[name] - _median(fibres[name], ordinary)) / density for name in ("haematoxylin_sd", "eosin_sd")},
        **{name: fibres[name] - _median(fibres[name], ordinary) for name in ("mottling", "white_fraction", "solidity")},
        "size": np.log2(fibres["equivalent_diameter_um"] / _median(fibres["equivalent_diameter_um"], ordinary)),
        **{name: _relative_log_odds(fibres[name], ordinary) for name in SEEN},
        **{seen: log_odds(fibres[name].to_numpy()) for name, seen in SEEN.items()},
        "nuclear_fraction": fibres["nuclear_fraction"],
        # the second macrophage says less than the first
        "internal_nuclei": np.log1p(fibres["internal_nuclei_count"]),
        "macrophages_inside": np.log1p(fibres["macrophages_inside"]),
        "deepest_nucleus": (fibres["deepest_nucleus_um"].where(fibres["nuclei_count"] > 0, 0.0) / radius).clip(0, 1).where(assessed),
    }
    table = pd.DataFrame(features, columns=list(FEATURES), dtype=np.float64).reset_index(drop=True)
    return table.assign(**dict.fromkeys(COMPARED, np.nan)) if ordinary_look(fibres) < EVEN else table


def _eosin(eosin: pd.Series, ordinary: np.ndarray, density: float) -> dict[str, pd.Series]:
    middle, faintest = _median(eosin, ordinary), FAINTEST_SHARE * density
    spread = 1.48 * _median((eosin - middle).abs(), ordinary) + LEAST_SPREAD * density  # 1.48: a normal distribution's SD over its MAD
    return {"eosin_ratio": np.log2((eosin + faintest) / (middle + faintest)), "eosin_spreads": (eosin - middle) / spread}


def _median(values: pd.Series, chosen: np.ndarray) -> float:
    finite = values.to_numpy(dtype=np.float64)[chosen]
    finite = finite[np.isfinite(finite)]
    return float(np.median(finite)) if len(finite) else np.nan


def _relative_log_odds(probability: pd.Series, ordinary: np.ndarray) -> np.ndarray:
    odds = log_odds(probability.to_numpy())
    return odds - _median(pd.Series(odds), ordinary)
