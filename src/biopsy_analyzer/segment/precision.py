"""The numbers that a network computes in."""

from __future__ import annotations

from pathlib import Path

from biopsy_analyzer.errors import ModelError

PRECISIONS = ("auto", "float32", "bfloat16")


def choose_precision(device: str, wanted: str = "auto") -> str:
    """The numbers that convolutions compute in: on CUDA float16, on CPUs that multiply bfloat16 (AVX-512 BF16, AMX) bfloat16, else float32.

    docs/speed.md shows that scores do not depend on it. wanted: "auto", or "float32" or "bfloat16" for a CPU; ModelError for another word.
    """
    if wanted not in PRECISIONS:
        raise ModelError(f"precision {wanted!r} is not known; choose {', '.join(PRECISIONS)}")
    if wanted != "auto":
        return wanted
    return "float16" if device == "cuda" else "bfloat16" if _cpu_multiplies_bfloat16() else "float32"


def _cpu_multiplies_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False  # not Linux: unknown, and without such instructions bfloat16 is slower
    return "avx512_bf16" in flags or "amx_bf16" in flags
