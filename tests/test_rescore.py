"""A saved result scored again: nothing changes by itself, settings change what they should, and what needs the slide is refused."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.report.result import ModelInfo, SlideInfo
from biopsy_analyzer.report.saved import read_saved
from biopsy_analyzer.report.scores_json import Quality, ScoresDocument, to_text
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.rescore import Change, changes_text, headline, score_again, settings_for, write_rescored
from biopsy_analyzer.score import Scores, score, unassessed
from biopsy_analyzer.settings import ClusterSettings, ScoreSettings, SegmentSettings, Settings
from biopsy_analyzer.settings_file import load_settings
from biopsy_analyzer.tables import CLUSTERS, empty
from made_tables import make_fibres, make_nuclei


def document_of(scores: Scores, status: str = "ok") -> dict:
    slide = SlideInfo("a", "a.tif", "ab" * 32, 0.5, "given", 3000, 3000)
    models = [ModelInfo("fibres", "1", "cd" * 32)]
    quality = Quality(tissue_area_mm2=1.5, flags=[])
    parts = {name: getattr(scores, name) for name in Scores.model_fields}
    parts["warnings"] = (*scores.warnings, "a note of the analysis")
    return ScoresDocument(status=status, slide=slide, software={}, models=models, settings=Settings(), quality=quality, **parts).model_dump(
        mode="json"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 fibres, 24 of them necrotic, 60 lymphocytes, in 1.5 mm2."""
    folder = tmp_path_factory.mktemp("result")
    states = np.where(np.arange(300) % 25 < 2, "necrotic", "normal").tolist()
    at = np.random.default_rng(0).uniform(0, 1200, (60, 2))
    tables = {
        "fibres": make_fibres(states, probability=0.9),
        "nuclei": make_nuclei(["lymphocyte"] * 60, y_um=at[:, 0], x_um=at[:, 1], probability=0.9),
        "clusters": empty(CLUSTERS),
    }
    for name, table in tables.items():
        write_table(table, folder, name)
    scores = score(*tables.values(), 1.5, Settings(), nuclei_assessed=True)
    (folder / "scores.json").write_text(to_text(document_of(scores)))
    return folder


def test_by_itself_nothing_changes(folder: Path) -> None:
    found = score_again(read_saved(folder))
    assert found.changes == ()
    assert changes_text(found.changes) == "  nothing changed"
    assert found.document["warnings"] == ["a note of the analysis"]


def test_other_settings_change_what_hangs_on_them(folder: Path) -> None:
    found = score_again(read_saved(folder), Settings(score=ScoreSettings(necrosis_half=0.1)))
    where = {change.where for change in found.changes}
    assert {"scores.necrosis.value", "scores.balance.value"} <= where
    assert not any(name.startswith(("fibres.", "inflammation.", "scores.inflammation")) for name in where)
    assert found.document["settings"]["score"]["necrosis_half"] == 0.1
    assert found.settings == (Change("settings.score.necrosis_half", 0.05, 0.1),)
    assert "; settings.score.necrosis_half: 0.05 -> 0.1" in headline(found)
    value = next(change for change in found.changes if change.where == "scores.necrosis.value")
    assert (value.before, value.after) == (pytest.approx(0.08 / 0.13), pytest.approx(0.08 / 0.18))
    before, after = (d["scores"]["necrosis"]["ci95"] for d in (read_saved(folder).document, found.document))
    line = next(line for line in changes_text(found.changes).splitlines() if line.startswith("  scores.necrosis:"))
    interval = " -> ".join(f"{low:.4g} to {high:.4g}" for low, high in (before, after))
    assert line == f"  scores.necrosis: 0.6154 -> 0.4444 (95 % interval {interval})"


