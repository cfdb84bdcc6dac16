"""A stand-in for the analysis, for tests and benchmarks of a batch's bookkeeping: it writes a small true-to-form scores.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from biopsy_analyzer.batch.job import Job, Options, Outcome, stamp_of
from biopsy_analyzer.batch.run import files_of

AREA_MM2 = 0.1
AXES = ("necrosis", "regeneration", "inflammation", "balance")


def small_document(job: Job) -> dict[str, Any]:
    """What the tables read of a scores.json; the numbers depend on the slide's content."""
    content = job.path.read_text()
    fibres = dict.fromkeys(
        ("segmented", "assessable", "normal", "necrotic", "pale_fragmented", "regenerating", "with_internal_nuclei"), len(content)
    )
    return {
        "status": "refused" if "blank" in content else "ok",
        "slide": {"id": job.id, "sha256": content, "um_per_px": 0.5},
        "quality": {"tissue_area_mm2": AREA_MM2, "flags": [{"code": "small-tissue"}]},
        "fibres": {**fibres, "min_feret_um": {"median": 40.25}},
        "inflammation": {"macrophages_per_mm2": None, "lymphocytes_per_mm2": 2.5},
        "clusters": {kind: {"count": 0} for kind in ("macrophage", "lymphocytic", "mixed")},
        "scores": {axis: {"value": None} for axis in AXES},
        "pattern": {"label": "indeterminate"},
    }


class Stub:
    """Stands for the analysis where only the bookkeeping is under test; `done` lists the slides it was given."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __call__(self, jobs: Sequence[Job], options: Options) -> Iterator[Outcome]:
        for job in jobs:
            self.done.append(job.id)
            yield self.analyse(job, options.out)

    def analyse(self, job: Job, out: Path) -> Outcome:
        content = job.path.read_text()
        if job.finished_sha256 == content:
            return Outcome(job.id, "unchanged", content, (str(job.path),), stamp_of([job.path]))
        if "bad" in content:
            return Outcome(job.id, "failed", error="not a slide", exit_code=3)
        if "full" in content:
            return Outcome(job.id, "failed", error="the disk is full", exit_code=5, stops=True)
        (out / job.id).mkdir(exist_ok=True)
        document = small_document(job)
        (out / job.id / "scores.json").write_text(json.dumps(document))
        refusal = "No tissue" if document["status"] == "refused" else ""
        code = 3 if refusal else 0
        return Outcome(job.id, document["status"], content, (str(job.path),), stamp_of([job.path]), files_of(out / job.id), refusal, code)
