"""`biopsy-analyzer batch` as a lab meets it: real processes, real slides, real signals."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

import biopsy_analyzer
from biopsy_analyzer.batch.lock import lock
from biopsy_analyzer.terminal import LOG
from sections import GLASS, paint, save

SLIDES = ("one", "two", "three")
ARGUMENTS = ("in", "--mpp", "0.5", "--models", "models", "--fhir", "--workers", "1")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "biopsy_analyzer", "batch", *map(str, arguments)]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}  # the code under test, wherever it runs


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=300, env=ENVIRONMENT)


def contents(out: Path) -> dict[str, bytes]:
    """All that a batch leaves, but its log and its journal, which lists slides in the order they ended."""
    inside = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in (LOG, "journal.jsonl"))
    return {str(path.relative_to(out)): path.read_bytes() for path in inside}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A folder with models and three slides, analysed in one go into `undisturbed`."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(models, folder / "models")
    for number, name in enumerate(SLIDES):
        (folder / "in").mkdir(exist_ok=True)
        save(paint(2, 3 + number, {}, []).rgb, folder / "in" / f"{name}.png")
    done = run(*ARGUMENTS, "-o", "undisturbed", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0 ok, 3 review, 0 failed. Research use only, not for diagnosis.\n"
    return folder


def test_a_folder_in_use_is_all_that_is_said(lab: Path) -> None:
    with lock(lab / "used", "batch", "it"):
        done = run(*ARGUMENTS, "-o", "used", folder=lab)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ERROR batch: the output folder used is in use by process {os.getpid()} on ")
    assert done.stderr.count("\n") == 1


def test_the_tables_of_a_batch(lab: Path) -> None:
    with (lab / "undisturbed" / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["slide_id"] for row in rows] == ["one", "three", "two"]
    assert {row["status"] for row in rows} == {"review"}
    lines = (lab / "undisturbed" / "feed.jsonl").read_text().splitlines()
    assert [json.loads(line)["slide"]["id"] for line in lines] == ["one", "three", "two"]
    assert all(json.loads(line)["intended_use"] == "research_use_only" for line in lines)
    assert all((lab / "undisturbed" / name / "labels.ome.zarr").is_dir() for name in SLIDES)


@pytest.mark.fault(21, 23, 28)
def test_killed_at_any_moment_and_run_again(lab: Path) -> None:
    """SIGKILL, once for the command alone and once with its workers; two workers then finish what is left."""
    out = lab / "killed"
    for number, group in enumerate((False, True)):
        process = subprocess.Popen(command(*ARGUMENTS, "-o", "killed"), cwd=lab, env=ENVIRONMENT, start_new_session=True)
        until(lambda: len(list(out.glob("*/scores.json"))) > number)  # noqa: B023 - it has ended when number changes
        if group:
            for one in psutil.Process(process.pid).children(recursive=True):
                one.kill()
        process.kill()
        process.wait()
    done = run(*ARGUMENTS[:-1], "2", "-o", "killed", "--json", folder=lab)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"slides": 3, "ok": 0, "review": 3, "failed": 0, "left": 0}
    assert contents(out) == contents(lab / "undisturbed")
    journal = [json.loads(line)["outcome"]["id"] for line in (out / ".biopsy-analyzer" / "journal.jsonl").read_text().splitlines()]
    assert sorted(journal) == sorted(SLIDES)  # none was written down twice


def until(true: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Its workers, once there are some, their clock stopped: they can't end what the command is about to leave, however late it is told.

    Not before they run a program of their own: until then whoever starts one waits for it.
    """
    found: list[psutil.Process] = []
    until(lambda: found.extend(one for one in psutil.Process(process.pid).children() if "batch.worker" in " ".join(one.cmdline())) or found)
    for worker in found:
        worker.suspend()
    return found


@pytest.mark.fault(22)
def test_a_request_to_stop(lab: Path) -> None:
    """SIGTERM, which is what Ctrl-C does too (tests/test_cli.py)."""
    process = subprocess.Popen(
        command(*ARGUMENTS, "-o", "stopped"), cwd=lab, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    workers = held_workers(process)
    for _ in range(2):  # as `timeout` sends it, to the command and to its group
        process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "ERROR batch: interrupted. Run the same command again.\n")
    assert stdout.endswith("left. Research use only, not for diagnosis.\n")
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running()]