def test_a_corrected_fibre_is_told(folder: Path) -> None:
    saved = read_saved(folder)
    healed = saved.fibres.assign(state=saved.fibres["state"].where(saved.fibres["fibre_id"] != 1, "normal"))
    found = score_again(dataclasses.replace(saved, fibres=healed))
    told = {change.where: (change.before, change.after) for change in found.changes}
    assert told["fibres.necrotic"] == (24, 23)
    assert told["evidence.necrotic-fibres.objects.count"] == (24, 23)


def test_changes_are_short_lines() -> None:
    changes = (
        Change("fibres.necrotic", 24, 23),
        Change("scores.necrosis.value", 0.61538, None),
        Change("scores.necrosis.ci95", [0.5, 0.7], None),
        Change("scores.necrosis.measured", 0.08, 0.0766),
        Change("scores.necrosis.measured_ci95", [0.05, 0.1], [0.04, 0.11]),
        Change("scores.balance.ci95", [-0.25, 0.5], [-0.2, 0.5]),
        Change("pattern.fits", ["mixed", "inactive"], []),
        Change("pattern.reasons", ["one of them", "another"], ["another", "a third", "a fourth"]),
        Change("evidence.necrotic-fibres.objects.ids", [1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6]),
        Change("evidence.regeneration.objects", {"kind": "fibre", "count": 33, "ids": [1, 2]}, None),
        Change("warnings", ["two words", "three short words"], ["three short words", "two words"]),
    )
    assert changes_text(changes).splitlines() == [
        "  fibres.necrotic: 24 -> 23",
        "  scores.necrosis: 0.6154 -> not assessed (95 % interval 0.5 to 0.7 -> not assessed)",
        "  scores.necrosis.measured: 0.08 -> 0.0766 (95 % interval 0.05 to 0.1 -> 0.04 to 0.11)",
        "  scores.balance.ci95: -0.25 to 0.5 -> -0.2 to 0.5",
        "  pattern.fits: mixed, inactive -> none",
        "  pattern.reasons: 2 new, 1 gone",
        "  evidence.necrotic-fibres.objects.ids: 0 new, 1 gone",
        "  evidence.regeneration.objects: 33 objects -> not assessed",
        "  warnings: in another order",
    ]


def test_a_field_that_came_later_is_told_as_not_assessed_before(folder: Path) -> None:
    saved = read_saved(folder)
    older = {name: value for name, value in saved.document.items() if name != "stages"}
    assert {change.where for change in score_again(saved, compared_with=older).changes} == {"stages"}


def test_settings_that_need_the_slide_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"segment\.fibre_threshold is 0\.6, in this result 0\.5: that needs the slide"):
        score_again(read_saved(folder), Settings(segment=SegmentSettings(fibre_threshold=0.6)))


def test_what_is_not_named_stays_as_it_is_in_the_result(folder: Path, tmp_path: Path) -> None:
    """The default of a group that needs the slide is one more value that it was not made with."""
    own = Settings(clusters=ClusterSettings(reach_um=25.0), score=ScoreSettings(min_fibres=100))
    document = {"settings": own.model_dump(mode="json")}
    assert settings_for(document, None) == own
    texts = {"": own, "[clusters]\nreach_um = 25.0\n": own}
    texts["[score]\nnecrosis_half = 0.1\n"] = own.model_copy(update={"score": ScoreSettings(min_fibres=100, necrosis_half=0.1)})
    texts["[score]\nmin_fibres = 50\n"] = own.model_copy(update={"score": ScoreSettings()})
    for text, wanted in texts.items():
        (tmp_path / "mine.toml").write_text(text)
        assert settings_for(document, load_settings(tmp_path / "mine.toml")) == wanted, text
    (tmp_path / "mine.toml").write_text("[clusters]\nreach_um = 20.0\n")
    with pytest.raises(UsageError, match=r"clusters\.reach_um is 20\.0, in this result 25\.0: that needs the slide\. Run batch"):
        settings_for(document, load_settings(tmp_path / "mine.toml"))


