"""The evaluation on small folders whose answers are known by hand, with label images, drawn sections and fake networks."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from rich.console import Console

from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.models import Models
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.segment.model_folder import CHANNELS
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.draw import draw_section
from biopsy_analyzer.training.evaluate import evaluate_drawn, evaluate_folder
from biopsy_analyzer.training.evaluation_table import print_evaluation
from biopsy_analyzer.training.judge import Prediction, judge, onto
from biopsy_analyzer.training.marked import FALSE, HIT, MISS, marked_picture
from biopsy_analyzer.training.summary import summarise
from biopsy_analyzer.training.truth import draw_truth, read_folder

PINK, BLUE = (225, 130, 180), (70, 50, 130)
UM_PER_PX = 0.5


def discs(*centres: tuple[int, int], radius: int, shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, dtype=np.uint16)
    for label, (cy, cx) in enumerate(centres, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = label
    return labels


def write(path: Path, image: np.ndarray) -> None:
    assert cv2.imwrite(str(path), image if image.ndim == 2 else image[..., ::-1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A section of 600 x 800 px with nine pink fibres of 40 um; each has a nucleus at its edge, the last another in its middle."""
    shape = (600, 800)
    centres = [(y, x) for y in (120, 300, 480) for x in (150, 400, 650)]
    fibres = discs(*centres, radius=80, shape=shape)
    nuclei = discs(*[(y, x + 73) for y, x in centres], centres[-1], radius=7, shape=shape)
    rgb = np.full((*shape, 3), 250, dtype=np.uint8)
    rgb[fibres > 0], rgb[nuclei > 0] = PINK, BLUE
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    write(inputs / "section.png", rgb)
    write(inputs / "section_fibres.png", fibres)
    write(inputs / "section_nuclei.png", nuclei)
    facts = {
        "um_per_px": UM_PER_PX,
        "fibre_states": {str(label): "normal" for label in range(1, 9)} | {"9": "regenerating"},
        "nucleus_types": {str(label): "muscle" for label in range(1, 11)},
    }
    (inputs / "section.json").write_text(json.dumps(facts))
    return inputs


def value(evaluation: dict, part: str, name: str) -> float:
    return evaluation[part]["figures"][name]["value"]


def test_label_images_by_hand(folder: Path, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels", tmp_path / "out"
    labels.mkdir()
    found = cv2.imread(str(folder / "section_fibres.png"), cv2.IMREAD_UNCHANGED)
    found[found == 3] = 0
    found[:20, :20] = 12
    write(labels / "section_fibres.png", found)
    evaluation = evaluate_folder(folder, None, out, labels=labels)
    assert evaluation["fibres"]["counts"] == {"truth": 9, "found": 9, "hits": 8, "missed": 1, "false": 1}
    assert value(evaluation, "fibres", "f1_50") == pytest.approx(8 / 9)
    assert value(evaluation, "fibres", "mean_iou") == 1
    assert evaluation["nuclei"] is None
    assert evaluation["fibre_states"] is None
    written = json.loads((out / "evaluation.json").read_text())
    assert written["fibres"]["figures"]["f1_50"]["n"] == 9
    assert written["images"][0]["name"] == "section"
    assert "clinical" not in written["note"]
    picture = cv2.imread(str(out / "section_marked.png"))[..., ::-1]
    for colour in (HIT, MISS, FALSE):
        assert (picture[:600] == colour).all(axis=-1).any()


def test_label_images_may_have_other_pixels(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    found = cv2.imread(str(folder / "section_fibres.png"), cv2.IMREAD_UNCHANGED)
    write(labels / "section_fibres.png", found[::2, ::2])
    evaluation = evaluate_folder(folder, None, labels=labels)
    assert value(evaluation, "fibres", "f1_75") == 1
    assert 0.95 < value(evaluation, "fibres", "mean_iou") < 1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda labels: labels[:, :400], "can't cover the image's"),
        (lambda labels: np.where(labels == labels.max(), 4_000_000_000, labels.astype(np.uint32)), "labels from 0 to 4000000000"),
        (lambda labels: labels.astype(np.int32) - 1, "labels from -1 to 8"),
    ],
    ids=["cut", "too large", "negative"],
)
def test_labels_that_would_be_judged_wrongly_are_refused(folder: Path, tmp_path: Path, made: Callable, message: str) -> None:
    labels = cv2.imread(str(folder / "section_fibres.png"), cv2.IMREAD_UNCHANGED)
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "section_fibres.tif", made(labels))
    with pytest.raises(UsageError, match=message):
        evaluate_folder(folder, None, labels=tmp_path / "labels")


def test_onto_takes_the_label_under_the_centre() -> None:
    labels = Labels(np.array([[1, 2], [3, 4]], dtype=np.int32), PixelGrid((2, 2), 2.0, (2.0, 0.0)))
    assert onto(labels, PixelGrid((5, 5), 1.0)).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 1, 2, 2, 0],
        [1, 1, 2, 2, 0],
        [3, 3, 4, 4, 0],
    ]


