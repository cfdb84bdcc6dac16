"""The journal: whole after a kill, refused where it is damaged or not this analysis' own."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.corrections.journal import Journal, standing
from biopsy_analyzer.errors import OlderResult, OutputError, ResultError, UsageError
from biopsy_analyzer.report.saved import read_saved
from biopsy_analyzer.slide import open_slide
from painted_result import hashes

ENDLESS = """
import sys
from pathlib import Path
from biopsy_analyzer.corrections import Corrections
corrections = Corrections.open(Path(sys.argv[1]), who="reader")
states = ["necrotic", "normal", "regenerating"]
for number in range(100_000):
    corrections.set_state([1 + number % 80], states[number % 3])
    print(number + 1, flush=True)
"""


def test_a_killed_process_loses_no_edit_that_it_confirmed(folder):
    """A real process edits as fast as it can and is killed with no chance to tidy up; the machine's own files are untouched."""
    machine = hashes(folder)
    command, confirmed = [sys.executable, "-c", ENDLESS, str(folder)], 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            confirmed = int(line)
            if confirmed >= 7:
                break
        os.killpg(process.pid, signal.SIGKILL)
        confirmed = max([confirmed, *(int(line) for line in process.stdout.read().split())])
    again = Corrections.open(folder)
    assert len(again.edits) in (confirmed, confirmed + 1)  # one may have been saved and not yet confirmed
    assert again.edits[0] | {"utc": ""} == {"n": 1, "utc": "", "who": "reader", "edit": "state", "fibres": [1], "state": "necrotic"}
    assert hashes(folder) == machine


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_is_dropped_and_written_over(folder, cut):
    corrections = Corrections.open(folder, who="a")
    corrections.set_state([1], "necrotic")
    corrections.set_state([2], "necrotic")
    path = folder / "corrections.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Corrections.open(folder, who="b")
    assert again.journal.torn
    assert [line["fibres"] for line in again.edits] == [[1]]
    again.set_state([3], "regenerating")
    assert [line["fibres"] for line in Corrections.open(folder).edits] == [[1], [3]]
    assert [json.loads(line).get("who") for line in path.read_text().splitlines()] == [None, "a", "b"]


def test_a_head_cut_off_is_begun_anew(folder):
    Corrections.open(folder).set_state([1], "necrotic")
    path = folder / "corrections.jsonl"
    path.write_bytes(path.read_bytes()[:30])
    again = Corrections.open(folder)
    again.set_state([2], "normal")
    assert [line["fibres"] for line in Corrections.open(folder).edits] == [[2]]


def test_two_windows_on_one_result_do_not_mix(folder):
    one, other = Corrections.open(folder), Corrections.open(folder)
    one.set_state([1], "necrotic")
    before = other.fibres
    with pytest.raises(OutputError, match="another window"):
        other.set_state([2], "necrotic")
    assert other.fibres.equals(before)
    assert not other.can_undo
    one.set_state([3], "necrotic")
    assert len(Corrections.open(folder).edits) == 2


@pytest.mark.parametrize("number", [3, 10])
def test_two_windows_opened_after_a_torn_line_do_not_mix(folder, number):
    """Both would take the torn line away; with a fibre of one digit the new line is exactly as long as the torn one."""
    corrections = Corrections.open(folder, who="a")
    corrections.set_state([1], "necrotic")
    corrections.set_state([10], "necrotic")
    path = folder / "corrections.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    size = path.stat().st_size
    one, other = Corrections.open(folder, who="a"), Corrections.open(folder, who="a")
    one.set_state([number], "necrotic")
    assert path.stat().st_size == size + (number > 9)
    with pytest.raises(OutputError, match="another window"):
        other.set_state([4], "necrotic")
    one.set_state([5], "necrotic")
    assert [line["fibres"] for line in Corrections.open(folder).edits] == [[1], [number], [5]]


@pytest.mark.parametrize("torn", [False, True])
def test_after_a_full_disk_the_edit_is_made_again(folder, torn):
    """A limit on the file's size, lifted later: a part of the line was taken, and nobody has to open the result anew."""
    resource = pytest.importorskip("resource")
    corrections, path = Corrections.open(folder), folder / "corrections.jsonl"
    corrections.set_state([1], "necrotic")
    if torn:
        with path.open("ab") as file:
            file.write(b'{"n": 2')
        corrections = Corrections.open(folder)
    before, limits = path.read_bytes().removesuffix(b'{"n": 2'), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(OutputError, match="free space, then make it again"):
            corrections.set_state([2], "necrotic")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    corrections.set_state([2], "necrotic")
    assert [line["fibres"] for line in Corrections.open(folder).edits] == [[1], [2]]


