"""Text from outside (file names, mostly) made harmless where it is shown."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 controls (terminal codes, newlines), line separators, reversed writing, and bytes of a name that are no UTF-8."""

_FORMULA = re.compile(r"[=+\-@\t\r\n]")


def for_terminal(text: str) -> str:
    r"""One line without control characters; each is written as its escape: a newline as \n, an escape byte as \x1b."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def for_cell(text: str) -> str:
    """The same for a spreadsheet, with an apostrophe in front of what it would take for a formula (OWASP, CSV injection)."""
    return ("'" if _FORMULA.match(text) else "") + for_terminal(text)