def test_a_drawn_truth_agrees_with_itself(tmp_path: Path) -> None:
    truth = draw_truth("usual", 0, tmp_path, seed=11, shape_px=(512, 512))
    grid = truth.grid
    untold = judge(truth, Prediction(Labels(truth.fibres, grid), Labels(truth.nuclei, grid)), Settings())
    assert "truth_class" not in untold.fibres
    depth = Settings().classify.internal_depth_um
    types, internal = _types(truth, depth)
    same = Prediction(Labels(truth.fibres, grid), Labels(truth.nuclei, grid), truth.fibre_state, types, internal)
    judged = judge(truth, same, Settings())
    parts = summarise([judged], by_image=False)
    for part, figure in (
        ("fibres", "f1_75"),
        ("nuclei", "f1_75"),
        ("fibre_states", "macro_f1"),
        ("nucleus_kinds", "accuracy"),
        ("nucleus_types", "accuracy"),
    ):
        assert parts[part]["figures"][figure]["value"] == 1, part
    assert parts["internal_nuclei"]["figures"]["count_bias"]["value"] == 0
    rgb = np.full((*grid.shape, 3), 255, dtype=np.uint8)
    assert marked_picture(rgb, judged).shape == (grid.shape[0] + 26, 2 * grid.shape[1], 3)


def _types(truth, depth):
    from biopsy_analyzer.training.judge import _types_of_truth

    return _types_of_truth(truth, depth)


def test_true_nuclei_are_internal_by_their_depth(folder: Path) -> None:
    (truth,) = read_folder(folder)
    types, internal = _types(truth, 5.0)
    assert types == ["", *["myonucleus"] * 9, "internal"]
    assert internal.tolist() == [0] * 9 + [1]


def annotation(folder: Path) -> None:
    def feature(name: str, kind: str, coordinates: list) -> dict:
        return {"type": "Feature", "properties": {"classification": {"name": name}}, "geometry": {"type": kind, "coordinates": coordinates}}

    def box(x0: int, y0: int, x1: int, y1: int) -> list:
        return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]

    source = {"file": "section.png", "um_per_px": UM_PER_PX, "shape": [600, 800], "source": "drawn", "licence": "MIT", "held_out": True}
    features = [
        feature("Region: annotated", "Polygon", box(0, 0, 500, 600)),
        feature("Fibre: necrotic", "Polygon", box(100, 100, 200, 200)),
        feature("Fibre: unsure", "Polygon", box(300, 100, 400, 200)),
        feature("Nucleus: macrophage", "Point", [150, 150]),
        feature("Nucleus: lymphocyte", "Point", [340, 140]),
    ]
    (folder / "section.geojson").write_text(json.dumps({"type": "FeatureCollection", "source": source, "features": features}))


def test_annotations_judge_their_region_and_the_marked_nuclei(tmp_path: Path) -> None:
    write(tmp_path / "section.png", np.full((600, 800, 3), 250, dtype=np.uint8))
    annotation(tmp_path)
    (truth,) = read_folder(tmp_path)
    found = np.zeros((600, 800), dtype=np.int32)
    found[100:200, 100:200], found[100:200, 300:400], found[100:200, 600:700] = 1, 2, 3  # the third lies outside the region
    nuclei = np.zeros_like(found)
    nuclei[147:149, 146:150] = 1  # beside the first mark, not under it
    names = ["", "necrotic", "normal", "normal"]
    judged = judge(truth, Prediction(Labels(found, truth.grid), Labels(nuclei, truth.grid), names, ["", "macrophage"]), Settings())
    parts = summarise([judged], by_image=False)
    assert parts["fibres"]["counts"] == {"truth": 2, "found": 2, "hits": 2, "missed": 0, "false": 0}
    assert parts["fibre_states"]["figures"]["accuracy"] == {"value": 1.0, "ci95": (1.0, 1.0), "n": 1}  # the unsure one has no state
    assert parts["nuclei"] is None
    assert judged.marks.pred_class.to_list() == ["macrophage", "missed"]
    picture = marked_picture(np.full((600, 800, 3), 255, dtype=np.uint8), judged)
    assert picture.shape == (600 + 26, 500 + 40, 3)  # the annotated region, a rim and the key


