"""The page as a text: the same from memory and from files, escaped, whole without what is missing."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.errors import ResultError
from biopsy_analyzer.report.html import write_report
from biopsy_analyzer.report.html.render import percent, sentence
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.report.saved import read_saved
from biopsy_analyzer.report.writing import write_result
from biopsy_analyzer.score import score
from biopsy_analyzer.score.findings import NOT_ON_HE

VOID = {"meta", "img", "input", "br", "link"}


class Tree(HTMLParser):
    """Checks that every tag is closed in order, and collects tags, ids and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


@pytest.mark.parametrize("name", ["sick", "blank", "hostile"])
def test_the_page_from_the_files_is_the_page_of_the_analysis(results: Path, tmp_path: Path, name: str) -> None:
    folder = results / name
    path = write_report(read_saved(folder), tmp_path)
    assert path.read_bytes() == (folder / "report.html").read_bytes()


@pytest.mark.parametrize("name", ["sick/report.html", "blank/report.html", "hostile/report.html", "index.html"])
def test_pages_are_well_formed_with_one_heading_and_unique_ids(results: Path, name: str) -> None:
    tree = Tree((results / name).read_text("utf-8"))
    ids = [attrs["id"] for _, attrs in tree.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in tree.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert dict(tree.tags)["html"]["lang"] == "en"
    targets = [attrs["href"][1:] for tag, attrs in tree.tags if tag in ("a", "use") and attrs["href"].startswith("#")]
    assert set(targets) <= set(ids)
    assert "Research use only, not for diagnosis" in tree.text


def test_a_reader_finds_the_numbers_of_scores_json(results: Path) -> None:
    document = json.loads((results / "sick" / "scores.json").read_text())
    text = Tree((results / "sick" / "report.html").read_text("utf-8")).text
    for name in ("necrosis", "regeneration", "inflammation"):
        assert f"{document['scores'][name]['value']:.2f}" in text
        low, high = document["scores"][name]["ci95"]
        assert f"({low:.2f} to {high:.2f})" in text
    assert document["slide"]["sha256"] in text
    assert "cd" * 32 in text
    assert "0.05 (at most 0.02) of the tissue is folded." in text
    assert "1 place, dashed boxes on the section" in text
    assert "All at the defaults of this version" in text
    assert "they are not accuracy on tissue" in text


def test_a_refused_slide_has_no_number(results: Path) -> None:
    text = Tree((results / "blank" / "report.html").read_text("utf-8")).text
    assert "Not assessed" in text
    assert "No tissue was found." in text
    assert not re.search("Necrosis|Balance|interval [0-9]", text)


def test_a_hostile_name_is_text(results: Path) -> None:
    for page in (results / "hostile" / "report.html", results / "index.html"):
        content = page.read_text("utf-8")
        assert "<img src=x" not in content
        assert "alert(2)</script>" not in content
        tree = Tree(content)
        assert json.loads((results / "hostile" / "scores.json").read_text())["slide"]["file_name"] in tree.text  # no 49: it is no template
        assert sum(tag == "script" for tag, _ in tree.tags) == (page.name == "index.html")


def test_no_address_but_data_and_anchors(results: Path) -> None:
    for page in results.rglob("*.html"):
        for _, attrs in Tree(page.read_text("utf-8")).tags:
            for address in (attrs.get("href"), attrs.get("src")):
                assert (
                    address is None
                    or address.startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,"))
                    or page.name == "index.html"
                )
        assert not re.search(r"https?://|url\((?!#)|@import", page.read_text("utf-8"))


def test_no_nan_none_or_undefined_is_shown(results: Path) -> None:
    for page in results.rglob("*.html"):
        assert not re.search(r"\b(nan|None|null|undefined|inf)\b", Tree(page.read_text("utf-8")).text)


def test_without_nuclei_the_page_says_what_is_not_assessed(sick: Result, tmp_path: Path) -> None:
    scores = score(sick.fibres, sick.nuclei.iloc[:0], sick.clusters.iloc[:0], 0.4, sick.settings, nuclei_assessed=False)
    fibre_crops = tuple(crop for crop in sick.crops if crop.kind == "fibre")
    nothing = dataclasses.replace(sick.nucleus_labels, pixels=np.zeros((4, 4), np.int32))
    tables = {"nuclei": sick.nuclei.iloc[:0], "clusters": sick.clusters.iloc[:0], "nucleus_labels": nothing}
    result = dataclasses.replace(sick, scores=scores, crops=fibre_crops, **tables)
    text = Tree((write_result(result, tmp_path) / "report.html").read_text("utf-8")).text
    assert re.search(r"Inflammation[\s\d.]*not assessed", text)
    assert re.search(r"Balance\s*necrosis minus inflammation\s.*not assessed", text)
    assert "the image is too coarse for nuclei" in text


@pytest.mark.parametrize(
    ("look", "method"), [(0.6, "against the ordinary fibres of its own section"), (0.4, "without comparison, for no fibre")]
)
def test_methods_say_whether_fibres_were_compared(sick: Result, tmp_path: Path, look: float, method: str) -> None:
    fibres = sick.fibres.assign(map_normal=look)
    scores = score(fibres, sick.nuclei, sick.clusters, 0.4, sick.settings, nuclei_assessed=True)
    told = (write_result(dataclasses.replace(sick, fibres=fibres, scores=scores), tmp_path) / "report.html").read_text("utf-8")
    assert [words in told for words in ("against the ordinary fibres", "without comparison, for no fibre")].count(True) == 1
    assert f"classified by its features {method}" in told


def doubted(sick: Result, area_mm2: float, bare: bool) -> Result:
    """The section with so much tissue, and without a nucleus in any of its ordinary fibres."""
    fibres = sick.fibres.assign(nuclei_count=0.0 if bare else 2.0)
    scores = score(fibres, sick.nuclei, sick.clusters, area_mm2, sick.settings, nuclei_assessed=True)
    return dataclasses.replace(sick, fibres=fibres, scores=scores, tissue_area_mm2=area_mm2)


@pytest.mark.parametrize(
    ("area_mm2", "bare", "reasons", "doubtful"),
    [
        (0.4, False, [], []),
        (0.4, True, ["show no nucleus of their own"], ["Necrosis", "Balance"]),
        (2.0, False, ["of the tissue, at least 40 % is wanted"], ["Necrosis", "Regeneration", "Inflammation", "Balance"]),
        (2.0, True, ["of the tissue, at least 40 % is wanted", "show no nucleus"], ["Necrosis", "Regeneration", "Inflammation", "Balance"]),
    ],
    ids=["no doubt", "reference", "thin cover", "both"],
)
def test_doubts_stand_beside_the_scores(
    sick: Result, tmp_path: Path, area_mm2: float, bare: bool, reasons: list[str], doubtful: list[str]
) -> None:
    content = (write_result(doubted(sick, area_mm2, bare), tmp_path) / "report.html").read_text("utf-8")
    text = Tree(content).text
    panel = content[content.index('id="scores"') : content.index('id="section"')]
    assert re.findall(r'<div class="axis doubtful">\s*<div><strong class="axis-name">(\w+)', panel) == doubtful
    assert panel.count(">doubtful</span>") == len(doubtful) == panel.count(', doubtful"')  # in words, not by colour alone
    note = re.search(r"Doubtful:</strong>(.*)</p>", panel)
    assert (note is not None) is bool(reasons)
    assert all(note and reason in note.group(1) for reason in reasons)
    assert ("Every score of this method could be assessed" in text) is not bool(reasons)
    scattered = next(item for item in doubted(sick, area_mm2, bare).scores.evidence if item.code == "necrosis-scattered")
    assert ("how they lie is not assessable." in text) is (scattered.state == "not_assessable")
    assert ("Necrotic fibres: scattered." in text) is (scattered.state == "present")


def test_how_necrosis_lies_is_told_with_its_reasons(sick: Result, tmp_path: Path) -> None:
    space = sick.scores.space.model_copy(update={"arrangement": "not_assessable", "reasons": ("groups may have been missed: so it is",)})
    scores = sick.scores.model_copy(update={"space": space})
    text = Tree((write_result(dataclasses.replace(sick, scores=scores), tmp_path) / "report.html").read_text("utf-8")).text
    assert "Necrotic fibres: how they lie is not assessable." in text
    assert "groups may have been missed: so it is" in text


def test_what_this_section_leaves_open_stands_apart_from_what_none_shows(results: Path) -> None:
    document = json.loads((results / "sick" / "scores.json").read_text())
    unseen = {code for code, *_ in NOT_ON_HE}
    open_here = [item for item in document["evidence"] if item["state"] == "not_assessable" and item["code"] not in unseen]
    text = Tree((results / "sick" / "report.html").read_text("utf-8")).text
    assert f"{len(open_here)} items are uncertain on this section; {len(unseen)} can't be told here on any section" in text
    here, never = text.split("Evidence items that are uncertain on this section")[1].split("What H&E can't show")
    assert [item["name"] for item in open_here if item["name"] not in here] == []
    reasons = {item["reason"].partition("; found: ")[0] for item in open_here}
    told = [sentence(reason) for reason in reasons]
    assert [here.count(reason) for reason in told] == [1] * len(told)  # what speaks against several items is said once
    assert "MHC class I on fibres: needs immunohistochemistry" in never
    assert "MHC class I on fibres" not in here


def test_figures_are_written_alike_in_sentences_and_beside_them() -> None:
    assert sentence("-10.0% to 0.3% of 2-3 fibres, -4 um") == "\u221210.0 % to 0.3 % of 2-3 fibres, \u22124 \u00b5m"
    assert percent(-0.0001) == "0.0 %"


def test_settings_that_are_not_the_defaults_are_named(sick: Result, tmp_path: Path) -> None:
    strict = sick.settings.model_copy(update={"score": sick.settings.score.model_copy(update={"balance_margin": 0.3})})
    text = Tree((write_result(dataclasses.replace(sick, settings=strict), tmp_path) / "report.html").read_text("utf-8")).text
    assert "score.balance_margin = 0.3 (default 0.1)" in text


def test_precision_and_region_are_told(sick: Result, tmp_path: Path) -> None:
    models = (dataclasses.replace(sick.models[0], precision="bfloat16"),)
    region = ((0.0, 0.0), (0.0, 300.0), (300.0, 300.0))
    text = Tree(
        (write_result(dataclasses.replace(sick, models=models, region_um=region), tmp_path) / "report.html").read_text("utf-8")
    ).text
    assert "computed in bfloat16" in text
    assert "Only a region of the slide was analysed." in text


@pytest.mark.parametrize("name", ["objects.geojson", "pictures.parquet"])
def test_a_missing_or_damaged_file_is_one_line(results: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "sick"
    shutil.copytree(results / "sick", folder)
    (folder / "report.html").unlink()
    (folder / name).write_bytes((folder / name).read_bytes()[:200])
    with pytest.raises(ResultError, match=name):
        write_report(read_saved(folder), folder)
    (folder / name).unlink()
    with pytest.raises(ResultError, match=name):
        write_report(read_saved(folder), folder)
    assert not (folder / "report.html").exists()


def test_corrections_are_said(results: Path, tmp_path: Path) -> None:
    saved = read_saved(results / "sick")
    corrections = {"edits": 3, "kinds": {"state": 2, "split": 1}, "by": ["N.N."], "last_utc": "x", "unmeasured_fibres": 0}
    fibres = saved.fibres.drop(index=0)  # taken away by hand: its close-up has nothing to show any more
    corrected = dataclasses.replace(saved, document={**saved.document, "corrections": corrections}, fibres=fibres)
    text = Tree(write_report(corrected, tmp_path).read_text("utf-8")).text
    assert "Corrected by hand. 3 edits by N.N. (1 \N{MULTIPLICATION SIGN} split, 2 \N{MULTIPLICATION SIGN} state)." in text
