"""What surrounds an analysis (machine, network, names in the slide) changes no byte of its result."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile

import biopsy_analyzer
from sections import paint
from tiny_models import write_tiny_models

CANARY = "Zyxw^Patientname"
APERIO = f"Aperio Image Library v12.0.15\r\n|AppMag = 20|MPP = 0.5000|Patient = {CANARY}|Label = {CANARY}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A read-only folder with an SVS that names its patient, models, and its result as this machine makes it."""
    folder = tmp_path_factory.mktemp("lab")
    write_tiny_models(folder / "models")
    (folder / "in").mkdir()
    with tifffile.TiffWriter(folder / "in" / "a.svs") as writer:
        rgb = paint(2, 3, {}, []).rgb
        writer.write(rgb, tile=(128, 128), photometric="rgb", compression="jpeg", description=APERIO, metadata=None, software=CANARY)
        label = rgb[:64, :64]
        writer.write(label, photometric="rgb", description=f"label {CANARY}", metadata=None)
    (folder / "in" / "a.svs").chmod(0o444)
    (folder / "in").chmod(0o555)
    analyse(folder, "undisturbed")
    return folder


def analyse(folder: Path, out: str, *before: str, **environment: str) -> None:
    command = [*before, sys.executable, "-m", "biopsy_analyzer", "batch", "in", "--models", "models", "-o", out, "--workers", "1"]
    known = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1]), **environment}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, env=known)
    assert (done.returncode, done.stderr) == (0, "")
    assert CANARY not in done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    inside = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".log")
    return {str(path.relative_to(folder)): path.read_bytes() for path in inside}


@pytest.mark.fault(19, 31)
def test_the_patient_is_in_no_file_and_the_slide_as_it_was(lab: Path) -> None:
    files = [path for path in (lab / "undisturbed").rglob("*") if path.is_file()]
    assert {"scores.json", "report.html", "overlay.png", "summary.csv", "journal.jsonl"} <= {path.name for path in files}
    assert CANARY.encode() in (lab / "in" / "a.svs").read_bytes()
    assert not [path for path in files if CANARY.encode() in path.read_bytes() or b"Zyxw" in path.read_bytes()]
    assert os.listdir(lab / "in") == ["a.svs"]


@pytest.mark.fault(38)
def test_locale_time_zone_and_hash_seed_change_nothing(lab: Path) -> None:
    analyse(lab, "elsewhere", LC_ALL="tr_TR.UTF-8", LANG="tr_TR.UTF-8", TZ="Asia/Kathmandu", PYTHONHASHSEED="7")
    assert contents(lab / "elsewhere") == contents(lab / "undisturbed")


def _without_network() -> list[str]:
    """The start of a command that has no network; empty where this machine does not let one be taken away."""
    tool = shutil.which("unshare")
    for options in ("-rn", "-n"):
        if tool and subprocess.run([tool, options, "true"], capture_output=True).returncode == 0:
            return [tool, options]
    return []


@pytest.mark.fault(35)
def test_everything_works_without_a_network(lab: Path) -> None:
    before = _without_network()
    if not before:
        pytest.skip("no network namespaces here")
    analyse(lab, "offline", *before)
    assert contents(lab / "offline") == contents(lab / "undisturbed")


