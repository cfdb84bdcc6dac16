"""Settings come from a file as they stand in it, or the file is refused by key, value and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.settings_file import load_settings, settings_toml


def written(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_named_is_changed_and_nothing_else(tmp_path: Path) -> None:
    found = load_settings(written(tmp_path, "[score]\nmin_fibres = 20\nnecrosis_half = 1\n[clusters]\nreach_um = 12.5\n"))
    score = Settings().score.model_copy(update={"min_fibres": 20, "necrosis_half": 1.0})
    assert found == Settings(score=score, clusters=Settings().clusters.model_copy(update={"reach_um": 12.5}))
    assert load_settings(written(tmp_path, "")) == Settings()


def test_what_is_printed_is_read_back(tmp_path: Path) -> None:
    changed = load_settings(written(tmp_path, "[score]\nmin_fibres = 20\ngrades = [0.1, 0.2, 0.3]\n"))
    text = settings_toml(changed)
    assert load_settings(written(tmp_path, text)) == changed
    assert re.findall(r"^(\w+) = .* CHANGED, by default (.*)\.$", text, re.MULTILINE) == [
        ("min_fibres", "50"),
        ("grades", "[0.25, 0.5, 0.75]"),
    ]


def test_every_setting_is_printed_with_what_it_means() -> None:
    lines = [line for line in settings_toml(Settings()).splitlines() if " = " in line]
    assert len(lines) == sum(len(type(group).model_fields) for _, group in Settings())
    assert all(len(line.split("  # ")[1]) > 10 for line in lines)


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[score]\nmin_fibers = 20", r"unknown setting 'score\.min_fibers'\. The nearest is 'score\.min_fibres'"),
        ("[tissue]\nmin_fibres = 20", r"unknown setting 'tissue\.min_fibres'\. The nearest is 'score\.min_fibres'"),
        ("[cluster]\nreach_um = 20", r"unknown setting 'cluster'\. The nearest is 'clusters'"),
        ("min_fibres = 20", r"unknown setting 'min_fibres'\. The nearest is 'score\.min_fibres'"),
        ("[score]\nfibres_least = 20", r"unknown setting 'score\.fibres_least'\. The nearest is '\w+\.\w+'"),
        ("[zzz]", r"unknown setting 'zzz'\. Groups are tissue, segment, "),
        ("score = 5", r"score is '5': "),
        ("[score]\nmin_fibres = 0", r"score\.min_fibres is '0': Input should be greater than or equal to 1\. .*biopsy-analyzer settings"),
        ("[score]\nmin_fibres = 20.5", r"score\.min_fibres is '20\.5'"),
        ('[score]\nmin_fibres = "20"', r"score\.min_fibres is '20'"),
        ("[clusters]\nreach_um = true", r"clusters\.reach_um is 'True'"),
        ("[clusters]\nreach_um = nan", r"clusters\.reach_um is 'nan'"),
        ("[clusters]\nreach_um = inf", r"clusters\.reach_um is 'inf'"),
        ("[clusters]\nreach_um = 2026-11-22", r"clusters\.reach_um is '2026-11-22'"),
        ("[clusters]\nreach_um = [20.0]", r"clusters\.reach_um is '\[20\.0\]'"),
        ("[score]\ngrades = [0.1, 0.2]", r"score\.grades"),
        ("[score]\nseed = -1", r"score\.seed is '-1'"),
        ("[space]\nraster_um = 1e308", r"space\.raster_um is '1e\+308'"),
        ("[score]\nblock_um = 1e-300", r"score\.block_um is '1e-300'"),
        ("[reader]\nnecrosis_recall = [0.9, 0.4]", r"reader\.necrosis_recall is .*no rate of mean 0\.9 has an SD of 0\.4"),
        ("[reader]\ncells_leak = [0.0, 0.1]", r"no rate of mean 0 has an SD of 0\.1"),
        ("[score\n", r"can't be read as TOML"),
        ("[score]\nseed = 1\nseed = 2", r"can't be read as TOML: .*overwrite"),
        ("x = " + "[" * 20_000, r"can't be read as TOML"),
        ("[score]\n" + "# comment\n" * 20_000, r"200008 bytes, at most 100000 are read"),
        ('[score]\n"' + "x" * 50_000 + '" = 1', r"unknown setting 'score\.x{54}'"),
        ("[score]\nseed = 1" + "0" * 5000, r"can't be read as TOML|score\.seed"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=said) as refused:
        load_settings(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 400 + len(str(path))


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.toml"):
        with pytest.raises(UsageError, match="no such settings file"):
            load_settings(path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(UsageError, match="can't be read as TOML"):
        load_settings(tmp_path / "latin.toml")
