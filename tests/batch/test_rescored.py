"""A batch scored again with other settings is the batch that was run with them, but for what needs the slide."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.batch.job import Job, Options, Outcome, stamp_of
from biopsy_analyzer.batch.rescored import find_listed, rescore_all
from biopsy_analyzer.batch.run import files_of, run_batch
from biopsy_analyzer.errors import BiopsyAnalyzerError, UsageError
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.rescore import Rescored
from biopsy_analyzer.settings import EvidenceSettings, ScoreSettings, Settings
from biopsy_analyzer.slide import open_slide
from painted_result import COLUMNS, ROWS, STATES, _nuclei
from sections import GLASS, UM_PER_PX, colour_models, paint, save

OTHER = Settings(score=ScoreSettings(necrosis_half=0.1, balance_margin=0.2), evidence=EvidenceSettings(internal_share=0.2))
TABLES = ("summary.csv", "failures.json", "feed.jsonl")
OF_A_RESULT = ("scores.json", "fibres.parquet", "nuclei.parquet", "clusters.parquet", "evidence.parquet", "fibres.csv")


def analyse(jobs: Sequence[Job], options: Options) -> Iterator[Outcome]:
    for job in jobs:
        if job.id == "broken":
            yield Outcome(job.id, "failed", error="not a slide", exit_code=3)
            continue
        with open_slide(job.path, um_per_px=UM_PER_PX) as slide:
            result = analyze_slide(slide, colour_models(), options.settings)
        folder = write_result(result, options.out)
        refused = ("No tissue was found", 3) if result.status == "refused" else ("", 0)
        yield Outcome(job.id, result.status, result.slide.sha256, (str(job.path),), stamp_of([job.path]), files_of(folder), *refused)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same three slides, one of glass and one broken, with the usual settings and with others."""
    folder = tmp_path_factory.mktemp("batches")
    slides = (
        save(paint(ROWS, COLUMNS, STATES, _nuclei()).rgb, folder / "zebra.png"),
        save(np.full((300, 300, 3), GLASS), folder / "glass.png"),
    )
    jobs = [Job(slides[0], "zebra", case_id="case 7"), Job(folder / "broken.png", "broken"), Job(slides[1], "glass", case_id="=1+1")]
    for name, settings in (("usual", Settings()), ("other", OTHER)):
        run_batch(jobs, Options(folder / name, settings=settings), analyse, lambda job, outcome: None)
    return {name: folder / name for name in ("usual", "other")}


def told(found: list) -> object:
    return lambda slide, result: found.append((slide.job.id, result))


def test_scored_again_it_is_the_batch_with_these_settings(batches: dict[str, Path], tmp_path: Path) -> None:
    found: list[tuple[str, Rescored | BiopsyAnalyzerError]] = []
    rescore_all(find_listed([batches["usual"]]), OTHER, tmp_path / "again", told(found))
    assert [name for name, _ in found] == ["zebra", "glass"]
    changes = {change.where for change in found[0][1].changes}
    assert "scores.necrosis.value" in changes
    for name in (*TABLES, *(f"zebra/{name}" for name in OF_A_RESULT)):
        assert (tmp_path / "again" / name).read_bytes() == (batches["other"] / name).read_bytes(), name
    page = (tmp_path / "again" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("zebra.png", "glass.png", "not a slide", "case 7"))


def test_by_itself_nothing_changes_and_nothing_is_written(batches: dict[str, Path]) -> None:
    before = {path: path.read_bytes() for path in batches["usual"].rglob("*") if path.is_file()}
    found: list[tuple[str, Rescored]] = []
    rescore_all(find_listed([batches["usual"] / "zebra", batches["usual"] / "glass"]), None, None, told(found))
    assert [(name, result.changes) for name, result in found] == [("zebra", ()), ("glass", ())]
    assert {path: path.read_bytes() for path in batches["usual"].rglob("*") if path.is_file()} == before


def test_folders_that_would_mix_are_refused(batches: dict[str, Path], tmp_path: Path) -> None:
    slides = find_listed([batches["usual"]])
    for out in batches.values():
        with pytest.raises(UsageError, match="holds a batch, or the results themselves"):
            rescore_all(slides, OTHER, out, told([]))
    with pytest.raises(UsageError, match="a second result named zebra"):
        find_listed([batches["usual"], batches["other"]])
    with pytest.raises(UsageError, match="no result in it"):
        find_listed([tmp_path])


def test_the_command_tells_a_line_for_each_and_goes_on_after_a_damaged_one(batches: dict[str, Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for file in ("scores.json", "fibres.parquet", "nuclei.parquet", "clusters.parquet"):
            (tmp_path / "in" / name / file).write_bytes((batches["usual"] / "zebra" / file).read_bytes())
    (tmp_path / "in" / "a" / "scores.json").write_text("{")
    (tmp_path / "mine.toml").write_text("[score]\nnecrosis_half = 0.1\n")
    command = [sys.executable, "-m", "biopsy_analyzer", "score", str(tmp_path / "in"), "--settings", str(tmp_path / "mine.toml")]
    done = subprocess.run([*command, "-o", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert done.stderr.startswith("ERROR a: ")
    line, total = done.stdout.splitlines()
    assert line.startswith("b: ")
    assert "scores.necrosis: " in line
    assert total == "1 scored, 1 failed. Research use only, not for diagnosis."
    failures = json.loads((tmp_path / "out" / "failures.json").read_text())["failures"]
    assert [(failure["slide_id"], failure["exit_code"]) for failure in failures] == [("a", 3)]
    plain = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=False).stdout)
    assert (plain["scored"], plain["failed"], [one["slide_id"] for one in plain["results"]]) == (1, 1, ["b"])
