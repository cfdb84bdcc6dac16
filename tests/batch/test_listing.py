"""Which slide a result is of, read from folders that may hold anything."""

import os
from pathlib import Path

import pytest

from biopsy_analyzer.batch.listing import read_scores, slide_of


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ('{"slide": {"sha256": "ab", "file_name": "a.svs"}}', {"sha256": "ab", "file_name": "a.svs"}),
        ('{"slide": {}}', {}),
        ('{"slide": ["sha256", "file_name"]}', {}),
        ('{"status": "ok"}', {}),
        ("[]", {}),
        ("null", {}),
        ('{"slide"', {}),
        ("[" * 200_000, {}),
        ("\xff", {}),
    ],
    ids=["a result", "nothing said", "no object", "no slide", "a list", "null", "cut", "too deep", "no UTF-8"],
)
def test_what_a_result_says_of_its_slide(content: str, wanted: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_bytes(content.encode("latin-1"))
    assert slide_of(tmp_path) == wanted


def test_where_no_file_is_there_is_no_slide_and_nothing_is_waited_on(tmp_path: Path) -> None:
    assert slide_of(tmp_path / "nowhere") == slide_of(tmp_path) == {}
    os.mkfifo(tmp_path / "scores.json")
    assert slide_of(tmp_path) == {}


def test_a_document_nested_too_deep_is_a_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match="nested deeper than any result"):
        read_scores(tmp_path)
