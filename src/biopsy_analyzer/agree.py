"""Agreement between raters, people or machine: ICC(2,1), weighted kappa, Bland-Altman, each with its 95 % interval.

Kappas and their errors come from statsmodels. Formulas: ICC and its interval Shrout & Fleiss 1979, kappa's interval
Fleiss, Cohen & Everitt 1969, limits of agreement and theirs Bland & Altman 1986, 1999. Held against their worked examples in tests.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.csv_rows import read_rows
from biopsy_analyzer.errors import UsageError

COLUMNS = ("rater", "slide_id", "item", "value")
"""Of a table of ratings, one row what one rater says of one item of one slide."""

HUMAN_BAR = 0.863
"""ICC of 11 trained experts on an overall visual scale (PubMed 17907237)."""

MOST = 1e9
"""Numbers beyond it are no ratings, and their squares no numbers."""

FEW_SLIDES = 10  # below it no figure is set beside the experts'. Prior
MOST_WORDS = 50  # more different words are no classes, but remarks
MOST_GRADES = 6  # whole numbers with at most so many different values are grades, and get a weighted kappa


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval, null where it can't be told."""

    value: float | None
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Pair:
    """Two raters on one item: kappa (grades and words), bias and limits of agreement (numbers), second minus first."""

    raters: tuple[str, str]
    slides: int
    kappa: Estimate | None
    bias: Estimate | None
    lower_limit: Estimate | None
    upper_limit: Estimate | None


@dataclass(frozen=True)
class ItemAgreement:
    """All raters on one item, over the slides that each of them rated; `left_out`: slides that some of them did not."""

    item: str
    raters: tuple[str, ...]
    slides: int
    left_out: int
    icc21: Estimate | None
    pairs: tuple[Pair, ...]


def read_ratings(path: Path) -> pd.DataFrame:
    """Ratings in long form from a CSV with the columns slide_id, item, value, and rater (else the file's name is the rater).

    Other columns are passed over, and so are rows without a value: not rated. UsageError: what `read_rows` refuses, a column missing,
    nothing in it, a row without slide, item or rater, or one rater rates an item of a slide twice.
    """
    path = Path(path)
    wanted = f"Wanted is a CSV with the columns {', '.join(COLUMNS)}"
    _, rows = read_rows(path, COLUMNS[1:], wanted)
    rated = [(where, {"rater": path.stem, **row}) for where, row in rows if row["value"]]
    if not rated:
        raise UsageError(f"{path}: no rating in it; rows with a value are wanted. {wanted}")
    for where, row in rated:
        if empty := [name for name in COLUMNS if not row[name]]:
            raise UsageError(f"{where}: no {', '.join(empty)} for the value {row['value'][:60]!r}. Fill it in, or leave the value empty")
    return _once(pd.DataFrame([row for _, row in rated], columns=list(COLUMNS), dtype=str), str(path))


def agreement(ratings: pd.DataFrame) -> list[ItemAgreement]:
    """Agreement on every item, in the order of their names; ratings: COLUMNS, all text.

    Numbers get ICC(2,1) and Bland-Altman, grades (whole numbers, few values) a quadratically weighted kappa too, words a kappa.
    Only slides that all raters of an item rated count. UsageError for fewer than two raters, no item that two of them rated, or no slide
    that all raters of an item rated.
    """
    ratings = _once(ratings, "the ratings together")
    raters = ratings["rater"].unique()
    if len(raters) < 2:
        raise UsageError(f"one rater only ({raters[0]}); wanted at least two, in one CSV or several")
    found = [_item(item, part) for item, part in ratings.groupby("item") if part["rater"].nunique() > 1]
    if not found:
        raise UsageError(f"no item was rated by two raters; {', '.join(raters)} rate {', '.join(sorted(ratings['item'].unique()))}")
    if not any(item.slides for item in found):
        of_each = (f"{name} {', '.join(sorted(part['slide_id'].unique())[:3])}" for name, part in ratings.groupby("rater"))
        raise UsageError(f"no slide was rated by all raters of an item ({'; '.join(of_each)}, ...); wanted are the same slide_ids in all")
    return found


