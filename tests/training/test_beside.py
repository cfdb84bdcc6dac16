"""What lies beside a truth, by name and ending."""

from __future__ import annotations

from pathlib import Path

import pytest

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.beside import LABELS, files_named, find_image


def test_endings_in_capitals_and_of_two_parts(tmp_path: Path) -> None:
    for name in ("a.PNG", "a.tif", "a_fibres.Tif", "b.ome.tif", "c.svs", "ab.png", "a.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in files_named(tmp_path, "a", LABELS)] == ["a.PNG", "a.tif"]
    assert [path.name for path in files_named(tmp_path, "a_fibres", LABELS)] == ["a_fibres.Tif"]
    assert [find_image(tmp_path, name).name for name in ("a", "b", "c", "c.svs")] == ["a.PNG", "b.ome.tif", "c.svs", "c.svs"]


def test_an_image_is_the_one_named_then_beside_then_as_the_source_names_it(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for path in (near / "a.png", far / "sub" / "x.png", far / "b.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_image(near, "a", far / "b.png") == far / "b.png"
    assert find_image(near, "a", far, "sub/x.png") == near / "a.png"
    assert find_image(near, "b", far, "sub/x.png") == far / "sub" / "x.png"
    assert find_image(near, "b", far) == far / "b.png"
    with pytest.raises(UsageError, match=r"truth for 'c' but no image of it; wanted c\.png, .* or .*y\.png there, or name it"):
        find_image(near, "c", far, "y.png")
