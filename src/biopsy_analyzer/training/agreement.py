"""How far a prediction agrees with the truth: label images and classes in, figures with intervals out. Arrays and tables only.

Everything rests on one table of *units*, made by `match`: a unit is a hit (a truth object and its prediction), a missed truth
object, or a false find. Every figure is a ratio of sums over units, so pooling images is concatenating their tables, and the
bootstrap draws units again, and whole images, and takes the same ratios: the wider of both counts. A bootstrap of ten right out of ten
never sees a wrong one, so the interval of a share is never narrower than the exact binomial one (Clopper & Pearson 1934). With J the
share of hits among all units, F1 is 2 J / (1 + J), and so has one too, as the mean F1 of classes has. A mean of a single object has none.

What doesn't count: an object of which more than half lies in the ignored area, and an object cut by the image's edge that shows
less than `min_cut_px`, is *void*: neither hit nor missed nor false, on either side alike; a pair of which one is void is void.
Overlaps are measured outside the ignored area only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta

HIT_IOU = 0.5
"""A prediction is a hit where its intersection over union with a truth object is greater; above 0.5 no object can have two."""

UNITS = {
    "truth_id": "int64",  # 0: a false find
    "pred_id": "int64",  # 0: a missed object
    "iou": "float64",  # 0 unless a hit
    "truth_px": "float64",  # outside the ignored area
    "pred_px": "float64",
    "both_px": "float64",  # mean of truth pixels under any prediction and predicted pixels under any truth: sums to the overlap
    "void": "bool",
    "cut": "bool",  # touches the image's edge, in the truth or the prediction
}
MISSED, FALSE, UNASSESSABLE, UNKNOWN = "missed", "false", "unassessable", ""

Sums = dict[str, np.ndarray]
Span = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A value (None: nothing to judge), its 95 % interval (None: of too few to say), and the number of objects it rests on."""

    value: float | None
    ci95: Span | None
    n: int


def match(truth: np.ndarray, pred: np.ndarray, *, ignore: np.ndarray | None = None, min_cut_px: float = 0.0) -> pd.DataFrame:
    """Pair the objects of two label images (H, W), 0 background, any labels; returns one row a unit, columns `UNITS`.

    ignore: bool (H, W), True where the truth is void. min_cut_px: see the module; infinite drops every cut object.
    No objects at all gives no rows. ValueError where the shapes differ.
    """
    if truth.shape != pred.shape or (ignore is not None and ignore.shape != truth.shape):
        raise ValueError(f"truth {truth.shape}, prediction {pred.shape} and ignored area must have one shape")
    overlaps = _overlaps(truth, pred, ignore)
    left = _objects(overlaps, "truth_id", truth, min_cut_px)
    right = _objects(overlaps, "pred_id", pred, min_cut_px)
    shared = overlaps[(overlaps.truth_id > 0) & (overlaps.pred_id > 0) & ~overlaps.ignored]
    for objects, column in ((left, "truth_id"), (right, "pred_id")):
        objects["shared_px"] = shared.groupby(column).px.sum().reindex(objects.index, fill_value=0.0)

    truth_px, pred_px = left.px.loc[shared.truth_id].to_numpy(), right.px.loc[shared.pred_id].to_numpy()
    pairs = shared[["truth_id", "pred_id"]].assign(iou=shared.px.to_numpy() / (truth_px + pred_px - shared.px.to_numpy()))
    hits = pairs[pairs.iou > HIT_IOU]
    missed = pd.DataFrame({"truth_id": left.index.difference(hits.truth_id), "pred_id": 0, "iou": 0.0})
    false = pd.DataFrame({"truth_id": 0, "pred_id": right.index.difference(hits.pred_id), "iou": 0.0})
    units = pd.concat([part for part in (hits, missed, false) if len(part)] or [hits], ignore_index=True)

    nothing = pd.DataFrame({"px": 0.0, "shared_px": 0.0, "void": False, "cut": False}, index=[0])
    of_truth = pd.concat([nothing, left]).loc[units.truth_id].reset_index(drop=True)
    of_pred = pd.concat([nothing, right]).loc[units.pred_id].reset_index(drop=True)
    units = units.assign(
        truth_px=of_truth.px,
        pred_px=of_pred.px,
        both_px=(of_truth.shared_px + of_pred.shared_px) / 2,
        void=of_truth.void | of_pred.void,
        cut=of_truth.cut | of_pred.cut,
    )
    return units[list(UNITS)].astype(UNITS)


