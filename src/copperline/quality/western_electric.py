"""The Western Electric rules: which patterns of points say that a process is out of control.

Rules 1 to 4 of Western Electric Company 1956, "Statistical Quality Control Handbook", pages 25 to 28. On a process that
is in control, all four together give a false alarm every 92 points on average, rule 1 alone every 370 (Champ and
Woodall 1987, "Exact results for Shewhart control charts with supplementary runs rules", Technometrics 29, 393-399).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from copperline.errors import SettingsError

Side = Literal["above", "below"]

WESTERN_ELECTRIC_RULES = {
    1: "1 point more than 3 sigma from the centre line",
    2: "2 of 3 points in a row more than 2 sigma from the centre line, on one side",
    3: "4 of 5 points in a row more than 1 sigma from the centre line, on one side",
    4: "8 points in a row on one side of the centre line",
}
"""What each rule says, by its number."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A pattern of points that a rule names.

    Attributes:
        rule: its number, 1 to 4.
        side: the side of the centre line on which the points lie.
        points: positions of the points that make up the pattern, ascending; a point between them that does not lie
            beyond the rule's limit is none of them.
        raised_at: position of the point at which the rule was first met.
        text: a sentence for people.
    """

    rule: int
    side: Side
    points: tuple[int, ...]
    raised_at: int
    text: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """At least `needed` of `window` points in a row lie more than `sigmas` from the centre line, on one side."""

    number: int
    needed: int
    window: int
    sigmas: int


_RULES = (_Rule(1, 1, 1, 3), _Rule(2, 2, 3, 2), _Rule(3, 4, 5, 1), _Rule(4, 8, 8, 0))


def western_electric_alarms(
    standardised: npt.NDArray[np.float64], labels: Sequence[str] | None = None
) -> tuple[Alarm, ...]:
    """All alarms of rules 1 to 4, in the order in which they were raised.

    A point at exactly a limit is not beyond it, and one at exactly the centre line is on neither side. A gap breaks
    each pattern: points before and after it are never in one. At the start and after a gap a pattern may be complete
    before its window is (2 of 2 points beyond 2 sigma), as no further point can undo it. Patterns of one rule and side
    that share points are one alarm: 12 points in a row on one side are one alarm with 12 points, raised at the 8th.

    Args:
        standardised: (N,) distance of each point from the centre line in standard deviations of that point, so that
            limits may differ from point to point; NaN is a gap.
        labels: (N,) names of the points in the sentences; by default their numbers, from 1.

    Raises:
        SettingsError: not as many labels as points.

    >>> [alarm.text for alarm in western_electric_alarms(np.array([0.4, 3.2, -0.1, 2.5]), ["Mon", "Tue", "Wed", "Thu"])]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['Rule 1: Tue is more than 3 sigma above the centre line.',
     'Rule 2: 2 points from Tue to Thu are more than 2 sigma above the centre line, with at least 2 of 3 in a row.']
    """
    names = [str(number) for number in range(1, len(standardised) + 1)] if labels is None else labels
    if len(names) != len(standardised):
        raise SettingsError(
            f"expected {len(standardised)} labels, one for each point, found {len(names)}", fix="label each point once"
        )
    alarms: list[Alarm] = []
    for rule in _RULES:
        sides: tuple[tuple[Side, npt.NDArray[np.float64]], ...] = (("above", standardised), ("below", -standardised))
        for side, distance in sides:
            # Only comparisons follow, and a comparison with NaN is False: a gap is beyond no limit.
            for points, raised_at in _patterns(distance > rule.sigmas, np.isnan(distance), rule):
                text = _sentence(rule, side, [names[point] for point in points])
                alarms.append(Alarm(rule.number, side, points, raised_at, text))
    return tuple(sorted(alarms, key=lambda alarm: (alarm.raised_at, alarm.rule, alarm.side)))


def _patterns(
    beyond: npt.NDArray[np.bool_], gap: npt.NDArray[np.bool_], rule: _Rule
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Points of each pattern and where it was first complete; patterns that share points are joined."""
    positions = np.arange(len(beyond))
    after_last_gap = np.maximum.accumulate(np.where(gap, positions + 1, 0))
    starts = np.maximum(positions - rule.window + 1, after_last_gap)
    running = np.concatenate([[0], np.cumsum(beyond)])
    # A pattern ends at a point that belongs to it; a later window with the same points says nothing new.
    complete = beyond & (running[1:] - running[np.minimum(starts, positions)] >= rule.needed)
    joined: list[int] = []
    raised_at = 0
    for end in np.flatnonzero(complete).tolist():
        points = (starts[end] + np.flatnonzero(beyond[starts[end] : end + 1])).tolist()
        if joined and points[0] > joined[-1]:
            yield tuple(joined), raised_at
            joined = []
        if not joined:
            raised_at = end
        joined += [point for point in points if not joined or point > joined[-1]]
    if joined:
        yield tuple(joined), raised_at


def _sentence(rule: _Rule, side: Side, names: Sequence[str]) -> str:
    beyond = f"more than {rule.sigmas} sigma {side}" if rule.sigmas else side
    if rule.needed == 1:
        return f"Rule {rule.number}: {names[0]} is {beyond} the centre line."
    where = f"{len(names)} points from {names[0]} to {names[-1]} are {beyond} the centre line"
    least = f"{rule.needed} of {rule.window}" if rule.needed < rule.window else f"{rule.needed}"
    return f"Rule {rule.number}: {where}, with at least {least} in a row."
