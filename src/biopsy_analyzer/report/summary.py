"""The result in a few lines for the terminal."""

from __future__ import annotations

from typing import Any

_STATES = (("normal", "normal"), ("necrotic", "necrotic"), ("pale_fragmented", "pale-fragmented"), ("regenerating", "regenerating"))


def summary_text(document: dict[str, Any]) -> str:
    """Scores, counts and what speaks against them, from the content of scores.json; "not assessed" stands for null."""
    slide, quality = document["slide"], document["quality"]
    lines = [
        f"{slide['id']}: {slide['width_px']} x {slide['height_px']} px at {slide['um_per_px']:g} um/px ({slide['um_per_px_source']}), "
        f"{quality['tissue_area_mm2']:.3g} mm2 of tissue",
        f"  status        {document['status']}",
        *([] if document["status"] == "refused" else _findings(document)),
        *(f"  flag          {flag['message']}" for flag in quality["flags"]),
        *(f"  warning       {warning}" for warning in document["warnings"]),
        "  Research use only, not for diagnosis.",
    ]
    return "\n".join(lines)


def _findings(document: dict[str, Any]) -> list[str]:
    fibres, cells = document["fibres"], document["inflammation"]
    states = ", ".join(f"{_number(fibres[key])} {name}" for key, name in _STATES)
    return [
        f"  fibres        {_number(fibres['segmented'])} found, {_number(fibres['assessable'])} assessable: {states}",
        f"  internal      {_number(fibres['with_internal_nuclei'])} fibres with internal nuclei",
        f"  fibre size    {_sizes(fibres['area_um2']['median'], fibres['min_feret_um']['median'])}",
        f"  clusters      {_clusters(document['clusters'])}",
        f"  infiltrate    per mm2 between the fibres: {_number(cells['macrophages_per_mm2'])} macrophages, "
        f"{_number(cells['lymphocytes_per_mm2'])} lymphocytes",
        *(f"  {name:<13} {_axis(document['scores'][name])}" for name in ("necrosis", "regeneration", "inflammation", "balance")),
        f"  pattern       {document['pattern']['label']}",
        *(f"                - {reason}" for reason in document["pattern"]["reasons"]),
    ]


def _number(value: float | None) -> str:
    return "not assessed" if value is None else f"{value:.4g}"


def _axis(axis: dict[str, Any]) -> str:
    if axis["value"] is None:
        return "not assessed"
    interval = axis["ci95"]
    return f"{axis['value']:.2f}" + (f"  (95 % interval {interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def _sizes(area_um2: float | None, min_feret_um: float | None) -> str:
    if area_um2 is None or min_feret_um is None:
        return "not assessed"
    return f"median area {area_um2:.0f} um2, median least diameter {min_feret_um:.1f} um"


def _clusters(clusters: dict[str, Any]) -> str:
    if all(found["count"] is None for found in clusters.values()):
        return "not assessed"
    return ", ".join(f"{found['count']} {kind} ({found['around_necrotic_fibres']} at necrotic fibres)" for kind, found in clusters.items())
