"""The pictures of the panel say what the tables and scores say."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from matplotlib.axes import Axes

from biopsy_analyzer.viewer.figures import map_figure, scores_figure, sizes_figure
from biopsy_analyzer.viewer.session import Session
from made_tables import make_fibres


def bars(axes: Axes) -> list[float]:
    return [patch.get_width() for patch in axes.patches if not patch.get_hatch()]


def test_bars_are_the_values(session: Session) -> None:
    top, bottom = scores_figure(session.document).axes
    scores = session.document["scores"]
    assert bars(top) == [scores[name]["value"] for name in ("inflammation", "regeneration", "necrosis")]
    assert bars(bottom) == [scores["balance"]["value"]]
    assert [list(line.get_xdata()) for line in top.lines] == [
        list(scores[name]["ci95"]) for name in ("inflammation", "regeneration", "necrosis")
    ]


def test_what_false_calls_alone_may_give_is_hatched(session: Session) -> None:
    document = copy.deepcopy(session.document)
    document["settings"]["score"].update(necrosis_floor=0.05, necrosis_half=0.05, balance_margin=0.2)
    document["settings"]["score"].update(inflammation_floor_per_mm2=20.0, inflammation_half_per_mm2=80.0)
    top, bottom = scores_figure(document).axes
    hatched = {round(patch.get_y() + patch.get_height() / 2): patch.get_width() for patch in top.patches if patch.get_hatch()}
    assert hatched == pytest.approx({2: 0.5, 0: 0.2})  # necrosis above, inflammation below; of regeneration no floor is known
    assert [(p.get_x(), p.get_width()) for p in bottom.patches if p.get_hatch()] == [(-0.2, pytest.approx(0.4))]


def test_what_was_not_assessed_has_no_bar(session: Session) -> None:
    document = copy.deepcopy(session.document)
    for axis in document["scores"].values():
        axis.update(value=None, ci95=None)
    top, bottom = scores_figure(document).axes
    assert bars(top) == bars(bottom) == []
    assert [text.get_text() for text in top.texts] == ["not assessed"] * 3


def test_every_whole_fibre_is_counted_once() -> None:
    sizes = [3.0, 12.0, 64.9, 65.0, 400.0, 20.0]
    fibres = make_fibres(["normal"] * 4 + ["necrotic"] * 2, min_feret_um=sizes, touches_border=[False] * 5 + [True])
    (axes,) = sizes_figure(fibres).axes
    counts = np.zeros(32)
    for bar in axes.patches:
        counts[round(bar.get_x() / 5)] += bar.get_height()
    assert {index: int(n) for index, n in enumerate(counts) if n} == {0: 1, 2: 1, 12: 1, 13: 1, 31: 1}


def test_the_map_holds_every_fibre_and_cluster(session: Session) -> None:
    (axes,) = map_figure(session.fibres, session.clusters, 504.0, 504.0).axes
    dots = [collection.get_offsets() for collection in axes.collections]
    assert sum(len(offsets) for offsets in dots) == len(session.fibres) + len(session.clusters)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