def test_a_share_that_syncs_no_folders_keeps_the_edit(folder, monkeypatch):
    """The line is on the disk: it counts, and the next one follows it."""
    sync, refused = os.fsync, []

    def of_files_alone(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            refused.append(handle)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, "fsync", of_files_alone)
    corrections = Corrections.open(folder)
    corrections.set_state([1], "necrotic")
    corrections.set_state([2], "necrotic")
    assert len(refused) == 1
    assert [line["fibres"] for line in Corrections.open(folder).edits] == [[1], [2]]


def test_what_cannot_be_saved_is_not_done(folder):
    """A folder where the journal should lie: nothing can be appended."""
    corrections = Corrections.open(folder)
    (folder / "corrections.jsonl").mkdir()
    scores, fibres = corrections.scores(), corrections.fibres
    with pytest.raises(OutputError, match="can't be saved"):
        corrections.set_state([1], "necrotic")
    assert corrections.fibres.equals(fibres)
    assert corrections.scores() == scores


def broken(path: Path, number: int, content: str) -> None:
    lines = path.read_text().splitlines()
    lines[number] = content
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("number", "content", "error", "said"),
    [
        (1, "{half", ResultError, "line 2 is damaged"),
        (1, "[]", ResultError, "line 2 is damaged"),
        (1, "[" * 100_000, ResultError, "line 2 is damaged"),
        (1, "{}", ResultError, "a line without an edit"),
        (1, '{"edit":"undo"}', ResultError, "one that undoes nothing"),
        (0, "{}", ResultError, "no head"),
        (0, '{"journal": "biopsy-analyzer corrections", "version": "9", "result": ""}', OlderResult, "version '9'"),
        (0, '{"journal": "biopsy-analyzer corrections", "version": "1.0", "result": "ab"}', ResultError, "another analysis"),
        (1, '{"n": 1, "edit": "state", "fibres": [9999], "state": "normal"}', ResultError, "edit 1"),
        *[
            (1, '{"n": 1, "edit": ' + edit + "}", ResultError, r"edit 1 .* can't be done again")
            for edit in (
                '"state", "fibres": ["a"], "state": "normal"',
                '"state", "fibres": [1e400], "state": "normal"',
                '"state", "fibres": [1.7], "state": "normal"',
                '"state", "fibres": [12345678901234567890123], "state": "normal"',
                '"state", "fibres": 1, "state": "normal"',
                '"type", "nuclei": [true], "type": "other"',
                '"split", "fibre": 1.7, "line_um": [[0, 0], [9, 9]]',
                '"redraw", "fibre": 1, "ring_um": [[1], [2, 3]]',
                '"draw", "made": [], "state": "normal", "ring_um": [[9, 9], [9, 24], [24, 24]]',
                '"draw", "made": [99999999999], "state": "normal", "ring_um": [[9, 9], [9, 24], [24, 24]]',
                '"draw", "ring_um": [["a", 1], [2, 3], [4, 5]], "state": "normal"',
                '["state"]',
            )
        ],
    ],
)
def test_a_damaged_or_foreign_journal_is_refused_in_one_line(folder, number, content, error, said):
    corrections = Corrections.open(folder)
    corrections.set_state([1], "necrotic")
    corrections.set_state([2], "necrotic")
    broken(folder / "corrections.jsonl", number, content)
    with pytest.raises(error, match=said) as refused:
        Corrections.open(folder)
    assert "\n" not in str(refused.value)


def test_scoring_anew_does_not_part_journal_and_result(folder):
    Corrections.open(folder).set_state([1], "necrotic")
    path = folder / "scores.json"
    path.write_text(path.read_text().replace('"intended_use"', ' "intended_use"'))
    assert len(Corrections.open(folder).edits) == 1


def test_another_slide_is_refused(folder, tmp_path, slide):
    cv2.imwrite(str(tmp_path / "other.png"), np.full((300, 400, 3), 200, np.uint8))
    with (
        open_slide(tmp_path / "other.png", um_per_px=0.5) as other,
        pytest.raises(UsageError, match="400 x 300 px, but section was made on"),
    ):
        Corrections.open(folder, slide=other)
    assert Corrections.open(folder, slide=slide).fibres["eosin_od"].notna().all()


def test_what_stands_after_undo_and_redo():
    lines = [{"edit": name} for name in ("a", "b", "undo", "undo", "redo", "c", "undo")]
    done, undone = standing(lines)
    assert [line["edit"] for line in done] == ["a"]
    assert [line["edit"] for line in undone] == ["c"]
    assert standing([]) == ([], [])


def test_the_sum_of_a_journal_is_that_of_its_file(folder):
    journal = Journal(read_saved(folder))
    assert journal.sha256.startswith("e3b0c442")  # of nothing
    journal.append({"edit": "state"}, "x")
    assert journal.path.stat().st_size > 100
    assert not journal.sha256.startswith("e3b0c442")
