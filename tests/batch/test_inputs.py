"""Which slides a command names, and what is said at once where it names none."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from biopsy_analyzer.batch.folders import find_slides
from biopsy_analyzer.batch.inputs import collect_jobs
from biopsy_analyzer.batch.job import Job, Options, job_of, options_of, to_line
from biopsy_analyzer.errors import NotASlide, UsageError
from biopsy_analyzer.slide import SUFFIXES, open_slide
from biopsy_analyzer.slide.identity import safe_id


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str | bytes) -> None:
    for name in names:
        path = os.fsdecode(name)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "wb"):
            pass


def ids(*inputs: str, manifest: str | None = None) -> dict[str, str]:
    return {str(job.path): job.id for job in collect_jobs(inputs, Path(manifest) if manifest else None, None)}


def test_a_folder_is_searched_through() -> None:
    touch("in/b.svs", "in/deep/er/a.tif", "in/notes.txt", "in/.hidden.svs", "in/._a.tif", "in/.trash/c.svs", "in/C.PNG")
    assert ids("in") == {"in/C.PNG": "C", "in/b.svs": "b", "in/deep/er/a.tif": "a"}


@pytest.mark.parametrize("page", ["batch", "formats"])
def test_the_endings_that_are_looked_for_are_those_of_the_docs(page: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"in capitals or not: ((?:`\.\w+`(?:, )?)+)", text)
    assert set(re.findall(r"\.\w+", told)) == SUFFIXES


def test_results_among_the_slides_are_no_slides() -> None:
    touch("in/a.svs", "in/out/a/fibres.parquet", "in/out/a/overlay.png", "in/out/a/annotations.dcm", "in/out/b.svs", "in/other/overlay.png")
    assert ids("in") == {"in/a.svs": "a", "in/out/b.svs": "b", "in/other/overlay.png": "overlay"}


def test_label_images_of_drawn_sections_are_no_slides() -> None:
    """A laboratory's own files of such names are, unless the facts of a drawn section lie beside them."""
    touch("in/a.tif", "in/a_fibres.png", "in/a_nuclei.png", "in/b_fibres.png", "in/c.tif", "in/c_nuclei.png", "in/d_fibres.png")
    Path("in/a.json").write_text('{"drawn": true, "seed": 1}')
    Path("in/c.json").write_text('{"drawn": false}')
    Path("in/d.json").write_text("[")
    told: list[str] = []
    jobs = collect_jobs(["in"], None, None, told.append)
    assert [job.id for job in jobs] == ["a", "b_fibres", "c", "c_nuclei", "d_fibres"]
    assert told == ["2 label images (in/a_fibres.png, in/a_nuclei.png) are of drawn sections and no slides"]
    assert [job.id for job in collect_jobs(["in/a_fibres.png"], None, None, told.append)] == ["a_fibres"]  # who names one gets it
    assert len(told) == 1


def test_slides_of_many_files_count_once() -> None:
    touch("in/a.mrxs", "in/a/Data0000.dat", "in/a/Slidedat.ini", "in/vms/b.vms", "in/vms/b.jpg", "in/vms/b_map2.jpg", "in/vms/c.svs")
    Path("in/vms/b.vms").write_text("[Virtual Microscope Specimen]\nImageFile=b.jpg\nMapFile=b_map2.jpg\n")
    assert [str(path) for path in find_slides(Path("in"))] == ["in/a.mrxs", "in/vms/b.vms", "in/vms/c.svs"]  # and what lies beside it


@pytest.fixture
def as_anybody(tmp_path: Path) -> Iterator[None]:
    """For root, who may read everything: another user's rights for as long as the test lasts."""
    tmp_path.chmod(0o755)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.mark.fault(19)
def test_a_folder_within_that_may_not_be_read_is_named(request: pytest.FixtureRequest) -> None:
    """Its slides would be missed in silence. A slide that may not be read is found, and refused for it."""
    touch("in/a.svs", "in/secret/b.svs")
    Path("in/a.svs").write_bytes(b"II*\0")
    Path("in/a.svs").chmod(0)
    Path("in/secret").chmod(0)
    request.getfixturevalue("as_anybody")
    with pytest.raises(UsageError, match=r"in/secret: this folder can't be read \(Permission denied\)\. Give the right"):
        find_slides(Path("in"))
    with pytest.raises(NotASlide, match=r"a\.svs: can't be read \(Permission denied\)\. Check its permissions"):
        open_slide(Path("in/a.svs"), um_per_px=0.5)


def test_files_globs_and_folders_in_the_order_given_each_file_once() -> None:
    touch("z.svs", "in/a.svs", "in/b.svs", "in/c.tif")
    assert list(ids("z.svs", "in/*.svs", "in", "./in/../z.svs")) == ["z.svs", "in/a.svs", "in/b.svs", "in/c.tif"]
    assert list(ids("**/*.svs")) == ["in/a.svs", "in/b.svs", "z.svs"]


def test_a_name_that_looks_like_a_pattern_is_a_name() -> None:
    touch("a[1].svs", "a1.svs")
    assert ids("a[1].svs").keys() == {"a[1].svs"}


