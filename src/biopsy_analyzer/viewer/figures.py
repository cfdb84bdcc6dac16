"""The pictures of the score panel, as matplotlib figures of tables and scores.json; no Qt."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from biopsy_analyzer.report.html.page import axis_floor
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, Colour
from biopsy_analyzer.report.shown import fibre_class

AXES = ("necrosis", "regeneration", "inflammation")
_AXIS_COLOURS = {"necrosis": (213, 94, 0), "regeneration": (0, 114, 178), "inflammation": (86, 180, 233), "balance": (90, 90, 90)}
_BINS_UM = list(range(0, 161, 5))


def scores_figure(document: dict[str, Any]) -> Figure:
    """Both axes and regeneration from 0 to 1, and the balance from -1 to 1, each with its 95 % interval; hatched as in report.html."""
    figure = Figure(figsize=(4.2, 2.8), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1))
    for row, name in enumerate(reversed(AXES)):
        floor = axis_floor(document, name)
        if floor is not None:
            _hatch(top, row, 0.0, floor)
        _bar(top, row, name, document["scores"][name])
    top.set(xlim=(0, 1), yticks=range(len(AXES)), yticklabels=reversed(AXES))
    top.set_xlabel("hatched: not above what false calls alone may give")
    margin = document["settings"]["score"]["balance_margin"]
    _hatch(bottom, 0, -margin, margin)
    _bar(bottom, 0, "balance", document["scores"]["balance"])
    bottom.axvline(0, color="black", linewidth=0.8)
    bottom.set(xlim=(-1, 1), yticks=[0], yticklabels=["balance"], xlabel="-1 inflammation, hatched: neither outweighs, +1 necrosis")
    _small(top, bottom)
    return figure


def _hatch(axes: Axes, row: int, start: float, end: float) -> None:
    """A part of an axis in which a value says little, behind its bar; taller, so that it is seen beside the bar, too."""
    axes.add_patch(Rectangle((start, row - 0.42), end - start, 0.84, facecolor="#eceff3", edgecolor="#aab4bf", hatch="////", linewidth=0))


def _bar(axes: Axes, row: int, name: str, axis: dict[str, Any]) -> None:
    if axis["value"] is None:
        axes.text(0.02, row, "not assessed", va="center", fontsize=8, transform=axes.get_yaxis_transform())
        return
    axes.barh(row, axis["value"], color=_rgb(_AXIS_COLOURS[name]), height=0.55)
    if axis["ci95"]:
        axes.plot(axis["ci95"], [row, row], color="black", linewidth=1.4, marker="|", markersize=9)


def sizes_figure(fibres: pd.DataFrame) -> Figure:
    """Histogram of the least diameters of fibres that the image does not cut, by class; 5 um a bin, larger ones in the last."""
    figure = Figure(figsize=(4.2, 2.2), layout="constrained")
    axes = figure.subplots()
    whole = fibres[~fibres["touches_border"]]
    classes = fibre_class(whole)
    sizes = [whole.loc[classes == name, "min_feret_um"].clip(upper=_BINS_UM[-1] - 1e-6).to_numpy() for name in FIBRE_COLOURS]
    axes.hist(sizes, bins=_BINS_UM, stacked=True, color=[_rgb(c) for c in FIBRE_COLOURS.values()], label=list(FIBRE_COLOURS))
    axes.set(xlabel="least diameter, um", ylabel="fibres", xlim=(0, _BINS_UM[-1]))
    axes.legend(fontsize=7, frameon=False)
    _small(axes)
    return figure


def map_figure(fibres: pd.DataFrame, clusters: pd.DataFrame, width_um: float, height_um: float) -> Figure:
    """The section seen from afar: each fibre a dot by class, sick ones above the others, each cluster a ring of its kind."""
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    classes = fibre_class(fibres)
    for name in ("normal", "unassessable", "regenerating", "pale-fragmented", "necrotic"):
        chosen = fibres[classes == name]
        dot = 1.5 if name in ("normal", "unassessable") else 6
        axes.scatter(chosen["x_um"] / 1000, chosen["y_um"] / 1000, s=dot, color=_rgb(FIBRE_COLOURS[name]), linewidths=0, label=name)
    for kind, colour in CLUSTER_COLOURS.items():
        at = clusters[clusters["kind"] == kind]
        axes.scatter(at["x_um"] / 1000, at["y_um"] / 1000, s=60, facecolors="none", edgecolors=[_rgb(colour)], linewidths=1.6)
    axes.set(xlim=(0, width_um / 1000), ylim=(height_um / 1000, 0), aspect="equal", xlabel="mm", facecolor="0.93")
    _small(axes)
    return figure


def _small(*all_axes: Axes) -> None:
    for axes in all_axes:
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
        axes.spines[["top", "right"]].set_visible(False)


def _rgb(colour: Colour) -> tuple[float, float, float]:
    return (colour[0] / 255, colour[1] / 255, colour[2] / 255)
