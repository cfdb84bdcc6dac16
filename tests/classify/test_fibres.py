import numpy as np
import pandas as pd

from biopsy_analyzer.classify.features import FEATURES
from biopsy_analyzer.classify.fibres import classify_fibres, mark_cut_edge, mark_hidden
from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.settings import ClassifySettings
from biopsy_analyzer.tables import FIBRE_STATES, FIBRES, typed

SETTINGS = ClassifySettings()


def model_by_hand() -> StateModel:
    """Pale or eaten fibres are necrotic, blue ones with internal nuclei regenerate."""
    f = len(FEATURES)
    below, above = np.zeros((4, f)), np.zeros((4, f))
    below[1, FEATURES.index("eosin")] = -20
    above[1, FEATURES.index("macrophages_inside")] = 4
    above[3, FEATURES.index("haematoxylin")] = 30
    return StateModel(FEATURES, np.zeros(f), np.ones(f), below, above, np.array([3.0, 0, -2, 0]), {})


def section(fibres_of):
    """1..10 ordinary; 11 pale; 12 pale and eaten by three macrophages; 13 blue."""
    return fibres_of(
        ["normal"] * 13,
        map_normal=[0.9] * 10 + [0.3] * 3,
        eosin_od=[0.3] * 10 + [0.18, 0.2, 0.3],
        haematoxylin_od=[0.1] * 12 + [0.2],
    )


def eaten(nuclei_of):
    return nuclei_of(["macrophage"] * 3, fibre_id=12, depth_um=8.0)


def test_states_and_reasons(fibres_of, nuclei_of):
    found = typed(classify_fibres(section(fibres_of), eaten(nuclei_of), model_by_hand(), SETTINGS), FIBRES)
    assert found["state"].tolist() == ["normal"] * 10 + ["necrotic", "necrotic", "regenerating"]
    assert found["reason"][0] == "like the ordinary fibres of the section"
    assert found["reason"][10] == "pale: eosin 0.12 OD below ordinary fibres"
    assert "3 macrophages inside" in found["reason"][11]
    assert found["reason"][12] == "basophilic: haematoxylin 0.10 OD above ordinary fibres"
    assert found["assessable"].all()


def test_without_ordinary_fibres_a_normal_one_is_not_said_to_be_like_them(fibres_of, nuclei_of):
    """Pale ones are not paler than ordinary ones then; what eats them still tells."""
    found = classify_fibres(section(fibres_of).assign(map_normal=0.4), eaten(nuclei_of), model_by_hand(), SETTINGS)
    assert found["state"].tolist() == ["normal"] * 11 + ["necrotic", "normal"]
    assert found["reason"][10] == "looks normal to the network (0.40), in a section without ordinary fibres"
    assert found["reason"][11] == "3 macrophages inside; may be normal (0.37)"


def test_without_ordinary_fibres_nothing_is_told_of_them_and_what_the_network_says_is_not_turned_round(fibres_of):
    model = model_by_hand()
    model.above[1, FEATURES.index("seen_necrotic")] = 2  # times ln(1 + log odds): 2.6 of a map of 0.93, beside the 3 of normal
    fibres = section(fibres_of).assign(map_normal=[0.4] * 10 + [0.07, 0.0, 0.15], map_necrotic=[0.01] * 10 + [0.93, 1.0, 0.5])
    reasons = classify_fibres(fibres, None, model, SETTINGS)["reason"]
    assert reasons[0] == "looks normal to the network (0.40), in a section without ordinary fibres"
    assert reasons[11] == "network: necrotic 1.00, in a section without ordinary fibres"
    assert reasons[12] == "called normal (0.90) though the network says necrotic 0.50, in a section without ordinary fibres"
    said_once = "called normal (0.59) though the network says necrotic 0.93; may be necrotic (0.38): "
    assert reasons[10] == f"{said_once}network: necrotic 0.93, in a section without ordinary fibres"
    assert not any("in ordinary fibres" in reason or "than ordinary fibres" in reason for reason in reasons)


def test_a_difference_that_no_eye_sees_has_no_word(fibres_of):
    model = model_by_hand()
    model.above[1, FEATURES.index("eosin")] = 100
    fibres = section(fibres_of).assign(eosin_od=[0.3] * 10 + [0.33, 0.36, 0.3], haematoxylin_od=0.1)
    reasons = classify_fibres(fibres, None, model, SETTINGS)["reason"]
    assert reasons[10] == "eosin 0.03 OD above ordinary fibres"
    assert reasons[11] == "dense: eosin 0.06 OD above ordinary fibres"


def test_a_fibre_cut_by_the_image_keeps_its_state_and_says_so(fibres_of, nuclei_of):
    whole, cut = (
        classify_fibres(section(fibres_of).assign(touches_border=at_edge), eaten(nuclei_of), model_by_hand(), SETTINGS)
        for at_edge in (False, True)
    )
    assert cut["state"].tolist() == whole["state"].tolist()
    assert cut["assessable"].all()
    assert (cut["reason"] == whole["reason"] + "; cut by the edge of the image: its size is unknown").all()


def test_what_says_the_same_is_told_once(fibres_of, nuclei_of):
    model = model_by_hand()
    for name in ("eosin_ratio", "eosin_spreads"):
        model.below[1, FEATURES.index(name)] = -5
    found = classify_fibres(section(fibres_of), eaten(nuclei_of), model, SETTINGS)
    assert found["reason"][10] == "pale: eosin 0.12 OD below ordinary fibres"


