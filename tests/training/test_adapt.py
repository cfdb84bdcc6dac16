"""Adaptation to corrections of a really analysed section, by the command line and as a function."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from annotation_files import square, write
from biopsy_analyzer.classify.state_model import load_state_model, save_state_model
from biopsy_analyzer.cli import app
from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.models import default_folder, load_models
from biopsy_analyzer.settings import SegmentSettings, Settings
from biopsy_analyzer.training import adapt as adapting
from biopsy_analyzer.training import fine_tune as tuning
from biopsy_analyzer.training import known
from biopsy_analyzer.training.adapt import adapt
from biopsy_analyzer.training.lessons import read_calls
from painted_result import STATES, centre, fibre_at, said_to_be_made_with


@pytest.fixture(autouse=True)
def few_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "SECTIONS", (("usual", 2),))
    monkeypatch.setattr(known, "SHAPE_PX", (512, 512))


@pytest.fixture
def blind(folder: Path, tmp_path: Path) -> Path:
    """Models that call every fibre of it normal, and `folder` made with them."""
    models = Path(shutil.copytree(default_folder(), tmp_path / "blind"))
    states = load_state_model(models / "states")
    save_state_model(replace(states, intercept=states.intercept + np.array([18.0, 0, 0, 0])), models / "states")
    said_to_be_made_with(models, folder)
    return models


def put_right(folder: Path) -> Corrections:
    """The six sick fibres called so, twenty normal ones confirmed."""
    corrections = Corrections.open(folder)
    for number, state in {**STATES, **dict.fromkeys(range(14, 34), "normal")}.items():
        corrections.set_state([fibre_at(corrections, number)], state)
    return corrections


def test_calls_of_a_reader_become_a_model_with_its_own_card(folder, blind, tmp_path):
    corrections = put_right(folder)
    corrections.split(fibre_at(corrections, 60), centre(60) + np.array([[-40.0, 0], [40, 0]]))  # their stain isn't known now
    corrections.draw(centre(0) - 35 + np.array([[0.0, 0], [0, 12], [12, 12], [12, 0]]), "necrotic")
    out = tmp_path / "models"
    again = folder.parent / "section" / ".." / "section"
    (tmp_path / "lab.toml").write_text("[segment]\nmin_fibre_um2 = 70.0\n")
    given = ["adapt", str(folder), str(again), "-o", str(out), "--models", str(blind), "--settings", str(tmp_path / "lab.toml")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("fibre states: adapted; log loss of the reader's calls held out changes by -")
    assert "26 fibres called by a reader, 6 of them otherwise than by the parent; 54 left as called" in done.output
    assert "3 more can't teach" in done.output
    assert f"given more than once, counted once: {again}" in done.output
    assert "normal called sick" in done.output
    report = json.loads((out / "adaptation.json").read_text())
    assert report["states"]["fibres"]["decided"] == {"normal": 20, "necrotic": 3, "pale-fragmented": 1, "regenerating": 2}
    assert report["states"]["fibres"]["not_measured"] == 3
    assert (report["sources"], report["repeated"], report["notes"]) == (["section"], [str(again)], [])
    assert report["fibres"] is None
    assert report["settings"] == Settings(segment=SegmentSettings(min_fibre_um2=70)).model_dump(mode="json")
    assert report["states"]["held_out"]["log_loss_change"]["value"] < 0
    models, parent = load_models(out), load_state_model(blind / "states")
    card = models.states.card
    assert card["parent"]["sha256"] == parent.card["sha256"] == report["parent"]["states"]
    assert card["version"].startswith(parent.card["version"] + "+adapted.")
    assert card["temperature"] == parent.card["temperature"]
    assert card["networks"] == {"fibres": models.fibres.sha256, "nuclei": models.nuclei.sha256}
    assert card["adaptation"]["known"] == report["states"]["known"]
    calls, _ = read_calls([folder], None, load_models(blind), Settings())
    sick = calls[calls["decided"] & (calls["truth"] != "normal")]
    before, after = (np.log(1 - model.predict(sick)[:, 0]).mean() for model in (parent, models.states))
    assert after > before + 0.3
    for kind in ("fibres", "nuclei"):
        assert (out / kind / "weights.safetensors").read_bytes() == (blind / kind / "weights.safetensors").read_bytes()
    assert CliRunner().invoke(app, given).exit_code == 0  # a folder of adapted models may be written anew


def test_a_reader_who_calls_ordinary_fibres_sick_keeps_the_parent(folder, tmp_path):
    said_to_be_made_with(default_folder(), folder)
    corrections = Corrections.open(folder)
    for number in (*range(0, 10), *range(14, 38)):
        corrections.set_state([fibre_at(corrections, number)], "regenerating")
    report = adapt([folder], tmp_path / "models")
    assert report["states"]["kept_parent"]
    assert "on drawn sections the share of normal fibres called sick rises" in report["states"]["why"]
    for part in ("fibres", "nuclei", "states"):
        assert (tmp_path / "models" / part / "card.json").read_bytes() == (default_folder() / part / "card.json").read_bytes()


def test_too_few_corrections_are_said_in_one_line(folder, tmp_path):
    said_to_be_made_with(default_folder(), folder)
    corrections = Corrections.open(folder)
    corrections.set_state([fibre_at(corrections, 1)], "necrotic")
    done = CliRunner().invoke(app, ["adapt", str(folder), "-o", str(tmp_path / "models")])
    assert done.exit_code == 2
    assert "too few corrections: 1 fibres called by a reader" in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_result_of_other_models_is_refused_in_one_line(folder, tmp_path):
    put_right(folder)
    done = CliRunner().invoke(app, ["adapt", str(folder), "-o", str(tmp_path / "models")])
    assert done.exit_code == 2
    ours = load_models().fibres
    both = f"made with network colours-fibres 1 (SHA-256 000000000000), but the models to adapt have fibres {ours.version} (SHA-256 "
    assert both + ours.sha256[:12] in done.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("fine_tune", [[], ["--fine-tune", "0.01"]])
def test_a_refusal_says_which_annotation_taught_nothing(tmp_path, fine_tune):
    """What QuPath exports of an image without a pixel size, put aside for measuring."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((600, 600, 3), 200, np.uint8))
    (tmp_path / "a.json").write_text('{"held_out": true}')
    drawn = tmp_path / "a.geojson"
    drawn.write_text(json.dumps([square("Region: annotated", 0, 0, 600, 600), square("Fibre: normal", 10, 10, 90, 90)]))
    given = ["adapt", str(drawn), "-o", str(tmp_path / "deep" / "models"), *fine_tune]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 2
    assert "Give it with --mpp, or write" in done.stderr
    assert not (tmp_path / "deep").exists()
    done = CliRunner().invoke(app, [*given, "--mpp", "0.5"])
    assert done.exit_code == 2
    assert done.stderr.startswith("ERROR adapt: too few ")
    assert done.stderr.endswith("; a.geojson: held out, teaches nothing.\n")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(("given", "said"), [("nothing.geojson", "neither"), ("", "neither")])
