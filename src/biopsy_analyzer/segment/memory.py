"""What glibc does with freed memory; elsewhere nothing happens."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next tile: fetching it from the kernel anew for each layer made large tiles 1.5 times slower."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # not glibc
    mallopt(_M_MMAP_THRESHOLD, 2**26)  # the windows of whole blocks, larger, go back to the kernel
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_ARENA_MAX, 2)  # each thread would keep its own otherwise: 0.2 GB more


def give_back_freed_memory() -> None:
    """What `keep_freed_memory` kept goes back to the kernel: after the last tile of a large section, before its files are made."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # not glibc
