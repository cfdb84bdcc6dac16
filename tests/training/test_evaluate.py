"""The evaluation on small folders whose answers are known by hand, with label images, drawn sections and fake networks."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from rich.console import Console

from annotation_files import square
from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.models import Models
from biopsy_analyzer.segment.model_folder import CHANNELS
from biopsy_analyzer.settings import SegmentSettings, Settings
from biopsy_analyzer.training.draw import draw_section
from biopsy_analyzer.training.evaluate import evaluate_drawn, evaluate_folder
from biopsy_analyzer.training.evaluation_table import print_evaluation
from biopsy_analyzer.training.marked import FALSE, HIT, MISS
from truth_files import write_image


def value(evaluation: dict, part: str, name: str) -> float:
    return evaluation[part]["figures"][name]["value"]


def test_label_images_by_hand(with_truth: Path, tmp_path: Path) -> None:
    labels, out = tmp_path / "labels", tmp_path / "out"
    labels.mkdir()
    found = cv2.imread(str(with_truth / "section_fibres.png"), cv2.IMREAD_UNCHANGED)
    found[found == 3] = 0
    found[:20, :20] = 12
    write_image(labels / "section_fibres.png", found)
    out.mkdir()
    (out / "calibration.png").write_bytes(b"of an earlier evaluation")
    evaluation = evaluate_folder(with_truth, None, out, labels=labels)
    assert not (out / "calibration.png").exists()
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


def test_label_images_may_have_other_pixels(with_truth: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    found = cv2.imread(str(with_truth / "section_fibres.png"), cv2.IMREAD_UNCHANGED)
    write_image(labels / "section_fibres.png", found[::2, ::2])
    evaluation = evaluate_folder(with_truth, None, labels=labels)
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
def test_labels_that_would_be_judged_wrongly_are_refused(with_truth: Path, tmp_path: Path, made: Callable, message: str) -> None:
    labels = cv2.imread(str(with_truth / "section_fibres.png"), cv2.IMREAD_UNCHANGED)
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "section_fibres.tif", made(labels))
    with pytest.raises(UsageError, match=message):
        evaluate_folder(with_truth, None, labels=tmp_path / "labels")


def test_an_evaluation_says_which_images_are_drawn(with_truth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (".png", "_fibres.png"):
        shutil.copy(with_truth / f"section{part}", with_truth / f"tissue{part}")
    facts = json.loads((with_truth / "section.json").read_text())
    (with_truth / "tissue.json").write_text('{"um_per_px": 0.5}')
    monkeypatch.chdir(with_truth)
    for drawn, said in ((False, "diseases may differ. Research use only."), (True, "Some of them are drawn: figures over all images")):
        (with_truth / "section.json").write_text(json.dumps({**facts, "drawn": drawn}))
        evaluation = evaluate_folder(Path(), None, labels=Path())
        assert said in evaluation["note"]
        assert [image["drawn"] for image in evaluation["images"]] == [drawn, False]
        assert (evaluation["drawn"], evaluation["inputs"], evaluation["labels"]) == (False, "inputs", "inputs")
    (with_truth / "tissue.json").write_text('{"um_per_px": 0.5, "drawn": true}')
    assert "not its accuracy on tissue" in evaluate_folder(Path(), None, labels=Path())["note"]


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


def test_the_whole_method_is_judged(with_truth: Path, fake_models: Models, tmp_path: Path) -> None:
    steps: list[tuple] = []
    evaluation = evaluate_folder(with_truth, fake_models, tmp_path / "out", progress=lambda *step: steps.append(step))
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
    assert any(line.startswith("F1 at IoU 0.75") and "1.000 (0.798..1.000) n 9" in line for line in lines)  # not wrapped
    (heads,) = (line.split() for line in lines if line.startswith("truth") and "necrotic" in line)
    assert heads[:6] == ["truth", "\\", "found", "normal", "necrotic", "pale-fr."]
    assert any(line.startswith("pale-fragmented ") for line in lines)


def test_the_method_is_judged_with_the_settings_given(with_truth: Path, fake_models: Models) -> None:
    settings = Settings(segment=SegmentSettings(min_fibre_um2=6000))  # the fibres have 5,000
    evaluation = evaluate_folder(with_truth, fake_models, settings=settings)
    assert evaluation["fibres"]["counts"] == {"truth": 9, "found": 0, "hits": 0, "missed": 9, "false": 0}
    assert evaluation["settings"]["segment"]["min_fibre_um2"] == 6000


def test_a_truth_that_this_program_outlined_is_said_to_be_circular(with_truth: Path, fake_models: Models, tmp_path: Path) -> None:
    """objects.geojson through QuPath, which keeps names, with an object drawn anew, which has none; another image lies beside it."""
    kept, new = square("Fibre: normal", 70, 40, 230, 200), square("Fibre: normal", 320, 40, 480, 200)
    kept["properties"]["name"] = "Fibre 12"
    result = tmp_path / "result"
    result.mkdir()
    (result / "objects.geojson").write_text(json.dumps([kept, new]))
    shutil.copy(with_truth / "section.png", result / "overlay.png")
    notes = evaluate_folder(result, fake_models, images=with_truth / "section.png", um_per_px=0.5)["notes"]
    assert notes[-1] == (
        "objects: outlined by this program: 1 of its fibres and nuclei; what was not changed counts as agreement: this tells how much was "
        "corrected, not accuracy"
    )
    assert not any("overlay.png" in note for note in notes)
    labels = tmp_path / "labels"
    labels.mkdir()
    shutil.copy(with_truth / "section_fibres.png", labels / "objects_fibres.png")
    of_another = evaluate_folder(result, None, labels=labels, images=with_truth / "section.png", um_per_px=0.5)
    assert not any("agreement" in note for note in of_another["notes"])


def evaluated(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "biopsy_analyzer", "evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_takes_a_file_of_settings_and_writes_down_all(with_truth: Path, tmp_path: Path) -> None:
    """Of three fibres 130 um2 lie in the image: more than the default `min_fibre_um2`, less than that given, by which they are left out."""
    write_image(with_truth / "section.png", cv2.imread(str(with_truth / "section.png"))[:, :580, ::-1])
    for part in ("fibres", "nuclei"):
        path = with_truth / f"section_{part}.png"
        write_image(path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :580])
    (tmp_path / "lab.toml").write_text("[segment]\nmin_fibre_um2 = 400.0\n")
    labels = (with_truth, "--labels", with_truth, "--json")
    usual = evaluated(*labels, folder=tmp_path)
    changed = evaluated(*labels, "--settings", "lab.toml", "-o", "out", folder=tmp_path)
    assert (usual.returncode, usual.stderr, changed.returncode, changed.stderr) == (0, "", 0, "")
    assert json.loads(usual.stdout)["settings"] == json.loads(json.dumps(Settings().model_dump()))
    assert [json.loads(done.stdout)["fibres"]["counts"]["truth"] for done in (usual, changed)] == [9, 6]
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == json.loads(changed.stdout)
    assert written["settings"] == json.loads(json.dumps(Settings(segment=SegmentSettings(min_fibre_um2=400)).model_dump()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--drawn", "usual", "--settings", "lab.toml"], "lab.toml: unknown setting 'segment.min_fiber_um2'. The nearest is"),
        (["--drawn", "usual", "--settings", "none.toml"], "none.toml: no such settings file"),
        (["--drawn", "usual", "--mpp", "0.5"], "wanted either a FOLDER with truth"),
        (["--drawn", "usual", "--images", "."], "wanted either a FOLDER with truth"),
    ],
)
def test_what_cannot_be_meant_is_one_line_before_anything_is_computed(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text("[segment]\nmin_fiber_um2 = 400.0\n")
    done = evaluated(*arguments, "-o", "out", "--models", "nowhere", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"ERROR evaluate: {message}")
    assert not (tmp_path / "out").exists()


def test_an_image_without_tissue_is_judged_as_nothing_found(with_truth: Path, fake_models: Models) -> None:
    write_image(with_truth / "section.png", np.full((600, 800, 3), 255, dtype=np.uint8))
    evaluation = evaluate_folder(with_truth, fake_models)
    assert value(evaluation, "fibres", "recall50") == 0
    assert value(evaluation, "fibres", "precision50") is None


@pytest.mark.parametrize("um_per_px", [0.5, 2.0])
def test_an_image_of_another_stain_is_judged_as_nothing_found(with_truth: Path, fake_models: Models, um_per_px: float) -> None:
    write_image(with_truth / "section.png", cv2.imread(str(with_truth / "section.png"))[..., [1, 2, 0]])  # pink turned green
    evaluation = evaluate_folder(with_truth, fake_models, um_per_px=um_per_px)
    assert "Give an H&E section" in evaluation["images"][0]["error"]
    assert value(evaluation, "fibres", "recall50") == 0
    if um_per_px == 0.5:
        assert value(evaluation, "nuclei", "recall50") == 0
    else:
        assert evaluation["nuclei"] is None  # nobody looks for nuclei in such pixels


def test_images_trained_on_are_told_apart(with_truth: Path, tmp_path: Path) -> None:
    """Nine fibres in each of three images; of the second, trained on, all are found, of the others all but one and two."""
    labels = tmp_path / "labels"
    labels.mkdir()
    truth = cv2.imread(str(with_truth / "section_fibres.png"), cv2.IMREAD_UNCHANGED)
    for name, held_out, missed in (("section", True, 1), ("tissue", False, 0), ("vague", None, 2)):
        for part in (".png", "_fibres.png"):
            if name != "section":
                shutil.copy(with_truth / f"section{part}", with_truth / f"{name}{part}")
        (with_truth / f"{name}.json").write_text(json.dumps({"um_per_px": 0.5, "held_out": held_out}))
        write_image(labels / f"{name}_fibres.png", np.where(truth > 9 - missed, 0, truth))
    evaluation = evaluate_folder(with_truth, None, labels=labels)
    assert evaluation["judged_on"] == "2 of 3 images: those not trained on"
    assert (evaluation["fibres"]["counts"]["truth"], value(evaluation, "fibres", "recall50")) == (18, 15 / 18)
    assert (evaluation["trained_on"]["fibres"]["counts"]["truth"], value(evaluation["trained_on"], "fibres", "recall50")) == (9, 1)
    assert "; 2 slides" in evaluation["interval"]
    screen = io.StringIO()
    print_evaluation(evaluation, Console(width=80, file=screen))
    shown = screen.getvalue()
    assert 0 < shown.index("Judged on 2 of 3 images") < shown.index("The images trained on, which prove nothing")
    for name in ("section", "vague"):
        (with_truth / f"{name}.json").write_text('{"um_per_px": 0.5, "held_out": false}')
    evaluation = evaluate_folder(with_truth, None, labels=labels)
    assert (evaluation["judged_on"], evaluation["trained_on"]) == ("all 3 images", None)
    assert value(evaluation, "fibres", "recall50") == 24 / 27


def test_windows_of_one_slide_are_drawn_together(with_truth: Path, tmp_path: Path) -> None:
    """Twelve drawings of one image, in half of which nothing is found: one slide, so objects are drawn; of two slides also slides."""
    ring = [[1, 1], [100, 1], [100, 100], [1, 100], [1, 1]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    drawing = [{"type": "Feature", "geometry": shape, "properties": {"classification": {"name": "Fibre: normal"}}}]
    drawings, labels = tmp_path / "drawings", tmp_path / "labels"
    drawings.mkdir()
    labels.mkdir()
    found = np.zeros((600, 800), np.uint8)
    found[1:100, 1:100] = 1
    for number in range(12):
        source = {"file": "section.png", "um_per_px": 0.5, "shape": [600, 800]}
        (drawings / f"{number}.geojson").write_text(json.dumps({"source": source, "features": drawing}))
        write_image(labels / f"{number}_fibres.png", found if number % 2 else np.zeros_like(found))
    one = evaluate_folder(drawings, None, images=with_truth, labels=labels)
    low, high = one["fibres"]["figures"]["recall50"]["ci95"]
    assert 0.1 < low < 0.5 < high < 0.9
    assert one["interval"].endswith("; 1 slide")
    for number in range(1, 12, 2):
        shutil.copy(with_truth / "section.png", with_truth / "other.png")
        source = {"file": "other.png", "um_per_px": 0.5, "shape": [600, 800]}
        (drawings / f"{number}.geojson").write_text(json.dumps({"source": source, "features": drawing}))
    two = evaluate_folder(drawings, None, images=with_truth, labels=labels)
    assert two["fibres"]["figures"]["recall50"] == {"value": 0.5, "ci95": (0.0, 1.0), "n": 12}
    assert len([note for note in two["notes"] if "the whole image counts as annotated" in note]) == 12


def test_nothing_judged_is_an_error_that_says_why(with_truth: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    shutil.copy(with_truth / "section_nuclei.png", tmp_path / "labels")
    (with_truth / "section_nuclei.png").unlink()
    done = evaluated(with_truth, "--labels", tmp_path / "labels", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "ERROR evaluate: nothing could be judged: section: the truth has fibres, what is judged has nuclei" in done.stderr
    (tmp_path / "labels" / "section_nuclei.png").rename(tmp_path / "labels" / "section_fibres.png")
    ring = [[700, 500], [790, 500], [790, 590], [700, 500]]
    region = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}
    features = [
        {"type": "Feature", "geometry": shape, "properties": {"classification": {"name": name}}}
        for name, shape in (("Fibre: normal", {"type": "Polygon", "coordinates": [ring]}), ("Region: annotated", region))
    ]
    (with_truth / "section.geojson").write_text(json.dumps(features))
    with pytest.raises(UsageError, match=r"nothing could be judged: .*; section: none of \d+ objects counts; each lies mostly"):
        evaluate_folder(with_truth, None, labels=tmp_path / "labels")


def test_nothing_there_and_nothing_found_is_judged_and_said(with_truth: Path) -> None:
    for part in ("fibres", "nuclei"):
        write_image(with_truth / f"section_{part}.png", np.zeros((600, 800), np.uint8))
    evaluation = evaluate_folder(with_truth, None, labels=with_truth)
    assert evaluation["notes"] == ["section: no object in the truth, and none found"]
    assert evaluation["fibres"]["counts"]["false"] == 0
    screen = io.StringIO()
    print_evaluation(evaluation, Console(width=80, file=screen))
    assert "Note: section: no object in the truth, and none found\n" in screen.getvalue()


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
