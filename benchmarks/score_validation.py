"""Coverage, bias, fibres needed, face validity and what breaks it: every figure of docs/score_validation.md, on sections made of objects.

    python benchmarks/score_validation.py coverage --sections 520 --out OUT
    python benchmarks/score_validation.py cohort --sections 50 --out OUT
    python benchmarks/score_validation.py pixels --read FOLDER          # of score_reader.py
    python benchmarks/score_validation.py plots --out OUT --images docs/images
    python benchmarks/score_validation.py tables --out OUT --read FOLDER   # writes the tables of docs/score_validation.md
    python benchmarks/score_validation.py reader --read FOLDER          # FOLDER of score_reader.py -> benchmarks/score_reader/*.parquet

No pixels: see benchmarks/score_cohort.py. Not tissue, and no clinical accuracy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from score_cohort import ANY, COLUMNS, DISEASES, NO_CLUSTERS, P_STATES, Made, Reader, make_section, pack
from score_reader import rates
from sklearn.metrics import roc_auc_score, roc_curve

from biopsy_analyzer.score import Scores, score
from biopsy_analyzer.score.axes import axis_values
from biopsy_analyzer.score.pattern import LABELS, pattern_codes
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import FIBRE_STATES

KEPT = Path(__file__).with_name("score_reader")
AXES = ("necrosis", "regeneration", "inflammation", "balance")
MODES = ("sure", "called", "read")
"""sure: every object found and rightly called; called: found, and called by the reader; read: missed fibres too."""
PATTERNS = ("necrosis-predominant", "inflammation-predominant", "mixed", "inactive", "indeterminate")
LIGHT, DARK, RED, BLUE = "#9aa5b1", "#323f4b", "#b3372c", "#2b6cb0"


def scored(made: Made) -> Scores:
    """The score of a section as it was read."""
    return score(made.read_fibres, made.read_nuclei, NO_CLUSTERS, made.area_mm2, Settings(), nuclei_assessed=True)


def read_in(mode: str, made: Made, reader: Reader, rng: np.random.Generator) -> Made:
    """`made` as it is read in one of MODES."""
    return made if mode == "sure" else reader.read(made, rng, misses=mode == "read")


def coverage(sections: int, mode: str, first: int = 0) -> pd.DataFrame:
    """One row a section and axis: truth of the muscle, value as counted, interval, number of fibres."""
    reader, rows = Reader(KEPT), []
    for number in range(first, first + sections):
        rng = np.random.default_rng([7, number])
        made = read_in(mode, make_section(rng, ANY, float(np.exp(rng.uniform(np.log(0.6), np.log(10))))), reader, rng)
        found = scored(made).scores
        for i, name in enumerate(AXES):
            axis = getattr(found, name)
            value, interval = (axis.value, axis.ci95) if name == "balance" else (axis.measured, axis.measured_ci95)
            if value is not None:
                truth = made.balance() if name == "balance" else made.truth[i]
                rows.append((number, mode, name, len(made.read_fibres), made.area_mm2, truth, value, *interval))
    return pd.DataFrame(rows, columns=["section", "mode", "axis", "fibres", "area_mm2", "truth", "value", "low", "high"])


def covered(table: pd.DataFrame) -> pd.Series:
    """Whether each interval holds its truth."""
    return (table["low"] <= table["truth"] + 1e-9) & (table["truth"] <= table["high"] + 1e-9)


def coverage_table(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage with its own standard error, misses on either side, bias, and the middle width, by mode and axis."""
    rows = []
    for (mode, axis), part in table.groupby(["mode", "axis"], sort=False):
        hit, width = covered(part), part["high"] - part["low"]
        below, above = (part["truth"] < part["low"] - 1e-9).mean(), (part["truth"] > part["high"] + 1e-9).mean()
        error = np.sqrt(hit.mean() * (1 - hit.mean()) / len(part))
        rows.append((mode, axis, len(part), hit.mean(), error, below, above, (part["value"] - part["truth"]).mean(), width.median()))
    return pd.DataFrame(rows, columns=["mode", "axis", "sections", "covered", "se", "truth_below", "truth_above", "bias", "median_width"])


