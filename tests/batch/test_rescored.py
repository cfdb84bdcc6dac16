"""A batch scored again with other settings is the batch that was run with them, but for what needs the slide."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.batch.job import Job, Options, Outcome, stamp_of
from biopsy_analyzer.batch.rescored import find_listed, rescore_all
from biopsy_analyzer.batch.run import files_of, run_batch
from biopsy_analyzer.errors import BiopsyAnalyzerError, OutputError, UsageError
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.rescore import Rescored, write_rescored
from biopsy_analyzer.settings import ClusterSettings, EvidenceSettings, ScoreSettings, Settings
from biopsy_analyzer.settings_file import load_settings
from biopsy_analyzer.slide import open_slide
from painted_result import COLUMNS, ROWS, STATES, _nuclei
from sections import GLASS, UM_PER_PX, colour_models, paint, save

OTHER = Settings(score=ScoreSettings(necrosis_half=0.1, balance_margin=0.2), evidence=EvidenceSettings(internal_share=0.2))
OWN = Settings(clusters=ClusterSettings(reach_um=25.0), score=ScoreSettings(min_fibres=60))
MERGED = Settings(clusters=OWN.clusters, score=ScoreSettings(min_fibres=60, necrosis_half=0.1))
TABLES = ("summary.csv", "failures.json", "feed.jsonl")
MADE_WITH = {"usual": Settings(), "other": OTHER, "own": OWN, "merged": MERGED}
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
    for name, settings in MADE_WITH.items():
        run_batch(jobs, Options(folder / name, settings=settings), analyse, lambda job, outcome: None)
    return {name: folder / name for name in MADE_WITH}


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


def test_a_threshold_by_a_file_is_all_that_changes(batches: dict[str, Path], tmp_path: Path) -> None:
    """Where a batch had settings of its own, those that the file does not name stay."""
    (tmp_path / "mine.toml").write_text("[score]\nnecrosis_half = 0.1\n")
    found: list[tuple[str, Rescored]] = []
    rescore_all(find_listed([batches["own"]]), load_settings(tmp_path / "mine.toml"), tmp_path / "again", told(found))
    assert {change.where for _, result in found for change in result.settings} == {"settings.score.necrosis_half"}
    for name in (*TABLES, *(f"zebra/{name}" for name in OF_A_RESULT)):
        assert (tmp_path / "again" / name).read_bytes() == (batches["merged"] / name).read_bytes(), name


@pytest.mark.parametrize("text", ["[clusters]\nreach_um = 20.0\n", "[segment]\nfibre_join = 0.3\n"])
def test_settings_that_need_the_slides_are_refused_before_anything_is_written(batches: dict[str, Path], tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    for out in (tmp_path / "again", None):
        with pytest.raises(UsageError, match=r"that needs the slide\. Run batch \(or analyze\) with these settings"):
            rescore_all(find_listed([batches["own"]]), load_settings(tmp_path / "mine.toml"), out, told([]))
    assert not (tmp_path / "again").exists()


def copied(batch: Path, to: Path) -> Path:
    """As `analyze` left the results and `batch` its tables, in a place where they may be spoilt."""
    return Path(shutil.copytree(batch, to))


def test_a_slide_whose_run_was_killed_has_failed(batches: dict[str, Path], tmp_path: Path) -> None:
    """Its old scores are gone, and summary.csv still tells of them."""
    batch, again = copied(batches["usual"], tmp_path / "in"), tmp_path / "again"
    rescore_all(find_listed([batch]), OTHER, again, told([]))
    (again / "zebra" / "fhir.json").write_text("{}")
    (batch / "zebra" / "scores.json").unlink()
    found: list[tuple[str, object]] = []
    rescore_all(find_listed([batch]), OTHER, again, told(found))
    assert [(name, str(result)) for name, result in found if name == "zebra"] == [("zebra", "no finished result. Run batch again")]
    failures = json.loads((again / "failures.json").read_bytes())["failures"]
    assert [(one["slide_id"], one["exit_code"]) for one in failures] == [("zebra", 3), ("broken", 3), ("glass", 3)]
    with (again / "summary.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["status"], row["error"], row["necrosis"]) == ("failed", "no finished result. Run batch again", "")
    assert not {"scores.json", "fhir.json"} & {path.name for path in (again / "zebra").iterdir()}  # which were of an earlier scoring
    assert "zebra" not in (again / "feed.jsonl").read_text()


def test_a_slide_that_failed_since_it_was_analysed_stays_failed(batches: dict[str, Path], tmp_path: Path) -> None:
    batch = copied(batches["usual"], tmp_path / "in")
    shutil.copytree(batch / "zebra", batch / "broken")  # the result of an earlier call, which the last one leaves
    rescore_all(find_listed([batch]), None, tmp_path / "again", told(found := []))
    assert [name for name, _ in found] == ["zebra", "glass"]
    assert (tmp_path / "again" / "summary.csv").read_bytes() == (batch / "summary.csv").read_bytes()
    assert (tmp_path / "again" / "failures.json").read_bytes() == (batch / "failures.json").read_bytes()


def test_a_full_disk_is_no_slides_fault_and_what_was_scored_is_listed(
    batches: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(rescored: Rescored, folder: Path) -> Path:
        if folder.name == "glass":
            raise OutputError("no space left on device")
        return write_rescored(rescored, folder)

    monkeypatch.setattr("biopsy_analyzer.batch.rescored.write_rescored", full)
    with pytest.raises(OutputError, match="no space left"):
        rescore_all(find_listed([batches["usual"]]), OTHER, tmp_path / "again", told([]))
    with (tmp_path / "again" / "summary.csv").open(newline="") as file:
        assert [row["slide_id"] for row in csv.DictReader(file)] == ["zebra", "broken"]


@pytest.mark.fault(15)
def test_a_pipe_named_as_a_result_is_not_waited_on(tmp_path: Path) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / "out" / "a" / "scores.json")
    (slide,) = find_listed([tmp_path / "out"])
    found: list[tuple[str, Rescored | BiopsyAnalyzerError]] = []
    rescore_all([slide], None, None, told(found))  # type: ignore[arg-type]
    assert "scores.json: missing" in str(found[0][1])


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
    for out in (batches["usual"] / "zebra", batches["usual"] / "zebra" / "again"):
        with pytest.raises(UsageError, match=r"holds a result|lies in a result"):
            rescore_all(slides, OTHER, out, told([]))
    shutil.copytree(batches["usual"] / "zebra", tmp_path / "again" / "zebra")
    with pytest.raises(UsageError, match=r"again/zebra: holds objects\.geojson of an analysis"):
        rescore_all(slides, OTHER, tmp_path / "again", told([]))
    assert not (tmp_path / "again" / "summary.csv").exists()
    with pytest.raises(UsageError, match="a second result named zebra"):
        find_listed([batches["usual"], batches["other"]])
    with pytest.raises(UsageError, match="no result in it"):
        find_listed([tmp_path / "nothing"])


def test_the_command_counts_what_the_batch_could_not_analyse(batches: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "biopsy_analyzer", "score", str(batches["usual"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "1 scored, 0 failed, 2 not analysed. Research use only, not for diagnosis."


def test_all_is_scored_and_listed_where_nobody_reads_what_is_printed(batches: dict[str, Path], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "biopsy_analyzer", "score", str(batches["usual"]), "-o", str(tmp_path / "again")]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert done.stderr.startswith("ERROR score: standard output can't be written")
    for name in TABLES:
        assert (tmp_path / "again" / name).read_bytes() == (batches["usual"] / name).read_bytes(), name


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
    assert plain["results"][0]["settings"] == [{"where": "settings.score.necrosis_half", "before": 0.05, "after": 0.1}]
    (tmp_path / "in" / "b" / "scores.json").write_text("{")
    none = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (none.returncode, none.stdout) == (4, "0 scored, 2 failed. Research use only, not for diagnosis.\n")