def test_reasons_of_a_call_are_its_own(fibres_of, nuclei_of):
    """What the network thinks of another state is no reason, a low map is told against the ordinary one, a close second is named."""
    model = model_by_hand()
    model.above[3, FEATURES.index("map_pale_fragmented")] = 9
    model.above[3, FEATURES.index("map_regenerating")] = 1
    fibres = section(fibres_of).assign(map_pale_fragmented=[0.01] * 12 + [0.2], map_regenerating=[0.01] * 12 + [0.06])
    found = classify_fibres(fibres, nuclei_of(["internal"] * 2, fibre_id=[1, 13], depth_um=8.0), model, SETTINGS)
    assert "pale-fragmented" not in found["reason"][12]
    assert "network: regenerating 0.06, in ordinary fibres 0.01" in found["reason"][12]
    assert found["reason"][0] == "like the ordinary fibres of the section; 1 internal nucleus"
    model.intercept[3] = 2.5  # as likely as not: normal 3, regenerating 2.5
    doubted = classify_fibres(fibres, None, model, SETTINGS)["reason"][1]
    assert doubted.startswith("nearer to the ordinary fibres of the section than to any damage; may be regenerating (0.3")


def test_probability_is_that_of_the_state(fibres_of, nuclei_of):
    found = classify_fibres(section(fibres_of), eaten(nuclei_of), model_by_hand(), SETTINGS)
    p = found[[f"p_{state.replace('-', '_')}" for state in FIBRE_STATES]].to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(p.max(axis=1), found["probability"])


def test_small_and_unsure_fibres_are_unassessable_cut_ones_are_not(fibres_of):
    fibres = section(fibres_of)
    fibres.loc[0, "area_um2"] = 99.0
    fibres.loc[1, "touches_border"] = True
    found = classify_fibres(fibres, None, model_by_hand(), SETTINGS)
    assert found["assessable"].tolist() == [False] + [True] * 12
    assert found["reason"][0].startswith("unassessable, too small (99 um2)")
    doubtful = classify_fibres(fibres, None, model_by_hand(), ClassifySettings(min_probability=1.0))
    assert not doubtful["assessable"].any()
    assert "unsure" in doubtful["reason"][1]


def test_what_ink_or_a_fold_hides_is_unassessable_and_says_so(fibres_of):
    found = classify_fibres(section(fibres_of), None, model_by_hand(), SETTINGS)
    under_fold = np.arange(13) == 10
    hidden = mark_hidden(found, {"ink": np.arange(13) < 2, "a fold": under_fold | (np.arange(13) == 0)})
    assert hidden["assessable"].tolist() == [False, False] + [True] * 8 + [False, True, True]
    assert hidden["reason"][0] == f"unassessable, under ink; likeliest normal: {found['reason'][0]}"
    assert hidden["reason"][10].startswith("unassessable, under a fold; likeliest necrotic: ")
    unchanged = hidden["assessable"]
    pd.testing.assert_frame_equal(hidden[unchanged], found[unchanged])


def test_dark_fibres_at_the_cut_edge_are_unassessable_whatever_they_are_called(fibres_of):
    """Discs of 71 um: a centre 50 um from the glass leaves 14.5 um, one of 51 leaves 15.5. Ordinary fibres have 0.4 OD in all."""
    n = 13
    eosin = np.full(n, 0.3)
    eosin[[0, 1, 2]], eosin[[3, 10]] = 0.35, 0.33
    found = classify_fibres(section(fibres_of), None, model_by_hand(), SETTINGS).assign(haematoxylin_od=0.1, eosin_od=eosin)
    found["state"] = np.where(np.arange(n) % 2 == 0, "necrotic", found["state"])
    to_glass = np.full(n, np.inf)
    to_glass[[0, 1, 3, 10, 11]], to_glass[2] = 50.0, 51.0
    marked = mark_cut_edge(found, to_glass)
    assert np.flatnonzero(~marked["assessable"]).tolist() == [0, 1]  # not the one further in, nor those hardly denser, nor pale ones
    assert marked["reason"][0] == f"unassessable, dark at the cut edge, where fibres contract; likeliest necrotic: {found['reason'][0]}"
    assert marked["state"].equals(found["state"])
    assert len(mark_cut_edge(found.iloc[:0], to_glass[:0])) == 0


def test_works_without_nuclei(fibres_of):
    found = classify_fibres(section(fibres_of), None, model_by_hand(), SETTINGS)
    assert found["state"].tolist() == ["normal"] * 10 + ["necrotic", "necrotic", "regenerating"]
    assert found["internal_nuclei_count"].isna().all()
    typed(found, FIBRES)


def test_order_of_rows_changes_nothing(fibres_of, nuclei_of):
    fibres, nuclei = section(fibres_of), eaten(nuclei_of)
    turned = classify_fibres(fibres.iloc[::-1].reset_index(drop=True), nuclei.iloc[::-1].reset_index(drop=True), model_by_hand(), SETTINGS)
    straight = classify_fibres(fibres, nuclei, model_by_hand(), SETTINGS)
    pd.testing.assert_frame_equal(turned.sort_values("fibre_id").reset_index(drop=True), straight)


def test_no_fibres(fibres_of, nuclei_of):
    assert typed(classify_fibres(fibres_of([]), nuclei_of([]), model_by_hand(), SETTINGS), FIBRES).empty