def missing_half(made: Made) -> Made:
    """The left half of the section, cut by a knife."""
    cut = made.read_fibres["x_um"].median()
    fibres, nuclei = (table[table["x_um"] < cut].reset_index(drop=True) for table in (made.read_fibres, made.read_nuclei))
    return replace(made, read_fibres=fibres, read_nuclei=nuclei, area_mm2=made.area_mm2 / 2)


def wrong_outlines(share: float) -> Callable[[Made, np.random.Generator], Made]:
    """So many fibres wrongly outlined: half of them lost, half merged with the next one, whose state they take."""

    def spoil(made: Made, rng: np.random.Generator) -> Made:
        fate = rng.random(len(made.read_fibres))
        fibres = made.read_fibres.assign(area_um2=made.read_fibres["area_um2"] * np.where(fate > 1 - share / 2, 2, 1))
        return replace(made, read_fibres=fibres[fate > share / 2 + share / 4].reset_index(drop=True))

    return spoil


def shifted(log_odds: float) -> Callable[[Made, np.random.Generator], Made]:
    """All fibres of the section look that much more like damage to the classifier (log odds): what a stain that it misreads does."""

    def shift(made: Made, rng: np.random.Generator) -> Made:
        p = np.clip(made.read_fibres[P_STATES].to_numpy(), 1e-4, 1)
        p[:, 1:] *= np.exp(log_odds)
        p /= p.sum(axis=1, keepdims=True)
        state = np.array(FIBRE_STATES, dtype=object)[p.argmax(axis=1)]
        columns = dict(zip(P_STATES, p.T, strict=True))
        return replace(made, read_fibres=made.read_fibres.assign(state=state, probability=p.max(axis=1), **columns))

    return shift


SPOILT: dict[str, Callable[[Made, np.random.Generator], Made]] = {
    "as read": lambda made, rng: made,
    **{f"{share:.0%} of outlines wrong": wrong_outlines(share) for share in (0.1, 0.3, 0.5)},
    "damage 2 log odds likelier": shifted(2.0),
    "damage 2 log odds less likely": shifted(-2.0),
    "half the section missing": lambda made, rng: missing_half(made),
}


COHORT = ["how", "disease", "number", "truth", "true_pattern", "balance", "support", "pattern", "fits"]
NECROTIZING, INFLAMMATORY = ("IMNM", "toxic"), ("DM-like", "PM-like")


def true_pattern(made: Made) -> str:
    """The pattern that the rule gives to the muscle's true shares and densities."""
    values = axis_values(made.truth, Settings().score)
    return LABELS[int(pattern_codes(values[0], values[2], Settings().score))]


def cohort(sections: int, first: int = 0) -> Iterator[tuple[str, str, int, str, str, float, float, str, str]]:
    """COHORT of `sections` of each disease, each as read and spoilt; `truth` is the pattern that the disease stands for."""
    reader = Reader(KEPT)
    for name, disease in DISEASES.items():
        for number in range(first, first + sections):
            rng = np.random.default_rng([11, number, len(name)])
            made = reader.read(make_section(rng, disease, float(np.exp(rng.uniform(np.log(1.5), np.log(12))))), rng)
            for how, spoil in SPOILT.items():
                found = scored(spoil(made, rng))
                value, pattern = found.scores.balance.value, found.pattern
                numbers = np.nan if value is None else value, pattern.support or np.nan
                yield how, name, number, disease.truth, true_pattern(made), *numbers, pattern.label, " ".join(pattern.fits)


