"""Shifts of a state model on made-up fibres: found where there is one, refused where there is none, never learned by heart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.classify.features import COMPARED, FEATURES
from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.shift import Choice, fit_shift, shift_states

F = len(FEATURES)


def parent() -> StateModel:
    """Necrotic by mottling, pale by eosin, regenerating by haematoxylin."""
    above, below = np.zeros((4, F)), np.zeros((4, F))
    above[1, FEATURES.index("mottling")] = 4
    below[2, FEATURES.index("eosin")] = -4
    above[3, FEATURES.index("haematoxylin")] = 4
    return StateModel(FEATURES, np.zeros(F), np.ones(F), below, above, np.array([3.0, 0, 0, 0]), {"name": "parent"})


def fibres(sections: int, n: int, intercept: np.ndarray, seed: int = 0, sharpness: float = 1.0) -> pd.DataFrame:
    """Fibres called as the parent would with another intercept."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.standard_normal((sections * n, F)) * 1.5, columns=list(FEATURES))
    model = parent()
    logits = sharpness * (model.contributions(table).sum(axis=2) + intercept)
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    section = [f"s{k}" for k in np.repeat(np.arange(sections), n)]
    return table.assign(section=section, truth=np.array(FIBRE_STATES)[truth], decided=True)


def known() -> pd.DataFrame:
    """Drawn fibres, so to say, whose truth is as the parent calls them."""
    return fibres(1, 300, parent().intercept, seed=77)


def decided_as(calls: dict[str, list[tuple[str, int]]], untouched: int = 60) -> pd.DataFrame:
    """Ordinary fibres, which the parent calls normal: in each section so many that the reader calls a state, and `untouched` others."""
    rng = np.random.default_rng(1)
    rows = [(section, state, True) for section, told in calls.items() for state, n in told for _ in range(n)]
    rows += [(section, "normal", False) for section in calls for _ in range(untouched)]
    table = pd.DataFrame(rng.normal(0, 0.2, (len(rows), F)), columns=list(FEATURES))
    section, truth, decided = zip(*rows, strict=True)
    return table.assign(section=section, truth=truth, decided=decided)


def accuracy(model: StateModel, table: pd.DataFrame) -> float:
    return float((np.array(FIBRE_STATES)[model.predict(table).argmax(axis=1)] == table["truth"]).mean())


def test_another_threshold_is_found_and_helps_on_fresh_sections():
    other = np.array([0.0, 0, 0, 0])  # this laboratory calls fibres sick much sooner
    model, report = shift_states(fibres(6, 100, other), parent(), known()[:0])  # no drawn fibre speaks against it
    assert not report["kept_parent"]
    assert report["chosen"]["kind"] == "level"
    assert report["held_out"]["by"] == "sections"
    change = report["held_out"]["log_loss_change"]
    assert change["ci95"][0] < change["value"] < change["ci95"][1] < 0
    fresh = fibres(4, 400, other, seed=9)
    assert accuracy(model, fresh) > accuracy(parent(), fresh) + 0.05
    # what was said of held-out fibres holds for fresh ones
    assert report["held_out"]["after"]["accuracy"]["value"] == pytest.approx(accuracy(model, fresh), abs=0.06)
    assert report["held_out"]["before"]["accuracy"]["value"] == pytest.approx(accuracy(parent(), fresh), abs=0.06)


@pytest.mark.parametrize("seed", range(2))
def test_a_laboratory_like_the_parents_keeps_the_parent(seed):
    model, report = shift_states(fibres(5, 30, parent().intercept, seed), parent(), known())
    fresh = fibres(4, 400, parent().intercept, seed=99)
    assert accuracy(model, fresh) > accuracy(parent(), fresh) - 0.01
    assert report["kept_parent"]
    assert np.array_equal(model.above, parent().above)
    assert "is kept" not in report["why"]  # said once, by who prints it


def test_noise_is_not_learned_by_heart():
    """Calls that have nothing to do with the fibres: hardly ever may a shift claim to gain by features (one standard error: one in six)."""
    reports = []
    for seed in range(1, 5):
        table = fibres(5, 12, parent().intercept, seed)
        table["truth"] = np.random.default_rng(seed).choice(FIBRE_STATES, len(table))
        reports.append(shift_states(table, parent(), known())[1])
    assert sum(report["chosen"]["kind"] == "slopes" and not report["kept_parent"] for report in reports) <= 1
    assert all(report["held_out"]["after"]["accuracy"]["value"] < 0.45 for report in reports)