@pytest.mark.fault(22)
def test_ctrl_c_in_the_middle_leaves_tables_that_agree(lab: Path) -> None:
    """SIGINT to the command's process group, as a terminal sends it, once the first slide is in the journal."""
    many = [f"{name}_{k}" for k in range(2) for name in SLIDES]
    (lab / "many").mkdir()
    for name in many:
        (lab / "many" / f"{name}.png").symlink_to(lab / "in" / f"{name[:-2]}.png")
    arguments = ("many", *ARGUMENTS[1:])
    assert run(*arguments, "-o", "all", folder=lab).returncode == 0
    out, journal = lab / "ctrl-c", lab / "ctrl-c" / ".biopsy-analyzer" / "journal.jsonl"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell that runs the tests in the background has it ignored
    process = subprocess.Popen(
        command(*arguments, "-o", out.name), cwd=lab, env=ENVIRONMENT, start_new_session=True, preexec_fn=heard, **pipes
    )
    until(lambda: journal.exists() and journal.read_bytes().endswith(b"\n"))
    held_workers(process)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "ERROR batch: interrupted. Run the same command again.\n")
    finished = [json.loads(line)["outcome"]["id"] for line in journal.read_text().splitlines()]
    assert 0 < len(finished) < len(many)
    with (out / "summary.csv").open() as file:
        assert [row["slide_id"] for row in csv.DictReader(file)] == finished
    assert [json.loads(line)["slide"]["id"] for line in (out / "feed.jsonl").read_text().splitlines()] == finished
    assert json.loads((out / "failures.json").read_text())["failures"] == []
    assert stdout == f"0 ok, {len(finished)} review, 0 failed, {len(many) - len(finished)} left. Research use only, not for diagnosis.\n"
    (out / finished[0] / "fhir.json").unlink(missing_ok=True)  # as if the signal had come before it was written
    done = run(*arguments, "-o", out.name, folder=lab)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(out) == contents(lab / "all")


@pytest.mark.fault(17)
def test_slides_of_one_name_given_one_after_the_other(lab: Path) -> None:
    """analyze and batch agree: the second is refused, and the first one's result stays."""
    (lab / "later").mkdir()
    save(np.tile(GLASS, (300, 300, 1)), lab / "later" / "one.tif")
    before = contents(lab / "undisturbed" / "one")
    for verb in ("analyze", "batch"):
        words = [sys.executable, "-m", "biopsy_analyzer", verb, "later/one.tif", *ARGUMENTS[1:5], "-o", "undisturbed-copy"]
        shutil.copytree(lab / "undisturbed", lab / "undisturbed-copy")
        done = subprocess.run(words, cwd=lab, capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == {"analyze": 3, "batch": 4}[verb]
        assert "undisturbed-copy/one holds the result of another slide, one.png. Choose another folder" in done.stderr
        assert contents(lab / "undisturbed-copy" / "one") == before
        shutil.rmtree(lab / "undisturbed-copy")


@pytest.mark.fault(15, 16, 17, 30, 32)
def test_bad_slides_are_rows_and_the_others_as_without_them(lab: Path) -> None:
    folder = lab / "mixed"
    shutil.copytree(lab / "in", folder)
    (folder / "page.svs").write_text("<!DOCTYPE html><html>not found</html>")
    (folder / "empty.tif").touch()
    os.mkfifo(folder / "pipe.tif")
    save(np.tile(GLASS, (300, 300, 1)), folder / "=glass\x1b[31m.png")
    (folder / "deep").mkdir()
    shutil.copy(folder / "one.png", folder / "deep" / "one.png")
    done = run("mixed", *ARGUMENTS[1:], "-o", "out-mixed", folder=lab)
    assert done.returncode == 3
    assert done.stdout == "0 ok, 4 review, 4 failed. Research use only, not for diagnosis.\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("ERROR mixed/") for line in lines)
    assert "\x1b" not in done.stderr
    failures = {row["file"]: row["error"] for row in json.loads((lab / "out-mixed" / "failures.json").read_text())["failures"]}
    assert failures.keys() == {"mixed/page.svs", "mixed/empty.tif", "mixed/pipe.tif", "mixed/=glass\x1b[31m.png"}
    assert "HTML" in failures["mixed/page.svs"]
    assert failures["mixed/=glass\x1b[31m.png"].startswith("No tissue")
    with (lab / "out-mixed" / "summary.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or "\x1b" in cell]
    (glass,) = (lab / "out-mixed").glob("*glass*")
    assert '"status": "cancelled"' in (glass / "fhir.json").read_text()
    found = sorted(path.name for path in (lab / "out-mixed").iterdir() if path.is_dir() and path.name.startswith("one"))
    assert len(found) == 2
    for name in ("two", "three"):
        assert contents(lab / "out-mixed" / name) == contents(lab / "undisturbed" / name)


@pytest.mark.fault(27)
def test_unusable_models_stop_the_batch(lab: Path) -> None:
    shutil.copytree(lab / "models", lab / "cut")
    weights = lab / "cut" / "nuclei" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    done = run("in", "--mpp", "0.5", "--models", "cut", "-o", "out-cut", "--workers", "1", folder=lab)
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1
    assert "SHA-256" in done.stderr


@pytest.mark.fault(23, 34)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no slides were given"),
        (("in", "--scheduler", "tcp://10.0.0.1:8786"), "neither encrypted nor on this machine"),
        (("in", "--workers", "0"), "--workers"),
    ],
)
def test_wrong_usage_is_said_at_once(arguments: tuple[str, ...], words: str, lab: Path) -> None:
    done = run(*arguments, "-o", "out-usage", folder=lab)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (lab / "out-usage").exists()