def auc(table: pd.DataFrame, others: tuple[str, ...] = INFLAMMATORY) -> tuple[float, float, float]:
    """Area under the ROC of the balance, necrotizing against other sections, with its 95 % interval, by bootstrap over sections.

    Where all are in order the bootstrap has no width: then the lower end is the exact one for as many independent pairs, all in order.
    """
    part = table[table["disease"].isin((*NECROTIZING, *others)) & table["balance"].notna()]
    is_necrotic, value = part["disease"].isin(NECROTIZING).to_numpy(), part["balance"].to_numpy()
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1000):
        rows = rng.integers(len(value), size=len(value))
        if 0 < is_necrotic[rows].sum() < len(rows):
            draws.append(roc_auc_score(is_necrotic[rows], value[rows]))
    area, low, high = float(roc_auc_score(is_necrotic, value)), *(float(q) for q in np.quantile(draws, (0.025, 0.975)))
    pairs = min(is_necrotic.sum(), (~is_necrotic).sum())
    return area, min(low, 0.025 ** (1 / pairs)) if area == 1 else low, high


def cohort_table(table: pd.DataFrame) -> pd.DataFrame:
    """By how the sections were spoilt: AUC, patterns against the disease's and against the muscle's own, and how many are not ruled out.

    `held`: sections that do not rule out the muscle's own pattern, among those where any is;  `left`: patterns not ruled out, on average
    """
    rows = []
    every = tuple(name for name in DISEASES if name not in NECROTIZING)
    for how, part in table.groupby("how", sort=False):
        known = part["pattern"] != "indeterminate"
        right, own = part["pattern"] == part["truth"], part["pattern"] == part["true_pattern"]
        told = part[part["fits"] != ""]
        held = np.mean([true in fits.split() for true, fits in zip(told["true_pattern"], told["fits"], strict=True)])
        left = told["fits"].str.split().str.len().mean()
        areas = (*auc(part), *auc(part, every))
        rows.append(
            (how, len(part), *areas, right.mean(), (known & ~right).mean(), (~known).mean(), own.mean(), (known & ~own).mean(), held, left)
        )
    columns = ["how", "sections", "auc", "low", "high", "auc_all", "low_all", "high_all", "right", "wrong", "indeterminate"]
    return pd.DataFrame(rows, columns=[*columns, "own_right", "own_wrong", "held", "left"])


def confusion(table: pd.DataFrame) -> pd.DataFrame:
    """Patterns by disease, sections as read."""
    part = table[table["how"] == "as read"]
    return pd.crosstab(part["disease"], part["pattern"]).reindex(index=list(DISEASES), columns=list(PATTERNS), fill_value=0)


def pixels(folder: Path) -> pd.DataFrame:
    """The sections that score_reader.py read into `folder`, as the pipeline scores them, against the truth of the section itself."""
    sections = pd.read_csv(folder / "sections.csv", names=["seed", "difficulty", "area", "status"]).drop_duplicates("seed")
    rows = []
    for seed, area in sections.loc[sections["area"] >= 0.1, ["seed", "area"]].itertuples(index=False):
        tables = {name: pd.read_parquet(folder / f"{int(seed)}_{name}.parquet") for name in COLUMNS}
        found, true = (
            score(tables[f"{kind}_fibres"], tables[f"{kind}_nuclei"], NO_CLUSTERS, area, Settings(), nuclei_assessed=True).scores
            for kind in ("found", "true")
        )
        for name in AXES:
            one, other = getattr(found, name), getattr(true, name)
            value, interval = (one.value, one.ci95) if name == "balance" else (one.measured, one.measured_ci95)
            truth = other.value if name == "balance" else other.measured
            if value is not None and truth is not None:
                rows.append((int(seed), name, truth, value, *interval))
    return pd.DataFrame(rows, columns=["section", "axis", "truth", "value", "low", "high"])


def pixel_table(table: pd.DataFrame) -> pd.DataFrame:
    """By axis: sections, intervals that hold the truth, bias, SD of the difference, mean truth, correlation."""
    rows = []
    for axis, part in table.groupby("axis", sort=False):
        off = part["value"] - part["truth"]
        told = len(part), covered(part).mean(), off.mean(), off.std(), part["truth"].mean(), np.corrcoef(part["value"], part["truth"])[0, 1]
        rows.append((axis, *told))
    return pd.DataFrame(rows, columns=["axis", "sections", "covered", "bias", "sd", "mean_truth", "correlation"])


