"""Nothing that this package brings along forbids what its own licence allows."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "licences.py"))


def test_all_that_is_installed_is_compatible() -> None:
    found = SCRIPT["licences"]()
    assert len(found) > 40
    assert [one for one in found if not one.allowed] == []


def test_the_page_lists_every_dependency_that_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    wanted = {canonicalize_name(Requirement(text).name) for text in named} - {"biopsy-analyzer"}
    listed = set(re.findall(r"^\| ([\w.-]+) \|", (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert wanted <= listed, "make it again: python scripts/licences.py > docs/licences.md"


@pytest.mark.parametrize(
    ("licence", "extra", "allowed"),
    [
        ("MIT", "", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", "", True),
        ("GPL-3.0-only", "napari", False),
        ("GPL-3.0-only AND MIT", "", False),
        ("GNU General Public License v3 (GPLv3)", "", False),
        ("GNU Affero General Public License v3", "", False),
        ("LGPL-2.1-only", "", False),
        ("unknown", "", False),
    ],
)
def test_what_is_compatible(licence: str, extra: str, allowed: bool) -> None:
    assert SCRIPT["Licence"]("a-package", licence, extra).allowed is allowed


def test_an_lgpl_wheel_may_be_optional_and_no_more() -> None:
    assert SCRIPT["Licence"]("openslide-bin", "LGPL-2.1-only", "openslide").allowed
    assert not SCRIPT["Licence"]("openslide-bin", "LGPL-2.1-only", "").allowed
