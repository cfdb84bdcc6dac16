"""Slides of a batch on many machines: a Dask scheduler hands them out, the results go to the output folder that all of them see.

Only jobs and outcomes, some hundred bytes each, pass through the scheduler. On each machine a slide is analysed as on this one, in a
process of its own with the same limits, so that a crash costs one slide and no Dask worker.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from biopsy_analyzer.batch.contained import Contained
from biopsy_analyzer.batch.job import Job, Options, Outcome, absolute, job_of, options_of, outcome_of, to_line
from biopsy_analyzer.errors import BiopsyAnalyzerError, UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

IN_FLIGHT = 4
"""Slides handed to the scheduler for each of its threads: none waits, and a million slides are never there at once. Prior."""

CONNECT_S = 60  # a busy head node answers late; nothing is computed before it does

_idle: dict[str, list[Contained]] = {}
"""On a Dask worker: processes that wait for their next slide, by the options they were started with."""


class ClusterError(BiopsyAnalyzerError):
    """The cluster can't be reached, or is gone."""

    exit_code = 5


def check_address(address: str) -> None:
    """UsageError unless `address` is a tls:// one, or one on this machine itself: anyone who reaches an open scheduler can run code."""
    url = urlsplit(address if "://" in address else f"tcp://{address}")
    if url.scheme not in ("tcp", "tls") or not url.hostname:
        raise UsageError(f"--scheduler {address}: not understood. Give tls://HOST:PORT, or tcp://127.0.0.1:PORT on this machine")
    if url.scheme == "tcp" and not _is_loopback(url.hostname):
        raise UsageError(f"--scheduler {address}: neither encrypted nor on this machine. Give tls://HOST:PORT and certificates, see docs")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def run_on_cluster(jobs: Sequence[Job], options: Options, address: str) -> Iterator[Outcome]:
    """Outcomes as they come; closing cancels what has not started. ClusterError where the scheduler can't be reached or goes away."""
    from distributed import as_completed

    with _client(address) as client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise ClusterError(f"the scheduler at {address} has no workers. Start some, then run the same command again")
        lines = (to_line(replace(job, path=job.path.absolute())) for job in jobs)
        given = to_line(absolute(options))
        jobs_of: dict[Future, str] = {}

        def submit(count: int) -> list[Future]:
            new = {_submit(client, line, given): line for line in islice(lines, count)}
            jobs_of.update(new)
            return list(new)

        with client.as_current():
            running = as_completed(submit(IN_FLIGHT * threads), raise_errors=False)
        for future in running:
            yield _outcome(future, jobs_of.pop(future))
            running.update(submit(1))


def _submit(client: Client, job: str, options: str) -> Future:
    return client.submit(analyse_on_worker, job, options, key=f"slide-{uuid.uuid4()}", pure=False)


def _outcome(future: Future, line: str) -> Outcome:
    """What the worker answered; where it was lost with its machine, and others after it, the slide has failed."""
    if future.status == "finished":
        return outcome_of(future.result())
    if future.status != "error":
        raise ClusterError("the scheduler is gone. Start it again, then run the same command to resume")
    error = future.exception()
    what = f"lost on the cluster ({type(error).__name__}: {error})"
    return Outcome(job_of(line).id, "failed", error=f"{what}. Run the same command to try again", exit_code=3)


def analyse_on_worker(job: str, options: str) -> str:
    """On a Dask worker: analyse one slide in a process that waits there, or a new one; lines of JSON in and out."""
    idle = _idle.setdefault(options, [])
    try:
        hand = idle.pop()
    except IndexError:
        hand = Contained(options_of(options))
    outcome = hand.analyse(job_of(job))
    idle.append(hand)
    return to_line(outcome)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client that leaves no task behind; certificates for tls:// come from Dask's configuration."""
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise ClusterError('--scheduler needs Dask: pip install "biopsy-analyzer[cluster]"') from error
    if address.startswith("tls://") and Security().get_connection_args("client")["ssl_context"] is None:
        raise ClusterError(f"no certificates for {address}. Name them in Dask's configuration (distributed.comm.tls), see docs/batch.md")
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, TypeError, ValueError) as error:
        raise ClusterError(f"no scheduler answers at {address} ({error}). Start it, or check address and certificates") from error
    with client:
        yield client
