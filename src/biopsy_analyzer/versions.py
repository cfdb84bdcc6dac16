"""The version of this package, stated here alone, and those of what can change a number."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"

ABSENT = "not installed"
PACKAGES = (
    "imagecodecs",
    "numpy",
    "opencv-python-headless",
    "openslide-bin",
    "pillow",
    "scikit-image",
    "scipy",
    "tifffile",
    "torch",
    "wsidicom",
)


def software_versions() -> dict[str, str]:
    """Versions of this package, of Python and of the packages that can change a number; ABSENT where one is missing."""
    own = {"biopsy-analyzer": __version__, "python": platform.python_version()}
    return own | {name: package_version(name) for name in PACKAGES}


@cache
def package_version(name: str) -> str:
    """The installed version of a package, or ABSENT."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ABSENT