@pytest.mark.parametrize("inputs", [[], ["missing.svs"], ["empty"], ["*.svs"], ["a\0b"]])
def test_no_slides_is_said_at_once(inputs: list[str]) -> None:
    touch("empty/notes.txt")
    with pytest.raises(UsageError, match=r"no slides|no such file"):
        ids(*inputs)


@pytest.mark.fault(8)
@pytest.mark.parametrize("um_per_px", [0.0, -1.0, float("nan"), 252.0])
def test_an_impossible_pixel_size_is_said_at_once(um_per_px: float) -> None:
    touch("a.svs")
    with pytest.raises(UsageError, match="--mpp"):
        collect_jobs(["a.svs"], None, um_per_px)


@pytest.mark.fault(17)
def test_equal_names_get_folders_of_their_own_that_stay() -> None:
    touch("one/a.svs", "two/a.svs", "two/a.tif", "two/A.png", "two/b.svs")
    found = ids("one", "two")
    assert found["two/b.svs"] == "b"
    assert len({name.casefold() for name in found.values()}) == 5
    assert all(name.lower().startswith("a-") for path, name in found.items() if not path.endswith("b.svs"))
    assert ids("two/a.tif", "one/a.svs") == {path: found[path] for path in ("two/a.tif", "one/a.svs")}
    assert list(ids(str(Path("one").absolute()), "two").values()) == list(found.values())


HOSTILE = ["Müller.svs", "筋肉.svs", "u\u0308.svs", "\u00fc.svs", "a b $(x).svs", "-rf.svs", "new\nline.svs", "x" * 240 + ".svs"]
HOSTILE += ["=HYPERLINK(1).svs", '"><img src=x>.svs', "\x1b[31mred.svs", os.fsdecode(b"byte\xff.svs"), " .svs"]


@pytest.mark.fault(16, 32)
def test_hostile_names_become_plain_folders_and_pass_between_processes() -> None:
    touch(*(f"in/{name}" for name in HOSTILE))
    jobs = collect_jobs(["in"], None, None)
    assert {job.path.name for job in jobs} == set(HOSTILE)
    assert len({job.id.casefold() for job in jobs}) == len(HOSTILE)
    for job in jobs:
        assert job.id not in (".", "..")
        assert not set(job.id) & set('/\\\n\x1b"<>$ =')
        assert len(os.fsencode(job.id)) < 100
        assert job_of(to_line(job)) == job


@pytest.mark.fault(18)
def test_links_in_circles_and_out_of_the_folder() -> None:
    touch("in/a.svs", "elsewhere/secret.svs")
    os.symlink("..", "in/circle")
    os.symlink("../elsewhere", "in/out")
    os.symlink("self.svs", "in/self.svs")
    os.symlink("../elsewhere/secret.svs", "in/linked.svs")
    assert ids("in") == {"in/a.svs": "a", "in/linked.svs": "linked", "in/self.svs": "self"}


def test_linked_folders_are_told_of_unless_they_lead_to_what_is_searched() -> None:
    touch("in/a.svs", "in/deep/b.svs", "elsewhere/c.svs", "third/d.svs")
    for place, name in (("../elsewhere", "out"), ("deep", "again"), (".", "circle"), ("../elsewhere", "same"), ("../third", ".hidden")):
        os.symlink(place, f"in/{name}")
    told: list[str] = []
    collect_jobs(["in"], None, None, told.append)
    assert told == ["1 linked folder (in/out) is not searched. Give such a folder as an input if slides lie there"]
    jobs = collect_jobs(["in", "in/out"], None, None, told.append)
    assert [str(job.path) for job in jobs] == ["in/a.svs", "in/deep/b.svs", "in/out/c.svs"]
    assert len(told) == 1  # now it is
    (Path("in") / "more").mkdir()
    for number in range(7):
        touch(f"far/{number}/e.svs")
        os.symlink(f"../../far/{number}", f"in/more/{number}")
    collect_jobs(["in", "elsewhere"], None, None, told.append)
    named = ", ".join(f"in/more/{number}" for number in range(5))
    assert told[1:] == [f"7 linked folders ({named}, ...) are not searched. Give such a folder as an input if slides lie there"]
    with pytest.raises(UsageError, match=r"in/more: no slides in this folder; 7 linked folders \(.*\) are not searched\. Name a folder"):
        ids("in/more")


def test_a_manifest_says_case_pixel_size_and_sum() -> None:
    touch("slides/a.svs", "slides/b.svs")
    sha256 = "AB" * 32
    Path("slides/list.csv").write_text(
        f"\ufeffpath,case_id,um_per_px,sha256\na.svs,../etc,0.25,{sha256}\n{Path('slides/b.svs').absolute()},,,\n"
    )
    first, second = collect_jobs([], Path("slides/list.csv"), 0.5)
    assert first == Job(Path("slides/a.svs"), "a", "../etc", 0.25, sha256.lower())
    assert (second.id, second.case_id, second.um_per_px, second.sha256) == ("b", "", 0.5, None)


