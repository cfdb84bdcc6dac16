"""The index of a folder: every slide once, links that lead somewhere, and what can't be read is said."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from biopsy_analyzer.batch.job import Job, Outcome
from biopsy_analyzer.batch.listing import write_failures
from biopsy_analyzer.report.html import write_index


def rows_of(out: Path) -> list[str]:
    page = write_index(out).read_text("utf-8")
    return re.findall(r"<tr>.*?</tr>", page[page.index("<tbody>") :], re.DOTALL) if "<tbody>" in page else []


def folder_of(results: Path, out: Path, name: str) -> Path:
    (out / name).mkdir(parents=True)
    for file in ("scores.json", "report.html"):
        shutil.copy(results / "sick" / file, out / name / file)
    return out / name


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert rows_of(tmp_path) == []
    assert "No results lie in this folder yet." in (tmp_path / "index.html").read_text("utf-8")
    assert "Every result in this folder is here, whichever call" in (tmp_path / "index.html").read_text("utf-8")


def test_links_lead_to_reports_whatever_the_folders_are_called(results: Path, tmp_path: Path) -> None:
    names = ["plain", "a b#c%20?d", "Müller", "<i>"]
    for name in names:
        folder_of(results, tmp_path, name)
    links = [re.search(r'href="([^"]+)"', row)[1] for row in rows_of(tmp_path)]  # type: ignore[index]
    assert sorted(unquote(link) for link in links) == sorted(f"{name}/report.html" for name in names)
    assert all((tmp_path / unquote(link)).is_file() for link in links)


def test_corrected_results_have_a_second_link(results: Path, tmp_path: Path) -> None:
    folder_of(results, tmp_path, "a")
    folder_of(results, tmp_path, "b")
    shutil.copytree(results / "sick", tmp_path / "b" / "corrected")
    first, second = rows_of(tmp_path)
    assert "corrected by hand" not in first
    assert 'href="b/corrected/report.html"' in second


def test_slides_of_one_name_are_told_apart(results: Path, tmp_path: Path) -> None:
    folder_of(results, tmp_path, "sick-1")
    (only,) = rows_of(tmp_path)
    assert ">sick.png</a>" in only
    folder_of(results, tmp_path, "sick-2")
    first, second = rows_of(tmp_path)
    assert (">sick.png (sick-1)</a>" in first, ">sick.png (sick-2)</a>" in second) == (True, True)


def test_cases_stand_beside_their_slides(results: Path, tmp_path: Path) -> None:
    folder_of(results, tmp_path, "a")
    folder_of(results, tmp_path, "b")
    (tmp_path / "summary.csv").write_text('slide_id,file,case_id\nb,x.svs,"case ""7"", <b>"\na,y.svs,\n')
    first, second = rows_of(tmp_path)
    assert "<td></td>" in first
    assert "case &#34;7&#34;, &lt;b&gt;" in second


@pytest.mark.parametrize("content", ["", "[1]", '{"schema_version": "9.0"}', '{"schema_version": "1.1"}'])
def test_a_result_that_cannot_be_read_stands_there_as_failed(results: Path, tmp_path: Path, content: str) -> None:
    folder_of(results, tmp_path, "good")
    (folder_of(results, tmp_path, "bad") / "scores.json").write_text(content)
    first, second = rows_of(tmp_path)
    assert ">review</span>" in first
    assert ">failed</span>" in second
    assert ">bad<" in second


@pytest.mark.parametrize("content", ["not json", "[]", '{"failures": [1, {"slide_id": 3}]}', '{"failures": null}'])
def test_a_damaged_list_of_failures_is_no_trouble(results: Path, tmp_path: Path, content: str) -> None:
    folder_of(results, tmp_path, "good")
    (tmp_path / "failures.json").write_text(content)
    assert len(rows_of(tmp_path)) == 1


def test_a_slide_that_failed_since_is_failed_and_its_older_result_said_to_be_that(results: Path, tmp_path: Path) -> None:
    jobs = [Job(Path(f"{name}.svs"), name) for name in "ab"]
    folder = folder_of(results, tmp_path, "a")
    write_failures(tmp_path, jobs, {job.id: Outcome(job.id, "failed", error="cut off", exit_code=3) for job in jobs})
    first, second, older = rows_of(tmp_path)
    for row, name in ((first, "a.svs"), (second, "b.svs")):
        assert (f">{name}<" in row, ">failed</span>" in row, "cut off" in row.lower(), "href" in row) == (True, True, True, False)
    assert (">earlier</span>" in older, 'href="a/report.html"' in older) == (True, True)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert all(text in page for text in ("<h1>2 slides</h1>", ">review: 0<", ">failed: 2<", ">earlier: 1<"))
    assert 'class="scatter"' not in page
    document = json.loads((folder / "scores.json").read_text())
    (folder / "scores.json").write_text(json.dumps(document, indent=1))  # as a later call writes it
    first, second = rows_of(tmp_path)
    assert (">review</span>" in first, ">b.svs<" in second, "earlier" in first) == (True, True, False)


def test_a_refused_slide_stands_there_once(results: Path, tmp_path: Path) -> None:
    folder_of(results, tmp_path, "a")
    write_failures(tmp_path, [Job(Path("a.svs"), "a")], {"a": Outcome("a", "refused", error="no tissue", exit_code=3)})
    assert len(rows_of(tmp_path)) == 1