def test_what_is_wrong_with_a_folder_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no truth found"):
        read_folder(tmp_path)
    with pytest.raises(UsageError, match="wanted models"):
        evaluate_folder(folder, None)
    with pytest.raises(UsageError, match="no label image for 'section'"):
        evaluate_folder(folder, None, labels=tmp_path)
    (folder / "section.json").write_text('{"um_per_px": 0.5, "fibre_states": {"1": "dead"}}')
    with pytest.raises(UsageError, match="'dead'"):
        read_folder(folder)
    (folder / "section.json").unlink()
    with pytest.raises(UsageError, match=r"section\.json"):
        read_folder(folder)
    assert read_folder(folder, um_per_px=0.7)[0].grid.um_per_px == 0.7
    write(folder / "section_nuclei.png", np.zeros((10, 10), dtype=np.uint8))
    with pytest.raises(UsageError, match="section_nuclei"):
        read_folder(folder, um_per_px=0.5)
    write(folder / "section_nuclei.png", np.zeros((600, 800, 3), dtype=np.uint8))
    with pytest.raises(UsageError, match="not a label image"):
        read_folder(folder, um_per_px=0.5)
    (folder / "section.png").unlink()
    with pytest.raises(UsageError, match="no image of it"):
        read_folder(folder)


@dataclass
class ByColour:
    """A network that knows the colours of the section above; depth by distance transform of each blob."""

    kind: str
    um_per_px: float
    halo_px: int = 128
    stride: int = 16
    version: str = "0"
    sha256: str = "0" * 64
    device: str = "cpu"
    precision: str = "float32"

    def __post_init__(self) -> None:
        self.name, self.channels, self.notes = f"fake {self.kind}", CHANNELS[self.kind], []

    def maps(self, rgb: np.ndarray, leave: int = 0) -> np.ndarray:
        maps = np.stack([self._map(one) for one in rgb]) if len(rgb) else np.zeros((0, 6, *rgb.shape[1:3]), np.float32)
        return maps[:, :, leave : rgb.shape[1] - leave, leave : rgb.shape[2] - leave]

    def _map(self, rgb: np.ndarray) -> np.ndarray:
        mask = (rgb[..., 1] < (190 if self.kind == "fibres" else 90)).astype(np.uint8)
        maps = np.zeros((6, *mask.shape), np.float32)
        distance = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        maps[0], maps[1], maps[2] = mask, np.minimum(1, distance / ((40 if self.kind == "fibres" else 3.5) / self.um_per_px)), 1
        return maps


@pytest.fixture
def fake_models() -> Models:
    nothing = StateModel(
        (),
        np.zeros(0),
        np.ones(0),
        np.zeros((4, 0)),
        np.zeros((4, 0)),
        np.array([5.0, 0, 0, 0]),
        {"name": "fake", "version": "0", "sha256": "0"},
    )
    return Models(ByColour("fibres", 0.8), ByColour("nuclei", 0.5), nothing)


def test_the_whole_method_is_judged(folder: Path, fake_models: Models, tmp_path: Path) -> None:
    steps: list[tuple] = []
    evaluation = evaluate_folder(folder, fake_models, tmp_path / "out", progress=lambda *step: steps.append(step))
    assert steps == [("evaluate", 1, 1)]
    assert value(evaluation, "fibres", "f1_75") == 1
    assert value(evaluation, "nuclei", "f1_50") == 1
    # every fibre is called normal: of 8 normal and 1 regenerating ones
    states = evaluation["fibre_states"]["confusion"]
    column = states["columns_found"].index("normal")
    assert [row[column] for row in states["counts"]] == [8, 0, 0, 1, 0]
    assert value(evaluation, "nucleus_types", "recall internal") == 1
    assert value(evaluation, "internal_nuclei", "kappa") == 1
    assert [model["name"] for model in evaluation["models"]] == ["fake fibres", "fake nuclei", "fake"]
    console = Console(width=80, file=io.StringIO())
    print_evaluation(evaluation, console)
    lines = console.file.getvalue().splitlines()
    assert any(line.startswith("F1 at IoU 0.75") and "1.000 (1.000..1.000) n 9" in line for line in lines)  # not wrapped
    (heads,) = (line.split() for line in lines if line.startswith("truth") and "necrotic" in line)
    assert heads[:6] == ["truth", "\\", "found", "normal", "necrotic", "pale-fr."]
    assert any(line.startswith("pale-fragmented ") for line in lines)


def test_an_image_without_tissue_is_judged_as_nothing_found(folder: Path, fake_models: Models) -> None:
    write(folder / "section.png", np.full((600, 800, 3), 255, dtype=np.uint8))
    evaluation = evaluate_folder(folder, fake_models)
    assert value(evaluation, "fibres", "recall50") == 0
    assert value(evaluation, "fibres", "precision50") is None


def test_drawn_sections_are_judged_by_the_same_way(fake_models: Models, tmp_path: Path) -> None:
    evaluation = evaluate_drawn("clean", fake_models, tmp_path, count=2, seed=5, shape_px=(256, 256))
    assert "not its accuracy on tissue" in evaluation["note"]
    assert [image["name"] for image in evaluation["images"]] == ["clean_5", "clean_6"]
    drawn = draw_section(5, (256, 256), "clean")
    counted = evaluation["images"][0]["fibres"]
    assert counted["counts"]["truth"] <= drawn.fibres.max()
    assert (tmp_path / "clean_5_marked.png").is_file()
    with pytest.raises(UsageError, match="clean, usual, hard"):
        evaluate_drawn("easy", fake_models)
