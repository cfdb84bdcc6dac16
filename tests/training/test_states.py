import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.classify.features import COMPARED, FEATURES, NUCLEAR_FEATURES
from biopsy_analyzer.classify.state_model import load_state_model
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.states import fit_states, states_table, uninformed_model

SHIFTS = {  # what each state looks like, in SD of normal fibres
    "normal": {},
    "necrotic": {"macrophages_inside": 3, "mottling": 2, "map_necrotic": 2},
    "pale-fragmented": {"eosin": -4, "mottling": 2},
    "regenerating": {"haematoxylin": 4, "internal_nuclei": 2},
}


def made_table(sections: int = 8, fibres: int = 150, real: int = 2, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.choice(FIBRE_STATES, sections * fibres, p=[0.7, 0.1, 0.1, 0.1])
    table = pd.DataFrame(rng.standard_normal((len(truth), len(FEATURES))), columns=list(FEATURES))
    for state, shift in SHIFTS.items():
        for name, by in shift.items():
            table.loc[truth == state, name] += by
    number = np.repeat(np.arange(sections), fibres)
    return table.assign(section=[f"s{i}" for i in number], truth=truth, real=number < real)


def test_learns_what_was_put_in_and_says_so(tmp_path):
    model = fit_states(made_table(), tmp_path, version="1")
    fresh = made_table(seed=1)
    probability = load_state_model(tmp_path).predict(fresh)
    right = np.array(FIBRE_STATES)[probability.argmax(axis=1)] == fresh["truth"]
    assert right.mean() > 0.93
    assert abs(probability.max(axis=1).mean() - right.mean()) < 0.03  # calibrated
    images = model.card["metrics"]["real_images_left_out"]
    assert sorted(images) == ["all", "s0", "s1"]
    assert images["all"]["auc_sick"] > 0.95
    assert model.card["metrics"]["sections_left_out"]["fibres"] == 1200
    assert model.card["data"]["real_fibres"]["normal"] > 150


def test_without_nuclei_calls_stay_sensible(tmp_path):
    model = fit_states(made_table(), tmp_path, version="1")
    fresh = made_table(seed=1).assign(**dict.fromkeys(NUCLEAR_FEATURES, np.nan))
    called = np.array(FIBRE_STATES)[model.predict(fresh).argmax(axis=1)]
    assert (called == fresh["truth"]).mean() > 0.85
    assert (called[fresh["truth"] == "necrotic"] == "necrotic").mean() > 0.4


def test_without_comparison_what_the_network_says_decides(tmp_path):
    """Its own voice is as clear as the difference here, and must not be silent where there is nothing to compare with."""
    table = made_table()
    table.loc[table["truth"] == "necrotic", "seen_necrotic"] += 4
    model = fit_states(table, tmp_path, version="1")
    dead = made_table(seed=1).assign(**dict.fromkeys(COMPARED, np.nan)).query("truth in ('normal', 'necrotic')")
    dead.loc[dead["truth"] == "necrotic", "seen_necrotic"] += 4
    sick = 1 - model.predict(dead)[:, 0]
    assert (sick[dead["truth"] == "necrotic"] > 0.5).mean() > 0.7
    assert (sick[dead["truth"] == "normal"] > 0.5).mean() < 0.05


def test_same_data_same_weights(tmp_path):
    one, other = (fit_states(made_table(), tmp_path / name, version="1") for name in "ab")
    assert one.card["sha256"] == other.card["sha256"]


def test_real_fibres_weigh_more(tmp_path):
    """Real sections in which eosin means the opposite: the more they weigh, the more they are believed."""
    table = made_table()
    table.loc[table["real"], "eosin"] *= -1
    pale = pd.DataFrame([dict.fromkeys(FEATURES, 0.0) | {"eosin": 4.0}])
    belief = [fit_states(table, tmp_path / str(share), version="1", real_share=share).predict(pale)[0, 2] for share in (0.05, 0.9)]
    assert belief[0] < belief[1]


def test_a_state_only_one_section_has(tmp_path):
    table = made_table()
    table = table[(table["truth"] != "necrotic") | (table["section"] == "s5")]
    assert np.isfinite(fit_states(table, tmp_path, version="1").intercept).all()


@pytest.mark.parametrize("fault", ["a state", "sections"])
def test_too_little_to_learn_from(tmp_path, fault):
    table = made_table()
    table = table[table["truth"] != "necrotic"] if fault == "a state" else table[table["section"] == "s0"]
    with pytest.raises(UsageError):
        fit_states(table, tmp_path, version="1")


def test_states_table_keeps_known_truth_only(fibres_of):
    table = states_table("one", fibres_of(["normal"] * 3), ["necrotic", "", "unsure"], real=True)
    assert table["truth"].tolist() == ["necrotic"]
    assert set(table.columns) == {*FEATURES, "section", "truth", "real"}


def test_uninformed_model_knows_nothing():
    np.testing.assert_array_equal(uninformed_model().predict(made_table(1, 5)), 0.25)
