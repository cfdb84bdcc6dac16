"""What mkdocs is told beyond mkdocs.yml: pages that live outside docs/, model cards made from their JSON, and links between all of them."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "annotations.md": "annotations/README.md",
    "sample_slides.md": "sample_slides/README.md",
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that live elsewhere."""
    for site, source in ELSEWHERE.items():
        files.append(File.generated(config, site, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, "model_cards.md", content=model_cards()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as the site has them: a page or picture of the site by its place there, another file of the repository by its name alone."""
    site = page.file.src_uri
    folder = posixpath.dirname(ELSEWHERE.get(site, f"docs/{site}"))
    published = {source: site for site, source in ELSEWHERE.items()}
    published |= {f"docs/{file.src_uri}": file.src_uri for file in files if not file.generated_by}

    def linked(found: re.Match[str]) -> str:
        text, target = found.groups()
        name, _, anchor = target.partition("#")
        if not name or "://" in name:
            return found.group()
        source = posixpath.normpath(posixpath.join(folder, name))
        if source not in published:
            return text if not found.group().startswith("!") else ""
        place = posixpath.relpath(published[source], posixpath.dirname(site) or ".")
        return f"[{text}]({place}{'#' + anchor if anchor else ''})"

    return re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", linked, markdown)


def model_cards() -> str:
    """models/*/card.json as one page: what each model is for, was trained on, and was measured to do."""
    parts = [
        "# Model cards",
        "",
        "What stands in `models/*/card.json`. Figures on drawn sections are not accuracy on tissue: see [limits](limits.md).",
    ]
    for path in sorted((ROOT / "models").glob("*/card.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        parts += ["", f"## {card['name'].capitalize()}, version {card['version']}", "", "| | |", "| --- | --- |"]
        parts += [
            f"| {key.replace('_', ' ')} | {_shown(value)} |" for key, value in card.items() if key not in ("name", "version", "metrics")
        ]
        parts += ["", "Measured:", "", "```json", json.dumps(card["metrics"], indent=2, ensure_ascii=False), "```"]
    return "\n".join(parts) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`" if isinstance(value, list | dict) else str(value)
