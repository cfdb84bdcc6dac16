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
    fibres = document["fibres"]
    states = ", ".join(f"{_number(fibres[key])} {name}" for key, name in _STATES)
    return [
        f"  fibres        {_number(fibres['segmented'])} found, {_number(fibres['assessable'])} assessable: {states}",
        f"  internal      {_internal(fibres)}",
        f"  fibre size    {_sizes(fibres['area_um2']['median'], fibres['min_feret_um']['median'])}",
        f"  clusters      {_clusters(document['clusters'], document['sheets'])}",
        f"  macrophages   {_macrophages(document['inflammation'])}",
        f"  lymphocytes   {_density(document['inflammation']['lymphocytes_per_mm2'])}",
        *(f"  {name:<13} {_axis(document['scores'][name])}" for name in ("necrosis", "regeneration", "inflammation", "balance")),
        f"  pattern       {document['pattern']['label']}",
        *(f"                - {reason}" for reason in document["pattern"]["reasons"]),
    ]


def _number(value: float | None) -> str:
    return "not assessed" if value is None else f"{value:.4g}"


def _density(per_mm2: float | None) -> str:
    return "not assessed" if per_mm2 is None else f"{per_mm2:.0f} per mm2 between the fibres"


def _internal(fibres: dict[str, Any]) -> str:
    """Of living fibres: a nucleus deep in a dead one is no internal nucleus."""
    found = fibres["with_internal_nuclei"]
    if found is None:
        return "not assessed"
    living = fibres["normal"] + fibres["regenerating"]
    return f"{found} of {living} normal and regenerating fibres with internal nuclei" + (f" ({found / living:.0%})" if living else "")


def _macrophages(cells: dict[str, Any]) -> str:
    """Those that clear away dead fibres apart from the others: they count with the necrosis."""
    inside, all_between, at_dead = (
        cells[key] for key in ("macrophages_in_necrotic_fibres", "macrophages_per_mm2", "macrophages_at_necrosis_per_mm2")
    )
    if inside is None:
        return "not assessed"
    if all_between is None:
        return f"{inside} inside necrotic fibres; per mm2 not assessed"
    return f"{inside} inside necrotic fibres; {_density(all_between)}, {at_dead:.0f} of these at necrotic fibres"


def _axis(axis: dict[str, Any]) -> str:
    if axis["value"] is None:
        return "not assessed"
    interval = axis["ci95"]
    return f"{axis['value']:z.2f}" + (f"  (95 % interval {interval[0]:z.2f} to {interval[1]:z.2f})" if interval else "")


def _sizes(area_um2: float | None, min_feret_um: float | None) -> str:
    if area_um2 is None or min_feret_um is None:
        return "not assessed"
    return f"median area {area_um2:.0f} um2, median least diameter {min_feret_um:.1f} um"


def _clusters(clusters: dict[str, Any], sheets: dict[str, Any] | None) -> str:
    if all(found["count"] is None for found in clusters.values()):
        return "not assessed"
    told = [f"{found['count']} {kind} ({found['around_necrotic_fibres']} at necrotic fibres)" for kind, found in clusters.items()]
    if sheets and sheets["count"]:  # null in documents of versions that knew of none
        told.append(f"besides {sheets['count']} confluent ({sheets['cells']} cells on {sheets['area_mm2']:.2f} mm2)")
    return ", ".join(told)
