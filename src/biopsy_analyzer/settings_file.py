"""Settings from a TOML file, and as one."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.settings import Settings

_MOST_BYTES = 100_000  # a file with every setting and its comment has a tenth of that


def load_settings(path: Path) -> Settings:
    """Settings from a TOML file; what it does not name stays as it is by default, so an empty file gives `Settings()`.

    UsageError that names the file, the key and what is wanted: no such file, larger than 100 kB, no TOML, an unknown key (with the
    nearest known one), a value of the wrong kind or out of its range, NaN. Values are taken as they stand: "5" and true are no numbers.
    """
    document = _toml(path)
    known = [name for name, _ in _fields()]
    for name in _unknown(document, known):
        raise UsageError(f"{path}: unknown setting {name[:60]!r}. {_nearest(name, known)}")
    try:
        return Settings.model_validate_json(json.dumps(document, default=str), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        name, found = ".".join(map(str, fault["loc"])), str(fault["input"])[:60]
        raise UsageError(f"{path}: {name} is {found!r}: {fault['msg']}. Every setting and its unit: biopsy-analyzer settings") from error


def settings_toml(settings: Settings) -> str:
    """All settings as TOML that `load_settings` reads back as the same; each with unit and source, and its default where it was changed."""
    values = settings.model_dump(mode="json")
    lines = ["# Settings of biopsy-analyzer. Prior: no published value was found, a documented default."]
    for name, info in _fields():
        group, key = name.split(".")
        if f"[{group}]" not in lines:
            about = cleandoc(type(getattr(settings, group)).__doc__ or "").splitlines()
            lines += ["", *(f"# {line}".rstrip() for line in about), f"[{group}]"]
        value, default = values[group][key], json.loads(json.dumps(info.default))
        changed = "" if value == default else f" CHANGED, by default {json.dumps(default)}."
        lines.append(f"{key} = {json.dumps(value)}  # {info.description}{changed}")
    return "\n".join(lines) + "\n"


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """Every setting as group.name, with its default and description."""
    for group, part in Settings():
        yield from ((f"{group}.{name}", info) for name, info in type(part).model_fields.items())


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"{path}: no such settings file. What biopsy-analyzer settings prints is one")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(
                f"{path}: {path.stat().st_size} bytes, at most {_MOST_BYTES} are read. What biopsy-analyzer settings prints is one"
            )
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: can't be read as TOML: {error}. What biopsy-analyzer settings prints is a settings file") from error


def _unknown(document: dict[str, Any], known: list[str]) -> Iterator[str]:
    for group, values in document.items():
        if group not in Settings.model_fields:
            yield group
        elif isinstance(values, dict):
            yield from (f"{group}.{name}" for name in values if f"{group}.{name}" not in known)


def _nearest(name: str, known: list[str]) -> str:
    """What was probably meant: a setting or group spelled much alike, or a setting of that name in another group."""
    own = name.rsplit(".", 1)[-1][:60]
    elsewhere = [full for full in known if full.split(".")[1] == own]
    alike = elsewhere or difflib.get_close_matches(name[:60], [*known, *Settings.model_fields], 1, 0.7)
    alike = alike or [known[k] for k in _closest(own, [full.split(".")[1] for full in known])]
    return f"The nearest is {alike[0]!r}" if alike else f"Groups are {', '.join(Settings.model_fields)}"


def _closest(name: str, names: list[str]) -> list[int]:
    return [names.index(found) for found in difflib.get_close_matches(name, names, 1, 0.6)]
