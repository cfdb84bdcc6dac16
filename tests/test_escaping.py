"""Text of others can neither act in a spreadsheet nor in a terminal."""

import pytest

from biopsy_analyzer.escaping import for_cell, for_terminal


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-rf", "'-rf"),
        ("@x", "'@x"),
        ("\tx", "'\\tx"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("Müller 筋 =1", "Müller 筋 =1"),
        ("", ""),
    ],
)
def test_cells_are_harmless(text: str, cell: str) -> None:
    assert for_cell(text) == cell


@pytest.mark.fault(32)
def test_terminal_text_is_one_line_without_controls() -> None:
    assert for_terminal("a\nb\r\x07\x9b\u202e\udcff") == "a\\nb\\r\\x07\\x9b\\u202e\\udcff"
