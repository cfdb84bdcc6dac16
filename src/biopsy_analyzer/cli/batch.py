"""Many slides in one command that can be interrupted and run again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from biopsy_analyzer.cli.options import Device, DeviceOption, Fhir, Json, ModelsOption, Mpp, SettingsOption, chosen_settings, need
from biopsy_analyzer.errors import OutputError, UsageError
from biopsy_analyzer.terminal import BatchBar, errors_in_one_line, write_error, write_note, write_out

if TYPE_CHECKING:
    from biopsy_analyzer.batch.job import Job, Options, Outcome


def batch(
    inputs: Annotated[list[str] | None, typer.Argument(metavar="INPUT...", help="Slide files, folders, or globs in quotes.")] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="The results' parent: each goes into OUT/<slide id>/, tables into OUT.")
    ] = Path("out"),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes at a time; default: by cores and memory.")] = None,
    manifest: Annotated[Path | None, typer.Option(metavar="CSV", help="Table with path, case_id, um_per_px, sha256.")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, e.g. tls://host:8786.")] = None,
    mpp: Mpp = None,
    device: DeviceOption = Device.auto,
    models: ModelsOption = None,
    settings: SettingsOption = None,
    fhir: Fhir = False,
    time_limit: Annotated[float, typer.Option(min=0.01, metavar="MIN", help="Minutes after which a slide has failed.")] = 120.0,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Analyse many slides. Run the same command again to resume: finished slides are skipped."""
    with errors_in_one_line("batch", out):
        from biopsy_analyzer.batch.cluster import check_address
        from biopsy_analyzer.batch.inputs import collect_jobs
        from biopsy_analyzer.batch.job import Options

        if scheduler is not None:
            check_address(scheduler)
            need("cluster", "distributed")
        jobs = collect_jobs(inputs or [], manifest, mpp, lambda text: None if quiet else write_note("batch", text))
        from biopsy_analyzer.batch.run import Tally, run_batch

        options = Options(out, models, device, chosen_settings(settings), 60 * time_limit)
        tally, begun = Tally(), True
        with BatchBar(len(jobs), hidden=quiet) as bar:

            def tell(job: Job, outcome: Outcome) -> None:
                tally.add(outcome)
                bar.slide_ended(job.id)
                if outcome.exit_code:
                    write_error(str(job.path), outcome.error)
                if fhir and outcome.ending != "failed" and not (out / job.id / "fhir.json").exists():
                    from biopsy_analyzer.feed.fhir import write_fhir

                    write_fhir(out / job.id)

            def execute(left: Sequence[Job], options: Options) -> Iterator[Outcome]:
                bar.work_begins()
                return _execute(left, options, workers, scheduler, bar)

            try:
                run_batch(jobs, options, execute, tell)
            except (UsageError, OutputError):
                begun = tally != Tally()  # or the folder is in use, or can't be written: that is all there is to say
                raise
            finally:  # also when interrupted
                left = len(jobs) - tally.ok - tally.review - tally.failed
                if begun and as_json:
                    ended = {"ok": tally.ok, "review": tally.review, "failed": tally.failed}
                    write_out(json.dumps({"slides": len(jobs), **ended, "left": left}))
                elif begun and not quiet:
                    write_out(f"{tally}{f', {left} left' if left else ''}. Research use only, not for diagnosis.")
        raise SystemExit(tally.exit_code)


def _execute(jobs: Sequence[Job], options: Options, workers: int | None, scheduler: str | None, bar: BatchBar) -> Iterator[Outcome]:
    if scheduler is not None:
        from biopsy_analyzer.batch.cluster import run_on_cluster

        return run_on_cluster(jobs, options, scheduler)
    from biopsy_analyzer.batch.local import run_locally, usual_workers

    return run_locally(jobs, options, workers or usual_workers(), bar.slide_moved)
