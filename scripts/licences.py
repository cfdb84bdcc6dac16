"""Licences of everything that is installed with this package, checked against what an MIT project may depend on; prints docs/licences.md.

`python scripts/licences.py > docs/licences.md`; code 1 where a licence is unknown or not compatible.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PERMISSIVE = (
    "MIT", "BSD", "Apache", "ISC", "PSF", "Python Software Foundation", "HPND", "MIT-CMU", "Unlicense", "Zlib", "0BSD", "CC0",
)  # fmt: skip
OPTIONAL_LGPL = {"openslide-python", "openslide-bin", "pyside6-essentials", "shiboken6"}
"""Wheels under the LGPL, in extras only: none of them is needed to analyse a section."""


_INTRODUCTION = """
# Licences

This project is under the MIT licence. Below: everything that `pip install` brings with it and its extras, as `scripts/licences.py` lists
and checks it. All are permissive, or weakly protective (MPL) and used as they are. LGPL stands only in optional wheels (OpenSlide, Qt),
which no analysis of SVS, TIFF, DICOM, PNG or JPEG needs. Nothing is under the GPL alone.

Models are trained on drawn sections of this project (MIT) and on public images, whose licences stand in the cards, `models/*/card.json`.
"""


@dataclass(frozen=True)
class Licence:
    """What one package is under; `extra`: the first that brings it, empty for one that every installation has."""

    name: str
    licence: str
    extra: str

    @property
    def allowed(self) -> bool:
        """Permissive; or of those that share alike only what is theirs, the MPL, and the LGPL as an optional wheel."""
        if re.search("LGPL|Lesser General Public", self.licence):
            return self.name in OPTIONAL_LGPL and bool(self.extra)
        if re.search("GPL|General Public|Affero|Proprietary|SSPL", self.licence.replace("Mozilla Public", "")):
            return False
        return any(word.lower() in self.licence.lower() for word in (*PERMISSIVE, "MPL", "Mozilla"))


def licences() -> list[Licence]:
    """Of every package that an installation with all extras has, by name; those that are not installed here are left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, Licence] = {}
    _walk([Requirement(text) for text in project["dependencies"]], "", found)
    for extra, texts in project["optional-dependencies"].items():
        _walk([Requirement(text) for text in texts], extra, found)
    return sorted(found.values(), key=lambda licence: licence.name)


def _walk(requirements: list[Requirement], extra: str, found: dict[str, Licence]) -> None:
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if name in found or name == "biopsy-analyzer":
            continue
        if requirement.marker and not any(requirement.marker.evaluate({"extra": wanted}) for wanted in ("", *requirement.extras)):
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = Licence(name, licence_of(package), extra)
        wanted = {"", *requirement.extras}
        children = [Requirement(text) for text in package.requires or []]
        kept = [child for child in children if not child.marker or any(child.marker.evaluate({"extra": one}) for one in wanted)]
        _walk([Requirement(f"{child.name}[{','.join(child.extras)}]" if child.extras else child.name) for child in kept], extra, found)


def licence_of(package: Distribution) -> str:
    """SPDX expression, else classifiers, or the first line of the licence field; "unknown"."""
    meta = package.metadata
    classified = [line.rsplit(" :: ", 1)[-1] for line in meta.get_all("Classifier") or [] if line.startswith("License ::")]
    named = [text for text in classified if text != "OSI Approved"]
    field = (meta.get("License") or "").strip().splitlines()
    for text in (meta.get("License-Expression"), " OR ".join(named), field[0] if field else None):
        if text and re.search(r"[A-Za-z]", text):
            return text[:80]
    return "unknown"


def page(found: list[Licence]) -> str:
    """docs/licences.md."""
    lines = [
        *_INTRODUCTION.strip().splitlines(),
        "",
        "| package | licence | comes with |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {one.name} | {one.licence.replace('|', '/')} | {f'extra `{one.extra}`' if one.extra else 'always'} |" for one in found]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the page; say what is not allowed."""
    found = licences()
    print(page(found), end="")
    wrong = [one for one in found if not one.allowed]
    for one in wrong:
        print(f"ERROR {one.name}: licence {one.licence!r}, extra {one.extra!r}: not among those that are compatible", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
