"""Slides handed out by a real Dask cluster on this machine; what only a far one could show is left to docs/batch.md."""

import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import biopsy_analyzer
from biopsy_analyzer.batch import cluster
from biopsy_analyzer.batch.cluster import ClusterError, analyse_on_worker, check_address, run_on_cluster
from biopsy_analyzer.batch.job import Job, Options, outcome_of, to_line
from biopsy_analyzer.batch.local import run_locally
from biopsy_analyzer.batch.run import Tally, run_batch
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.terminal import LOG

PLAIN = {**os.environ, "PYTHONPATH": str(Path(biopsy_analyzer.__file__).parents[1])}


@pytest.mark.fault(34)
@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "192.168.1.5:8786", "tcp://example.org:8786", "tcp://[2001:db8::1]:8786"])
def test_a_scheduler_elsewhere_without_tls_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="neither encrypted nor on this machine"):
        check_address(address)


@pytest.mark.fault(34)
@pytest.mark.parametrize("address", ["inproc://1/2", "http://127.0.0.1:8787", "tcp://", "ucx://127.0.0.1:1"])
def test_other_addresses_are_not_understood(address: str) -> None:
    with pytest.raises(UsageError, match="not understood"):
        check_address(address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786", "tls://far.away:8786"])
def test_this_machine_and_tls_pass(address: str) -> None:
    check_address(address)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", protocol="tcp", silence_logs=50
        ) as started,
    ):
        yield started.scheduler_address


def test_results_and_tables_are_those_of_this_machine(address: str, painted: Path, models: Path, tmp_path: Path) -> None:
    """One good and one missing slide: the same files to the byte, the same resume, nothing through the scheduler but lines."""
    jobs = [Job(painted, "painted", um_per_px=0.5), Job(tmp_path / "missing.svs", "missing")]
    tallies = []
    for out, execute in (
        (tmp_path / "here", lambda left, options: run_locally(left, options, 1)),
        (tmp_path / "there", lambda left, options: run_on_cluster(left, options, address)),
    ):
        tallies.append(Tally())
        run_batch(jobs, Options(out, models), execute, lambda job, outcome: tallies[-1].add(outcome))
    assert [str(tally) for tally in tallies] == ["0 ok, 1 review, 1 failed"] * 2
    names = {str(path.relative_to(tmp_path / "here")) for path in (tmp_path / "here").rglob("*") if path.is_file()}
    for name in names - {".biopsy-analyzer/journal.jsonl", "biopsy-analyzer.log"}:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name
    left: list[str] = []
    run_batch(
        jobs,
        Options(tmp_path / "there", models),
        lambda jobs, options: left.extend(job.id for job in jobs) or run_on_cluster(jobs, options, address),  # type: ignore[func-returns-value]
        lambda job, outcome: None,
    )
    assert left == ["missing"]


def test_more_slides_than_are_in_flight_all_come_back_once(address: str, models: Path, tmp_path: Path) -> None:
    """Two threads hold eight slides at a time; of the others every second one was never handed out."""
    jobs = [Job(tmp_path / f"missing {number}.svs", f"missing-{number}") for number in range(2 * 2 * cluster.IN_FLIGHT + 3)]
    out = tmp_path / "out"
    out.mkdir()
    assert sorted(outcome.id for outcome in run_on_cluster(jobs, Options(out, models), address)) == sorted(job.id for job in jobs)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Certificate and key, signed by themselves, so the certificate is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-out",
        cert,
        "-keyout",
        key,
    ]
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    subprocess.run(made, check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def encrypted(certificate: tuple[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a cluster that speaks TLS alone, and the environment in which Dask's configuration names the certificates."""
    distributed = pytest.importorskip("distributed")
    cert, key = certificate
    roles = {f"tls_{role}_{part}": path for role in ("scheduler", "worker", "client") for part, path in (("cert", cert), ("key", key))}
    security = distributed.Security(tls_ca_file=cert, require_encryption=True, **roles)
    own = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": cert,
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": cert,
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": key,
    }
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            protocol="tls://",
            security=security,
            silence_logs=50,
        ) as started,
    ):
        assert started.scheduler_address.startswith("tls://127.0.0.1:")
        assert {worker.address[:6] for worker in started.workers.values()} == {"tls://"}
        yield started.scheduler_address, {**PLAIN, **own}