def test_what_holds_no_corrections_is_refused(folder, tmp_path, given, said):
    done = CliRunner().invoke(app, ["adapt", str(folder / given), "-o", str(tmp_path / "models")])
    assert done.exit_code == 2
    assert said in done.stderr


def test_settings_that_do_not_exist_are_refused_before_anything_is_read(tmp_path):
    (tmp_path / "lab.toml").write_text("[segment]\nmin_fiber_um2 = 70.0\n")
    done = CliRunner().invoke(app, ["adapt", "nowhere", "-o", str(tmp_path / "models"), "--settings", str(tmp_path / "lab.toml")])
    assert done.exit_code == 2
    assert "unknown setting 'segment.min_fiber_um2'. The nearest is 'segment.min_fibre_um2'" in done.stderr
    assert not (tmp_path / "models").exists()


def test_the_parents_folder_is_not_written_over(folder):
    done = CliRunner().invoke(app, ["adapt", str(folder), "-o", str(default_folder())])
    assert done.exit_code == 2
    assert "start from" in done.stderr


@pytest.mark.parametrize("place", ["the result", "other models", "adapted models and more"])
def test_a_folder_that_holds_other_things_is_not_written_into(folder, tmp_path, place):
    out = folder if place == "the result" else Path(shutil.copytree(default_folder(), tmp_path / "out"))
    if place == "adapted models and more":
        (out / "adaptation.json").write_text("{}")
        (out / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = CliRunner().invoke(app, ["adapt", str(folder), "-o", str(out)])
    assert done.exit_code == 2
    assert "so it is no folder of adapted models alone; give a new one with -o" in done.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.fixture
def outlined(analysed: tuple[Path, Path], tmp_path: Path) -> list[Path]:
    """Two annotated images that differ in a pixel, four windows each, of outlines of no told state: the painted fibres, 4 px less wide."""
    rgb = cv2.imread(str(analysed[0]))
    height, width = rgb.shape[:2]
    fibres = [square("Fibre: unsure", 2 * x - 36, 2 * y - 36, 2 * x + 36, 2 * y + 36) for y, x in map(centre, range(81))]
    found = []
    for name in ("a", "b"):
        rgb[0, 0, 0] += 1
        cv2.imwrite(str(tmp_path / f"{name}.png"), rgb)
        features = [square("Region: annotated", 0, 0, 800, 800), *fibres]
        found.append(write(tmp_path / f"{name}.geojson", features, file=f"{name}.png", shape=[height, width]))
    return found


def test_outlines_alone_teach_the_network_and_states_are_measured_on_it(outlined, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "DRAWN_PATCHES", 2)
    out = tmp_path / "models"
    fine_tune = tuning.fine_tune

    def taken_in_any_case(parent, *rest, **named):
        """A few steps move figures by a hair, to which side hangs on how many there were."""
        _, report = fine_tune(parent, *rest, **named)
        tuned = deepcopy(parent)
        next(iter(tuned.module.parameters())).data.mul_(1.0001)
        return tuned, report | {"kept_parent": False}

    monkeypatch.setattr(tuning, "fine_tune", taken_in_any_case)
    report = adapt(outlined, out, images=tmp_path, fine_tune_minutes=0.001)
    assert report["states"]["held_out"] is None
    assert "too few corrections: 0 fibres called by a reader" in report["states"]["why"]
    assert report["fibres"]["patches"] == {"taught": 4, "held_out": 4, "places": 2, "drawn": 2}
    models, parent = load_models(out), load_models()
    assert models.fibres.sha256 != parent.fibres.sha256
    card = models.states.card
    assert card["networks"] == {"fibres": models.fibres.sha256, "nuclei": parent.nuclei.sha256}
    assert card["sha256"] == parent.states.card["sha256"]  # the same rule, measured on another network
    assert card["with_adapted_network"] == report["fibres"]["states"]
    assert report["fibres"]["states"]["before"] == report["states"]["known"]["before"]

    worse = report["states"]["known"]["before"] | {"normal_called_sick": 0.9}
    monkeypatch.setattr(adapting, "read_known", lambda states, fibres: worse)
    report = adapt(outlined, tmp_path / "kept", images=tmp_path, fine_tune_minutes=0.001)
    assert report["fibres"]["kept_parent"]
    assert report["fibres"]["why"].endswith("to 0.900, by more than 0.02")
    assert load_models(tmp_path / "kept").fibres.sha256 == parent.fibres.sha256
