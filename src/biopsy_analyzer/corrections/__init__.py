"""A reader's corrections of a result: edits, their journal, undo, and tables and scores that follow at once."""

from biopsy_analyzer.corrections.section import Change, Corrections

__all__ = ["Change", "Corrections"]
