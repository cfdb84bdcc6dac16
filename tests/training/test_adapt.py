"""Adaptation to corrections of a really analysed section, by the command line and as a function."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from biopsy_analyzer.classify.state_model import load_state_model
from biopsy_analyzer.cli import app
from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.models import default_folder, load_models
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training import fine_tune as tuning
from biopsy_analyzer.training.export import folded
from biopsy_analyzer.training.lessons import distinct, outline_patches, read_calls
from biopsy_analyzer.training.truth import draw_truth
from painted_result import analyse_painted, centre, fibre_at


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    return analyse_painted(tmp_path_factory.mktemp("analysed"))


@pytest.fixture
def folder(analysed, tmp_path):
    return Path(shutil.copytree(analysed[1], tmp_path / "section"))


def test_copies_of_a_corrected_result_count_once(folder, tmp_path):
    """By what was corrected: a copy, a copy of an earlier day, and the same correction of another reader, which is none."""
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    Corrections.open(folder, who="a").set_state([1], "necrotic")
    Corrections.open(other, who="b").set_state([1], "necrotic")
    early = Path(shutil.copytree(folder, tmp_path / "early"))
    Corrections.open(folder, who="a").set_state([2], "necrotic")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    drawn = tmp_path / "a.geojson"
    drawn.write_text("{}")
    assert distinct([early, folder, copy, other, drawn, drawn]) == ([folder, other, drawn], [early, copy, drawn])
    nothing = [tmp_path / "nowhere", tmp_path / "nowhere-else"]
    assert distinct(nothing) == (nothing, [])


def test_calls_of_a_reader_become_a_model_with_its_own_card(folder, tmp_path):
    """A reader who calls ordinary pink fibres regenerating throughout: wrong, but surely not what the parent says."""
    corrections = Corrections.open(folder)
    for number in (*range(0, 10), *range(14, 38)):
        corrections.set_state([fibre_at(corrections, number)], "regenerating")
    corrections.split(fibre_at(corrections, 60), centre(60) + np.array([[-40.0, 0], [40, 0]]))  # their stain isn't known now
    corrections.draw(centre(0) - 35 + np.array([[0.0, 0], [0, 12], [12, 12], [12, 0]]), "necrotic")
    out = tmp_path / "models"
    again = folder.parent / "section" / ".." / "section"
    done = CliRunner().invoke(app, ["adapt", str(folder), str(again), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "adapted" in done.output
    assert "3 more can't teach" in done.output
    assert f"given more than once, counted once: {again}" in done.output
    report = json.loads((out / "adaptation.json").read_text())
    assert report["states"]["fibres"]["decided"] == {"normal": 0, "necrotic": 0, "pale-fragmented": 0, "regenerating": 34}
    assert sum(report["states"]["fibres"]["left_as_called"].values()) == 81 - 34 - 1
    assert report["states"]["fibres"]["not_measured"] == 3
    assert (report["sources"], report["repeated"]) == (["section"], [str(again)])
    assert report["fibres"] is None
    change = report["states"]["held_out"]["log_loss_change"]
    assert change["value"] < 0
    models, parent = load_models(out), default_folder()
    assert models.states.card["parent"]["sha256"] == load_state_model(parent / "states").card["sha256"] == report["parent"]["states"]
    assert models.states.card["version"].startswith(load_state_model(parent / "states").card["version"] + "+adapted.")
    calls = read_calls([folder], None, models, Settings())
    decided = calls[calls["decided"]]
    before, after = (np.log(model.predict(decided)[:, 3]).mean() for model in (load_state_model(parent / "states"), models.states))
    assert after > before + 0.3
    for kind in ("fibres", "nuclei"):
        assert (out / kind / "weights.safetensors").read_bytes() == (parent / kind / "weights.safetensors").read_bytes()


def test_results_of_the_same_name_are_sections_of_their_own_and_two_readers_share_one(folder, tmp_path):
    """Of one name is another slide's result, here with a fibre of another size; the same analysis may not be taught and judged by."""
    folders = [shutil.copytree(folder, tmp_path / batch / "s") for batch in ("batch1", "batch2", "second reader")]
    fibres = pd.read_parquet(folders[1] / "fibres.parquet")
    fibres.loc[0, "area_um2"] += 1
    write_table(fibres, folders[1], "fibres")
    for number, one in enumerate(folders):
        corrections = Corrections.open(one)
        corrections.set_state([fibre_at(corrections, number)], "necrotic")
    calls = read_calls(folders, None, load_models(), Settings())
    assert calls.groupby("section").size().to_dict() == {"1 s": 162, "2 s": 81}


