"""The examples call the command line as it is, and the benchmarks of a batch run."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import biopsy_analyzer
from biopsy_analyzer.cli import app

ROOT = Path(__file__).resolve().parents[2]
FILLED = {"{threads}": "2", "{input:q}": "a.svs", "{MPP}": "--mpp 0.5", "${task.cpus}": "2", "${slide}": "a.svs", "${mpp}": "--mpp 0.5"}


@pytest.mark.parametrize("name", ["snakemake/Snakefile", "nextflow/main.nf"])
def test_the_command_of_an_example_can_be_parsed(name: str) -> None:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    (command,) = re.findall(r'biopsy-analyzer (analyze [^\n]*?)"?\n', text)
    for placeholder, value in FILLED.items():
        command = command.replace(placeholder, value)
    first, *arguments = shlex.split(command)
    context = typer.main.get_command(app).commands[first].make_context(first, arguments)  # type: ignore[attr-defined]
    assert (context.params["section"], context.params["mpp"]) == (Path("a.svs"), 0.5)
    assert str(context.params["out"]) in text.split("output:")[1]


def environment(home: Path) -> dict[str, str]:
    """Where `biopsy-analyzer` is the one under test, and an engine's own files lie in `home`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(home), "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def analysed(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a slide by the command alone."""
    folder = tmp_path_factory.mktemp("analysed")
    command = ["biopsy-analyzer", "analyze", str(painted), "--mpp", "0.5", "--quiet", "-o", str(folder)]
    subprocess.run(command, check=True, env={**environment(folder), "OMP_NUM_THREADS": "1"})
    return folder / "painted"


@pytest.mark.slow
def test_snakemake_runs_its_example(painted: Path, analysed: Path, tmp_path: Path) -> None:
    """A slide and a page of HTML: the one is analysed to the same bytes, the other is named and tried again, and then nothing is left."""
    if not (engine := shutil.which("snakemake")):
        pytest.skip("no snakemake here; .ci/run installs it in an environment of its own")
    shutil.copy(ROOT / "examples" / "snakemake" / "Snakefile", tmp_path)
    (tmp_path / "slides").mkdir()
    shutil.copy(painted, tmp_path / "slides")
    (tmp_path / "slides" / "page.svs").write_text("<!DOCTYPE html><html>not found</html>")
    command = [engine, "--cores", "1", "--keep-going", "--config", "mpp=0.5"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=environment(tmp_path / "home"))

    first = run()
    assert first.returncode == 1
    assert "ERROR page.svs: " in first.stderr
    assert "HTML" in first.stderr
    assert contents(tmp_path / "results" / "painted") == contents(analysed)
    again = run()
    assert (again.returncode, "painted.png" in again.stderr) == (1, False)  # only the other is tried
    (tmp_path / "slides" / "page.svs").unlink()
    last = run()
    assert (last.returncode, "Nothing to be done" in last.stderr) == (0, True)


@pytest.mark.slow
def test_nextflows_language_and_a_shell_run_its_example(painted: Path, analysed: Path, tmp_path: Path) -> None:
    """Nextflow itself can't be had everywhere: Groovy, its language, renders the task of a slide with a blank in its name, bash runs it
    where the slide is a link, as the engine lays it there."""
    if not (groovy := shutil.which("groovy")):
        pytest.skip("no groovy here; .ci/run installs Debian's")
    java = Path(shutil.which("java") or "").resolve().parents[1]
    harness, example = Path(__file__).with_name("nextflow_task.groovy"), ROOT / "examples" / "nextflow" / "main.nf"
    command = [groovy, str(harness), str(example), "a section.png", "0.5", str(tmp_path / "command.sh")]
    subprocess.run(command, check=True, timeout=300, env={**os.environ, "JAVA_HOME": str(java)})
    (tmp_path / "a section.png").symlink_to(painted)
    subprocess.run(["bash", "-ue", "command.sh"], cwd=tmp_path, check=True, timeout=600, env=environment(tmp_path / "home"))
    (folder,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]  # what `path "out/*", type: 'dir'` publishes
    document = json.loads((folder / "scores.json").read_text())
    wanted = json.loads((analysed / "scores.json").read_text())
    assert (document["slide"].pop("file_name"), document["slide"].pop("id")) == ("a section.png", folder.name)
    assert (wanted["slide"].pop("file_name"), wanted["slide"].pop("id")) == ("painted.png", "painted")
    assert document == wanted


@pytest.mark.fault(4)
@pytest.mark.slow
def test_mutants_through_a_real_batch_end_as_results_or_as_our_errors(tmp_path: Path, models: Path) -> None:
    campaigns = runpy.run_path(str(ROOT / "benchmarks" / "campaigns.py"))
    (tmp_path / "models").symlink_to(models)
    assert campaigns["mutant_campaign"](tmp_path, 12, 0) == 0


def test_bookkeeping_takes_as_much_room_a_slide_however_many_there_are(tmp_path: Path) -> None:
    bookkeeping = runpy.run_path(str(ROOT / "benchmarks" / "bookkeeping.py"))
    sizes = []
    for number in (40, 120):
        (tmp_path / str(number)).mkdir()
        sizes.append(float(bookkeeping["measured"](tmp_path / str(number), number).split("|")[-2]))
    assert sizes[1] <= sizes[0]  # what stands once in a page weighs less
