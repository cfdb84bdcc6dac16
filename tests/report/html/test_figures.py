"""Places on graphics, by hand; maps against plain sums; colours as people with other colour vision see them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.html.closeups import closeups
from biopsy_analyzer.report.html.figures import axis_figure, size_figure
from biopsy_analyzer.report.html.maps import _smoothed, density_maps, ramp
from biopsy_analyzer.report.html.material import Material, numbered, rings_of
from biopsy_analyzer.report.html.section import section_figure
from biopsy_analyzer.report.html.svg import closed_path, marks_path
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS
from biopsy_analyzer.report.pictures import compress
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.scores_json import scores_document
from made_tables import make_fibres, make_nuclei

VISIONS = {  # linear RGB, complete loss; Machado, Oliveira, Fernandes 2009
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(rgb: np.ndarray, vision: str) -> np.ndarray:
    """sRGB 0..1 (..., 3) as it looks with another colour vision, as CIELAB."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    changed = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    return rgb2lab(np.where(changed <= 0.0031308, changed * 12.92, 1.055 * changed ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", [FIBRE_COLOURS, NUCLEUS_COLOURS, CLUSTER_COLOURS])
def test_classes_differ_in_any_colour_vision(palette: dict[str, tuple[int, int, int]], vision: str) -> None:
    """A difference (CIEDE2000) of 10 is seen at a glance; marks and dashes differ as well."""
    lab = seen(np.array(list(palette.values())) / 255, vision)
    assert min(deltaE_ciede2000(a, b) for a, b in combinations(lab, 2)) > 10


@pytest.mark.parametrize("vision", VISIONS)
def test_the_ramp_of_the_maps_only_darkens(vision: str) -> None:
    light = seen(ramp(np.linspace(0, 1, 50)) / 255, vision)[:, 0]
    assert np.all(np.diff(light) < 0)


def test_places_on_an_axis() -> None:
    figure = axis_figure(-1.0, 1.0, 0.5, (-2.0, 0.6), [-0.2, 0.2], 0.5)
    assert (figure["value"], figure["interval"]) == (75.0, [0.0, 80.0])
    assert figure["zones"] == [(0.0, 40.0), (40.0, 60.0), (60.0, 100.0)]
    assert [text for _, text in figure["ticks"]] == ["\N{MINUS SIGN}1", "\N{MINUS SIGN}0.5", "0", "0.5", "1"]
    nothing = axis_figure(0.0, 1.0, None, None, [], 0.25)
    assert (nothing["value"], nothing["interval"], nothing["zones"]) == (None, None, [(0.0, 100.0)])


def test_sizes_by_state() -> None:
    sizes = [12.0, 14.0, 22.0, 30.0, 99.0, 200.0]
    states = ["normal", "normal", "necrotic", "normal", "normal", "normal"]
    fibres = make_fibres(states, min_feret_um=sizes, assessable=[True] * 4 + [False, True], touches_border=[False] * 5 + [True])
    figure = size_figure(fibres)
    normal, necrotic, pale, _ = figure["rows"]
    assert (figure["n"], figure["bin_um"], normal["n"], necrotic["median"], pale["median"]) == (4, 5.0, 3, 22.0, None)
    assert [count for _, _, count in normal["bars"]] == [2, 1]  # 10-15 and 30-35
    assert normal["bars"][0][:2] == (round(200 / 7, 2), 100.0)
    assert size_figure(fibres.iloc[4:]) is None
    assert size_figure(make_fibres(["normal"], min_feret_um=1000.0))["bin_um"] == 25.0


def test_paths() -> None:
    square = np.array([[0.0, 0.0], [0.0, 10.2], [10.0, 10.0], [10.0, 5.0], [10.0, 0.0]])
    assert closed_path(square, 0.5) == "M0 0l10 0 0 10 -10 0z"
    spots = np.array([[5.0, 8.0], [5.2, 8.1], [1.0, 2.0]])
    assert marks_path(spots, 16, 3.0) == "M2 1h0M8 5h0"
    assert marks_path(spots[:1], 4, 3.0) == "M8 2l3 3l-3 3l-3 -3z"
    assert marks_path(spots[:0], 3, 3.0) == ""


def test_outlines_of_memory_and_files_are_the_same() -> None:
    ring = np.array([[0.1, 0.2], [0.1, 7.77], [5.123456, 7.77]])
    (kept,) = numbered([ring], [1], 0.3).values()
    corners = (ring[:, ::-1] / 0.3).round(2).tolist()
    features = [
        {"properties": {"name": name}, "geometry": {"coordinates": [[*corners, corners[0]]]}} for name in ("Fibre 1", "Nucleus 4", "Note")
    ]
    found = rings_of({"features": features}, 0.3, {("nucleus", 5)})
    assert (found["fibre"][1] == kept).all()
    assert found["nucleus"] == {}