def _interval(share: float, error: float) -> str:
    return f"{share:.3f} ({max(share - 1.96 * error, 0):.2f} to {min(share + 1.96 * error, 1):.2f})"


def coverage_rows(sure: pd.DataFrame, read: pd.DataFrame, fresh: pd.DataFrame) -> list[list[str]]:
    """Rows of the page's table of coverage: by axis, sampling alone, as read, and of sections looked at once."""
    rows = [
        [
            "",
            "covered, *sure*",
            "covered, *read*",
            "covered, *read*, fresh",
            "truth below / above, *read*",
            "bias, *read*",
            "width, *sure* / *read*",
        ]
    ]
    for axis in AXES:
        alone, as_read, new = (coverage_table(table).set_index("axis").loc[axis] for table in (sure, read, fresh))
        digits = 1 if axis == "inflammation" else 3
        covered_by = [_interval(of["covered"], of["se"]) for of in (alone, as_read, new)]
        missed = f"{as_read['truth_below']:.3f} / {as_read['truth_above']:.3f}"
        widths = f"{alone['median_width']:.3g} / {as_read['median_width']:.3g}"
        rows.append([axis, *covered_by, missed, f"{as_read['bias']:+.{digits}f}", widths])
    return rows


def markdown(rows: list[list[str]]) -> str:
    """A table of the first row's columns."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))


def _share_rows(table: pd.DataFrame) -> list[list[str]]:
    rows = [
        [
            "sections",
            "ROC area of the balance, necrotizing against all others",
            "pattern right",
            "wrong",
            "indeterminate",
            "true pattern not ruled out",
            "patterns left",
        ]
    ]
    for of in cohort_table(table).to_dict("records"):
        area = f"{of['auc_all']:.2f} ({of['low_all']:.2f} to {of['high_all']:.2f})"
        shares = [f"{of[name]:.2f}" for name in ("right", "wrong", "indeterminate", "held")]
        rows.append([of["how"], area, *shares, f"{of['left']:.1f}"])
    return rows


def _confusion_rows(table: pd.DataFrame) -> list[list[str]]:
    counts = confusion(table)
    return [["", *PATTERNS]] + [
        [name, *(f"**{n}**" if pattern == DISEASES[name].truth else str(n) for pattern, n in counts.loc[name].items())]
        for name in counts.index
    ]


def _pixel_rows(table: pd.DataFrame) -> list[list[str]]:
    rows = [
        ["axis", "sections", "95 % intervals that hold the section's truth", "bias", "SD of the difference", "mean truth", "correlation"]
    ]
    for of in pixel_table(table).to_dict("records"):
        digits = 1 if of["axis"] == "inflammation" else 3
        numbers = f"{of['bias']:+.{digits}f}", f"{of['sd']:.{digits}f}", f"{of['mean_truth']:.{digits}f}", f"{of['correlation']:.2f}"
        rows.append([of["axis"], str(of["sections"]), f"{of['covered']:.2f}", *numbers])
    return rows


def _rate_rows(folder: Path) -> list[list[str]]:
    rows = [["rate", "measured, mean (SD between sections)", "in the settings"]]
    for name, (mean, sd) in rates(folder).items():
        set_mean, set_sd = getattr(Settings().reader, name)
        rows.append([f"`{name}`", f"{mean:.3g} ({sd:.2g})", f"{set_mean:g} ({set_sd:g})"])
    return rows


def write_tables(page: Path, tables: dict[str, list[list[str]]]) -> None:
    """Put each table where the page says `<!-- table: NAME -->`, in place of the one that follows; ValueError where it does not."""
    text = page.read_text(encoding="utf-8")
    for name, rows in tables.items():
        mark = f"<!-- table: {name} -->\n"
        before, found, after = text.partition(mark)
        if not found:
            raise ValueError(f"{page}: no {mark.strip()}")
        lines = after.lstrip("\n").split("\n")
        rest = next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))
        text = "\n".join([before + mark, markdown(rows), *lines[rest:]])
    page.write_text(text, encoding="utf-8")


def plot_coverage(table: pd.DataFrame, path: Path) -> None:
    """Coverage by mode and by size of the section, against the band that is wanted."""
    figure, panels = plt.subplots(1, 4, figsize=(13, 3.4), sharey=True, layout="constrained")
    sizes = ((0, 200), (200, 500), (500, 1000), (1000, 10_000))
    for panel, axis in zip(panels, AXES, strict=True):
        panel.axhspan(0.93, 0.97, color="#dbe7d3", lw=0)
        for mode, colour, marker in zip(MODES, (LIGHT, BLUE, RED), "os^", strict=True):
            part = table[(table["axis"] == axis) & (table["mode"] == mode)]
            if not len(part):
                continue
            groups = [part[(part["fibres"] >= low) & (part["fibres"] < high)] for low, high in sizes]
            share = np.array([covered(group).mean() for group in groups])
            error = [1.96 * np.sqrt(s * (1 - s) / max(len(g), 1)) for s, g in zip(share, groups, strict=True)]
            x = np.arange(len(sizes)) + 0.14 * (MODES.index(mode) - 1)
            panel.errorbar(x, share, error, fmt=marker, color=colour, capsize=2, label=f"{mode}: {covered(part).mean():.1%}")
        panel.set(
            title=axis, xticks=range(len(sizes)), xticklabels=["< 200", "200-500", "500-1000", "> 1000"], xlabel="fibres", ylim=(0.75, 1.01)
        )
        panel.legend(loc="lower right", fontsize=8, frameon=False)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("95 % intervals that hold the truth")
    figure.savefig(path, dpi=110)


def plot_widths(table: pd.DataFrame, path: Path) -> None:
    """Half width of the necrosis interval by number of fibres, and the fibres at which half of the sections reach a width."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    for panel, (mode, title) in zip(panels, (("sure", "sampling alone"), ("read", "with the reader's errors")), strict=True):
        part = table[(table["axis"] == "necrosis") & (table["mode"] == mode)]
        half = (part["high"] - part["low"]) / 2
        for low, high, colour in ((0.0, 0.02, LIGHT), (0.02, 0.08, BLUE), (0.08, 0.5, RED)):
            chosen = (part["truth"] >= low) & (part["truth"] < high)
            panel.scatter(part["fibres"][chosen], 100 * half[chosen], s=7, color=colour, alpha=0.35, lw=0)
            edges = np.geomspace(60, 2200, 8)
            middle = [half[chosen & part["fibres"].between(a, b)].median() * 100 for a, b in pairwise(edges)]
            panel.plot(np.sqrt(edges[:-1] * edges[1:]), middle, color=colour, lw=2, label=f"truth {low:.0%} to {high:.0%}")
        panel.axvline(600, color=DARK, lw=0.8, ls=":")
        panel.set(xscale="log", yscale="log", title=title, xlabel="assessable fibres", xticks=[100, 300, 600, 1000, 2000])
        panel.set_xticklabels(["100", "300", "600", "1000", "2000"])
        panel.set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("half the 95 % interval of necrosis, % of fibres")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def plot_cohort(table: pd.DataFrame, path: Path) -> None:
    """Balance by disease, ROC, and what breaks the pattern."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4), layout="constrained", width_ratios=(1.1, 1, 1.4))
    usual = table[table["how"] == "as read"]
    rng = np.random.default_rng(0)
    for row, name in enumerate(DISEASES):
        part = usual[usual["disease"] == name]
        clear = part["pattern"] != "indeterminate"
        y = row + rng.uniform(-0.28, 0.28, len(part))
        left.scatter(part["balance"][clear], y[clear], s=12, color=RED if "necrosis" in DISEASES[name].truth else BLUE, lw=0)
        left.scatter(part["balance"][~clear], y[~clear], s=12, facecolors="none", edgecolors=LIGHT)
    left.set(yticks=range(len(DISEASES)), yticklabels=list(DISEASES), xlabel="balance (hollow: pattern indeterminate)", xlim=(-1, 1))
    left.axvline(0, color=DARK, lw=0.8)
    for how, colour in (("as read", DARK), ("50% of outlines wrong", BLUE), ("damage 2 log odds likelier", RED)):
        part = table[(table["how"] == how) & table["balance"].notna()]
        false, true, _ = roc_curve(part["disease"].isin(NECROTIZING), part["balance"])
        area, low, high = auc(part, tuple(name for name in DISEASES if name not in NECROTIZING))
        middle.plot(false, true, color=colour, label=f"{how}: {area:.3f} ({low:.3f} to {high:.3f})")
    middle.set(
        xlabel="others above the threshold", ylabel="IMNM, toxic above the threshold", title="ROC of the balance, against all others"
    )
    middle.legend(frameon=False, fontsize=7, loc="lower right")
    of = cohort_table(table)
    start = np.zeros(len(of))
    for column, colour in (("right", "#6b9e5b"), ("indeterminate", "#d5dbe1"), ("wrong", RED)):
        right.barh(of["how"], of[column], left=start, color=colour, label=column)
        start += of[column].to_numpy()
    right.invert_yaxis()
    right.set(xlabel="share of sections", xlim=(0, 1))
    right.legend(frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for panel in (left, middle, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("coverage", "cohort", "plots", "reader", "pixels", "tables"))
    parser.add_argument("--sections", type=int, default=520)
    parser.add_argument("--first", type=int, default=0, help="first section; settings were chosen on sections from 10000 on")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    parser.add_argument("--read", type=Path, help="folder of score_reader.py")
    parser.add_argument("--page", type=Path, default=Path("docs/score_validation.md"), help="page whose tables are written")
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    options = parser.parse_args()
    plt.switch_backend("Agg")
    options.out.mkdir(parents=True, exist_ok=True)
    pd.set_option("display.width", 200, "display.max_columns", 20)
    if options.what == "reader":
        pack(options.read, KEPT)
    elif options.what == "pixels":
        print(pixel_table(pixels(options.read)).round(4).to_string(index=False))
    elif options.what == "tables":
        sure, read, fresh = (
            pd.read_parquet(options.out / name)
            for name in ("coverage_sure.parquet", "coverage_read.parquet", "fresh/coverage_read.parquet")
        )
        spoilt = pd.read_parquet(options.out / "cohort.parquet")
        found = {"coverage": coverage_rows(sure, read, fresh), "confusion": _confusion_rows(spoilt), "cohort": _share_rows(spoilt)}
        write_tables(options.page, found | {"pixels": _pixel_rows(pixels(options.read)), "rates": _rate_rows(options.read)})
    elif options.what == "coverage":
        for mode in options.modes:
            table = coverage(options.sections, mode, options.first)
            table.to_parquet(options.out / f"coverage_{mode}.parquet")
            print(coverage_table(table).round(4).to_string(index=False), flush=True)
    elif options.what == "cohort":
        table = pd.DataFrame(cohort(options.sections, options.first), columns=COHORT)
        table.to_parquet(options.out / "cohort.parquet")
        print(confusion(table).to_string(), cohort_table(table).round(3).to_string(index=False), sep="\n")
    else:
        table = pd.concat([pd.read_parquet(path) for path in sorted(options.out.glob("coverage_*.parquet"))])
        plot_coverage(table, options.images / "score_coverage.png")
        plot_widths(table, options.images / "score_widths.png")
        plot_cohort(pd.read_parquet(options.out / "cohort.parquet"), options.images / "score_cohort.png")


if __name__ == "__main__":
    main()
