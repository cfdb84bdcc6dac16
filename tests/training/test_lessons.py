"""What a reader's corrections teach: which calls, of which section, and which windows of the slide."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from annotation_files import square, write
from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.lessons import distinct, outline_places, read_calls
from painted_result import centre, fibre_at
from sections import colour_models


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


def test_results_of_the_same_name_are_sections_of_their_own_and_two_readers_share_one(folder, tmp_path):
    """Of one name is another slide's result, here with a fibre of another size; the same analysis may not be taught and judged by."""
    folders = [shutil.copytree(folder, tmp_path / batch / "s") for batch in ("batch1", "batch2", "second reader")]
    fibres = pd.read_parquet(folders[1] / "fibres.parquet")
    fibres.loc[0, "area_um2"] += 1
    write_table(fibres, folders[1], "fibres")
    for number, one in enumerate(folders):
        corrections = Corrections.open(one)
        corrections.set_state([fibre_at(corrections, number)], "necrotic")
    calls, notes = read_calls(folders, None, colour_models(), Settings())
    assert notes == []
    assert calls.groupby("section").size().to_dict() == {"1 s": 162, "2 s": 81}


def test_of_calls_by_another_state_model_only_the_readers_own_count(folder):
    """Nobody saw what these models call the others; features are the networks', so the reader's calls hold."""
    corrections = Corrections.open(folder)
    corrections.set_state([fibre_at(corrections, 1), fibre_at(corrections, 2)], "necrotic")
    models = colour_models()
    assert len(read_calls([folder], None, models, Settings())[0]) == 81
    others = replace(models, states=replace(models.states, card={"name": "fibre states", "version": "2", "sha256": "2" * 64}))
    calls, notes = read_calls([folder], None, others, Settings())
    assert calls["truth"].tolist() == ["necrotic", "necrotic"]
    assert calls["decided"].all()
    assert notes == [
        "section: called by follows-the-network 1 (SHA-256 111111111111), not by fibre states 2 (SHA-256 222222222222), "
        "so only its reader's own calls count"
    ]


def test_what_an_annotation_holds_beside_fibres_is_said(analysed, tmp_path):
    shutil.copy(analysed[0], tmp_path / "a.png")
    shape = cv2.imread(str(analysed[0])).shape[:2]
    y, x = 2 * centre(10)
    features = [square("Region: annotated", 0, 0, *shape[::-1]), square("Fibre: necrotic", x - 40, y - 40, x + 40, y + 40)]
    drawn = write(tmp_path / "a.geojson", [*features, square("Artery", 0, 0, 9, 9)], shape=list(shape))
    calls, notes = read_calls([drawn], None, colour_models(), Settings())
    assert calls[["truth", "decided"]].to_numpy().tolist() == [["necrotic", True]]
    (note,) = notes
    assert note.count("a.geojson") == 1
    assert "Artery" in note


def test_an_annotation_that_teaches_no_states_is_named(analysed, tmp_path):
    shutil.copy(analysed[0], tmp_path / "a.png")
    shape = list(cv2.imread(str(analysed[0])).shape[:2])
    features = [square("Region: annotated", 0, 0, 40, 40), square("Fibre: necrotic", 5, 5, 30, 30)]
    for name, facts in (("kept", {"held_out": True, "teach_states": False}), ("dead", {"teach_states": False})):
        write(tmp_path / f"{name}.geojson", features, shape=shape, **facts)
    calls, notes = read_calls([tmp_path / "kept.geojson", tmp_path / "dead.geojson"], tmp_path, colour_models(), Settings())
    assert calls.empty
    assert notes == [
        "kept.geojson: held out, teaches nothing",
        "dead.geojson: teach_states is false, teaches outlines only (--fine-tune)",
    ]


