"""Templates to a page: escaped throughout, without a request to anywhere, the same bytes for the same result."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from biopsy_analyzer.escaping import for_terminal
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS, Colour

TEMPLATES = Path(__file__).parent / "templates"
DASH, MINUS, THIN_SPACE = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{THIN SPACE}"
_UNITS = {"um": "\N{MICRO SIGN}m", "um2": "\N{MICRO SIGN}m\N{SUPERSCRIPT TWO}", "mm2": "mm\N{SUPERSCRIPT TWO}"}


def render(template: str, **context: Any) -> bytes:
    """The page as UTF-8. What comes from outside can't act in it: text is escaped, and the page's own policy forbids other scripts."""
    script = (TEMPLATES / "index.js").read_text(encoding="utf-8")
    page = _environment().get_template(template).render(colours=_colours(), script=Markup(script), script_hash=_hash(script), **context)
    return page.encode("utf-8", "backslashreplace")


def data_uri(content: bytes, kind: str) -> str:
    """An image's bytes as they stand in a page; kind "jpeg" or "png"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(shown=for_terminal, sentence=sentence, number=number, percent=percent, interval=interval)
    return environment


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _colours() -> dict[str, str]:
    """CSS colour by class; clusters under "cluster-<kind>"."""
    clusters = {f"cluster-{kind}": colour for kind, colour in CLUSTER_COLOURS.items()}
    return {name: css_colour(colour) for name, colour in {**FIBRE_COLOURS, **NUCLEUS_COLOURS, **clusters}.items()}


def css_colour(colour: Colour) -> str:
    """RGB 0..255 as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def sentence(text: str) -> str:
    """A sentence of the result in one line without control characters, its units, shares and signs as the page writes them elsewhere."""
    text = re.sub(r"\b(um2|um|mm2)\b", lambda match: _UNITS[match.group()], for_terminal(text))
    return re.sub(r"(?<![\w-])-(?=\d)", MINUS, re.sub(r"(?<=\d)%", " %", text))


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits without an exponent below 10 million; a dash for None."""
    if value is None:
        return DASH
    if abs(value) >= 10**digits:
        return f"{value:,.0f}".replace(",", THIN_SPACE)
    return f"{value:.{digits}g}"


def percent(share: float | None) -> str:
    """A share as per cent with one decimal; a dash for None."""
    return DASH if share is None else f"{100 * share:z.1f} %"


def interval(bounds: list[float] | tuple[float, float] | None, kind: str = "number") -> str:
    """ "0.12 to 0.34", or per cent for kind "percent"; empty for None."""
    if bounds is None:
        return ""
    low, high = (percent(bound) if kind == "percent" else f"{bound:z.2f}" if kind == "axis" else number(bound) for bound in bounds)
    return f"{low} to {high}".replace("-", MINUS)
