"""Adaptation to corrections of a really analysed section, by the command line and as a function."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from biopsy_analyzer.classify.state_model import load_state_model
from biopsy_analyzer.cli import app
from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.models import default_folder, load_models
from biopsy_analyzer.settings import SegmentSettings, Settings
from biopsy_analyzer.training.lessons import read_calls
from painted_result import centre, fibre_at


def test_calls_of_a_reader_become_a_model_with_its_own_card(folder, tmp_path):
    """A reader who calls ordinary pink fibres regenerating throughout: wrong, but surely not what the parent says."""
    corrections = Corrections.open(folder)
    for number in (*range(0, 10), *range(14, 38)):
        corrections.set_state([fibre_at(corrections, number)], "regenerating")
    corrections.split(fibre_at(corrections, 60), centre(60) + np.array([[-40.0, 0], [40, 0]]))  # their stain isn't known now
    corrections.draw(centre(0) - 35 + np.array([[0.0, 0], [0, 12], [12, 12], [12, 0]]), "necrotic")
    out = tmp_path / "models"
    again = folder.parent / "section" / ".." / "section"
    (tmp_path / "lab.toml").write_text("[segment]\nmin_fibre_um2 = 70.0\n")
    done = CliRunner().invoke(app, ["adapt", str(folder), str(again), "-o", str(out), "--settings", str(tmp_path / "lab.toml")])
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
    assert report["settings"] == Settings(segment=SegmentSettings(min_fibre_um2=70)).model_dump(mode="json")
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