def _once(table: pd.DataFrame, where: str) -> pd.DataFrame:
    twice = table[table.duplicated(["rater", "slide_id", "item"])]
    if len(twice):
        rater, slide, item = twice.iloc[0][["rater", "slide_id", "item"]]
        raise UsageError(f"{where}: {rater} rates {item} of {slide} twice; wanted one value, or another name in the column rater")
    return table


def _item(item: str, ratings: pd.DataFrame) -> ItemAgreement:
    wide = ratings.pivot(index="slide_id", columns="rater", values="value")
    complete = wide.dropna()
    numbers = _numbers(item, ratings).reindex(index=complete.index, columns=complete.columns)
    numeric = bool(len(complete)) and bool(numbers.notna().all(axis=None))
    values = numbers if numeric else complete
    raters = tuple(str(name) for name in wide.columns)
    icc21 = icc(values.to_numpy(dtype=float)) if numeric else None
    pairs = tuple(_pair((a, b), values[a].to_numpy(), values[b].to_numpy(), numeric) for a, b in combinations(raters, 2))
    return ItemAgreement(item, raters, len(complete), len(wide) - len(complete), icc21, pairs)


def _numbers(item: str, ratings: pd.DataFrame) -> pd.DataFrame:
    """The values of an item as numbers, (slides, raters); all NaN where they are words. UsageError for both mixed, or beyond +-MOST."""
    found = pd.to_numeric(ratings["value"], errors="coerce").astype(float)
    usable = found.abs() <= MOST  # not for NaN and infinity
    if usable.any() and not usable.all():
        rater, slide, value = ratings[~usable].iloc[0][["rater", "slide_id", "value"]]
        told = f"{rater} rates {item} of {slide} {value[:60]!r}, other ratings of it are numbers"
        raise UsageError(f"{told}; numbers to {MOST:g} are wanted. Correct it, or leave it empty")
    return ratings.assign(value=found.where(usable)).pivot(index="slide_id", columns="rater", values="value")


def _pair(raters: tuple[str, str], one: np.ndarray, other: np.ndarray, numeric: bool) -> Pair:
    grades = numeric and bool(np.all(np.mod(np.concatenate([one, other]), 1) == 0)) and len(np.union1d(one, other)) <= MOST_GRADES
    kappa = kappa_of(one, other, weighted=numeric) if grades or not numeric else None
    bias, lower, upper = bland_altman(one, other) if numeric else (None, None, None)
    return Pair(raters, len(one), kappa, bias, lower, upper)


def icc(values: np.ndarray) -> Estimate:
    """ICC(2,1): two-way random effects, absolute agreement, single rating; values (slides, raters), complete.

    Null for fewer than 2 slides or where no rater tells one slide from another.
    """
    from scipy.stats import f

    n, k = values.shape
    if n < 2 or k < 2 or np.ptp(values) == 0:
        return Estimate(None, None)
    of_slides, of_raters, mean = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True), values.mean()
    between = float(k * ((of_slides - mean) ** 2).sum() / (n - 1))
    raters = float(n * ((of_raters - mean) ** 2).sum() / (k - 1))
    error = float(((values - of_slides - of_raters + mean) ** 2).sum() / ((n - 1) * (k - 1)))
    if max(between, error) <= 1e-12 * raters:  # every slide is the same to each of them
        return Estimate(None, None)
    whole = between + (k - 1) * error + k * (raters - error) / n
    if not np.isfinite(whole) or whole <= 1e-12 * max(between, raters, error):  # two slides, two raters, each the other's opposite
        return Estimate(None, None)
    value = (between - error) / whole
    if error <= 1e-12 * between:  # ratings that differ by a constant, or not at all: no error to make an interval of
        return Estimate(value, None)
    ratio = raters / error
    numerator = (k - 1) * (n - 1) * (k * value * ratio + n * (1 + (k - 1) * value) - k * value) ** 2
    freedom = numerator / ((n - 1) * k**2 * value**2 * ratio**2 + (n * (1 + (k - 1) * value) - k * value) ** 2)
    upper, lower = f.ppf(0.975, n - 1, freedom), f.ppf(0.975, freedom, n - 1)
    rest = k * raters + (k * n - k - n) * error
    low = n * (between - upper * error) / (upper * rest + n * between)
    high = n * (lower * between - error) / (rest + n * lower * between)
    return Estimate(value, (float(low), float(high)))


