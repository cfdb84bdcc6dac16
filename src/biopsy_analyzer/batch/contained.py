"""A worker process seen from outside: limits on time and memory, one retry, and an outcome whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import BinaryIO

import psutil

from biopsy_analyzer.batch.job import Job, Options, Outcome, outcome_of, to_line
from biopsy_analyzer.report.atomic import unwritten
from biopsy_analyzer.terminal import LOG

TRIES = 2
_CODE = "from biopsy_analyzer.batch.worker import main; main()"
_LOOK_EVERY_S = 0.5
_LOOK = "Look at the slide in another program"


class Contained:
    """Analyses slides one at a time in a process of its own, which stays for the next slide and is started anew after its death."""

    def __init__(self, options: Options, threads: int = 1) -> None:
        self._options, self._threads = options, threads
        self._process: subprocess.Popen[bytes] | None = None
        self._in_use = Lock()
        self._stopped = False

    def analyse(self, job: Job, tell_share: Callable[[float], None] = lambda share: None) -> Outcome:
        """The outcome of one slide; a process that dies, hangs or outgrows its memory is tried once more, then the slide has failed."""
        reason, remedy = "", _LOOK
        for _ in range(TRIES):
            with self._in_use:
                answer = self._ask(job, tell_share)
            if isinstance(answer, Outcome):
                return answer
            reason, remedy = answer
            if self._stopped:
                break
        return Outcome(job.id, "failed", error=f"{reason}, tried {TRIES} times. {remedy}", exit_code=3)

    def stop(self) -> None:
        """End the process now; an analysis in another thread comes back as failed and is not tried again."""
        self._stopped = True
        if process := self._process:
            _kill(process)
        with self._in_use:
            if self._process:
                self._bury(self._process)

    def _ask(self, job: Job, tell_share: Callable[[float], None]) -> Outcome | tuple[str, str]:
        """The answer, or why there is none and what may help."""
        process = self._process = self._process or self._start()
        if self._stopped:  # while it was started
            _kill(process)
        assert process.stdin
        assert process.stdout
        watch = _Watch(process, self._options)
        with suppress(OSError, ValueError), watch:  # a broken pipe, half a line: it is dead
            process.stdin.write(to_line(job).encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if "outcome" in answer:
                    return outcome_of(answer["outcome"])
                tell_share(answer["share"])
        code = self._bury(process)
        return (watch.reason, watch.remedy) if watch.reason else (_death(code), _LOOK)

    def _bury(self, process: subprocess.Popen[bytes]) -> int:
        """Make sure that it is dead, and keep nothing of it open; gives its exit code."""
        self._process = None
        _kill(process)
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what it was still to be sent
                pipe.close()  # type: ignore[union-attr]  # both are pipes
        return code

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-c", _CODE]  # -P: nothing is imported from where the slides lie
        environment = {"OMP_NUM_THREADS": str(self._threads), **os.environ}
        with self._log() as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True
            )
        assert process.stdin
        with suppress(OSError):  # a process that is dead already is noticed with the first job
            process.stdin.write(to_line(self._options).encode() + b"\n")
            process.stdin.flush()
        return process

    def _log(self) -> BinaryIO:
        path = self._options.out / LOG
        try:
            return path.open("ab")
        except OSError as error:
            raise unwritten(path, error) from error


class _Watch(Thread):
    """Kills a process that takes too long or too much memory while the block runs; `reason` then says which, `remedy` what may help."""

    def __init__(self, process: subprocess.Popen[bytes], options: Options) -> None:
        super().__init__(daemon=True)
        self.reason = self.remedy = ""
        self._process, self._options, self._over = process, options, Event()
        self._until = time.monotonic() + options.time_limit_s

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        limit = self._options.memory_limit_bytes
        while not self._over.wait(_LOOK_EVERY_S):
            if time.monotonic() > self._until:
                self.reason, self.remedy = f"took longer than {self._options.time_limit_s / 60:g} min", "Give more with --time-limit"
            elif limit and _memory_of(self._process.pid) > limit:
                self.reason = f"needed more than {limit / 2**30:.3g} GiB of memory"
                self.remedy = "Use fewer --workers, or a machine with more"
            if self.reason:
                return _kill(self._process)


def _memory_of(pid: int) -> int:
    """Bytes held by a process and its children; pages of mapped files, which the system can drop, not counted where it tells them."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        used = [one.memory_info() for one in (process, *process.children(recursive=True))]
        return sum(info.rss - getattr(info, "shared", 0) for info in used)
    return 0


def _death(code: int) -> str:
    if code >= 0:
        return f"its process ended with code {code}"
    return f"its process was ended by {signal.Signals(-code).name} (a crash in a reader, or too little memory)"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and those it started."""
    if process.returncode is not None:
        return
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # pragma: no cover
            process.kill()
