"""The last answer is kept and never a wrong one."""

from __future__ import annotations

import numpy as np
import pytest

from biopsy_analyzer.score import remember
from biopsy_analyzer.score.remember import remember_last


def counted(calls: list[int]):  # type: ignore[no-untyped-def]
    @remember_last
    def total(values: np.ndarray, times: float) -> tuple[np.ndarray, int]:
        calls.append(len(values))
        return values * times, len(values)

    return total


def test_the_same_question_is_answered_without_a_second_look() -> None:
    calls: list[int] = []
    total = counted(calls)
    first, again = total(np.arange(3.0), 2.0), total(np.arange(3.0), 2.0)
    assert calls == [3]
    assert again is first
    assert first[0].tolist() == [0, 2, 4]


@pytest.mark.parametrize("other", [np.array([0.0, 1.0, 2.5]), np.arange(4.0), np.arange(3)])
def test_another_array_is_looked_at(other: np.ndarray) -> None:
    calls: list[int] = []
    total = counted(calls)
    total(np.arange(3.0), 2.0)
    assert total(other, 2.0)[0].tolist() == (other * 2.0).tolist()
    assert len(calls) == 2


def test_another_value_and_an_array_changed_in_place_are_looked_at() -> None:
    calls: list[int] = []
    total, values = counted(calls), np.arange(3.0)
    total(values, 2.0)
    assert total(values, 3.0)[0].tolist() == [0, 3, 6]
    values[1] = 9.0
    assert total(values, 3.0)[0].tolist() == [0, 27, 6]
    assert len(calls) == 3


def test_an_answer_cannot_be_spoiled() -> None:
    answer, _ = counted([])(np.arange(3.0), 2.0)
    with pytest.raises(ValueError, match="read-only"):
        answer[0] = 7.0


def test_what_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remember, "MOST_BYTES", 40)
    calls: list[int] = []
    total = counted(calls)
    for _ in range(2):
        total(np.arange(3.0), 2.0)
    assert calls == [3, 3]