def test_a_pixel_size_given_holds_for_windows_of_annotations(tmp_path):
    """600 px of 0.5 um are four windows of 256 um that overlap; of 0.4 um, 240 um, one."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((600, 600, 3), 200, np.uint8))
    features = [square("Region: annotated", 0, 0, 600, 600), square("Fibre: normal", 10, 10, 90, 90)]
    drawn = write(tmp_path / "a.geojson", features, um_per_px=0.5, shape=[600, 600])
    assert [len(place) for place in outline_places([drawn], None)] == [4]
    (((patch,)),) = outline_places([drawn], None, 0.4)
    assert np.count_nonzero(patch["fibres"]) == pytest.approx((80 * 0.4 / 0.5) ** 2, rel=0.05)


@pytest.mark.parametrize("part", ["fibres", "nuclei"])
def test_a_result_of_another_network_is_refused_with_both_names(folder, part):
    corrections = Corrections.open(folder)
    corrections.set_state([fibre_at(corrections, 1)], "necrotic")
    models = colour_models()
    getattr(models, part).sha256 = "3" * 64
    both = rf"made with network colours-{part} 1 \(SHA-256 0{{12}}\), but the models to adapt have colours-{part} 1 \(SHA-256 3{{12}}\)"
    with pytest.raises(UsageError, match=both):
        read_calls([folder], None, models, Settings())


def test_windows_that_share_pixels_are_one_place(analysed, folder, tmp_path):
    """An annotation's windows overlap; two readers' windows of one slide are the same pixels; another image is another place."""
    corrections = Corrections.open(folder)
    corrections.delete("fibres", [fibre_at(corrections, 0)])  # at (80, 80) um
    corrections.delete("fibres", [fibre_at(corrections, 80)])  # at (464, 464) um: windows are of 256 um
    other = Path(shutil.copytree(folder, tmp_path / "other reader"))
    (other / "corrections.jsonl").unlink()
    second = Corrections.open(other)
    second.delete("fibres", [fibre_at(second, 1)])
    slides = tmp_path / "slides"
    slides.mkdir()
    shutil.copy(analysed[0], slides)
    assert [len(place) for place in outline_places([folder], slides)] == [1, 1]
    assert sorted(len(place) for place in outline_places([folder, other], slides)) == [1, 2]
    cv2.imwrite(str(slides / "a.png"), np.full((600, 600, 3), 200, np.uint8))
    region = [square("Region: annotated", 0, 0, 600, 600), square("Fibre: normal", 10, 10, 90, 90)]
    drawn = write(slides / "a.geojson", region, file="a.png", um_per_px=0.5, shape=[600, 600])
    assert sorted(len(place) for place in outline_places([folder, drawn], slides)) == [1, 1, 4]


def test_windows_are_never_cut_from_another_slide(analysed, folder, tmp_path):
    """Another file under the slide's name, of the same size: its pixels would be taught with outlines of other fibres."""
    corrections = Corrections.open(folder)
    corrections.split(fibre_at(corrections, 20), centre(20) + np.array([[-40.0, 0], [40, 0]]))
    other = tmp_path / analysed[0].name
    cv2.imwrite(str(other), cv2.imread(str(analysed[0]))[::-1])
    with pytest.raises(UsageError, match="another slide"):
        outline_places([folder], tmp_path)


def test_windows_around_edited_outlines(analysed, folder):
    corrections = Corrections.open(folder)
    corrections.split(fibre_at(corrections, 20), centre(20) + np.array([[-40.0, 0], [40, 0]]))
    corrections.draw(centre(0) - 35 + np.array([[0.0, 0], [0, 12], [12, 12], [12, 0]]), "necrotic")
    corrections.mark_unassessable(centre(0) + 15 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]))
    ((patch,),) = outline_places([folder], analysed[0].parent)
    assert patch["rgb"].shape == (512, 512, 3)
    found = np.unique(patch["fibres"])
    assert found[0] == 0
    assert len(found) == patch["fibres"].max() + 1
    at = tuple(2 * (centre(20) + np.array([-8, 8])).astype(int))
    assert patch["states"][at] == 255  # cut, its state not told
    assert sorted(np.unique(patch["states"])) == [0, 2, 255]  # the drawn one is necrotic
    assert patch["ignore"][tuple((centre(0) * 2).astype(int))]
    assert patch["ignore"].mean() == pytest.approx((60 / 512) ** 2, rel=0.1)
