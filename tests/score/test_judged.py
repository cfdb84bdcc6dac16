import numpy as np
import pytest

from biopsy_analyzer.score.intervals import Drawn
from biopsy_analyzer.score.judged import Judged, against, figure, not_judged


def drawn(low: float, high: float) -> Drawn:
    return Drawn((low + high) / 2, np.linspace(low, high, 101))


@pytest.mark.parametrize(
    ("low", "high", "threshold", "unit", "below", "state", "reason"),
    [
        (0.04, 0.08, 0.03, "share of fibres", False, "present", "95 % interval 4.1% to 7.9% of fibres, all of it at or above the 3.0%"),
        (0.0, 0.02, 0.03, "share of fibres", False, "absent", "95 % interval 0.1% to 1.9% of fibres, all of it below the 3.0%"),
        (0.0, 0.08, 0.03, "share of fibres", False, "not_assessable", "not settled: 95 % interval 0.2% to 7.8% of fibres holds the 3.0%"),
        (0.0, 40.0, 100.0, "interstitial cells per mm2", True, "present", "95 % interval 1 to 39 per mm2, all of it below the 100"),
        (2000.0, 6000.0, 100.0, "cells per mm2", True, "absent", "95 % interval 2,100 to 5,900 per mm2, all of it at or above the 100"),
        (4.0, 8.0, 12.0, "um between fibres", False, "absent", "95 % interval 4.1 to 7.9 um, all of it below the 12"),
    ],
)  # fmt: skip
def test_states_and_sentences_by_hand(low, high, threshold, unit, below, state, reason):
    judged = against(drawn(low, high), threshold, unit, below)
    assert (judged.state, judged.threshold, judged.value) == (state, threshold, (low + high) / 2)
    assert judged.reason == f"{reason} from which {'they are no longer sparse' if below else 'it counts as present'}"


def test_an_interval_that_begins_at_the_threshold_is_present():
    assert against(Drawn(0.03, np.full(10, 0.03)), 0.03, "share of fibres").state == "present"


def test_an_interval_without_the_readers_errors_says_so():
    assert against(drawn(0.04, 0.08), 0.03, "share of fibres", sampling=True).reason.startswith(
        "95 % interval by sampling alone 4.1% to 7.9%"
    )


def test_what_is_doubted_keeps_what_was_found():
    judged = Judged(0.1, (0.0, 0.2), 0.03, "present", "4 clusters").doubted("cells may lie in fibres that were missed")
    assert judged == (0.1, (0.0, 0.2), 0.03, "not_assessable", "cells may lie in fibres that were missed; found: 4 clusters")
    assert not_judged("no cells") == (None, None, None, "not_assessable", "no cells")


@pytest.mark.parametrize(
    ("value", "unit", "text"), [(0.03125, "", "0.0312"), (6750.4, "", "6,750"), (-1e-7, "", "0"), (0.5, "a share", "50.0%")]
)
def test_figures(value, unit, text):
    assert figure(value, unit) == text
