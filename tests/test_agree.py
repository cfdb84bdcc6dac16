"""Agreement against published worked examples and second implementations."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from biopsy_analyzer.agree import Estimate, agreement, agreement_text, as_json, bland_altman, icc, kappa_of, read_ratings
from biopsy_analyzer.errors import UsageError

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
"""Table 2 of Shrout & Fleiss 1979: six targets, four judges."""

WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
"""Peak flow by two meters, first measurements: table 1 of Bland & Altman 1986."""


def test_icc_of_shrout_and_fleiss() -> None:
    found = icc(SHROUT_FLEISS)
    assert found.value == pytest.approx(0.29, abs=0.005)  # their table 4
    assert found.ci95 == pytest.approx((0.019, 0.761), abs=0.001)  # R package psych on the same table


def test_icc_is_that_of_an_analysis_of_variance() -> None:
    """statsmodels' mean squares of the two-way model, put into Shrout & Fleiss' formula."""
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    values = np.random.default_rng(0).normal(5, 2, (7, 3)) + np.arange(7)[:, None]
    slide, rater = (index.ravel() for index in np.indices(values.shape))
    table = anova_lm(ols("value ~ C(slide) + C(rater)", pd.DataFrame({"value": values.ravel(), "slide": slide, "rater": rater})).fit())
    between, raters, error = (table["mean_sq"][name] for name in ("C(slide)", "C(rater)", "Residual"))
    assert icc(values).value == pytest.approx((between - error) / (between + 2 * error + 3 * (raters - error) / 7))


def test_icc_where_there_is_nothing_to_tell() -> None:
    assert icc(np.ones((5, 2))).value is None
    assert icc(SHROUT_FLEISS[:1]).value is None
    assert icc(np.array([[1.0, 5.0]] * 3)).value is None  # every slide the same to each rater
    same = icc(np.repeat(np.arange(5.0)[:, None], 2, axis=1))
    assert (same.value, same.ci95) == (pytest.approx(1), None)


def test_limits_of_agreement_of_bland_and_altman() -> None:
    bias, lower, upper = bland_altman(np.array(MINI), np.array(WRIGHT))
    assert bias.value == pytest.approx(-2.1, abs=0.05)
    assert (upper.value - lower.value) / (2 * 1.96) == pytest.approx(38.8, abs=0.05)
    assert bias.ci95 == pytest.approx((-22.0, 17.8), abs=0.1)  # theirs, by t of 16 degrees
    assert bland_altman(np.array([1.0, 2.0]), np.array([1.0, 3.0]))[0].value is None
    assert bland_altman(np.arange(4.0), np.arange(4.0))[0].ci95 == (0, 0)


def test_kappa_of_two_psychologists() -> None:
    """Fleiss, Levin & Paik, table 18.1: 100 subjects in three classes, kappa 0.68."""
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    one, other = (np.repeat(side.ravel(), table.ravel()) for side in np.indices(table.shape))
    found = kappa_of(one, other, weighted=False)
    assert found.value == pytest.approx(0.68, abs=0.005)
    assert found.ci95 is not None
    assert found.ci95[0] < 0.68 < found.ci95[1]


def test_weighted_kappa_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(0)
    one = rng.choice([0, 1, 3], 60)  # nobody gave grade 2: it counts as a step all the same
    other = np.clip(one + rng.choice([-1, 0, 0, 1], 60), 0, 3)
    assert kappa_of(one, other, weighted=True).value == pytest.approx(
        cohen_kappa_score(one, other, weights="quadratic", labels=[0, 1, 2, 3])
    )
    assert kappa_of(np.ones(5), np.ones(5), weighted=True).value is None


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("other", [[2.0, 2.0, 2.0], [1.0, 2.0, 1.0]])
def test_who_always_says_the_same_agrees_by_chance(other: list[float], weighted: bool) -> None:
    assert kappa_of(np.ones(3), np.array(other), weighted) == Estimate(0.0, None)


def test_remarks_are_no_classes() -> None:
    remarks = np.array([f"remark {i}" for i in range(60)])
    assert kappa_of(remarks, remarks, weighted=False).value is None


def test_few_numbers_far_apart_need_no_table_of_all_between() -> None:
    """Two fibre counts a rater look like grades; a table of every whole number between them would not fit into any memory."""
    assert kappa_of(np.array([0.0, 9e5]), np.array([0.0, 9e5]), weighted=True).value == pytest.approx(1)


def test_opposite_ratings_have_no_icc() -> None:
    assert icc(np.array([[1.0, 2.0], [2.0, 1.0]])).value is None


def ratings(**values: dict[str, list[object]]) -> pd.DataFrame:
    rows = [
        (rater, f"s{i}", item, str(value))
        for rater, items in values.items()
        for item, of_slides in items.items()
        for i, value in enumerate(of_slides)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["rater", "slide_id", "item", "value"])


def test_items_get_what_suits_them() -> None:
    table = ratings(
        ann={"necrotic_percent": [1, 5, 10.5, 20], "inflammation": [0, 1, 2, 3], "pattern": ["mixed", "inactive", "mixed", "inactive"]},
        bob={"necrotic_percent": [2, 4, 12, 18], "inflammation": [0, 1, 3, None], "pattern": ["mixed", "mixed", "mixed", "inactive"]},
    )
    grades, percent, pattern = agreement(table)
    assert (grades.item, grades.slides, grades.left_out) == ("inflammation", 3, 1)
    assert grades.pairs[0].kappa is not None
    assert grades.icc21 is not None
    assert (percent.pairs[0].kappa, pattern.icc21) == (None, None)
    assert percent.pairs[0].bias is not None
    assert percent.pairs[0].bias.value == pytest.approx(-0.125)
    assert pattern.pairs[0].kappa is not None
    assert pattern.pairs[0].kappa.value == pytest.approx(0.5)
    text = agreement_text([grades, percent, pattern])
    assert "ICC(2,1)" in text
    assert "inflammation: 3 slides, 2 raters (ann, bob), 1 left out" in text
    json.dumps(as_json([grades, percent, pattern]), allow_nan=False)


def test_an_item_without_a_common_slide_says_no_more() -> None:
    found = agreement(ratings(a={"x": [1, 2], "y": [1, None]}, b={"x": [1, 2], "y": [None, 1]}))
    assert agreement_text(found).splitlines()[-1] == "y: 0 slides, 2 raters (a, b), 2 left out, not rated by all"


def test_three_raters_are_three_pairs() -> None:
    (found,) = agreement(ratings(a={"x": [1, 2, 3]}, b={"x": [1, 2, 4]}, c={"x": [2, 2, 3]}))
    assert [pair.raters for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (ratings(a={"x": [1, 2]}), "one rater only"),
        (ratings(a={"x": [1]}, b={"y": [1]}), "no item was rated by two raters"),
        (ratings(a={"x": [1, None]}, b={"x": [None, 1]}), r"no slide was rated by all raters of an item \(a s0; b s1, \.\.\.\)"),
        (pd.concat([ratings(a={"x": [1]}), ratings(a={"x": [2]}, b={"x": [1]})]), "a rates x of s0 twice"),
        (ratings(a={"x": [1, 2]}, b={"x": [1, "about 2"]}), "b rates x of s1 'about 2', other ratings of it are numbers"),
        (ratings(a={"x": [1, 2]}, b={"x": [1, "nan"]}), "b rates x of s1 'nan', other ratings"),
        (ratings(a={"x": [1, 1e308]}, b={"x": [1, 2]}), r"a rates x of s1 '1e\+308', .*numbers to 1e\+09 are wanted"),
    ],
)
def test_what_cannot_be_compared_is_said(table: pd.DataFrame, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        agreement(table)


def test_files_are_read_or_refused(tmp_path) -> None:
    path = tmp_path / "ann.csv"
    path.write_text("slide_id,item,value\ns1,x,1\ns2,x,\n")
    assert read_ratings(path)["rater"].tolist() == ["ann"]
    for content, told in (
        ("a,b\n1,2\n", "its first line lacks slide_id, item, value, found a, b"),
        ("slide_id,item,value\n", "no rating in it"),
        ("", "its first line lacks slide_id, item, value, found nothing"),
        ("slide_id,item,value\ns1,x,1,2\n", r"ann\.csv, line 2: 4 cells where the first line has 3"),
        ("slide_id,item,value\ns1,x\n", "line 2: 2 cells"),
        ("slide_id,item,value,value\ns1,x,1,2\n", "two columns 'value'"),
        ("slide_id,item,value\n,x,1\n", "line 2: no slide_id for the value '1'"),
        ("slide_id,item,value\ns1,x,1\ns1,x,1\n", "ann rates x of s1 twice"),
    ):
        path.write_text(content)
        with pytest.raises(UsageError, match=told):
            read_ratings(path)
    path.write_bytes("slide_id;item;value;note\ns1;x;2;,\n".encode("utf-16"))
    assert read_ratings(path)["value"].tolist() == ["2"]
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match=r"ann\.csv"):
        read_ratings(path)
    with pytest.raises(UsageError, match="can't be read"):
        read_ratings(tmp_path / "nobody.csv")


def test_the_command(tmp_path) -> None:
    for rater, shift in (("a", 0), ("b", 1)):
        lines = [f"s{i},necrotic_percent,{i * 3.5 + shift}" for i in range(6)]
        (tmp_path / f"{rater}.csv").write_text("\n".join(["slide_id,item,value", *lines]))
    command = [sys.executable, "-m", "biopsy_analyzer", "agree", "a.csv", "b.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "necrotic_percent: 6 slides, 2 raters (a, b)" in done.stdout
    assert "bias 1 (1 to 1)" in done.stdout
    parsed = json.loads(subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    assert parsed[0]["pairs"][0]["bias"]["value"] == pytest.approx(1)
    refused = subprocess.run(command[:-1], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