def kappa_of(one: np.ndarray, other: np.ndarray, weighted: bool) -> Estimate:
    """Cohen's kappa of two raters, weighted quadratically by the grades' distance or not.

    Null where both always give one same value, or more than MOST_WORDS different ones; 0 without an interval where
    one of them always gives the same: chance explains it all.
    """
    from statsmodels.stats.inter_rater import cohens_kappa

    classes = np.union1d(one, other)
    if not 2 <= len(classes) <= MOST_WORDS:
        return Estimate(None, None)
    if min(len(np.unique(one)), len(np.unique(other))) < 2:
        return Estimate(0.0, None)
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (np.searchsorted(classes, one), np.searchsorted(classes, other)), 1)
    # by value: grades nobody gave count as steps
    found = cohens_kappa(table, weights=classes, wt="quadratic") if weighted else cohens_kappa(table)
    ci95 = (max(-1.0, float(found.kappa_low)), min(1.0, float(found.kappa_upp)))
    return Estimate(float(found.kappa), ci95 if np.isfinite(ci95).all() and ci95[0] < ci95[1] else None)


def bland_altman(one: np.ndarray, other: np.ndarray) -> tuple[Estimate, Estimate, Estimate]:
    """Mean difference (other - one) and the limits within which 95 % of differences lie; null for fewer than 3 slides."""
    from scipy.stats import t
    from statsmodels.stats.weightstats import DescrStatsW

    n = len(one)
    if n < 3:
        return Estimate(None, None), Estimate(None, None), Estimate(None, None)
    difference = DescrStatsW(np.asarray(other, dtype=float) - np.asarray(one, dtype=float), ddof=1)
    mean, sd = float(difference.mean), float(difference.std)
    low, high = difference.tconfint_mean() if sd > 0 else (mean, mean)
    half = float(t.ppf(0.975, n - 1) * sd * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1))))
    lower, upper = (Estimate(limit, (limit - half, limit + half)) for limit in (mean - 1.96 * sd, mean + 1.96 * sd))
    return Estimate(mean, (float(low), float(high))), lower, upper


def as_json(found: list[ItemAgreement]) -> list[dict[str, Any]]:
    """Plain JSON types."""
    return [asdict(item) for item in found]


def agreement_text(found: list[ItemAgreement]) -> str:
    """A few lines an item."""
    lines = []
    for item in found:
        left_out = f", {item.left_out} left out, not rated by all" if item.left_out else ""
        lines.append(f"{item.item}: {item.slides} slides, {len(item.raters)} raters ({', '.join(item.raters)}){left_out}")
        if not item.slides:
            continue
        if item.icc21 is not None:
            beside = f"trained experts, overall scale: {HUMAN_BAR}" if item.slides >= FEW_SLIDES else "so few slides tell little"
            lines.append(f"  ICC(2,1)  {_shown(item.icc21)}   {beside}")
        for pair in item.pairs:
            name = f"  {pair.raters[0]} / {pair.raters[1]}"
            if pair.kappa is not None:
                lines.append(f"{name}: kappa{' (quadratic weights)' if pair.bias else ''} {_shown(pair.kappa)}")
            if pair.bias is not None and pair.lower_limit is not None and pair.upper_limit is not None:
                limits = f"limits of agreement {_shown(pair.lower_limit)}, {_shown(pair.upper_limit)}"
                lines.append(f"{name}: bias {_shown(pair.bias)}, {limits}")
    return "\n".join(lines)


def _shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return "can't be told"
    return f"{estimate.value:.3g}" + (f" ({estimate.ci95[0]:.3g} to {estimate.ci95[1]:.3g})" if estimate.ci95 else "")