def test_a_refused_result_stays(folder: Path) -> None:
    saved = dataclasses.replace(read_saved(folder), document=document_of(unassessed("no tissue"), "refused"))
    assert score_again(saved).document == saved.document


def test_what_is_written_is_a_result(folder: Path, tmp_path: Path) -> None:
    found = score_again(read_saved(folder), Settings(score=ScoreSettings(necrosis_half=0.1)))
    again = read_saved(write_rescored(found, tmp_path / "again"))
    assert again.document == found.document
    pd.testing.assert_frame_equal(again.fibres, found.saved.fibres)
    (tmp_path / "again" / "fhir.json").write_text("{}")  # of the earlier scores
    write_rescored(found, tmp_path / "again")
    assert not (tmp_path / "again" / "fhir.json").exists()
    evidence = pd.read_parquet(tmp_path / "again" / "evidence.parquet")
    assert (evidence["item"] == "necrotic-fibres").sum() == 24
    with pytest.raises(UsageError, match="holds the result itself"):
        write_rescored(found, folder)
    with pytest.raises(UsageError, match=r"again: lies in a result"):
        write_rescored(found, folder / "again")
    (tmp_path / "analysed").mkdir()
    (tmp_path / "analysed" / "corrections.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"holds corrections\.jsonl of an analysis or a reader, which is never written over"):
        write_rescored(found, tmp_path / "analysed")
    other = {**found.document, "slide": {**found.document["slide"], "sha256": "0" * 64}}
    with pytest.raises(UsageError, match=r"again: holds the result of another slide"):
        write_rescored(dataclasses.replace(found, document=other), tmp_path / "again")
    assert read_saved(write_rescored(found, tmp_path / "again")).document == found.document


def test_the_command(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[score]\nnecrosis_half = 0.1\n")
    command = [sys.executable, "-m", "biopsy_analyzer", "score", str(folder)]
    assert "nothing changed" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with_settings = [*command, "--settings", str(tmp_path / "mine.toml"), "-o", str(tmp_path / "out"), "--json"]
    found = json.loads(subprocess.run(with_settings, capture_output=True, text=True, check=True).stdout)
    assert any(change["where"] == "scores.necrosis.value" for change in found["changes"])
    assert read_saved(tmp_path / "out").document == found["scores"]
    missing = subprocess.run([*command[:-1], str(tmp_path / "nowhere")], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stderr.count("\n")) == (3, 1)


NOT_FOR_SCORES = ("scipy.spatial", "scipy.sparse", "scipy.ndimage", "scipy.stats", "jsonschema", "zarr", "imagecodecs", "tifffile")
NOT_FOR_SCORES += ("jinja2", "torch", "skimage", "wsidicom", "PIL", "statsmodels", "matplotlib", "biopsy_analyzer.slide")


def test_scoring_loads_little(folder: Path) -> None:
    """Of the second that the command may take most goes into loading; each of these would add a tenth."""
    code = (
        "import sys; from biopsy_analyzer.cli import main; sys.argv = ['biopsy-analyzer', 'score', sys.argv[1]]\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert "nothing changed" in done.stdout
    assert "pandas" in loaded
    assert [name for name in NOT_FOR_SCORES if name in loaded] == []


def test_a_crash_is_logged_beside_the_result_and_not_where_one_stands(folder: Path, tmp_path: Path) -> None:
    result = tmp_path / "result"
    shutil.copytree(folder, result)
    code = (
        "import sys, biopsy_analyzer.rescore as r; from biopsy_analyzer.cli import main; r.score_again = None\n"
        "sys.argv = ['biopsy-analyzer', 'score', sys.argv[1]]; main()"
    )
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run([sys.executable, "-c", code, str(result)], capture_output=True, text=True, check=False, cwd=here)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"report it with {result / 'biopsy-analyzer.log'}" in done.stderr
    assert "TypeError" in (result / "biopsy-analyzer.log").read_text(encoding="utf-8")
    assert list(here.iterdir()) == []