def test_maps_are_weighted_means_over_the_tissue(sick: Result) -> None:
    """At the section's middle against sums over all fibres, one by one."""
    shots = compress(sick.picture, ())
    none: dict[str, dict[int, np.ndarray]] = {"fibre": {}, "nucleus": {}, "cluster": {}}
    necrosis, inflammation = density_maps(Material(scores_document(sick), sick.fibres, sick.nuclei, sick.clusters, none, shots))
    seen_fibres = sick.fibres[sick.fibres["assessable"]]
    yx = seen_fibres[["y_um", "x_um"]].to_numpy()
    sickness = seen_fibres["state"].isin(["necrotic", "pale-fragmented"]).to_numpy(float)
    shares = []
    for centre in yx:
        weight = np.exp(-((yx - centre) ** 2).sum(axis=1) / (2 * 150**2))
        shares.append(float(weight @ sickness / weight.sum()))
    assert necrosis["peak"] == pytest.approx(max(shares), abs=0.05)
    assert necrosis["top"] >= necrosis["peak"]
    assert inflammation["peak"] > 24 / 0.48, "all 24 cells lie together, so their place holds more than the mean per mm2"


@pytest.mark.parametrize("um_per_px", [1.7, 3.2, 30.0])
def test_smoothing_is_a_sum_of_gaussians_also_at_the_edge(um_per_px: float) -> None:
    """Against every object's Gaussian at every pixel, one by one."""
    grid, rng = PixelGrid((150, 203), um_per_px), np.random.default_rng(1)
    at = np.array([[0, 0], [149, 202], *rng.integers(0, 150, (8, 2))])
    values = np.zeros(grid.shape)
    np.add.at(values, tuple(at.T), 1.0)
    y, x = np.mgrid[:150, :203]
    deviation = 150 / um_per_px
    away = [((y - top) ** 2 + (x - left) ** 2) / deviation**2 for top, left in at.tolist()]
    wanted = np.sum([np.exp(-0.5 * d) / (2 * np.pi * deviation**2) for d in away], axis=0)
    assert np.abs(_smoothed(values, grid) - wanted).max() < 0.003 * wanted.max()


def test_no_maps_without_scores(sick: Result) -> None:
    document = scores_document(sick)
    document["scores"]["necrosis"]["value"] = None
    none: dict[str, dict[int, np.ndarray]] = {"fibre": {}, "nucleus": {}, "cluster": {}}
    assert density_maps(Material(document, sick.fibres, sick.nuclei, sick.clusters, none, compress(sick.picture, ()))) == []


def test_of_very_many_cells_some_are_drawn_and_the_legend_says_so(sick: Result) -> None:
    kinds = ["macrophage"] * 13_000 + ["lymphocyte"] * 6_000
    nuclei = make_nuclei(kinds, y_um=np.arange(19_000) // 200 * 4.0, x_um=np.arange(19_000) % 200 * 3.0)
    none: dict[str, dict[int, np.ndarray]] = {"fibre": {}, "nucleus": {}, "cluster": {}}
    figure = section_figure(Material(scores_document(sick), sick.fibres, nuclei, sick.clusters, none, compress(sick.picture, ())))
    layers = {layer["key"]: layer for layer in figure["layers"]}
    assert (layers["macrophage"]["label"], layers["macrophage"]["count"]) == ("macrophage, 1 in 3 drawn", 13_000)
    assert layers["macrophage"]["path"].count("M") == -(-13_000 // 3)
    assert (layers["lymphocyte"]["label"], layers["lymphocyte"]["path"].count("M")) == ("lymphocyte", 6_000)


def test_the_edge_of_the_section_cuts_no_number(sick: Result) -> None:
    fibres = make_fibres(["necrotic"] * 2, fibre_id=[1234, 7], y_um=[100.0, 100.0], x_um=[1.0, 1e6])
    none: dict[str, dict[int, np.ndarray]] = {"fibre": {}, "nucleus": {}, "cluster": {}}
    figure = section_figure(Material(scores_document(sick), fibres, sick.nuclei, sick.clusters, none, compress(sick.picture, ())))
    (right, _, one), (left, _, many) = figure["numbers"]
    assert (left, right, many, one) == (4 * 7 + 4, figure["view"][0] - 11, 1234, 7)


def test_a_sheet_is_called_so_on_the_section_and_in_its_close_up(sick: Result) -> None:
    """The page's table leaves sheets out of the clusters, so a reader must not count one more on the section."""
    document, crop = scores_document(sick), [shot for shot in compress(sick.picture, sick.crops) if shot.kind in ("section", "cluster")]
    for area_um2, sheet in ((190_000.0, False), (210_000.0, True)):
        none: dict[str, dict[int, np.ndarray]] = {"fibre": {}, "nucleus": {}, "cluster": {}}
        material = Material(document, sick.fibres, sick.nuclei, sick.clusters.assign(area_um2=area_um2), none, crop)
        (layer,) = (layer for layer in section_figure(material)["layers"] if layer["group"] == "Clusters")
        told = ("mixed cluster", 0, " and 1 confluent sheet") if sheet else ("mixed cluster", 1, "")
        assert (layer["label"], layer["count"], layer["besides"]) == told
        (shown,) = closeups(material)
        assert shown["facts"] == [("mixed, a confluent sheet and no cluster" if sheet else "mixed") + ", 24 cells"]
