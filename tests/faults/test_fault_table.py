"""Every fault has a test that produces it, and the page says which."""

import pytest

from fault_table import FAULTS, PAGE, marked_tests, page


@pytest.mark.parametrize("number", FAULTS)
def test_every_fault_is_produced(number: int) -> None:
    assert marked_tests().get(number), f"fault {number} has no test: {FAULTS[number].what}"


def test_every_mark_is_a_fault() -> None:
    assert set(marked_tests()) <= set(FAULTS)
    assert list(FAULTS) == list(range(1, 39))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tests/fault_table.py"
