"""The command line as a user meets it: real processes, exit codes, one line for an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import biopsy_analyzer
from biopsy_analyzer.classify.state_model import save_state_model
from biopsy_analyzer.errors import ModelError, OutputError, SlideError, UsageError
from biopsy_analyzer.segment.model_folder import CHANNELS
from biopsy_analyzer.segment.network import UNet
from biopsy_analyzer.terminal import LOG, errors_in_one_line, write_error
from biopsy_analyzer.training.export import write_model
from sections import GLASS, Plan, colour_models, paint, save


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "biopsy_analyzer", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}  # the code under test, wherever it runs
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny networks with random weights: what they find is nonsense, but every part runs."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    for kind, um_per_px in (("fibres", 0.8), ("nuclei", 0.5)):
        write_model(UNet((4, 8), 1, len(CHANNELS[kind]), folded=False).eval(), kind, um_per_px, folder / kind, {"version": "0"})
    save_state_model(colour_models().states, folder / "states")
    return folder


@pytest.fixture(scope="module")
def plan() -> Plan:
    return paint(2, 3, {}, [])


def test_a_line_ends_with_one_mark(capsys: pytest.CaptureFixture[str]) -> None:
    for message in ("damaged", "damaged.", "a.csv: unknown column 'sha'. Is 'sha256' meant?"):
        write_error("batch", message)
    assert capsys.readouterr().err.splitlines() == ["ERROR batch: damaged."] * 2 + [
        "ERROR batch: a.csv: unknown column 'sha'. Is 'sha256' meant?"
    ]


def test_a_section_is_analysed(plan: Plan, models: Path, tmp_path: Path) -> None:
    save(plan.rgb, tmp_path / "painted.png")
    done = run("analyze", "painted.png", "--mpp", "0.5", "--models", models, "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "out" / "painted"
    assert json.loads(done.stdout) == json.loads((folder / "scores.json").read_text())
    assert json.loads(done.stdout)["slide"]["um_per_px_source"] == "given"
    tables = [f"{name}.{kind}" for name in ("clusters", "evidence", "fibres", "nuclei") for kind in ("csv", "parquet")]
    others = ["labels.ome.zarr", "objects.geojson", "overlay.png", "pictures.parquet", "report.html", "scores.json"]
    assert sorted(os.listdir(folder)) == sorted([*tables, *others])


def test_a_fhir_bundle_comes_along_on_request(plan: Plan, models: Path, tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    save(plan.rgb, tmp_path / "slides" / "painted.png")
    asked = ("--mpp", "0.5", "--models", models, "--fhir", "--quiet")
    assert run("analyze", "slides/painted.png", *asked, "-o", "one", folder=tmp_path).returncode == 0
    assert run("batch", "slides", *asked, "-o", "many", folder=tmp_path).returncode == 0
    bundles = [(tmp_path / out / "painted" / "fhir.json").read_bytes() for out in ("one", "many")]
    assert bundles[0] == bundles[1]
    assert json.loads(bundles[0])["resourceType"] == "Bundle"


def test_the_summary_is_short_and_says_for_what_use(plan: Plan, models: Path, tmp_path: Path) -> None:
    save(plan.rgb, tmp_path / "-rf $(x) Müller.png")
    done = run("analyze", "--mpp", "0.5", "--models", models, "-o", "results", "--", "-rf $(x) Müller.png", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Research use only, not for diagnosis" in done.stdout
    assert len(done.stdout.splitlines()) < 40
    assert len(os.listdir(tmp_path / "results")) == 1


@pytest.mark.fault(8)
def test_a_missing_pixel_size_names_mpp(plan: Plan, tmp_path: Path) -> None:
    save(plan.rgb, tmp_path / "painted.png")
    done = run("analyze", "painted.png", folder=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("ERROR painted.png: ")
    assert "--mpp" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.fault(15, 32)
def test_a_foreign_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.svs").write_text("<html>not here</html>")
    done = run("analyze", "a\x1b[31m.svs", "--mpp", "0.5", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ERROR a\\x1b[31m.svs: ")


@pytest.mark.fault(30, 37)
def test_glass_is_refused(models: Path, tmp_path: Path) -> None:
    save(np.tile(GLASS, (300, 300, 1)), tmp_path / "glass.png")
    done = run("analyze", "glass.png", "--mpp", "0.5", "--models", models, "--quiet", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("ERROR glass.png: No tissue")
    document = json.loads((tmp_path / "out" / "glass" / "scores.json").read_text())
    assert document["status"] == "refused"
    assert document["scores"]["necrosis"]["value"] is None


@pytest.mark.fault(19)
def test_a_folder_that_cannot_be_written_is_said_before_the_work(plan: Plan, tmp_path: Path) -> None:
    save(plan.rgb, tmp_path / "painted.png")
    (tmp_path / "out").write_text("a file")
    done = run("analyze", "painted.png", "--mpp", "0.5", "--models", tmp_path / "nowhere", folder=tmp_path)
    assert done.returncode == 5
    assert done.stderr == "ERROR painted.png: can't write into out: File exists. Choose another folder with -o.\n"
    assert run("draw", "-o", "out", folder=tmp_path).returncode == 5


def test_closed_output_is_one_line() -> None:
    done = subprocess.run(["sh", "-c", f"'{sys.executable}' -m biopsy_analyzer settings >&-"], capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stderr == "ERROR settings: standard output is closed. Results that go into a folder are there.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_standard_output_that_is_full_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "biopsy_analyzer", "draw", "--size", "128", "-o", "drawn"]
    environment = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 5
    assert done.stderr.startswith("ERROR draw: standard output can't be written: No space left on device.")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.fault(22)
def test_a_request_to_stop_is_as_ctrl_c(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from biopsy_analyzer import cli; from biopsy_analyzer.__main__ import main\n"
        "from biopsy_analyzer.terminal import errors_in_one_line\n"
        "def app():\n  with errors_in_one_line('a.tif', None):\n    os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "cli.app = app; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "ERROR a.tif: interrupted. Run the same command again.\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_characters_gets_their_escapes(encoding: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1]), "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "biopsy_analyzer", "draw", "--size", "64", "-o", "肌肉"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(rb"\u808c\u8089")


def test_missing_models_are_an_environment_error(plan: Plan, tmp_path: Path) -> None:
    save(plan.rgb, tmp_path / "painted.png")
    done = run("analyze", "painted.png", "--mpp", "0.5", "--models", tmp_path / "nowhere", folder=tmp_path)
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "x.png", "--device", "tpu"],
        ["unknown"],
        ["evaluate"],
        ["train", "fibres", "-o", "x"],
        ["train", "fibres", "-o", "x", "--minutes", "0"],
        ["draw", "-o", "x", "--seed", "-1"],
    ],
)
def test_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_sections_are_drawn(tmp_path: Path) -> None:
    done = run("draw", "--seed", "5", "--count", "2", "--difficulty", "clean", "--size", "128", "-o", "drawn", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    paths = done.stdout.split()
    assert len(paths) == 2
    assert all((tmp_path / path).stat().st_size > 0 for path in paths)


def test_the_command_line_starts_without_heavy_imports() -> None:
    """And so do --help of every command, --version of the whole."""
    code = (
        "import sys, typer; from biopsy_analyzer.cli import app; from typer.testing import CliRunner;"
        "runs = [['--version'], ['--help'], *([name, '--help'] for name in typer.main.get_command(app).commands)];"
        "codes = {CliRunner().invoke(app, run).exit_code for run in runs};"
        "heavy = {'torch', 'numpy', 'pandas', 'cv2', 'scipy', 'zarr', 'tifffile', 'napari', 'dask', 'jinja2'};"
        "print(codes, heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("{0} set()", "")


def test_the_shell_completes_commands(tmp_path: Path) -> None:
    code = "import sys; sys.argv[0] = 'biopsy-analyzer'; from biopsy_analyzer.cli import main; main()"
    asked = {"_BIOPSY_ANALYZER_COMPLETE": "complete_bash", "COMP_WORDS": "biopsy-analyzer sch", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked})
    assert (done.stdout.split(), done.stderr) == (["schema"], "")


def test_the_version_is_stated_in_one_place(tmp_path: Path) -> None:
    lines = dict(line.split(" ", 1) for line in run("--version", folder=tmp_path).stdout.splitlines())
    assert lines["biopsy-analyzer"] == biopsy_analyzer.__version__
    assert lines["numpy"] == np.__version__
    assert lines["python"] == sys.version.split()[0]


def test_public_names() -> None:
    assert all(getattr(biopsy_analyzer, name) is not None for name in biopsy_analyzer.__all__)
    with pytest.raises(AttributeError, match="unknown_name"):
        _ = biopsy_analyzer.unknown_name


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SlideError("bad"), 3),
        (UsageError("bad"), 2),
        (ModelError("bad"), 5),
        (OutputError("bad"), 5),
        (MemoryError(), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, errors_in_one_line("a.tif", tmp_path):
        raise error
    assert stopped.value.code == code
    assert capsys.readouterr().err.startswith("ERROR a.tif: ")
    assert not list(tmp_path.iterdir())


def test_a_bug_is_one_line_and_a_traceback_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped, errors_in_one_line("a.tif", tmp_path / "out"):
        raise RuntimeError("two\nlines")
    assert stopped.value.code == 1
    log = tmp_path / "out" / LOG
    assert capsys.readouterr().err == f"ERROR a.tif: unexpected RuntimeError: two\\nlines. Please report it with {log}.\n"
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("matplotlib", "train", ["evaluate", "--drawn", "usual", "-o", "OUT"]),
        ("sklearn", "train", ["train", "states", "-o", "OUT"]),
        ("sklearn", "train", ["adapt", "result", "-o", "OUT"]),
        ("distributed", "cluster", ["batch", "slides", "-o", "OUT", "--scheduler", "tcp://127.0.0.1:1"]),
        ("highdicom", "dicom", ["dicom", "result", "slide"]),
    ],
)
def test_a_missing_extra_is_one_line_before_anything_is_computed(tmp_path, module, extra, arguments):
    out = tmp_path / "out"
    arguments = [str(out) if a == "OUT" else a for a in arguments]
    code = f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = {arguments!r}; from biopsy_analyzer.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (5, "")
    assert f"{module} is not installed. In a checkout: scripts/setup {extra}; else pip install 'biopsy-analyzer[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()
