"""The examples call the command line as it is, and the benchmarks of a batch run."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import typer

from biopsy_analyzer.cli import app

ROOT = Path(__file__).resolve().parents[2]
FILLED = {"{threads}": "2", "{input:q}": "a.svs", "{MPP}": "--mpp 0.5", "${task.cpus}": "2", '"${slide}"': "a.svs", "${mpp}": "--mpp 0.5"}


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
