"""Do probabilities mean what they say: stated probability against share of right calls, with intervals. Arrays and tables in, figures out.

Calls that were stated at 0.8 should be right eight times in ten. The expected calibration error (ECE) is the mean distance between the
two over bins of probability. It is above 0 by chance alone, the more so the fewer the calls, and so stands beside what calls that are
perfectly calibrated would give.
"""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.report.atomic import write_bytes
from biopsy_analyzer.tables import FIBRE_STATES, STATE_PROBABILITIES
from biopsy_analyzer.training.agreement import share_interval

BINS = 10
ROUNDS = 1000


def calibration_error(stated: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """ECE of probabilities `stated` (n,) 0..1 and outcomes `right` (n,) bool, over equal bins (Guo 2017); NaN without any."""
    if not len(stated):
        return float("nan")
    which = np.minimum((stated * bins).astype(int), bins - 1)
    gaps = np.bincount(which, right.astype(float) - stated, minlength=bins)
    return float(np.abs(gaps).sum() / len(stated))


def calibration(fibres: pd.DataFrame, *, by_image: bool, seed: int = 0) -> dict[str, Any] | None:
    """Figures of how well fibres' probabilities are calibrated, as evaluation.json holds them; None without a fibre of known state.

    fibres    a row a fibre whose true state is known: `truth_class`, STATE_PROBABILITIES and `image`
    by_image  the bootstrap draws images beside fibres, because fibres of one image resemble each other, and the wider counts

    `calls`: the likeliest state, stated at its probability, is right. `sick`: the fibre is not normal, stated at 1 - p_normal.
    """
    if not len(fibres):
        return None
    p = fibres[list(STATE_PROBABILITIES)].to_numpy(dtype=np.float64)
    truth = fibres["truth_class"].map({state: k for k, state in enumerate(FIBRE_STATES)}).to_numpy()
    groups = fibres["image"].to_numpy() if by_image else None
    normal = FIBRE_STATES.index("normal")
    return {
        "calls": _figures(p.max(axis=1), p.argmax(axis=1) == truth, groups, seed),
        "sick": _figures(1 - p[:, normal], truth != normal, groups, seed),
    }


def _figures(stated: np.ndarray, right: np.ndarray, groups: np.ndarray | None, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def interval(groups: np.ndarray) -> list[float]:
        return interval_95([calibration_error(stated[rows], right[rows]) for rows in redrawn(groups, ROUNDS, rng)])

    spans = [interval(np.arange(len(stated)))]
    by_chance = [calibration_error(stated, rng.random(len(stated)) < stated) for _ in range(ROUNDS)]
    spans += [] if groups is None else [interval(groups)]
    ci95 = [min(low for low, _ in spans), max(high for _, high in spans)] if len(stated) > 1 else None
    return {
        "ece": {"value": calibration_error(stated, right), "ci95": ci95, "n": len(stated)},
        "ece_if_calibrated": {"mean": float(np.mean(by_chance)), "p95": float(np.quantile(by_chance, 0.95))},
        "stated": float(stated.mean()),
        "right": float(right.mean()),
        "bins": _bins(stated, right),
    }


def redrawn(groups: np.ndarray, rounds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Row numbers of `rounds` samples that a bootstrap over whole groups draws; groups (n,): that of each row, any values."""
    _, group = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    return [np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))]) for _ in range(rounds)]


def interval_95(values: list[float]) -> list[float]:
    """The 2.5 and 97.5 percentiles of values of which some may be NaN: rounds in which nothing could be judged."""
    low, high = np.nanquantile(values, (0.025, 0.975))
    return [float(low), float(high)]


def _bins(stated: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """The bins with a fibre in them: mean stated probability, share right with its exact interval (Clopper & Pearson 1934), n."""
    which = np.minimum((stated * BINS).astype(int), BINS - 1)
    found = []
    for k in np.unique(which):
        inside = which == k
        n, hits = int(inside.sum()), int(right[inside].sum())
        low, high = share_interval(hits, n)
        span = {"from": float(k / BINS), "to": float((k + 1) / BINS), "n": n}
        found.append(span | {"stated": float(stated[inside].mean()), "right": hits / n, "ci95": [low, high]})
    return found


def write_diagram(found: dict[str, Any], path: Path, note: str) -> None:
    """Draw the reliability diagram of `calibration`'s result as a PNG: share right over stated probability, and how many stated it."""
    from matplotlib.figure import Figure  # only evaluation needs it
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(9, 5.4), layout="constrained", dpi=120)
    titles = {"calls": "called state is right", "sick": "fibre is sick"}
    panels = figure.subplots(2, 2, sharex=True, height_ratios=(4, 1))
    for column, (name, title) in enumerate(titles.items()):
        part, (upper, lower) = found[name], panels[:, column]
        bins = part["bins"]
        x, y = [b["stated"] for b in bins], np.array([b["right"] for b in bins])
        ends = np.array([b["ci95"] for b in bins])
        upper.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="stated = right")
        upper.errorbar(
            x, y, yerr=np.stack([y - ends[:, 0], ends[:, 1] - y]).clip(0), fmt="o-", color="#0072b2", capsize=3, label="found, 95 %"
        )
        ends_of_ece = "{:.3f} to {:.3f}".format(*part["ece"]["ci95"]) if part["ece"]["ci95"] else "too few"
        upper.set_title(f"{title}: ECE {part['ece']['value']:.3f} ({ends_of_ece}), n {part['ece']['n']}", fontsize=10)
        upper.set(ylabel="share" if column == 0 else "", ylim=(-0.03, 1.03), xlim=(-0.02, 1.02))
        upper.legend(loc="upper left", frameon=False, fontsize=9)
        lower.bar([b["from"] + 0.05 for b in bins], [b["n"] for b in bins], width=0.09, color="0.6")
        lower.set(xlabel="stated probability", ylabel="fibres" if column == 0 else "", yscale="log", ylim=(0.5, None))
        lower.yaxis.set_minor_formatter(NullFormatter())  # of few fibres it would write every number, one over the other
    figure.suptitle(textwrap.fill(note, 120), fontsize=9)
    content = io.BytesIO()
    figure.savefig(content)
    write_bytes(path, content.getvalue())
