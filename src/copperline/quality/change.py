"""How a figure changed against the previous period, and whether chance alone explains it."""

from __future__ import annotations

from dataclasses import dataclass

from copperline.errors import DataError
from copperline.evaluation.intervals import Interval
from copperline.quality.intervals import difference_interval
from copperline.quality.rates import Rate

PERCENT = 100


@dataclass(frozen=True, slots=True)
class Change:
    """A figure beside the same figure of the previous period.

    Attributes:
        current, previous: the two figures, counted over different boards.
        difference: current - previous, in `unit`; None: one of the two is not measured.
        interval: 95 % interval of the difference, in `unit`; None where the difference is none.
        excludes_zero: whether the whole interval lies on one side of 0; False: the change may be chance. None where
            the interval is none.
        unit: "percentage points" for a proportion, else the unit of the figures.
    """

    current: Rate
    previous: Rate
    difference: float | None
    interval: Interval | None
    excludes_zero: bool | None
    unit: str


def rate_change(current: Rate, previous: Rate) -> Change:
    """Difference of a figure from the previous period's, with its 95 % interval (`difference_interval`).

    For a proportion (yield, defect rate, false-call rate) the interval is Newcombe's hybrid score interval, in
    percentage points. For DPU, DPMO and PPM it is built in the same way from the intervals of the two figures, in their
    own unit.

    Raises:
        DataError: the two are not the same figure.

    >>> from copperline.quality.rates import defect_rate
    >>> change = rate_change(defect_rate(56, 70), defect_rate(48, 80))
    >>> round(change.difference, 1), [round(limit, 1) for limit in change.interval], change.excludes_zero
    (20.0, [5.2, 33.4], True)
    >>> rate_change(defect_rate(1, 70), defect_rate(0, 0)).difference is None
    True
    """
    if (current.unit, current.proportion) != (previous.unit, previous.proportion):
        raise DataError(
            f"expected two periods of one figure, found {current.unit!r} and {previous.unit!r}",
            fix="compute both with the same function",
        )
    scale, unit = (PERCENT, "percentage points") if current.proportion else (1, current.unit)
    if current.value is None or previous.value is None:
        return Change(current, previous, None, None, None, unit)
    difference = scale * (current.value - previous.value)
    if current.interval is None or previous.interval is None:
        return Change(current, previous, difference, None, None, unit)
    low, high = difference_interval(current.value, current.interval, previous.value, previous.interval)
    return Change(current, previous, difference, (scale * low, scale * high), low > 0 or high < 0, unit)
