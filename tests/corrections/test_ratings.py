"""Raters' CSV files: rows by hand, replaced and not mixed up."""

from __future__ import annotations

import pandas as pd
import pytest

from biopsy_analyzer.corrections.ratings import read_ratings, save_rating
from biopsy_analyzer.errors import ResultError, UsageError


def test_one_row_an_item_and_the_last_word_counts(tmp_path):
    path = tmp_path / "ratings.csv"
    save_rating(path, " Ana ", "case_1", {"necrotic_percent": 12.5, "inflammation": 1, "pattern": "mixed"})
    save_rating(path, "Ana", "case_2", {"regeneration": 3})
    save_rating(path, "Ben", "case_1", {"regeneration": 0})
    save_rating(path, "Ana", "case_1", {"necrotic_percent": 20.0})
    assert (
        path.read_text()
        == "rater,slide_id,item,value\nAna,case_2,regeneration,3\nBen,case_1,regeneration,0\nAna,case_1,necrotic_percent,20\n"
    )
    assert len(pd.read_csv(path)) == len(read_ratings(path)) == 3


def test_names_cannot_act_as_formulas(tmp_path):
    path = tmp_path / "ratings.csv"
    for _ in range(2):
        save_rating(path, "=HYPERLINK(1)", "a\nb", {"inflammation": 2})
    assert path.read_text().splitlines()[1:] == ["'=HYPERLINK(1),a\\nb,inflammation,2"]


@pytest.mark.parametrize(("rater", "items"), [("", {"inflammation": 1}), ("Ana", {})])
def test_nothing_to_save(tmp_path, rater, items):
    with pytest.raises(UsageError):
        save_rating(tmp_path / "r.csv", rater, "case", items)
    assert not (tmp_path / "r.csv").exists()


def test_another_table_is_not_written_over(tmp_path):
    path = tmp_path / "fibres.csv"
    path.write_text("fibre_id,y_um\n1,2\n")
    with pytest.raises(ResultError, match="columns"):
        save_rating(path, "Ana", "case", {"inflammation": 1})
    assert path.read_text().startswith("fibre_id")