@pytest.mark.fault(18, 33)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "lacks path"),
        ("file,case_id\na.svs,1\n", "lacks path, found file, case_id. The manifest is a CSV with the columns path, case_id"),
        ("path,caseid\na.svs,1\n", "unknown column 'caseid'. Is 'case_id' meant"),
        ("path,colour\na.svs,1\n", "unknown column 'colour'. The manifest is a CSV with"),
        ("path,case_id\na.svs\n", "line 2: 1 cells where the first line has 2"),
        ("path\na.svs,b\n", "line 2: 2 cells where the first line has 1"),
        ("path;um_per_px\na.svs,0.5\n", "line 2: 1 cells where the first line has 2"),
        ("path,um_per_px\na.svs,half\n", "line 2: um_per_px is 'half'; a number from 0.05 to 5 is wanted. Correct it, or leave it empty"),
        ("path,um_per_px\na.svs,nan\n", "line 2: um_per_px is 'nan'; a number from 0.05 to 5 is wanted. Correct it, or leave it empty"),
        ("path,um_per_px\na.svs,252\n", "line 2: um_per_px is '252'; a number from 0.05 to 5"),
        ("path,sha256\na.svs,1234\n", "64 hexadecimal digits"),
        ("path,path\na.svs,b.svs\n", "two columns 'path'"),
        ("path,um_per_px\na.svs,0.25\n./a.svs,0.5\n", "a.svs stands in it twice, with different values"),
        ("path,case_id\n,c1\n", "line 2: no usable path"),
        ('path\n"a', "no readable CSV"),
        ("path\n" + "x" * 200_000, "no readable CSV"),
        ("path\n", "no slides were given"),
    ],
)
def test_a_manifest_that_is_wrong_is_named_with_its_line(content: str, words: str) -> None:
    Path("list.csv").write_text(content)
    with pytest.raises(UsageError, match=words):
        ids(manifest="list.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_manifest_comes_from_any_spreadsheet(encoding: str, mark: str, end: str) -> None:
    """Excel saves semicolons and decimal commas in half of Europe, UTF-16 as "Unicode text", and empty lines below the last."""
    lines = [
        ["path", " case_id", "um_per_px"],
        ["Müller 1.svs", "fall 1", "0,25" if mark != "," else '"0,25"'],
        ["b.svs", "fall 1", ""],
        [""] * 3,
    ]
    Path("list.csv").write_bytes((end.join(mark.join(cells) for cells in lines) + end).encode(encoding))
    assert collect_jobs([], Path("list.csv"), None) == [
        Job(Path("Müller 1.svs"), safe_id("Müller 1.svs"), "fall 1", 0.25),
        Job(Path("b.svs"), "b", "fall 1"),
    ]


def test_bytes_that_are_no_utf_8_stand_for_themselves_in_a_manifest() -> None:
    Path("list.csv").write_bytes(b"path\nM\xfcller.svs\n")
    (job,) = collect_jobs([], Path("list.csv"), None)
    assert os.fsencode(job.path) == b"M\xfcller.svs"


@pytest.mark.parametrize("content", [b"\xff\xfep\x00a\x00t", b"\xff\xfe\x00\xd8", bytes(300), b"\x89PNG\r\n\x1a\n" + bytes(range(256))])
def test_a_manifest_that_is_no_table_is_named(content: bytes) -> None:
    Path("list.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"^list\.csv: (no readable CSV|its first line lacks|two columns)"):
        ids(manifest="list.csv")


def test_what_a_manifest_says_of_an_input_holds() -> None:
    """Otherwise the sum that it states would not be looked at."""
    touch("slides/a.svs", "slides/b.svs")
    sha256 = "ab" * 32
    Path("list.csv").write_text(f"path,case_id,um_per_px,sha256\nslides/a.svs,c1,0.25,{sha256}\nslides/a.svs,c1,0.25,{sha256}\n")
    assert collect_jobs(["slides"], Path("list.csv"), 0.5) == [
        Job(Path("slides/a.svs"), "a", "c1", 0.25, sha256),
        Job(Path("slides/b.svs"), "b", um_per_px=0.5),
    ]


def test_a_missing_manifest() -> None:
    with pytest.raises(UsageError, match=r"list\.csv: can't be read"):
        ids(manifest="list.csv")


def test_options_pass_between_processes(tmp_path: Path) -> None:
    options = Options(tmp_path, tmp_path / "models", "cpu", time_limit_s=3.5, memory_limit_bytes=10)
    assert options_of(to_line(options)) == options


def test_a_dicom_series_counts_once(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    def instance(path: str, series: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = pydicom.dataset.FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID = series
        data.save_as(path, enforce_file_format=True)

    one, two = generate_uid(), generate_uid()
    for name in ("1.dcm", "2.dcm"):
        instance(f"in/alone/{name}", one)
        instance(f"in/mixed/{name}", one)
    instance("in/mixed/3.dcm", two)
    assert [str(path) for path in find_slides(Path("in"))] == ["in/alone", "in/mixed/1.dcm", "in/mixed/3.dcm"]
    shutil.rmtree("in")
