"""A file is the old one or the new one, at any moment."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from biopsy_analyzer.errors import OutputError
from biopsy_analyzer.report.atomic import check_writable, copy_whole, prepare_folder, replacing_folder, sweep, writable, write_bytes


def test_written_and_replaced(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.json", b"old")
    write_bytes(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.fault(20)
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """In a child with a limit on file sizes: the write fails half way, as on a full disk."""
    write_bytes(tmp_path / "a.json", b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path; from biopsy_analyzer.report.atomic import write_bytes;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "write_bytes(Path(sys.argv[1]), b'x' * 100_000)"
    )
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], capture_output=True, text=True)
    assert "OutputError" in child.stderr
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_folder_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".writing-123-fibres.csv.tmp").write_text("half")
    (tmp_path / ".writing-123-labels.ome.zarr.tmp" / "fibres").mkdir(parents=True)
    (tmp_path / "scores.json").write_text("of an older run")
    (tmp_path / "notes.txt").write_text("the user's")
    prepare_folder(tmp_path, last_file="scores.json")
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="can't use the folder"):
        prepare_folder(tmp_path / "out" / "slide", last_file="scores.json")


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a.json", b"new")
    assert os.listdir(tmp_path) == []


def test_a_folder_is_tried_and_left_empty(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't write into"):
        check_writable(tmp_path / "file")


def test_a_refused_run_leaves_no_empty_folder(tmp_path: Path) -> None:
    def refused(folder: Path, file: str = "") -> None:
        with suppress(KeyError), writable(folder):
            if file:
                (folder / file).write_text("")
            raise KeyError

    (tmp_path / "mine").mkdir()
    refused(tmp_path / "mine")
    refused(tmp_path / "mine" / "a" / "b")
    assert os.listdir(tmp_path / "mine") == []
    refused(tmp_path / "mine" / "a" / "b", "log")
    assert os.listdir(tmp_path / "mine" / "a" / "b") == ["log"]
    with writable(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with replacing_folder(tmp_path / "labels") as folder:
            (folder / content).mkdir()
            (folder / content / "0").write_text(content)
    assert os.listdir(tmp_path) == ["labels"]
    assert [path.name for path in (tmp_path / "labels").rglob("*")] == ["new", "0"]


@pytest.mark.fault(18)
def test_of_a_link_only_the_link_goes(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "theirs").write_text("theirs")
    for name in ("labels", ".writing-1-labels.tmp"):
        (tmp_path / name).symlink_to("elsewhere")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("labels", "dangling"):
        with replacing_folder(tmp_path / name) as folder:
            (folder / "0").write_text("new")
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["dangling", "elsewhere", "labels"]
    assert os.listdir(tmp_path / "elsewhere") == ["theirs"]
    assert [(tmp_path / name / "0").read_text() for name in ("labels", "dangling")] == ["new", "new"]


def test_an_error_without_a_number_is_told_by_its_words(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"labels: the disk went away\. Free space"), replacing_folder(tmp_path / "labels"):
        raise OSError("the disk went away")


def test_a_folder_that_cannot_be_filled_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    with pytest.raises(OutputError, match="No space left"), replacing_folder(tmp_path / "labels"):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == ["labels"]


def test_a_copy_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    """Of models that are installed read-only, too: copies are written on."""
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, name in ((source, "new"), (target, "old")):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / name).write_text(name)
    (source / "deep" / "new").chmod(0o444)
    copy_whole(source, target)
    assert [path.name for path in (target / "deep").iterdir()] == ["new"]
    assert (target / "deep" / "new").stat().st_mode & 0o200
    copy_whole(source / "deep" / "new", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"source", "target", "file"}
    with pytest.raises(OutputError, match=r"can't copy .*nowhere"):
        copy_whole(tmp_path / "nowhere", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
