"""What is open, selected and shown, without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from biopsy_analyzer.errors import ResultError
from biopsy_analyzer.report.outlines import outlines
from biopsy_analyzer.viewer.session import Session, open_session
from painted_slide import STATES, centre


def fibre_at(session: Session, number: int) -> int:
    """The id of a painted fibre."""
    found = session.at(*centre(number), nuclei=False)
    assert found is not None
    return found[1]


def test_what_lies_at_a_place(session: Session) -> None:
    for number, state in STATES.items():
        kind, found = session.at(*centre(number), nuclei=False) or ("", 0)
        row = session.row(kind, found)
        assert kind == "fibres"
        assert row is not None
        assert row["state"] == state
    kind, found = session.at(*centre(0)) or ("", 0)
    assert (kind, session.nuclei.set_index("nucleus_id").loc[found, "type"]) == ("nuclei", "lymphocyte")
    assert session.at(*centre(0), nuclei=False) is not None
    assert session.at(2.0, 2.0) is None
    assert session.at(-50.0, 1e6) is None


def test_an_outline_is_that_of_the_whole_label_image(session: Session) -> None:
    labels = session.labels["fibres"]
    expected = outlines(np.asarray(labels.levels[0][:, :]), labels.grids[0])
    for row, number in enumerate(session.fibres["fibre_id"]):
        outline = session.outline("fibres", number)
        assert outline is not None
        assert sorted(map(tuple, outline.round(6))) == sorted(map(tuple, expected[row].round(6)))
    assert session.outline("fibres", 10_000) is None


def test_selecting_tells_who_listens(session: Session) -> None:
    heard: list[Any] = []
    session.selection_changed.connect(lambda kind, ids: heard.append((kind, ids)))
    session.select("fibres", [np.int32(3), 4])
    session.select("nuclei", [])
    assert heard == [("fibres", [3, 4]), ("nuclei", [])]
    assert session.selected == ("nuclei", [])


def test_what_is_gone_is_no_longer_selected(session: Session) -> None:
    first, second = session.fibres["fibre_id"][:2]
    session.select("fibres", [first, second])
    session.show(session.fibres[1:], session.nuclei, session.clusters, session.document, change="deleted")
    assert session.selected == ("fibres", [second])
    assert session.row("fibres", first) is None
    assert len(session.saved.fibres) == len(session.fibres) + 1


def test_a_cluster_is_outlined_around_its_nuclei(session: Session) -> None:
    (outline,) = session.cluster_outlines()
    cells = session.nuclei[session.nuclei["cluster_id"] == 1]
    assert len(cells) == 4
    assert outline[:, 0].min() < cells["y_um"].min() - 2
    assert outline[:, 1].max() > cells["x_um"].max() + 2


def test_no_result_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ResultError, match=r"scores\.json: missing"):
        open_session(tmp_path)