def test_two_sections_are_told_apart_from_many():
    report = shift_states(fibres(2, 60, np.zeros(4)), parent(), known())[1]
    assert "same sections" in report["held_out"]["by"]


def test_a_fibre_that_was_not_measured_teaches_nothing():
    """Without stain and maps every fibre looks ordinary: taught as sick, it would say that ordinary fibres are sick."""
    table = fibres(5, 60, np.zeros(4))
    blind = table.head(80).assign(truth="necrotic", **{name: np.nan for name in FEATURES if name != "size"})
    model, report = shift_states(pd.concat([blind, table]), parent(), known())
    alone, wanted = shift_states(table, parent(), known())
    np.testing.assert_array_equal(model.intercept, alone.intercept)
    assert report["fibres"].pop("not_measured") == 80
    assert wanted["fibres"].pop("not_measured") == 0
    assert report == wanted
    kept, report = shift_states(blind, parent(), known())
    assert np.array_equal(kept.intercept, parent().intercept)
    assert report["held_out"] is None
    assert "0 fibres called by a reader, beside 80 with outlines by hand" in report["why"]


def test_a_half_without_stain_teaches_nothing_but_a_section_without_comparison_does():
    """Of a fibre split by hand the network's view is known and the stain is not; in a section without ordinary fibres no stain is."""
    table = fibres(2, 30, np.zeros(4))
    table.loc[[0, 1, 2], ["eosin", "haematoxylin"]] = np.nan
    assert shift_states(table, parent(), known())[1]["fibres"]["not_measured"] == 3
    table.loc[table["section"] == "s0", list(COMPARED)] = np.nan
    assert shift_states(table, parent(), known())[1]["fibres"]["not_measured"] == 0


def test_a_shift_that_reads_more_calls_wrong_is_not_taken():
    """A few glaring contradictions make the parent less sure, which is a gain, and its narrow but right calls wrong, which is none."""
    rng = np.random.default_rng(0)
    mottling = np.repeat([15.0, 1.2, 0.9], (20, 40, 60)) + rng.normal(0, 0.01, 120)
    table = pd.DataFrame({name: np.zeros(120) for name in FEATURES}).assign(mottling=mottling)
    truth = np.repeat(["normal", "necrotic", "normal"], (20, 40, 60))
    before = (np.array(FIBRE_STATES)[parent().predict(table).argmax(axis=1)] == truth).mean()
    table = table.assign(section=[f"s{k % 5}" for k in range(120)], truth=truth, decided=True)
    model, report = shift_states(table, parent(), known())
    held_out = report["held_out"]
    assert held_out["log_loss_change"]["ci95"][1] < 0
    assert held_out["after"]["accuracy_of_decided"]["value"] < before == held_out["before"]["accuracy_of_decided"]["value"]
    assert report["kept_parent"]
    assert model.card == parent().card
    assert np.array_equal(model.intercept, parent().intercept)
    assert "of the reader's calls held out fewer are right, 0.833 before" in report["why"]
    assert report["kept_parent"]


def test_too_few_calls_fit_nothing():
    model, report = shift_states(fibres(2, 30, np.zeros(4)).head(19), parent(), known())
    assert np.array_equal(model.intercept, parent().intercept)
    assert report["kept_parent"]
    assert report["held_out"] is None
    assert report["why"] == "too few corrections: 19 fibres called by a reader; wanted at least 20. Correct more sections"


def test_nothing_at_all_fits_nothing():
    report = shift_states(fibres(1, 1, np.zeros(4))[:0], parent(), known())[1]
    assert "too few corrections: 0 fibres" in report["why"]


@pytest.mark.parametrize("sections", [2, 5])
def test_a_reader_who_only_agrees_changes_nothing(sections):
    """Sixty of a section's ordinary fibres confirmed: no ground to be surer than before."""
    model, report = shift_states(decided_as({f"s{k}": [("normal", 60)] for k in range(sections)}), parent(), known())
    assert report["kept_parent"]
    assert np.array_equal(model.above, parent().above)
    assert np.array_equal(model.intercept, parent().intercept)
    assert f"calls 0 of {60 * sections} fibres otherwise than the parent; wanted at least 5" in report["why"]


