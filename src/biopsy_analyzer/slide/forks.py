"""Slides survive a fork: whatever must not be shared (locks held by a thread that is gone, pipes, file positions) is made anew."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    def after_fork(self) -> None:
        """Called in a forked process before anything else runs there."""
        ...


_alive: WeakSet[Forked] = WeakSet()


def renew_after_fork(thing: Forked) -> None:
    """Has `thing.after_fork()` called in every process forked from now on, as long as `thing` lives."""
    _alive.add(thing)


def _renew_all() -> None:
    for thing in list(_alive):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
