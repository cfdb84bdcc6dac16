"""A quantity against the threshold from which it counts as present: the state, and a sentence that says what was found and wanted."""

from __future__ import annotations

from typing import Literal, NamedTuple

from biopsy_analyzer.score.intervals import Drawn

State = Literal["present", "absent", "not_assessable"]


class Judged(NamedTuple):
    """One finding: value, 95 % interval and threshold in its unit, its state, and why; null where there is nothing to judge."""

    value: float | None
    interval: tuple[float, float] | None
    threshold: float | None
    state: State
    reason: str

    def doubted(self, why: str) -> Judged:
        """The same, not assessable because of `why`; what was found stays."""
        return self._replace(state="not_assessable", reason=f"{why}; found: {self.reason}")


def not_judged(why: str) -> Judged:
    """Nothing to judge."""
    return Judged(None, None, None, "not_assessable", why)


def against(drawn: Drawn, threshold: float, unit: str, below: bool = False, sampling: bool = False) -> Judged:
    """Present where the whole interval lies from the threshold on, absent where all of it lies below; `below`: the other way round.

    sampling  the interval holds how the section was sampled, and not the reader's errors: said in the sentence
    """
    low, high = drawn.interval()
    what = f"the {figure(threshold, unit)} from which {'they are no longer sparse' if below else 'it counts as present'}"
    told = f"95 % interval{' by sampling alone' if sampling else ''} {_span(low, high, unit)}"
    if low >= threshold:
        return Judged(drawn.value, (low, high), threshold, "absent" if below else "present", f"{told}, all of it at or above {what}")
    if high < threshold:
        return Judged(drawn.value, (low, high), threshold, "present" if below else "absent", f"{told}, all of it below {what}")
    return Judged(drawn.value, (low, high), threshold, "not_assessable", f"not settled: {told} holds {what}")


def _span(low: float, high: float, unit: str) -> str:
    """Both ends of an interval, and of what."""
    both = f"{figure(low, unit)} to {figure(high, unit)}"
    if unit.startswith("share"):
        return both + unit.removeprefix("share")
    return both + (" per mm2" if "per mm2" in unit else " um" if unit.startswith("um ") else "")


def figure(value: float, unit: str = "") -> str:
    """Three significant digits without an exponent, shares in percent with one decimal: 0.0312, 6,750, 3.1%."""
    if "share" in unit:
        return f"{100 * value:z.1f}%"
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 1000 else f"{round(value, 4) + 0.0:.3g}"  # no -0
