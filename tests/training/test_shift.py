"""Shifts of a state model on made-up fibres: found where there is one, refused where there is none, never learned by heart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.classify.features import FEATURES
from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.errors import UsageError
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


def accuracy(model: StateModel, table: pd.DataFrame) -> float:
    return float((np.array(FIBRE_STATES)[model.predict(table).argmax(axis=1)] == table["truth"]).mean())


def test_another_threshold_is_found_and_helps_on_fresh_sections():
    other = np.array([0.0, 0, 0, 0])  # this laboratory calls fibres sick much sooner
    model, report = shift_states(fibres(6, 100, other), parent())
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


def test_overconfidence_is_taken_back():
    """By the fit, and the held-out log loss says so; whether it is kept hangs on chance, for right calls are as many before as after."""
    table = fibres(6, 60, parent().intercept, sharpness=0.4)
    model = fit_shift(table, np.ones(len(table)), parent(), Choice("level", 10.0))
    assert np.abs(model.above).max() < 0.75 * 4
    _, report = shift_states(table, parent())
    assert report["chosen"]["kind"] == "level"
    assert report["held_out"]["log_loss_change"]["ci95"][1] < 0


@pytest.mark.parametrize("seed", range(2))
def test_a_laboratory_like_the_parents_keeps_the_parent(seed):
    model, report = shift_states(fibres(5, 30, parent().intercept, seed), parent())
    fresh = fibres(4, 400, parent().intercept, seed=99)
    assert accuracy(model, fresh) > accuracy(parent(), fresh) - 0.01
    assert report["kept_parent"]
    assert np.array_equal(model.above, parent().above)
    assert "parent is kept" in report["why"]


def test_noise_is_not_learned_by_heart():
    """Calls that have nothing to do with the fibres: hardly ever may a shift claim to gain by features (one standard error: one in six)."""
    reports = []
    for seed in range(1, 5):
        table = fibres(5, 12, parent().intercept, seed)
        table["truth"] = np.random.default_rng(seed).choice(FIBRE_STATES, len(table))
        reports.append(shift_states(table, parent())[1])
    assert sum(report["chosen"]["kind"] == "slopes" and not report["kept_parent"] for report in reports) <= 1
    assert all(report["held_out"]["after"]["accuracy"]["value"] < 0.45 for report in reports)


def test_two_sections_are_told_apart_from_many():
    report = shift_states(fibres(2, 60, np.zeros(4)), parent())[1]
    assert "same sections" in report["held_out"]["by"]


def test_a_fibre_that_was_not_measured_teaches_nothing():
    """Without stain and maps every fibre looks ordinary: taught as sick, it would say that ordinary fibres are sick."""
    table = fibres(5, 60, np.zeros(4))
    blind = table.head(80).assign(truth="necrotic", **{name: np.nan for name in FEATURES if name != "size"})
    model, report = shift_states(pd.concat([blind, table]), parent())
    alone, wanted = shift_states(table, parent())
    np.testing.assert_array_equal(model.intercept, alone.intercept)
    assert report["fibres"].pop("not_measured") == 80
    assert wanted["fibres"].pop("not_measured") == 0
    assert report == wanted
    with pytest.raises(UsageError, match=r"0 fibres called by a reader .* beside 80 with outlines by hand"):
        shift_states(blind, parent())


def test_a_shift_that_reads_more_calls_wrong_is_not_taken():
    """A few glaring contradictions make the parent less sure, which is a gain, and its narrow but right calls wrong, which is none."""
    rng = np.random.default_rng(0)
    mottling = np.repeat([15.0, 1.2, 0.9], (20, 40, 60)) + rng.normal(0, 0.01, 120)
    table = pd.DataFrame({name: np.zeros(120) for name in FEATURES}).assign(mottling=mottling)
    truth = np.repeat(["normal", "necrotic", "normal"], (20, 40, 60))
    before = (np.array(FIBRE_STATES)[parent().predict(table).argmax(axis=1)] == truth).mean()
    table = table.assign(section=[f"s{k % 5}" for k in range(120)], truth=truth, decided=True)
    model, report = shift_states(table, parent())
    held_out = report["held_out"]
    assert held_out["log_loss_change"]["ci95"][1] < 0
    assert held_out["after"]["accuracy_of_decided"]["value"] < before == held_out["before"]["accuracy_of_decided"]["value"]
    assert report["kept_parent"]
    assert model.card == parent().card
    assert np.array_equal(model.intercept, parent().intercept)
    assert "of the reader's calls held out fewer are right, 0.833 before" in report["why"]
    assert report["why"].endswith("the parent is kept")


@pytest.mark.parametrize("fault", ["few", "one state"])
def test_too_few_are_refused_with_what_is_wanted(fault):
    table = fibres(2, 30, np.zeros(4))
    table = table.head(15) if fault == "few" else table[table["truth"] == "necrotic"].head(25)
    with pytest.raises(UsageError, match="too few corrections"):
        shift_states(table, parent())


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
    scale = model.above[1].max() / 4
    offset = model.intercept - scale * parent().intercept

    def cost(log_scale: float, b: np.ndarray) -> float:
        p = np.exp(np.exp(log_scale) * base + b)
        p /= p.sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(len(codes)), codes]).sum() + 1.5 * (log_scale**2 + (b**2).sum())

    best = cost(np.log(scale), offset)
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert cost(np.log(scale) + rng.normal(0, 0.02), offset + rng.normal(0, 0.02, 4)) > best


def test_same_corrections_same_model():
    table = fibres(5, 40, np.zeros(4))
    (one, first), (other, second) = shift_states(table, parent()), shift_states(table, parent())
    np.testing.assert_array_equal(one.intercept, other.intercept)
    assert first == second
