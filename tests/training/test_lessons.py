"""What a reader's corrections teach: which calls, of which section, and which windows of the slide."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.models import load_models
from biopsy_analyzer.report.tables_io import write_table
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.lessons import distinct, outline_patches, read_calls
from painted_result import centre, fibre_at


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