def _overlaps(truth: np.ndarray, pred: np.ndarray, ignore: np.ndarray | None) -> pd.DataFrame:
    """Pixels of every combination of truth label, predicted label and ignored or not, in one pass.

    Runs of equal pixels are counted rather than pixels: a few hundred thousand numbers to sort instead of millions.
    """
    span = int(pred.max(initial=0)) + 1
    key = truth.ravel().astype(np.int64)
    key *= span
    key += pred.ravel()
    key *= 2
    if ignore is not None:
        key += ignore.ravel()
    starts = np.concatenate([np.zeros(min(1, key.size), dtype=np.int64), np.flatnonzero(key[1:] != key[:-1]) + 1])
    lengths = np.diff(starts, append=key.size)
    keys, inverse = np.unique(key[starts], return_inverse=True)
    labels = keys // 2
    columns = {"truth_id": labels // span, "pred_id": labels % span, "ignored": keys % 2 == 1}
    return pd.DataFrame({**columns, "px": np.bincount(inverse, weights=lengths, minlength=len(keys))})


def _objects(overlaps: pd.DataFrame, column: str, labels: np.ndarray, min_cut_px: float) -> pd.DataFrame:
    """By label: px outside the ignored area, void, cut."""
    own = overlaps[overlaps[column] > 0]
    whole = own.groupby(column).px.sum()
    px = own[~own.ignored].groupby(column).px.sum().reindex(whole.index, fill_value=0.0)
    edge = np.concatenate([labels[:1].ravel(), labels[-1:].ravel(), labels[:, :1].ravel(), labels[:, -1:].ravel()])
    cut = whole.index.isin(np.unique(edge))
    return pd.DataFrame({"px": px, "void": (px < 0.5 * whole) | (cut & (whole < min_cut_px)), "cut": cut})


def segmentation_figures(
    units: pd.DataFrame, *, images: Sequence[int] | None = None, rounds: int = 1000, seed: int = 0
) -> dict[str, Figure]:
    """Precision, recall and F1 at IoU 0.5 and 0.75, mean IoU of hits, panoptic quality, Dice of the foreground, area bias.

    units: rows of `match`, of one or many images. images: the image of each row, drawn whole beside single objects. Panoptic quality is
    sum of IoU over (truth + predictions) / 2 (Kirillov 2019). Area bias is the mean over hits of predicted over true area, minus 1. A
    figure with nothing in its denominator has the value None.
    """
    counted = ~units.void
    hit = counted & (units.iou > HIT_IOU)
    rows = {
        "truth": counted & (units.truth_id > 0),
        "pred": counted & (units.pred_id > 0),
        "hit50": hit,
        "hit75": hit & (units.iou > 0.75),
        "iou": units.iou.where(hit, 0.0),
        "growth": (units.pred_px / units.truth_px.clip(lower=1) - 1).where(hit, 0.0),
        "foreground": units.truth_px + units.pred_px,
        "both": units.both_px,
    }

    def ratios(s: Sums) -> Sums:
        objects = s["truth"] + s["pred"]
        result = {"mean_iou": s["iou"] / s["hit50"], "panoptic_quality": 2 * s["iou"] / objects, "dice": 2 * s["both"] / s["foreground"]}
        result["area_bias"] = s["growth"] / s["hit50"]
        for level in ("50", "75"):
            hits = s[f"hit{level}"]
            result |= {f"precision{level}": hits / s["pred"], f"recall{level}": hits / s["truth"], f"f1_{level}": 2 * hits / objects}
        return result

    n_hits, n_truth, n_pred = int(hit.sum()), int(rows["truth"].sum()), int(rows["pred"].sum())
    n = {"mean_iou": n_hits, "area_bias": n_hits, "precision50": n_pred, "precision75": n_pred}

    def exact(s: dict[str, float]) -> dict[str, Span]:
        found: dict[str, Span] = {}
        for level in ("50", "75"):
            hits = s[f"hit{level}"]
            found |= {f"precision{level}": share_interval(hits, s["pred"]), f"recall{level}": share_interval(hits, s["truth"])}
            found[f"f1_{level}"] = _f1_interval(hits, s["truth"] + s["pred"])
        return found

    def still(s: dict[str, float]) -> dict[str, Span]:
        low, high = _f1_interval(s["hit50"], s["truth"] + s["pred"])
        mean_iou = s["iou"] / max(1.0, s["hit50"])
        return {"panoptic_quality": (mean_iou * low, mean_iou * high)}  # which is their product

    return _figures(pd.DataFrame(rows), ratios, exact, still, n, n_truth, images, rounds, seed)


def named(units: pd.DataFrame, truth_names: Sequence[str], pred_names: Sequence[str]) -> pd.DataFrame:
    """`units` with `truth_class` and `pred_class`, the names by label (entry 0 stands for the background and is not read).

    A false find has the truth `false`, a missed object the prediction `missed`; the empty name means that the truth is unsure.
    """
    truth = np.asarray([FALSE, *truth_names[1:]], dtype=object)[units.truth_id]
    pred = np.asarray([MISSED, *pred_names[1:]], dtype=object)[units.pred_id]
    return units.assign(truth_class=truth, pred_class=pred)


def confusion(units: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Counts of named units: rows truth (`false` last), columns prediction (`unassessable` and `missed` last).

    Void units and those whose truth is unsure are left out. KeyError for a name that is no class.
    """
    known = units[~units.void & (units.truth_class != UNKNOWN)]
    rows, columns = [*classes, FALSE], [*classes, UNASSESSABLE, MISSED]
    strange = (set(known.truth_class) - set(rows)) | (set(known.pred_class) - set(columns))
    if strange:
        raise KeyError(f"{sorted(strange)} are none of {list(classes)}")
    return pd.crosstab(known.truth_class, known.pred_class).reindex(index=rows, columns=columns, fill_value=0)


def class_figures(
    units: pd.DataFrame,
    classes: Sequence[str],
    *,
    healthy: str | None = None,
    images: Sequence[int] | None = None,
    rounds: int = 1000,
    seed: int = 0,
) -> dict[str, Figure]:
    """How well named units are called: precision, recall and F1 of each class over hits, `accuracy`, `macro_f1`.

    `macro_f1` is the mean F1 over the classes that the truth has among the objects found; `unassessable` is never right, so abstaining
    costs recall. `macro_f1_end_to_end` is the mean over all classes that the truth has, with missed objects and false finds counted
    against it: a class of which every object is missed counts 0 there, and does not enter `macro_f1`. With a `healthy` class also
    `sick_found` (sick objects found and called the sick class they are) and `healthy_called_sick` (of the healthy ones found).
    """
    keep = (~units.void & (units.truth_class != UNKNOWN)).to_numpy()
    table = _class_rows(units[keep], classes, healthy)
    present = [name for name in classes if table[f"all truth {name}"].any()]
    met = [name for name in present if table[f"truth {name}"].any() or table[f"pred {name}"].any()]
    sick = [name for name in present if name != healthy]

    def ratios(s: Sums) -> Sums:
        result: Sums = {}
        within, whole = [], []
        for name in classes:
            right, truth, pred = s[f"right {name}"], s[f"truth {name}"], s[f"pred {name}"]
            f1 = 2 * right / (truth + pred)
            result |= {f"precision {name}": right / pred, f"recall {name}": right / truth, f"f1 {name}": f1}
            if name in met:
                within.append(f1)
            if name in present:
                whole.append(2 * right / (s[f"all truth {name}"] + s[f"all pred {name}"]))
        nothing = np.full_like(next(iter(s.values())), np.nan)
        result["accuracy"] = _total(s, "right ", classes) / _total(s, "truth ", classes)
        result["macro_f1"] = np.mean(within, axis=0) if within else nothing
        result["macro_f1_end_to_end"] = np.mean(whole, axis=0) if whole else nothing
        if healthy is not None:
            result["sick_found"] = _total(s, "right ", sick) / _total(s, "all truth ", sick) if sick else nothing
            result["healthy_called_sick"] = s["alarm"] / s[f"truth {healthy}"]
        return result

    def exact(s: dict[str, float]) -> dict[str, Span]:
        found = {"accuracy": share_interval(_total(s, "right ", classes), _total(s, "truth ", classes))}
        for name in classes:
            right, truth, pred = s[f"right {name}"], s[f"truth {name}"], s[f"pred {name}"]
            found |= {f"precision {name}": share_interval(right, pred), f"recall {name}": share_interval(right, truth)}
            found[f"f1 {name}"] = _f1_interval(right, truth + pred)
        if healthy is not None:
            found["sick_found"] = share_interval(_total(s, "right ", sick), _total(s, "all truth ", sick))
            found["healthy_called_sick"] = share_interval(s["alarm"], s[f"truth {healthy}"])
        found["macro_f1"] = _mean_f1_interval([(s[f"right {name}"], s[f"truth {name}"] + s[f"pred {name}"]) for name in met])
        whole = [(s[f"right {name}"], s[f"all truth {name}"] + s[f"all pred {name}"]) for name in present]
        return found | {"macro_f1_end_to_end": _mean_f1_interval(whole)}

    n = {f"{figure} {name}": int(table[f"truth {name}"].sum()) for figure in ("recall", "f1") for name in classes}
    n |= {f"precision {name}": int(table[f"pred {name}"].sum()) for name in classes}
    n["macro_f1_end_to_end"] = int(sum(table[f"all truth {name}"].sum() for name in present))
    n["sick_found"] = int(sum(table[f"all truth {name}"].sum() for name in sick))
    if healthy is not None:
        n["healthy_called_sick"] = int(table[f"truth {healthy}"].sum())
    groups = None if images is None else np.asarray(images)[keep]
    return _figures(table, ratios, exact, lambda _: {}, n, int(table["hit"].sum()), groups, rounds, seed)


def _class_rows(units: pd.DataFrame, classes: Sequence[str], healthy: str | None) -> pd.DataFrame:
    """What `class_figures` sums up, a row a unit: 0 or 1 for each class by truth and by call, among all units and among hits."""
    hit = (units.truth_id > 0) & (units.pred_id > 0)
    rows: dict[str, pd.Series] = {"hit": hit & (units.truth_class != FALSE)}
    for name in classes:
        of_truth, of_pred = units.truth_class == name, units.pred_class == name
        rows |= {f"right {name}": of_truth & of_pred, f"truth {name}": of_truth & hit, f"pred {name}": of_pred & hit}
        rows |= {f"all truth {name}": of_truth, f"all pred {name}": of_pred}
    if healthy is not None:
        rows["alarm"] = (units.truth_class == healthy) & units.pred_class.isin([c for c in classes if c != healthy])
    return pd.DataFrame(rows, dtype=float)


def internal_figures(
    truth_count: np.ndarray, pred_count: np.ndarray, *, images: Sequence[int] | None = None, rounds: int = 1000, seed: int = 0
) -> dict[str, Figure]:
    """Agreement on internal nuclei over matched fibres; counts (n,) of internal nuclei by fibre, true and predicted.

    Share of fibres with any (true, predicted), `recall` and `precision` of "has any", Cohen's `kappa` of it, and `count_bias`,
    the mean of predicted minus true count.
    """
    truth, pred = np.asarray(truth_count) > 0, np.asarray(pred_count) > 0
    rows = {"all": np.ones(len(truth)), "truth": truth, "pred": pred, "both": truth & pred}
    rows["more"] = np.asarray(pred_count, dtype=float) - truth_count

    def ratios(s: Sums) -> Sums:
        p, q = s["truth"] / s["all"], s["pred"] / s["all"]
        agreed = 1 - (s["truth"] + s["pred"] - 2 * s["both"]) / s["all"]
        chance = p * q + (1 - p) * (1 - q)
        shares = {"share_truth": p, "share_pred": q, "recall": s["both"] / s["truth"], "precision": s["both"] / s["pred"]}
        return {**shares, "kappa": (agreed - chance) / (1 - chance), "count_bias": s["more"] / s["all"]}

    def exact(s: dict[str, float]) -> dict[str, Span]:
        parts = {"share_truth": ("truth", "all"), "share_pred": ("pred", "all"), "recall": ("both", "truth"), "precision": ("both", "pred")}
        return {name: share_interval(s[hits], s[of]) for name, (hits, of) in parts.items()}

    def still(s: dict[str, float]) -> dict[str, Span]:
        p, q = (s[side] / max(1.0, s["all"]) for side in ("truth", "pred"))
        chance = min(p * q + (1 - p) * (1 - q), 1 - 1e-9)
        low, high = share_interval(s["all"] - s["truth"] - s["pred"] + 2 * s["both"], s["all"])
        return {"kappa": ((low - chance) / (1 - chance), (high - chance) / (1 - chance))}

    n = {"recall": int(truth.sum()), "precision": int(pred.sum())}
    return _figures(pd.DataFrame(rows, dtype=float), ratios, exact, still, n, len(truth), images, rounds, seed)


def share_interval(hits: float, of: float) -> Span:
    """The exact 95 % interval of a share (Clopper & Pearson 1934), hits of so many; 0 to 1 of none."""
    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def _f1_interval(hits: float, objects: float) -> Span:
    """The interval of 2 hits / objects, by that of the share of hits among units, where a hit is one unit of two objects."""
    low, high = share_interval(hits, objects - hits)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def _mean_f1_interval(classes: list[tuple[float, float]]) -> Span:
    """The interval of the mean of 2 hits / objects of several classes, from each one's own (MOVER: Zou & Donner, Stat Med 2008)."""
    if not classes:
        return 0.0, 1.0
    values = np.array([2 * hits / objects for hits, objects in classes])
    low, high = np.array([_f1_interval(hits, objects) for hits, objects in classes]).T
    below, above = (np.sqrt(np.sum((values - ends) ** 2)) / len(values) for ends in (low, high))
    return float(values.mean() - below), float(values.mean() + above)


def _total(s: Mapping[str, Any], prefix: str, names: Sequence[str]) -> Any:
    return np.sum([s[prefix + name] for name in names], axis=0)


def _figures(
    rows: pd.DataFrame,
    ratios: Callable[[Sums], Sums],
    exact: Callable[[dict[str, float]], dict[str, Span]],
    still: Callable[[dict[str, float]], dict[str, Span]],
    n: dict[str, int],
    n_otherwise: int,
    images: Sequence[int] | np.ndarray | None,
    rounds: int,
    seed: int,
) -> dict[str, Figure]:
    """The ratios of the rows' sums, each with the widest span of: the 2.5 and 97.5 percentiles of the ratios of resampled sums, of rows
    and of whole images; its exact interval. `still`: intervals for where resampling never moves the value."""
    table = rows.astype(float)
    drawn = [table] if images is None else [table, _by_image(table, images)]
    sums = {str(name): float(table[name].sum()) for name in table}
    with np.errstate(divide="ignore", invalid="ignore"):
        values = ratios({name: np.asarray(total) for name, total in sums.items()})
        again = [_resampled_sums(one.to_numpy(), rounds, seed) for one in drawn]
        spreads = [ratios({name: one[:, i] for i, name in enumerate(table)}) for one in again]
    known, where_still = exact(sums), still(sums)
    result = {}
    for name, value in values.items():
        count = n.get(name, n_otherwise)
        if not np.isfinite(value):
            result[name] = Figure(None, None, count)
            continue
        spans = [_percentiles(spread[name], float(value)) for spread in spreads] + [known[name] for _ in range(name in known)]
        low, high = min(span[0] for span in spans), max(span[1] for span in spans)
        if low == high and name in where_still:
            low, high = where_still[name]
        told = count > 1 or name in known or name in where_still
        result[name] = Figure(float(value), (low, high) if told else None, count)
    return result


def _by_image(table: pd.DataFrame, images: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Sums by image. What was found on images without any true object (look-alikes) is spread over the others and so is in every draw:
    alone it says nothing of what is found."""
    sums = table.groupby(np.asarray(images)).sum()
    empty = (sums["truth"] == 0) if "truth" in sums else pd.Series(False, index=sums.index)
    if not empty.any() or empty.all():
        return sums
    return sums[~empty] + sums[empty].sum() / (~empty).sum()


def _percentiles(spread: np.ndarray, value: float) -> Span:
    finite = spread[np.isfinite(spread)]
    low, high = np.percentile(finite, [2.5, 97.5]) if len(finite) else (value, value)
    return float(low), float(high)


def _resampled_sums(rows: np.ndarray, rounds: int, seed: int) -> np.ndarray:
    """(rounds, k): sums of rows (n, k) drawn n times with replacement, by how often each row is drawn."""
    n, sums = len(rows), np.zeros((rounds, rows.shape[1]))
    if n == 0:
        return sums
    rng = np.random.default_rng(seed)
    step = max(1, 2_000_000 // n)  # bounds the memory
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        picks = rng.integers(0, n, size=(size, n)) + np.arange(size)[:, None] * n
        sums[start : start + size] = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n) @ rows
    return sums
