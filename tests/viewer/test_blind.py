"""Blind reading in a real window: nothing of the machine is to be seen until the reading is saved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLabel

from biopsy_analyzer.viewer.dock import BiopsyAnalyzer
from hand import Hand
from painted_slide import centre


def names(dock: BiopsyAnalyzer) -> list[str]:
    return [layer.name for layer in dock.workspace.viewer.layers]


def all_texts(dock: BiopsyAnalyzer) -> str:
    """What can be read in the dock."""
    return " ".join(part.text() for kind in (QLabel, QCheckBox) for part in dock.findChildren(kind) if part.isVisible())


MACHINE = ["fibres", "nuclei", "clusters"]


@pytest.fixture
def page(opened: BiopsyAnalyzer) -> Any:
    found = opened.pages["Blind reading"]
    opened.tabs.setCurrentWidget(found)
    return found


def test_a_reading_by_hand_goes_into_the_readers_table(opened: BiopsyAnalyzer, page: Any, hand: Hand, qtbot: Any, folder: Path) -> None:
    others = [k for k in range(opened.tabs.count()) if opened.tabs.widget(k) is not page]
    hand.press(page.begin)
    assert not any(opened.tabs.isTabEnabled(k) for k in others)
    page.reader.clear()
    qtbot.keyClicks(page.reader, "Ana B.")
    qtbot.keyClicks(page.necrotic, "12,5")
    qtbot.keyClick(page.grades["inflammation"], Qt.Key.Key_Down)
    qtbot.keyClick(page.grades["inflammation"], Qt.Key.Key_Down)
    page.pattern.setCurrentText("mixed")
    hand.press(page.save)
    table = (folder.parent / "ratings_Ana_B_.csv").read_text()
    assert table == (
        "rater,slide_id,item,value\nAna B.,section,necrotic_percent,12.5\nAna B.,section,inflammation,1\nAna B.,section,pattern,mixed\n"
    )
    assert names(opened) == ["section.tif", *MACHINE]
    assert all(opened.tabs.isTabEnabled(k) for k in others)
    assert "necrotic 2" in all_texts(opened)


def test_nothing_of_the_machine_is_left_in_the_window(opened: BiopsyAnalyzer, page: Any, hand: Hand, folder: Path) -> None:
    opened.workspace.layers.nuclei.visible = False  # type: ignore[union-attr]
    hand.click(centre(10))
    hand.key(Qt.Key.Key_2)
    assert "selected" in names(opened)
    assert "necrotic 3" in all_texts(opened)
    hand.press(page.begin)
    assert names(opened) == ["section.tif"]
    hand.click(centre(10))
    for key in (Qt.Key.Key_N, Qt.Key.Key_2, Qt.Key.Key_U):
        hand.key(key)
    assert names(opened) == ["section.tif"]
    found = all_texts(opened)
    assert not re.search(r"(necrotic|normal|macrophage|lymphocyte|mixed) \d", found)
    assert "doubtful" not in found
    assert opened.head.text() == "Blind reading of section.tif"
    hand.press(page.end)
    assert names(opened) == ["section.tif", *MACHINE]
    assert len((folder / "corrections.jsonl").read_text().splitlines()) == 2  # its head and the one edit before
    assert opened.workspace.session.corrections.can_undo  # type: ignore[union-attr]


def test_the_next_section_is_read_blind_too(opened: BiopsyAnalyzer, page: Any, hand: Hand, qtbot: Any, folder: Path) -> None:
    hand.press(page.begin)
    other = folder.with_name("other")
    folder.rename(other)
    opened.workspace.viewer.open(str(other), plugin="biopsy-analyzer")
    qtbot.waitUntil(lambda: not set(names(opened)) & set(MACHINE))
    assert opened.workspace.session is None
    assert "necrotic 2" not in all_texts(opened)
    hand.press(page.end)
    assert opened.workspace.session.folder == other  # type: ignore[union-attr]


@pytest.mark.parametrize(("typed", "said"), [("120", "no percentage"), ("much", "no percentage"), ("", "at least one item")])
def test_what_is_no_reading_is_said_and_nothing_is_shown(
    opened: BiopsyAnalyzer, page: Any, hand: Hand, qtbot: Any, folder: Path, typed: str, said: str
) -> None:
    hand.press(page.begin)
    qtbot.keyClicks(page.necrotic, typed)
    hand.press(page.save)
    assert said in page.saved.text()
    assert names(opened) == ["section.tif"]
    assert not list(folder.parent.glob("ratings_*"))