def test_windows_are_never_cut_from_another_slide(analysed, folder, tmp_path):
    """Another file under the slide's name, of the same size: its pixels would be taught with outlines of other fibres."""
    corrections = Corrections.open(folder)
    corrections.split(fibre_at(corrections, 20), centre(20) + np.array([[-40.0, 0], [40, 0]]))
    other = tmp_path / analysed[0].name
    cv2.imwrite(str(other), cv2.imread(str(analysed[0]))[::-1])
    with pytest.raises(UsageError, match="another slide"):
        list(outline_patches([folder], tmp_path))


def test_too_few_corrections_are_said_in_one_line(folder, tmp_path):
    corrections = Corrections.open(folder)
    corrections.set_state([fibre_at(corrections, 1)], "necrotic")
    done = CliRunner().invoke(app, ["adapt", str(folder), "-o", str(tmp_path / "models")])
    assert done.exit_code == 2
    assert "too few corrections: 1 fibres called by a reader" in done.stderr
    assert not (tmp_path / "models" / "states").exists()


@pytest.mark.parametrize(("given", "said"), [("nothing.geojson", "neither"), ("", "neither")])
def test_what_holds_no_corrections_is_refused(folder, tmp_path, given, said):
    done = CliRunner().invoke(app, ["adapt", str(folder / given), "-o", str(tmp_path / "models")])
    assert done.exit_code == 2
    assert said in done.stderr


def test_the_parents_folder_is_not_written_over(folder):
    done = CliRunner().invoke(app, ["adapt", str(folder), "-o", str(default_folder())])
    assert done.exit_code == 2
    assert "start from" in done.stderr


def test_windows_around_edited_outlines(analysed, folder):
    corrections = Corrections.open(folder)
    corrections.split(fibre_at(corrections, 20), centre(20) + np.array([[-40.0, 0], [40, 0]]))
    corrections.draw(centre(0) - 35 + np.array([[0.0, 0], [0, 12], [12, 12], [12, 0]]), "necrotic")
    corrections.mark_unassessable(centre(0) + 15 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]))
    (patch,) = outline_patches([folder], analysed[0].parent)
    assert patch["rgb"].shape == (512, 512, 3)
    found = np.unique(patch["fibres"])
    assert found[0] == 0
    assert len(found) == patch["fibres"].max() + 1
    at = tuple(2 * (centre(20) + np.array([-8, 8])).astype(int))
    assert patch["states"][at] == 255  # cut, its state not told
    assert sorted(np.unique(patch["states"])) == [0, 2, 255]  # the drawn one is necrotic
    assert patch["ignore"][tuple((centre(0) * 2).astype(int))]
    assert patch["ignore"].mean() == pytest.approx((60 / 512) ** 2, rel=0.1)


def test_a_network_is_trained_further_and_judged_on_what_it_did_not_see(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "DRAWN_PATCHES", 2)
    monkeypatch.setattr(tuning, "DRAWN_SECTIONS", 1)
    parent = load_models(device="cpu").fibres
    patches = []
    for number in range(4):
        truth = draw_truth("clean", number, tmp_path, seed=100, shape_px=(512, 512))
        rgb = cv2.imread(str(truth.image))[..., ::-1]
        nothing = np.zeros((512, 512), np.uint16)
        codes = np.where(truth.fibres > 0, 255, 0).astype(np.uint8)
        fibres = truth.fibres.astype(np.uint16)
        patches.append(
            {
                "rgb": rgb,
                "fibres": fibres,
                "states": codes,
                "nuclei": nothing,
                "kinds": nothing.astype(np.uint8) + 255,
                "ignore": truth.ignore,
            }
        )
    before = {name: value.clone() for name, value in parent.module.state_dict().items()}
    module, report = tuning.fine_tune(parent, patches, minutes=0.02)
    assert all(bool((value == before[name]).all()) for name, value in parent.module.state_dict().items())  # the parent is as it was
    assert report["training"]["steps"] >= 1
    assert report["patches"] == {"taught": 3, "held_out": 1, "drawn": 2}
    figures = report["held_out"]
    assert 0.5 < figures["before"]["corrected"]["f1_50"]["value"] <= 1
    assert abs(figures["after"]["drawn"]["f1_50"]["value"] - figures["before"]["drawn"]["f1_50"]["value"]) < 0.2
    assert (module is None) == report["kept_parent"]
    if module is not None:
        assert folded(module) is module
    with pytest.raises(Exception, match="wanted at least 4"):
        tuning.fine_tune(parent, patches[:3], minutes=0.02)
