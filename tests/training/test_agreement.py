"""Metrics against answers known by hand, a slow second implementation, and properties that must hold for any input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom

from biopsy_analyzer.training import agreement
from biopsy_analyzer.training.agreement import (
    FALSE,
    MISSED,
    class_figures,
    confusion,
    internal_figures,
    match,
    named,
    segmentation_figures,
    share_interval,
)

label_images = arrays(np.int32, (9, 11), elements=st.integers(0, 4))
ignored_areas = arrays(np.bool_, (9, 11))


def squares(*corners: tuple[int, int], size: int = 10, shape: tuple[int, int] = (60, 60)) -> np.ndarray:
    labels = np.zeros(shape, dtype=np.int32)
    for label, (top, left) in enumerate(corners, start=1):
        labels[top : top + size, left : left + size] = label
    return labels


def values(units: pd.DataFrame) -> dict[str, float | None]:
    return {name: figure.value for name, figure in segmentation_figures(units, rounds=100).items()}


def slow_figures(truth: np.ndarray, pred: np.ndarray, ignore: np.ndarray, min_cut_px: float) -> dict[str, float]:
    """The same figures object by object, with an optimal assignment instead of the 0.5 rule."""

    def void(labels: np.ndarray, label: int) -> bool:
        mask = labels == label
        cut = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        return bool((mask & ~ignore).sum() < mask.sum() / 2 or (cut and mask.sum() < min_cut_px))

    truth_ids, pred_ids = [i for i in np.unique(truth) if i], [i for i in np.unique(pred) if i]
    iou = np.zeros((len(truth_ids), len(pred_ids)))
    for row, t in enumerate(truth_ids):
        for column, p in enumerate(pred_ids):
            a, b = (truth == t) & ~ignore, (pred == p) & ~ignore
            iou[row, column] = (a & b).sum() / max(1, (a | b).sum())
    paired_truth, paired_pred, found = set(), set(), []
    voids = {t for t in truth_ids if void(truth, t)}, {p for p in pred_ids if void(pred, p)}
    for row, column in zip(*linear_sum_assignment(-np.where(iou > 0.5, iou, 0)), strict=True):
        if iou[row, column] > 0.5:
            t, p = truth_ids[row], pred_ids[column]
            paired_truth.add(t)
            paired_pred.add(p)
            if t not in voids[0] and p not in voids[1]:
                found.append((iou[row, column], ((truth == t) & ~ignore).sum(), ((pred == p) & ~ignore).sum()))
    missed = len([t for t in truth_ids if t not in paired_truth | voids[0]])
    false = len([p for p in pred_ids if p not in paired_pred | voids[1]])
    hits75 = len([1 for value, _, _ in found if value > 0.75])
    both = ((truth > 0) & (pred > 0) & ~ignore).sum()
    foreground = ((truth > 0) & ~ignore).sum() + ((pred > 0) & ~ignore).sum()

    def over(a: float, b: float) -> float:
        return a / b if b else np.nan

    n = len(found)
    return {
        "precision50": over(n, n + false),
        "recall50": over(n, n + missed),
        "f1_50": over(2 * n, 2 * n + false + missed),
        "precision75": over(hits75, n + false),
        "recall75": over(hits75, n + missed),
        "f1_75": over(2 * hits75, 2 * n + false + missed),
        "mean_iou": over(sum(value for value, _, _ in found), n),
        "panoptic_quality": over(sum(value for value, _, _ in found), n + (false + missed) / 2),
        "dice": over(2 * both, foreground),
        "area_bias": over(sum(p / t - 1 for _, t, p in found), n),
    }


@given(label_images, label_images, ignored_areas, st.sampled_from([0.0, 3.0, np.inf]))
@settings(max_examples=80, deadline=None)
def test_agrees_with_the_slow_implementation(truth: np.ndarray, pred: np.ndarray, ignore: np.ndarray, min_cut_px: float) -> None:
    fast = values(match(truth, pred, ignore=ignore, min_cut_px=min_cut_px))
    for name, expected in slow_figures(truth, pred, ignore, min_cut_px).items():
        assert (fast[name] if fast[name] is not None else np.nan) == pytest.approx(expected, nan_ok=True), name


def test_agrees_with_the_slow_implementation_on_shifted_discs() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:150, :150]
    truth, pred = np.zeros((2, 150, 150), dtype=np.int32)
    for label, (cy, cx) in enumerate(np.argwhere(np.ones((7, 7))) * 21 + 12, start=1):
        truth[(y - cy) ** 2 + (x - cx) ** 2 < 81] = label
        dy, dx, r = rng.normal(0, 1.6, 3)
        pred[(y - cy - dy) ** 2 + (x - cx - dx) ** 2 < (9 + r) ** 2] = 100 - label
    ignore = x > 110
    fast = values(match(truth, pred, ignore=ignore, min_cut_px=40))
    assert 0.1 < fast["f1_75"] < fast["f1_50"] < 1  # the example is neither trivial nor empty
    assert fast == pytest.approx(slow_figures(truth, pred, ignore, 40))


@given(label_images)
@settings(max_examples=50, deadline=None)
def test_perfect_is_one_and_labels_are_only_names(truth: np.ndarray) -> None:
    renamed = np.array([0, 40, 7, 900, 2])[truth]
    result = values(match(truth, renamed))
    wanted = {name: 0.0 if name == "area_bias" else 1.0 for name in result} if truth.any() else dict.fromkeys(result)
    assert result == wanted


@given(label_images, label_images, ignored_areas)
@settings(max_examples=50, deadline=None)
def test_swapping_truth_and_prediction_swaps_precision_and_recall(truth: np.ndarray, pred: np.ndarray, ignore: np.ndarray) -> None:
    there, back = values(match(truth, pred, ignore=ignore)), values(match(pred, truth, ignore=ignore))
    for name in ("f1_50", "f1_75", "mean_iou", "panoptic_quality", "dice"):
        assert there[name] == pytest.approx(back[name]), name
    assert (there["precision50"], there["recall50"]) == (back["recall50"], back["precision50"])
    assert (there["precision75"], there["recall75"]) == (back["recall75"], back["precision75"])


def test_by_hand() -> None:
    truth = squares((10, 10), (10, 30), (30, 10))
    pred = squares((10, 10), (12, 30), (45, 45))  # a perfect one; one shifted by 2 of 10 rows: IoU 80/120; a false find
    units = match(truth, pred)
    assert units[["truth_id", "pred_id"]].to_numpy().tolist() == [[1, 1], [2, 2], [3, 0], [0, 3]]
    assert units.iou.to_list() == pytest.approx([1, 2 / 3, 0, 0])
    figures = values(units)
    assert (figures["precision50"], figures["recall50"], figures["f1_50"], figures["f1_75"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 1 / 3))
    assert (figures["mean_iou"], figures["panoptic_quality"]) == pytest.approx((5 / 6, 5 / 9))
    assert (figures["dice"], figures["area_bias"]) == pytest.approx((2 * 180 / 600, 0))


def test_half_is_no_hit() -> None:
    truth, pred = squares((10, 10)), squares((10, 10))
    pred[15:20] = 0
    assert match(truth, pred).truth_id.to_list() == [1, 0]


def test_area_bias_has_the_sign_of_the_prediction() -> None:
    truth, pred = squares((10, 10)), squares((10, 10))
    pred[20, 10:20] = 1
    assert values(match(truth, pred))["area_bias"] == pytest.approx(0.1)


def test_ignored_objects_are_neither_missed_nor_false() -> None:
    ignore = np.zeros((60, 60), dtype=bool)
    ignore[:, 40:] = True
    truth = squares((10, 10), (10, 45))
    pred = squares((10, 10), (30, 45), (30, 36))  # the last lies to 6/10 in the ignored area
    figures = segmentation_figures(match(truth, pred, ignore=ignore))
    assert (figures["precision50"].value, figures["recall50"].value, figures["f1_50"].n) == (1, 1, 1)


def test_slivers_at_the_edge_are_void_and_large_cut_objects_count() -> None:
    truth = squares((-9, 10), (10, -4), (30, 30), size=10)
    truth[:1, 10:20], truth[10:20, :6] = 1, 2
    pred = np.where(truth == 3, 1, 0)
    assert values(match(truth, pred))["recall50"] == pytest.approx(1 / 3)
    assert values(match(truth, pred, min_cut_px=20))["recall50"] == pytest.approx(1 / 2)
    assert values(match(truth, pred, min_cut_px=np.inf))["recall50"] == 1


def test_nothing_to_judge_is_none_and_nothing_found_is_zero() -> None:
    blank = np.zeros((20, 20), dtype=np.int32)
    nothing = segmentation_figures(match(blank, blank))
    assert {(figure.value, figure.ci95, figure.n) for figure in nothing.values()} == {(None, None, 0)}
    missed = values(match(squares((2, 2), shape=(20, 20)), blank))
    assert (missed["recall50"], missed["precision50"], missed["f1_50"], missed["mean_iou"]) == (0, None, 0, None)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        match(np.zeros((4, 4), np.int32), np.zeros((4, 5), np.int32))


def test_interval_covers_the_value_and_narrows_with_the_number_of_objects() -> None:
    units = match(squares((10, 10), (10, 30), (30, 10)), squares((10, 10), (12, 30), (45, 45)))
    few = segmentation_figures(pd.concat([units] * 5))["f1_50"]
    many = segmentation_figures(pd.concat([units] * 500))["f1_50"]
    assert few.ci95[0] < many.ci95[0] < 2 / 3 < many.ci95[1] < few.ci95[1]
    # a ratio of 2h over (truth + predictions) at 2/3 with n = 2000 units: about 2 standard errors of sqrt(f (1 - f) / n) to each side
    assert many.ci95[1] - many.ci95[0] == pytest.approx(0.041, abs=0.015)


def test_no_interval_leaves_what_is_possible() -> None:
    truth, pred = squares((10, 10), (10, 20), (10, 30)), np.zeros((60, 60), dtype=np.int32)
    pred[10:20, 10:40] = 1  # three objects under one prediction: drawn again, a unit alone must not overlap more than it is large
    dice = segmentation_figures(match(truth, pred))["dice"]
    assert dice.value == 1
    assert dice.ci95 == (1, 1)


def test_drawing_images_keeps_what_lies_in_one_image_together() -> None:
    good, bad = match(squares((10, 10)), squares((10, 10))), match(squares((10, 10)), squares((40, 40)))
    units = pd.concat([good] * 40 + [bad] * 40)
    images = [0] * 40 + [1] * 80
    by_object = segmentation_figures(units)["f1_50"]
    by_image = segmentation_figures(units, images=images)["f1_50"]
    assert by_image.value == by_object.value == pytest.approx(0.5)
    assert by_image.ci95 == (0, 1)
    assert 0.35 < by_object.ci95[0] < by_object.ci95[1] < 0.65


def test_an_image_without_truth_counts_in_every_draw() -> None:
    """Two images alike and two false finds on a look-alike: 100 right of 102 found, whichever is drawn; alone it would give an F1 of 0."""
    good, false = match(squares((10, 10)), squares((10, 10))), match(squares(), squares((10, 10)))
    units = pd.concat([good] * 100 + [false] * 2)
    found = segmentation_figures(units, images=[0] * 50 + [1] * 50 + [2] * 2)
    assert found["f1_50"].value == pytest.approx(200 / 202)
    assert found["f1_50"].ci95[0] > 0.94


def test_no_interval_of_a_share_is_narrower_than_the_exact_one() -> None:
    """Textbook values of Clopper & Pearson: 1 of 1 right is 2.5 to 100 %, 0 of 30 is 0 to 11.57 %."""
    assert share_interval(1, 1) == (pytest.approx(0.025), 1)
    assert share_interval(0, 30) == (0, pytest.approx(0.1157, abs=5e-5))
    assert share_interval(0, 0) == (0, 1)
    one = segmentation_figures(match(squares((10, 10)), squares((10, 10))))
    assert one["recall50"].ci95 == one["precision75"].ci95 == (pytest.approx(0.025), 1)
    assert one["f1_50"].ci95 == (pytest.approx(2 * 0.025 / 1.025), 1)
    assert {one[name].value: one[name].ci95 for name in ("mean_iou", "area_bias", "dice")} == {1: None, 0: None}  # means of a single one
    few = segmentation_figures(pd.concat([match(squares((10, 10)), squares((10, 10)))] * 3))
    low = 0.025 ** (1 / 3)  # three of three
    assert few["f1_50"].ci95 == few["panoptic_quality"].ci95 == (pytest.approx(2 * low / (1 + low)), 1)


def test_the_exact_interval_holds_what_it_promises() -> None:
    """Of the numbers right out of 12 that are likely at a share of 0.9, those whose interval misses it have together at most 5 %."""
    k = np.arange(13)
    missing = [not low <= 0.9 <= high for low, high in (share_interval(hits, 12) for hits in k)]
    assert 0 < binom.pmf(k, 12, 0.9)[missing].sum() <= 0.05


STATES = ("normal", "necrotic")


def judged_states() -> pd.DataFrame:
    """Truth: 3 normal, 2 necrotic, 1 unsure, all but one necrotic found; predictions: one normal called necrotic, one unassessable."""
    corners = [(5, 5), (5, 20), (5, 35), (20, 5), (20, 20), (20, 35)]
    truth, pred = squares(*corners), squares(*corners, (40, 40))
    pred[pred == 5] = 0
    units = match(truth, pred)
    return named(
        units,
        ["", "normal", "normal", "normal", "necrotic", "necrotic", ""],
        ["", "normal", "necrotic", "unassessable", "necrotic", "-", "necrotic", "necrotic"],
    )


def test_confusion_by_hand() -> None:
    table = confusion(judged_states(), STATES)
    assert table.index.to_list() == ["normal", "necrotic", FALSE]
    assert table.columns.to_list() == ["normal", "necrotic", "unassessable", MISSED]
    assert table.to_numpy().tolist() == [[1, 1, 1, 0], [0, 1, 0, 1], [0, 1, 0, 0]]


def test_class_figures_by_hand() -> None:
    result = {name: figure.value for name, figure in class_figures(judged_states(), STATES, healthy="normal").items()}
    assert result["recall normal"] == pytest.approx(1 / 3)  # unassessable is never right
    assert (result["precision necrotic"], result["recall necrotic"]) == (0.5, 1)
    assert result["macro_f1"] == pytest.approx((0.5 + 2 / 3) / 2)
    assert result["macro_f1_end_to_end"] == pytest.approx((0.5 + 2 / 5) / 2)
    assert (result["accuracy"], result["sick_found"], result["healthy_called_sick"]) == pytest.approx((0.5, 0.5, 1 / 3))


def test_a_class_that_the_truth_lacks_does_not_enter_the_mean() -> None:
    result = class_figures(judged_states(), ("normal", "necrotic", "regenerating"))
    assert result["macro_f1"].value == pytest.approx((0.5 + 2 / 3) / 2)
    assert result["f1 regenerating"].value is None


def test_a_class_that_is_missed_whole_counts_nought_end_to_end_only() -> None:
    units = match(squares((5, 5), (5, 20), (20, 5)), np.where(squares((5, 5), (5, 20), (20, 5)) < 3, squares((5, 5), (5, 20), (20, 5)), 0))
    units = named(units, ["", "normal", "normal", "necrotic"], ["", "normal", "normal"])
    result = class_figures(units, STATES, healthy="normal")
    assert (result["macro_f1"].value, result["macro_f1_end_to_end"].value) == (1, 0.5)
    assert (result["macro_f1"].n, result["macro_f1_end_to_end"].n) == (2, 3)
    assert result["f1 necrotic"].value is None
    assert (result["sick_found"].value, result["sick_found"].ci95) == (0, (0, pytest.approx(0.975)))
    normal, necrotic = (2 * j / (1 + j) for j in (0.025**0.5, 0.975))  # two of two at the least, none of one at the most
    assert result["macro_f1"].ci95 == (pytest.approx(normal), 1)
    assert result["macro_f1_end_to_end"].ci95 == (pytest.approx(0.5 - (1 - normal) / 2), pytest.approx(0.5 + necrotic / 2))


def test_kappa_of_full_agreement_has_an_interval() -> None:
    low, high = internal_figures(np.array([0, 0, 1, 1]), np.array([0, 0, 2, 1]))["kappa"].ci95
    assert (low, high) == (pytest.approx((0.025**0.25 - 0.5) / 0.5), 1)  # by chance half of them would agree


def test_unknown_class_is_an_error() -> None:
    with pytest.raises(KeyError, match="unassessabel"):
        confusion(judged_states().replace({"pred_class": {"unassessable": "unassessabel"}}), STATES)


@given(arrays(np.int64, 60, elements=st.integers(0, 2)), arrays(np.int64, 60, elements=st.integers(0, 2)))
@settings(max_examples=30, deadline=None)
def test_class_figures_agree_with_scikit_learn(truth: np.ndarray, pred: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    names = ("a", "b", "c")
    units = pd.DataFrame(
        {"truth_id": 1, "pred_id": 1, "void": False, "truth_class": np.take(names, truth), "pred_class": np.take(names, pred)}
    )
    result = class_figures(units, names, rounds=50)
    present = [name for name in names if (units.truth_class == name).any()]
    expected = metrics.f1_score(units.truth_class, units.pred_class, labels=present, average="macro", zero_division=0.0)
    assert result["macro_f1"].value == pytest.approx(expected)
    assert result["macro_f1_end_to_end"].value == pytest.approx(expected)
    assert result["accuracy"].value == pytest.approx((truth == pred).mean())


@given(arrays(np.int64, 30, elements=st.integers(0, 2)), arrays(np.int64, 30, elements=st.integers(0, 2)))
@settings(max_examples=30, deadline=None)
def test_kappa_agrees_with_scikit_learn(truth: np.ndarray, pred: np.ndarray) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    result = internal_figures(truth, pred, rounds=50)
    if len(np.union1d(truth > 0, pred > 0)) == 1:
        assert result["kappa"].value is None
    else:
        assert result["kappa"].value == pytest.approx(metrics.cohen_kappa_score(truth > 0, pred > 0))


def test_internal_nuclei_by_hand() -> None:
    result = internal_figures(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]))
    assert (result["share_truth"].value, result["share_pred"].value, result["kappa"].value) == (0.5, 0.5, 0.0)
    assert (result["recall"].value, result["precision"].value, result["count_bias"].value) == (0.5, 0.5, -0.25)
    assert internal_figures(np.array([]), np.array([]))["kappa"].value is None


def test_same_seed_same_draws() -> None:
    rows = np.random.default_rng(0).random((20, 3))
    whole = agreement._resampled_sums(rows, 64, seed=5)
    assert np.array_equal(whole, agreement._resampled_sums(rows, 64, seed=5))
    assert whole.mean(axis=0) == pytest.approx(rows.sum(axis=0), rel=0.1)