def batch(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "biopsy_analyzer", "batch", *arguments]


def contents(out: Path) -> dict[str, bytes]:
    """All that a batch leaves, but its log and its journal, which lists slides in the order they ended."""
    inside = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in (LOG, "journal.jsonl"))
    return {str(path.relative_to(out)): path.read_bytes() for path in inside}


@pytest.mark.fault(21, 34)
def test_whole_results_over_tls_and_what_a_killed_command_left(
    encrypted: tuple[str, dict[str, str]], painted: Path, models: Path, tmp_path: Path
) -> None:
    """Three slides by two encrypted workers, the command killed after the first: run again, the bytes are those of this machine."""
    address, environment = encrypted
    (tmp_path / "in").mkdir()
    for name in ("one", "two", "three"):
        shutil.copy(painted, tmp_path / "in" / f"{name}.png")
    given = ["in", "--mpp", "0.5", "--models", str(models), "--json"]
    here = subprocess.run([*batch(*given), "--workers", "1", "-o", "here"], cwd=tmp_path, capture_output=True, timeout=300, env=PLAIN)
    assert (here.returncode, here.stderr) == (0, b"")
    there = [*batch(*given), "--scheduler", address, "-o", "there"]
    journal = tmp_path / "there" / ".biopsy-analyzer" / "journal.jsonl"
    killed = subprocess.Popen(there, cwd=tmp_path, env=environment)
    while not (journal.exists() and journal.read_bytes()):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    first = [json.loads(line)["outcome"]["id"] for line in journal.read_text().splitlines()]
    done = subprocess.run(there, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)
    assert (done.returncode, done.stderr, json.loads(done.stdout)["review"]) == (0, "", 3)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    all_told = [json.loads(line)["outcome"]["id"] for line in journal.read_text().splitlines()]
    assert (all_told[: len(first)], sorted(all_told)) == (first, ["one", "three", "two"])  # none twice


@pytest.mark.fault(34)
def test_an_encrypted_cluster_with_certificates_and_without(encrypted: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    """The command finds its certificates in Dask's configuration; without them no word is exchanged."""
    address, own = encrypted
    (tmp_path / "page.svs").write_text("<!DOCTYPE html><html>not found</html>")
    command = batch("page.svs", "--scheduler", address)
    answered, refused = (
        subprocess.run([*command, "-o", out], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)
        for out, environment in (("out", own), ("other", PLAIN))
    )
    assert (answered.returncode, len(answered.stderr.splitlines())) == (4, 1)  # the worker looked at it
    assert answered.stderr.startswith("ERROR page.svs: ")
    assert "HTML" in answered.stderr
    assert (refused.returncode, len(refused.stderr.splitlines())) == (5, 1)
    assert "no certificates for tls://127.0.0.1:" in refused.stderr


def test_what_passes_through_the_scheduler_is_small(models: Path, tmp_path: Path) -> None:
    options = to_line(Options(tmp_path, models))
    answer = analyse_on_worker(to_line(Job(tmp_path / "missing.svs", "missing")), options)
    (waiting,) = cluster._idle.pop(options)
    waiting.stop()
    assert outcome_of(answer).exit_code == 3
    assert len(answer) < 1000
    assert json.loads(answer)["error"].startswith("can't be found")


def test_no_scheduler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("biopsy_analyzer.batch.cluster.CONNECT_S", 1)
    with pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        next(run_on_cluster([Job(Path("a.svs"), "a")], Options(tmp_path), "tcp://127.0.0.1:9"))
