"""Which faults must be met, and which tests produce them: `python tests/fault_table.py` writes docs/reliability.md anew."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"


class Fault(NamedTuple):
    """What happens, what the software then does, and the exit code of a batch in which it happens to one slide of several."""

    what: str
    wanted: str
    exit_code: str


FAULTS = {
    1: Fault("Slide cut to 0.1, 10, 50 or 90 %", "Refused: cut off, copy it again", "3"),
    2: Fault("Slide cut to 99 or 99.9 %; its second half zeros", "Found by where tiles lie, before reading: refused, or for review", "3"),
    3: Fault("32 bytes changed in a tile", "The slide's SHA-256 is stored; where a manifest states another: refused", "3"),
    4: Fault(
        "Seeded mutants: bytes, directory entries, zeros, cuts", "The parent lives, memory and time stay bounded, only our errors", "3"
    ),
    5: Fault("Tile width of 2^31 - 1 (ends OpenSlide's process)", "That slide fails; batch and napari live", "3"),
    6: Fault(
        "A tile that can't be decoded", "Others are read, it is counted; over 1 % of the tissue's: refused, else for review", "3 or 0"
    ),
    7: Fault("A tile that is not stored", "Background", "0"),
    8: Fault("um/px missing, 0, negative, NaN, 252, of 72 dpi, or x and y over 5 % apart", "0.05 to 5 is taken, else: give --mpp", "3"),
    9: Fault(
        "um/px wrong: implausible fibres or nuclei; against what else the file states",
        "For review, or a warning: is the pixel size right?",
        "0",
    ),
    10: Fault("Level 1 shows something else than level 0", "Left out, and said", "0"),
    11: Fault("Grey, 16 bits, alpha, CMYK, float", "Read, or refused by name (docs/formats.md)", "3"),
    12: Fault("JPEG 2000, BigTIFF, colour profile", "Read; the profile's hash is recorded, it is not applied", "0"),
    13: Fault("Small file that decodes to gigabytes", "Refused before decoding", "3"),
    14: Fault("Circle of directories, 65,000 of them, 10 MB description", "Refused soon", "3"),
    15: Fault("Empty, HTML, zip, pipe, or folder named .svs", "Refused by what it is; nothing waits on a pipe", "3"),
    16: Fault("Names of any script, spaces, `$(x)`, `-rf`, newline, 240 characters, bytes that are no UTF-8", "Analysed", "0"),
    17: Fault(
        "Equal names in two folders; a.svs and a.tif",
        "Each has a result folder of its own; given in two commands, the second is refused",
        "0; 3",
    ),
    18: Fault(
        "`../` as case id, links in circles, links out of the output folder", "Nothing is written outside the output folder", "3 or 2"
    ),
    19: Fault("Read-only input; output that can't be written", "Analysed; said before the first slide", "0; 5"),
    20: Fault("Disk full at any write", "Earlier results whole; run the same command to resume", "5"),
    21: Fault("SIGKILL at any moment, run again", "The same bytes as undisturbed, no finished slide done twice", "0"),
    22: Fault("SIGTERM, Ctrl-C, at any moment, twice", "Workers ended, tables whole, summary printed; one line while it starts", "130"),
    23: Fault("Two runs on one output folder; a dead run's lock", "The second is refused, the first named; a dead lock is taken over", "2"),
    24: Fault("Worker killed, hung, or in need of too much memory", "One retry, then that slide fails; the others go on", "3"),
    25: Fault("GPU memory full; no GPU", "Smaller batches, then the CPU, and the result says so", "0"),
    26: Fault("NaN or infinity from a network", "Refused; no NaN in any JSON", "3"),
    27: Fault("Weights cut, changed, a pickle, of another architecture", "Refused before they are parsed", "5"),
    28: Fault("Other batch size, tile size or order, number of workers", "The same result", "0"),
    29: Fault("Fibre on a corner of four tiles; grid shifted", "The same fibres, areas within 0.5 %", "0"),
    30: Fault("Other stains, blurred, blank, pen, fold", "Refused or for review with the measured value; blank is no score of 0", "3 or 0"),
    31: Fault("Patient's name in description, label or DICOM", "In no output, log or page", "0"),
    32: Fault("Slide named as HTML, formula or terminal codes", "Harmless in page, CSV and terminal", "0"),
    33: Fault("Settings, manifest or GeoJSON that is hostile or wrong", "Limits; an unknown key is named with its nearest", "2"),
    34: Fault("Dask scheduler elsewhere without TLS", "Refused", "2"),
    35: Fault("No network", "Everything works", "0"),
    36: Fault("8 forks, 8 threads on one slide", "The same pixels", "0"),
    37: Fault("Older or damaged result; refused slide", "Read, or named; a refused slide carries no number", "3"),
    38: Fault("Other locale, time zone, hash seed", "The same bytes", "0"),
}

HEAD = """# Faults, and the tests that produce them

Generated by `python tests/fault_table.py` from the marks `@pytest.mark.fault(n)` on tests; a row without a test fails the tests.

For every slide that fails there is one line on standard error, `ERROR <slide>: <what>. <remedy>`, and a row in `failures.json`. The other
slides' results are the same bytes as without it, nothing partial stands under a final name, and a traceback only goes to the log.

Exit codes: 0 all well · 1 a bug of ours · 2 usage or configuration · 3 some slides failed or were refused · 4 none succeeded ·
5 environment (disk, models, cluster) · 130 interrupted. A slide that meets a bug of ours is a failed slide of its batch (3).

Longer campaigns run by one command, `python benchmarks/campaigns.py`: 50 kills at random moments, 1000 mutants of slides; the tests hold
shortened ones. On 22 November 2026, on two busy cores: 50 kills, 2 outputs finished after them, neither differs from an undisturbed one
in a byte; 1000 mutants, none ended otherwise than as a result (191, all for review), a refused result (1) or one of our errors (808).
`MUTANTS_PER_FORMAT=100 pytest tests/slide -k mutants` (100 mutants of each format, read alone) passed too, in 7 min.
Faults are produced, not acted: a full disk is a small file system that is made larger in steps, so that one write after another is the
first without room (limits on file sizes stand for it only where mounts are not allowed); memory runs out by a limit on the process, or
on the GPU where there is one. Without a GPU (none was there when these tests were written) the way from CUDA to the CPU is walked with a
stand-in for the device.
Changed bytes in a tile, which decoders do not notice, only show in the slide's SHA-256: give it in the manifest.

| # | fault | what happens | exit | tests |
| --- | --- | --- | --- | --- |
"""


@cache
def marked_tests() -> dict[int, list[str]]:
    """Tests by number of the fault they are marked with: "path below tests::name"."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for number in _numbers(node):
                    found[number].append(f"{path.relative_to(ROOT / 'tests').as_posix()}::{node.name}")
    return dict(found)


def _numbers(function: ast.FunctionDef) -> list[int]:
    marks = [node for node in function.decorator_list if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"]
    return [ast.literal_eval(argument) for mark in marks for argument in mark.args]


def page() -> str:
    """docs/reliability.md as it has to be."""
    tests = marked_tests()
    rows = [
        f"| {number} | {fault.what} | {fault.wanted} | {fault.exit_code} | {'<br>'.join(f'`{test}`' for test in tests.get(number, []))} |"
        for number, fault in FAULTS.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
