"""From a file to a result folder, by the one way."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from biopsy_analyzer.batch.lock import lock
from biopsy_analyzer.batch.one import analyze_file
from biopsy_analyzer.errors import OutputError, SlideError, UsageError
from sections import GLASS, save


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_call_gives_the_same_bytes_whatever_was_there(painted: Path, models: Path, tmp_path: Path) -> None:
    first = analyze_file(painted, tmp_path / "one", um_per_px=0.5, models=models)
    assert first.folder == tmp_path / "one" / "painted"
    assert (first.parts, first.stamp[0], first.refusal) == ((painted,), painted.stat().st_size, "")
    before = contents(first.folder)
    assert before.keys() >= {"scores.json", "fibres.parquet", "nuclei.csv", "objects.geojson", "overlay.png"}
    (first.folder / "scores.json").unlink()
    (first.folder / "fibres.csv").write_text("half")
    (first.folder / ".writing-1-nuclei.csv.tmp").write_text("half")
    analyze_file(painted, tmp_path / "one", um_per_px=0.5, models=models)
    assert contents(first.folder) == before
    assert os.listdir(tmp_path / "one") == ["painted"]


def test_the_id_and_the_sum_of_a_manifest(painted: Path, models: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(painted.read_bytes()).hexdigest()
    done = analyze_file(painted, tmp_path, um_per_px=0.5, models=models, slide_id="case_7", sha256=sha256.upper())
    assert (done.folder, done.document["slide"]["id"]) == (tmp_path / "case_7", "case_7")


@pytest.mark.fault(3)
def test_a_slide_that_is_not_the_one_of_the_manifest_is_refused(painted: Path, tmp_path: Path) -> None:
    changed = bytearray(painted.read_bytes())
    changed[len(changed) // 2] ^= 1
    path = tmp_path / "painted.png"
    path.write_bytes(changed)
    wanted = hashlib.sha256(painted.read_bytes()).hexdigest()
    with pytest.raises(SlideError, match=r"painted\.png: (its SHA-256 is .*, the manifest says|damaged)"):
        analyze_file(path, tmp_path / "out", um_per_px=0.5, sha256=wanted)
    assert not (tmp_path / "out").exists()


def test_blank_is_a_refused_result(models: Path, tmp_path: Path) -> None:
    path = save(np.tile(GLASS, (300, 300, 1)), tmp_path / "glass.png")
    done = analyze_file(path, tmp_path / "out", um_per_px=0.5, models=models)
    assert done.document["status"] == "refused"
    assert done.refusal.startswith("No tissue")
    assert (done.folder / "scores.json").exists()


def test_a_readers_corrections_are_never_left_without_their_result(painted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "painted"
    folder.mkdir()
    (folder / "corrections.jsonl").write_text("{}\n")
    with pytest.raises(SlideError, match=r"holds a reader's corrections\. Move it away"):
        analyze_file(painted, tmp_path, um_per_px=0.5)
    assert os.listdir(folder) == ["corrections.jsonl"]


@pytest.mark.fault(18)
def test_a_link_does_not_lead_out_of_the_output_folder(painted: Path, tmp_path: Path) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    out.mkdir()
    (out / "painted").symlink_to(elsewhere)
    with pytest.raises(SlideError, match="is a link"):
        analyze_file(painted, out, um_per_px=0.5)
    assert os.listdir(elsewhere) == []


@pytest.mark.fault(23)
def test_two_at_one_result_are_told_apart(painted: Path, tmp_path: Path) -> None:
    with (
        lock(tmp_path, "painted", "it"),
        pytest.raises(UsageError, match=rf"painted\.png: its result folder is in use by process {os.getpid()}"),
    ):
        analyze_file(painted, tmp_path, um_per_px=0.5)


@pytest.mark.fault(20)
def test_a_full_disk_is_an_output_error_wherever_it_is_met(painted: Path, models: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: with each limit another file is the first that fails half way."""
    code = (
        "import sys, resource; from pathlib import Path; from biopsy_analyzer.batch.one import analyze_file\n"
        "from biopsy_analyzer.errors import OutputError\n"
        "for most_bytes in (10, 500, 3000, 9000):\n"
        "  resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))\n"
        "  try:\n    analyze_file(Path(sys.argv[1]), Path(sys.argv[2]), um_per_px=0.5, models=Path(sys.argv[3]))\n"
        "  except OutputError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(painted), str(tmp_path), str(models)], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert (done.stderr, len(lines)) == ("", 4)
    assert all("File too large. Free space" in line for line in lines)
    assert not (tmp_path / "painted" / "scores.json").exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size >= 9000]


@pytest.mark.fault(19)
def test_a_folder_that_cannot_be_written_is_said_before_the_work(painted: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="can't write into"):
        analyze_file(painted, tmp_path / "out", um_per_px=0.5, models=tmp_path / "nowhere")


@pytest.mark.fault(17)
def test_a_result_is_not_lost_to_another_slide_of_that_name(painted: Path, models: Path, tmp_path: Path) -> None:
    first = analyze_file(painted, tmp_path, um_per_px=0.5, models=models)
    before = contents(first.folder)
    (tmp_path / "elsewhere").mkdir()
    other = save(np.tile(GLASS, (300, 300, 1)), tmp_path / "elsewhere" / "painted.png")
    with pytest.raises(SlideError, match=r"painted\.png: .*painted holds the result of another slide, painted\.png\. Choose another"):
        analyze_file(other, tmp_path, um_per_px=0.5, models=tmp_path / "nowhere")
    assert contents(first.folder) == before
    assert analyze_file(other, tmp_path, um_per_px=0.5, models=models, earlier_sha256=first.document["slide"]["sha256"]).refusal
    (first.folder / "scores.json").write_text("half")  # nothing that could be lost
    analyze_file(painted, tmp_path, um_per_px=0.5, models=models)
    assert contents(first.folder) == before
    (first.folder / "scores.json").unlink()
    os.mkfifo(first.folder / "scores.json")  # nor anything to wait for
    analyze_file(painted, tmp_path, um_per_px=0.5, models=models)
    assert contents(first.folder) == before


def test_a_result_never_goes_among_the_files_of_its_slide(painted: Path, models: Path, tmp_path: Path) -> None:
    (tmp_path / "painted").mkdir()
    slide = shutil.copy(painted, tmp_path / "painted")
    with pytest.raises(SlideError, match="is the one that the slide lies in"):
        analyze_file(slide, tmp_path, um_per_px=0.5, models=models)
    assert os.listdir(tmp_path / "painted") == ["painted.png"]
