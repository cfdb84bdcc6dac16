"""The docs are true: commands run, links lead somewhere, every column and field is described, pictures can be made again."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
import typer
from typer.testing import CliRunner

import biopsy_analyzer
from biopsy_analyzer.cli import app
from biopsy_analyzer.report.scores_json import ScoresDocument
from biopsy_analyzer.tables import CLUSTERS, FIBRES, NUCLEI
from tiny_models import write_tiny_models

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES += [ROOT / folder / "README.md" for folder in ("sample_slides", "annotations", "examples/consumer")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `biopsy-analyzer` in the page's console blocks."""
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(part)[1:] for part in parts if part.split()[0].endswith("biopsy-analyzer")]


def run(*arguments: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "NO_MKDOCS_2_WARNING": "1",
        "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1]),
    }  # the code under test, wherever it runs
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the commands read, where they may write: sample slides, cut to a corner of 640 px, and models of a blink."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "sample_slides").mkdir()
    for slide in (ROOT / "sample_slides").glob("*.tif"):
        per_cm = (20_000, 20_000)  # 0.5 um/px
        corner = tifffile.imread(slide, key=0)[:640, :640]
        tifffile.imwrite(folder / "sample_slides" / slide.name, corner, photometric="rgb", resolution=per_cm, resolutionunit="CENTIMETER")
    for other in (ROOT / "sample_slides").iterdir():
        if other.suffix != ".tif":
            (folder / "sample_slides" / other.name).symlink_to(other)
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "slides").mkdir()  # a laboratory's folder holds slides alone; that of the samples their truth, too
    for slide in (folder / "sample_slides").glob("*.tif"):
        (folder / "slides" / slide.name).symlink_to(slide)
    (folder / "slides.csv").write_text("path\nsample_slides/necrotizing.tif\n")
    (folder / "mine.toml").write_text("[score]\nmin_fibres = 20\n")
    write_tiny_models(folder / "tiny")
    (folder / "section.tif").symlink_to(folder / "sample_slides" / "inflammatory.tif")
    run("-m", "biopsy_analyzer", "analyze", "section.tif", "--models", "tiny", folder=folder)
    return folder


TESTED_ELSEWHERE = {  # what takes hours, a window, or images that are not part of the repository
    "train": "tests/training/test_reproduce.py",
    "evaluate": "tests/training/test_evaluate.py",
    "adapt": "tests/training/test_adapt.py",
    "--scheduler": "tests/batch/test_cluster.py",
    "agree": "tests/test_agree.py",  # needs raters
}


def shortened(arguments: list[str]) -> list[str]:
    """The same command on small things: models of a blink, small drawings."""
    changed = [argument for argument in arguments if argument != "out/run/models"]
    if changed != arguments:
        changed.remove("--models")
    if changed[0] in ("analyze", "batch"):
        changed += ["--models", "tiny"]
    if changed[0] == "draw":
        changed += ["--size", "256", "--count", "1"]
    return changed


@pytest.mark.slow
def test_every_command_shown_runs(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the pages, README first, since later ones read what earlier ones wrote; what stands twice runs once."""
    shown = [" ".join(shlex.quote(part) for part in shortened(arguments)) for page in PAGES for arguments in commands(page)]
    monkeypatch.chdir(clone)
    failed = {}
    for line in dict.fromkeys(shown):
        arguments = shlex.split(line)
        if TESTED_ELSEWHERE.keys() & set(arguments):
            continue
        done = CliRunner().invoke(app, arguments)
        if done.exit_code:
            failed[line] = done.output[-300:]
    assert not failed
    assert (clone / "out" / "necrotizing" / "report.html").is_file()


def test_what_is_tested_elsewhere_is() -> None:
    assert not [name for name in TESTED_ELSEWHERE.values() if not (ROOT / name).is_file()]


@pytest.mark.slow
def test_the_first_command_of_the_readme_runs_as_it_stands(clone: Path) -> None:
    """With the models of this version, in a process of its own."""
    first = commands(ROOT / "README.md")[0]
    assert first == ["analyze", "sample_slides/necrotizing.tif"]
    assert "Research use only" in run("-m", "biopsy_analyzer", *first, folder=clone)


@pytest.mark.slow
def test_the_python_of_the_readme_runs(clone: Path) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    assert "fibre_id" in run("-c", code, folder=clone)
    assert (clone / "out" / "inflammatory" / "scores.json").is_file()


def test_scripts_of_the_readme_are_executable_and_ci_runs_the_second() -> None:
    named = {word for block in blocks(ROOT / "README.md", "console") for word in block.split() if word.startswith("scripts/")}
    assert named == {"scripts/setup", "scripts/test"}
    assert all(os.access(ROOT / name, os.X_OK) for name in (*named, ".ci/run"))
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_shown_can_be_parsed(page: Path) -> None:
    group = typer.main.get_command(app)
    for name, *arguments in commands(page):
        if name.startswith("-"):
            assert name in {option for parameter in group.params for option in parameter.opts}
            continue
        command = group.commands[name]  # type: ignore[attr-defined]
        command.make_context(name, arguments)  # an unknown option or a wrong value raises


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def anchors(page: Path) -> set[str]:
    """Those that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_column_and_field_is_described() -> None:
    described = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")))
    assert {*FIBRES, *NUCLEI, *CLUSTERS, *ScoresDocument.model_fields} <= described


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Every page is in the navigation, every link and anchor leads somewhere, and no page asks another server for anything."""
    run("-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(ROOT / "mkdocs.yml"), "-d", str(tmp_path / "site"), folder=tmp_path)
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 12
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//[^"]+"', text), page.name
        assert not re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect|icon)"[^>]+href="(?:https?:)?//[^"]+"', text), page.name
    cards = (tmp_path / "site" / "model_cards" / "index.html").read_text(encoding="utf-8")
    for card in (ROOT / "models").glob("*/card.json"):
        assert json.loads(card.read_text(encoding="utf-8"))["sha256"] in cards


def test_the_map_of_the_code_is_true() -> None:
    """docs/contributing.md names every module and folder of the package, and none that is not there."""
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text[text.index("| in `src/") :].split("\n\n")[0], re.MULTILINE)
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([\w/]+)`", row)}
    package = ROOT / "src" / "biopsy_analyzer"
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")}
    assert named == there - {"__init__", "__main__"}


def test_pictures_are_small() -> None:
    for path in (ROOT / "docs" / "images").iterdir():
        assert path.stat().st_size < (300_000 if path.name.startswith("atlas") else 900_000), path.name


@pytest.mark.slow
def test_the_atlas_can_be_drawn_again() -> None:
    atlas = runpy.run_path(str(ROOT / "docs" / "make_atlas.py"))
    tiles = list(atlas["stage_tiles"]("regenerating", columns=1))
    assert [tile.label.split(",")[0] for tile in tiles] == ["clean", "usual", "hard"]
    assert atlas["sheet"](tiles, 0.5).size == (940, 254)
