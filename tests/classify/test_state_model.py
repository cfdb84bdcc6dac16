import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.classify.features import FEATURES
from biopsy_analyzer.classify.state_model import StateModel, load_state_model, save_state_model
from biopsy_analyzer.errors import ModelError
from biopsy_analyzer.tables import FIBRE_STATES


def small_model() -> StateModel:
    """Two features; `a` above its center speaks for necrotic by 2 a unit, below it for pale-fragmented by 1 a unit."""
    below, above = np.zeros((4, 2)), np.zeros((4, 2))
    above[1, 0], below[2, 0] = 2.0, -1.0
    return StateModel(("a", "b"), np.array([1.0, 0.0]), np.array([0.5, 1.0]), below, above, np.zeros(4), {"name": "small", "version": "1"})


def test_probabilities_by_hand():
    """Standardised `a` is +2, -1, far beyond the limit of 20, missing: compressed log 3, -log 2, log 21, 0."""
    p = small_model().predict(pd.DataFrame({"b": [0.0, 0.0, 0.0, 9.0], "a": [2.0, 0.5, 1e6, np.nan]}))
    np.testing.assert_allclose(p[0, 1], 9 / (9 + 3))
    np.testing.assert_allclose(p[1, 2], 2 / (2 + 3))
    np.testing.assert_allclose(p[2, 1], 441 / (441 + 3))
    np.testing.assert_allclose(p[3], 0.25)


def test_contributions_are_exact():
    model, features = small_model(), pd.DataFrame({"a": [1.7], "b": [0.0]})
    odds = model.contributions(features).sum(axis=2)
    np.testing.assert_allclose(np.exp(odds) / np.exp(odds).sum(), model.predict(features))


def test_columns_by_name():
    with pytest.raises(KeyError):
        small_model().predict(pd.DataFrame({"a": [1.0]}))
    assert small_model().predict(pd.DataFrame({"a": [], "b": []})).shape == (0, 4)


def test_round_trip(tmp_path):
    model = small_model()
    model = replace(model, above=np.asfortranarray(model.above + np.arange(8.0).reshape(4, 2)))  # strides must not matter
    written = save_state_model(model, tmp_path / "states")
    read = load_state_model(tmp_path / "states")
    assert read.features == model.features
    assert read.card == written.card
    features = pd.DataFrame({"a": [0.3, 4.0], "b": [1.0, 2.0]})
    np.testing.assert_array_equal(read.predict(features), model.predict(features))


@pytest.mark.parametrize(
    "fault", ["bit", "cut", "no card", "no weights", "other states", "not json", "nested", "no version", "name", "pickle", "nan"]
)
def test_damage_is_refused(tmp_path, fault):
    save_state_model(small_model(), tmp_path)
    weights, card = tmp_path / "weights.safetensors", tmp_path / "card.json"
    content, facts = weights.read_bytes(), json.loads(card.read_text())
    if fault == "bit":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif fault == "cut":
        weights.write_bytes(content[:-8])
    elif fault == "no card":
        card.unlink()
    elif fault == "no weights":
        weights.unlink()
    elif fault == "other states":
        card.write_text(json.dumps(facts | {"states": ["normal", "sick", "x", "y"]}))
    elif fault == "not json":
        card.write_text("[")
    elif fault == "nested":
        card.write_text("[" * 100_000)
    elif fault == "no version":
        card.write_text(json.dumps({key: fact for key, fact in facts.items() if key != "version"}))
    elif fault == "name":
        card.write_text(json.dumps(facts | {"name": 1}))
    elif fault == "pickle":
        import hashlib
        import pickle

        weights.write_bytes(pickle.dumps([1]))
        card.write_text(json.dumps(facts | {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}))
    else:
        model = small_model()
        model.intercept[0] = np.nan
        save_state_model(model, tmp_path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_state_model(tmp_path)


def test_states_and_features_are_the_package_s_own():
    assert len(set(FEATURES)) == len(FEATURES)
    assert FIBRE_STATES[0] == "normal"
