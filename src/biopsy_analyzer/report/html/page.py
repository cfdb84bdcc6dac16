"""What stands on a slide's page, gathered from its material."""

from __future__ import annotations

from typing import Any

import numpy as np

from biopsy_analyzer.report.html.closeups import closeup_groups, closeups
from biopsy_analyzer.report.html.figures import axis_figure, size_figure
from biopsy_analyzer.report.html.maps import density_maps, ramp_css
from biopsy_analyzer.report.html.material import Material
from biopsy_analyzer.report.html.render import MINUS, interval, number, percent, render
from biopsy_analyzer.report.html.section import section_figure
from biopsy_analyzer.report.html.words import ACCURACY, PATTERNS, STATUS
from biopsy_analyzer.score.axes import saturate
from biopsy_analyzer.score.doubts import Doubts, find_doubts
from biopsy_analyzer.score.findings import NOT_ON_HE
from biopsy_analyzer.settings import Settings

EXAMPLES = 3
AXES = ("necrosis", "regeneration", "inflammation", "balance")
FLOORS = {"necrosis": ("necrosis_floor", "necrosis_half"), "inflammation": ("inflammation_floor_per_mm2", "inflammation_half_per_mm2")}


def slide_page(material: Material) -> bytes:
    """report.html: one file without requests to anywhere; the same material gives the same bytes."""
    document = material.document
    refused = document["status"] == "refused"
    found = closeups(material)
    doubts = Doubts() if refused else _doubts(material)
    return render(
        "slide.html.j2",
        document=document,
        status=STATUS[document["status"]],
        pattern=PATTERNS[document["pattern"]["label"]],
        refused=refused,
        axes=[] if refused else [_axis(document, name) for name in AXES[:3]],
        balance=None if refused else _balance(document),
        doubts=(*doubts.section, *doubts.reference),
        compared=not doubts.alone,
        doubtful=AXES if doubts.section else ("necrosis", "balance") if doubts.reference else (),
        section=section_figure(material),
        closeups=found,
        groups=closeup_groups(material, found),
        sizes=None if refused else size_figure(material.fibres),
        maps=density_maps(material),
        ramp=ramp_css(),
        evidence=_evidence(document, {closeup["key"] for closeup in found}),
        unseen={code for code, *_ in NOT_ON_HE},
        unsure=_unsure(document),
        recorded=bool(document.get("evidence")),
        corrections=document.get("corrections"),
        region=document.get("region_um"),
        stages=document.get("stages"),
        space=document.get("space"),
        changed=changed_settings(document["settings"]),
        accuracy=ACCURACY,
    )


def _doubts(material: Material) -> Doubts:
    """What the score doubts of the section, of its tables as they stand now: corrections may settle it, or raise it."""
    area, none_counted = material.document["quality"]["tissue_area_mm2"], np.zeros(len(material.nuclei), dtype=bool)
    settings = Settings.model_validate(material.document["settings"])
    return find_doubts(material.fibres, material.nuclei, none_counted, area or None, settings)


def axis_floor(document: dict[str, Any], name: str) -> float | None:
    """How far, of 0..1, false calls alone may reach on an axis by the settings of scores.json; None where that is not known."""
    if name not in FLOORS:
        return None
    settings = document["settings"]["score"]
    quantity, half = FLOORS[name]
    return float(saturate(settings[quantity], settings[half]))


def _axis(document: dict[str, Any], name: str) -> dict[str, Any]:
    """One axis 0..1, its parts below the level of activity and below what false calls alone may give marked."""
    axis, floor = document["scores"][name], axis_floor(document, name)
    kind = "number" if name == "inflammation" else "percent"
    figure = axis_figure(0.0, 1.0, axis["value"], axis["ci95"], [] if floor is None else [floor], 0.25)
    value, ci95 = "not assessed" if axis["value"] is None else f"{axis['value']:.2f}", interval(axis["ci95"], "axis")
    measured, measured_ci95 = axis["measured"], axis["measured_ci95"]
    return {
        "name": name,
        "value": value,
        "ci95": ci95,
        "grade": axis.get("grade"),
        "grade_ci95": axis.get("grade_ci95"),
        "measured": None if measured is None else percent(measured) if kind == "percent" else number(measured),
        "measured_ci95": interval(measured_ci95, kind),
        "unit": axis["unit"],
        "floor": floor,
        "figure": figure,
        "label": f"{name} {value}" + (f", 95 % interval {ci95}" if ci95 else "") + ", on an axis from 0 to 1",
    }


def _balance(document: dict[str, Any]) -> dict[str, Any]:
    axis, margin = document["scores"]["balance"], document["settings"]["score"]["balance_margin"]
    value = "not assessed" if axis["value"] is None else f"{axis['value']:+z.2f}".replace("-", MINUS)
    crossed = axis["ci95"] is not None and any(axis["ci95"][0] < border < axis["ci95"][1] for border in (-margin, margin))
    ci95 = interval(axis["ci95"], "axis")
    return {
        "value": value,
        "ci95": ci95,
        "margin": margin,
        "crossed": crossed,
        "figure": axis_figure(-1.0, 1.0, axis["value"], axis["ci95"], [-margin, margin], 0.5),
        "label": f"balance {value}" + (f", 95 % interval {ci95}" if ci95 else "") + ", from -1 inflammation to 1 necrosis",
    }


def _evidence(document: dict[str, Any], closeups: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Evidence items by state, each with the close-ups on the page that show objects it rests on; none where they were not recorded."""
    by_state: dict[str, list[dict[str, Any]]] = {"present": [], "absent": [], "not_assessable": []}
    for item in document.get("evidence") or ():
        objects = item["objects"] or {"kind": "", "count": 0, "ids": ()}
        keys = [(f"{objects['kind']}-{number}", f"{objects['kind']} {number}") for number in objects["ids"]]
        kind = "percent" if "share" in item["unit"] else "number"
        by_state[item["state"]].append(
            {
                **item,
                "value": None if item["value"] is None else percent(item["value"]) if kind == "percent" else number(item["value"]),
                "ci95": interval(item["ci95"], kind),
                "threshold": None
                if item["threshold"] is None
                else percent(item["threshold"])
                if kind == "percent"
                else number(item["threshold"]),
                "objects": objects,
                "examples": [key for key in keys if key[0] in closeups][:EXAMPLES],
            }
        )
    return by_state


def _unsure(document: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Items that are uncertain on this section by what speaks against them, each reason once: (reason, its items and what was found)."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    unseen = {code for code, *_ in NOT_ON_HE}
    for item in document.get("evidence") or ():
        if item["state"] == "not_assessable" and item["code"] not in unseen:
            why, _, found = item["reason"].partition("; found: ")
            by_reason.setdefault(why, []).append((item["name"], found))
    return list(by_reason.items())


def changed_settings(settings: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, value, default) of the settings that are not this version's defaults."""
    defaults = Settings().model_dump(mode="json")
    return [
        (f"{group}.{name}", value, defaults.get(group, {}).get(name, "none"))
        for group, values in settings.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if value != defaults.get(group, {}).get(name)
    ]