def test_calls_that_nobody_made_are_no_evidence():
    """Whatever stands on fibres left as called, figures of the reader's calls before the shift stay as they are, to the last bit."""
    table = decided_as({"a": [("normal", 20), ("necrotic", 10)], "b": [("normal", 30)]})
    other = table.assign(truth=np.where(table["decided"], table["truth"], "necrotic"))
    reports = [shift_states(one, parent(), known())[1]["held_out"]["before"] for one in (table, other)]
    for name in ("log_loss", "accuracy_of_decided", "calibration_error"):
        assert reports[0][name]["value"] == reports[1][name]["value"]
    assert reports[0]["accuracy_of_decided"]["value"] == 50 / 60
    # by weight: 50 right of 60 calls, and of 120 calls left standing, of a fifth each, all or none
    assert reports[0]["accuracy"]["value"] == pytest.approx((50 + 24) / 84)
    assert reports[1]["accuracy"]["value"] == pytest.approx(50 / 84)


def test_ordinary_fibres_called_sick_are_not_followed():
    """One section, forty plain fibres called necrotic: its own held-out calls gain, and drawn sections would be called necrotic."""
    model, report = shift_states(decided_as({"a": [("necrotic", 40)]}), parent(), known())
    assert report["held_out"]["log_loss_change"]["ci95"][1] < 0
    assert np.array_equal(model.intercept, parent().intercept)
    assert report["known"]["after"]["normal_called_sick"] > report["known"]["before"]["normal_called_sick"] + 0.02
    assert "on drawn sections the share of normal fibres called sick rises" in report["why"]
    assert report["kept_parent"]


def test_sections_that_contradict_each_other_are_said_to():
    calls = {f"s{k}": [("necrotic" if k % 2 else "regenerating", 40)] for k in range(4)}
    model, report = shift_states(decided_as(calls), parent(), known()[:0])  # not even drawn fibres speak against it
    before, after = (report["held_out"][when]["accuracy"]["value"] for when in ("before", "after"))
    assert after < before
    assert np.array_equal(model.intercept, parent().intercept)
    assert "of all calls held out fewer are right" in report["why"]
    assert "corrections contradict each other" in report["why"]


def test_a_shift_has_no_temperature():
    """Slopes of a shift of the level are the parent's."""
    table = fibres(4, 60, np.zeros(4), sharpness=0.3)
    model = fit_shift(table, np.ones(len(table)), parent(), Choice("level", 1.0))
    assert np.array_equal(model.above, parent().above)
    assert not np.array_equal(model.intercept, parent().intercept)


def test_fibres_left_as_called_hold_the_model_back():
    """Corrections alone are a sample of errors; what the reader let stand says that most calls were right."""
    rng = np.random.default_rng(3)
    table = fibres(1, 400, parent().intercept, 5)
    called = np.array(FIBRE_STATES)[parent().predict(table).argmax(axis=1)]
    table = table.assign(truth=called, decided=False)
    wrong = rng.choice(np.flatnonzero(called == "normal"), 25, replace=False)
    table.loc[wrong, "truth"], table.loc[wrong, "decided"] = "necrotic", True
    alone = fit_shift(table.iloc[wrong], np.ones(25), parent(), Choice("level", 3.0))
    model = fit_shift(table, np.where(table["decided"], 1.0, 0.2), parent(), Choice("level", 3.0))
    assert alone.intercept[1] - alone.intercept[0] > model.intercept[1] - model.intercept[0] + 1


def test_the_fit_is_the_minimum_that_a_slow_search_finds():
    table = fibres(2, 40, np.zeros(4))
    weight = np.ones(len(table))
    model = fit_shift(table, weight, parent(), Choice("level", 3.0))
    codes = table["truth"].map({s: k for k, s in enumerate(FIBRE_STATES)}).to_numpy()
    base = parent().contributions(table).sum(axis=2) + parent().intercept
    offset = model.intercept - parent().intercept

    def cost(b: np.ndarray) -> float:
        p = np.exp(base + b)
        p /= p.sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(len(codes)), codes]).sum() + 1.5 * (b**2).sum()

    best = cost(offset)
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert cost(offset + rng.normal(0, 0.02, 4)) > best


def test_same_corrections_same_model():
    table = fibres(5, 40, np.zeros(4))
    (one, first), (other, second) = shift_states(table, parent(), known()), shift_states(table, parent(), known())
    np.testing.assert_array_equal(one.intercept, other.intercept)
    assert first == second
