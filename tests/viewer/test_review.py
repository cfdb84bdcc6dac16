"""The review queue."""

from __future__ import annotations

from biopsy_analyzer.viewer.review import next_in_queue, review_queue
from made_tables import make_fibres


def test_the_least_sure_come_first_and_cut_fibres_never() -> None:
    fibres = make_fibres(["normal"] * 5, probability=[0.65, 0.9, 0.4, 0.65, 0.5], touches_border=[False, False, False, False, True])
    assert review_queue(fibres) == [3, 1, 4]
    assert review_queue(fibres[:0]) == []


def test_unassessable_fibres_are_not_asked() -> None:
    fibres = make_fibres(["normal"] * 3, probability=[0.5, 0.4, 0.3], assessable=[True, False, True])
    assert review_queue(fibres) == [3, 1]


def test_the_queue_is_walked_round_and_round() -> None:
    queue, everything = [3, 1, 4], {1, 3, 4}
    assert next_in_queue(queue, None, 1, everything) == 3
    assert next_in_queue(queue, None, -1, everything) == 4
    assert [next_in_queue(queue, at, 1, everything) for at in queue] == [1, 4, 3]
    assert [next_in_queue(queue, at, -1, everything) for at in queue] == [4, 3, 1]


def test_what_was_corrected_is_left_out() -> None:
    assert next_in_queue([3, 1, 4], 3, 1, {3, 4}) == 4
    assert next_in_queue([3, 1, 4], 1, 1, {3, 4}) == 4
    assert next_in_queue([3, 1, 4], 3, 1, {3}) == 3
    assert next_in_queue([3, 1, 4], 3, 1, set()) is None