def _with_mounts(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may mount; skips where this machine does not let mounts be made."""
    tool = shutil.which("unshare")
    probe = "mkdir -p probe && mount -t tmpfs tmpfs probe"
    if not tool or subprocess.run([tool, "-rm", "sh", "-c", probe], cwd=folder, capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    batch = f"batch() {{ '{sys.executable}' -m biopsy_analyzer batch in --models models --workers 1 -o \"$1\"; }}"
    known = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}
    return subprocess.run(
        [tool, "-rm", "sh", "-c", f"{batch}; {script}"], cwd=folder, capture_output=True, text=True, timeout=600, env=known
    )


@pytest.mark.fault(20)
def test_a_small_disk_fills_and_the_same_command_resumes(lab: Path) -> None:
    """A real file system of 256 KiB, which is then made larger."""
    script = (
        "mkdir -p disk && mount -t tmpfs -o size=256k tmpfs disk && batch disk/out; echo rc $?; ls -A disk/out;"
        "mount -o remount,size=100m disk && batch disk/out; echo rc $?; cp -r disk/out resumed"
    )
    done = _with_mounts(script, lab)
    assert [line for line in done.stdout.splitlines() if line.startswith("rc")] == ["rc 5", "rc 0"]
    lines = done.stderr.splitlines()  # of the slide, and of the tables if they don't fit either
    assert 1 <= len(lines) <= 2
    assert all(line.startswith("ERROR ") and "No space left on device. Free space, then run the same command" in line for line in lines)
    assert contents(lab / "resumed") == contents(lab / "undisturbed")


FILLING = """
import os, subprocess
from pathlib import Path
from biopsy_analyzer.batch.journal import append
from biopsy_analyzer.batch.one import analyze_file
from biopsy_analyzer.errors import OutputError

def resize(kib):
    subprocess.run(["mount", "-o", f"remount,size={kib}k", "steps"], check=True)

def tried(what):
    try:
        what()
    except OutputError as error:
        print(error)
        return False
    return True

kib, feed = 8, Path("steps/feed.jsonl")
append(feed, b"whole\\n")
while not tried(lambda: analyze_file(Path("in/a.svs"), Path("steps"), models=Path("models"))):
    assert not list(Path("steps").rglob("scores.json")), kib
    assert feed.read_bytes() == b"whole\\n"
    resize(kib := kib + 40)
used = os.statvfs("steps")
resize((used.f_blocks - used.f_bfree) * used.f_frsize // 1024)
assert not tried(lambda: append(feed, b"x" * 9000 + b"\\n"))
assert feed.read_bytes() == b"whole\\n"
"""


@pytest.mark.fault(20)
def test_a_disk_fills_at_one_write_after_another(lab: Path) -> None:
    """A real file system of 8 KiB, larger by 40 at each attempt: each time another file is the first without room, none is left half."""
    (lab / "filling.py").write_text(FILLING)
    done = _with_mounts(
        f"mkdir -p steps && mount -t tmpfs -o size=8k tmpfs steps && '{sys.executable}' filling.py && cp -r steps/a filled", lab
    )
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert all("No space left on device. Free space, then run the same command to resume" in line for line in lines)
    assert (
        last == "can't write steps/feed.jsonl: the disk is full. Free space, then run the same command to resume"
    )  # a part of it was taken
    assert len(set(lines)) >= 4  # so many places where it was met
    assert contents(lab / "filled") == contents(lab / "undisturbed" / "a")


@pytest.mark.fault(20)
def test_a_disk_that_holds_the_results_and_not_the_tables(lab: Path) -> None:
    """As large as all files together but one page: the slide is done, a table finds no room, and the next call analyses nothing again."""
    used = sum(-(-len(content) // 4096) * 4 for content in contents(lab / "undisturbed").values())
    script = (
        f"mkdir -p tight && mount -t tmpfs -o size={used - 4}k tmpfs tight && batch tight/out; echo rc $?; cp -r tight/out tight-out;"
        "mount -o remount,size=100m tight && batch tight/out; echo rc $?; cp -r tight/out resumed-tight"
    )
    done = _with_mounts(script, lab)
    assert [line for line in done.stdout.splitlines() if line.startswith("rc")] == ["rc 5", "rc 0"]
    assert all(line.startswith("ERROR ") and "No space left on device. Free space" in line for line in done.stderr.splitlines())
    assert contents(lab / "tight-out" / "a") == contents(lab / "undisturbed" / "a")
    assert contents(lab / "resumed-tight") == contents(lab / "undisturbed")  # its journal has one line: it was not done twice


@pytest.mark.fault(19)
def test_a_read_only_disk_is_said_before_the_first_slide(lab: Path) -> None:
    done = _with_mounts("mkdir -p fixed && mount -t tmpfs -o ro tmpfs fixed && batch fixed/out; echo rc $?", lab)
    assert done.stdout.splitlines()[-1] == "rc 5"
    (line,) = done.stderr.splitlines()
    assert "can't write into fixed/out: Read-only file system. Choose another folder with -o" in line
