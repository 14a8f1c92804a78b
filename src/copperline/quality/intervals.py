"""Intervals that proportions do not need: of a count per unit, and of a difference between two figures."""

from __future__ import annotations

from math import inf, isfinite, sqrt

from copperline.errors import SettingsError
from copperline.evaluation.intervals import Interval, normal_quantile


def poisson_interval(count: int, units: float, confidence: float = 0.95) -> Interval | None:
    """Byar's interval for `count / units`, where the count is Poisson distributed: defects per board, for example.

    x (1 - 1 / 9x - z / 3 sqrt(x))^3 / units with x = count for the lower limit, and the same with x = count + 1 and + z
    for the upper one (Breslow and Day 1987, "Statistical Methods in Cancer Research", volume II, IARC, page 69). The
    exact limits (Garwood 1936, Biometrika 28, 437-442) are chi-square quantiles; at 95 % Byar's differ from them by at
    most 0.021 defects, and from 10 defects on by at most 0.2 %.

    Defects that come in clusters, many on one board and none on most, spread wider than a Poisson count does: then the
    interval is too narrow.

    Args:
        count: events counted, 0 or more.
        units: what they were counted on, in the unit of the denominator (boards, opportunities), 0 or more.
        confidence: in (0, 1).

    Returns:
        Lower and upper limit in events per unit, or None ("not measured") if `units` is 0.

    Raises:
        SettingsError: an argument is out of its range.

    >>> low, high = poisson_interval(10, 1)
    >>> round(low, 2), round(high, 2)
    (4.79, 18.39)
    >>> poisson_interval(0, 0) is None
    True
    """
    if count < 0 or not 0 <= units < inf:
        raise SettingsError(
            f"expected a count and units of 0 or more, found {count} per {units}", fix="count both over the same boards"
        )
    z = normal_quantile(confidence)
    if units == 0:
        return None
    low = count * max(0.0, 1 - 1 / (9 * count) - z / (3 * sqrt(count))) ** 3 if count else 0.0
    above = count + 1
    high = above * (1 - 1 / (9 * above) + z / (3 * sqrt(above))) ** 3
    return low / units, high / units


def difference_interval(first: float, first_limits: Interval, second: float, second_limits: Interval) -> Interval:
    """Interval of `first - second`, two figures from independent samples, from the interval of each.

    With d = first - second, limits (l1, u1) of the first and (l2, u2) of the second figure:
    d - sqrt((first - l1)^2 + (u2 - second)^2) to d + sqrt((u1 - first)^2 + (second - l2)^2). For proportions with
    Wilson limits this is Newcombe's hybrid score interval (Newcombe 1998, "Interval estimation for the difference
    between independent proportions: comparison of eleven methods", Statistics in Medicine 17, 873-890, method 10). For
    other figures it is Zou and Donner 2008, "Construction of confidence limits about effect measures: a general
    approach", Statistics in Medicine 27, 1693-1702.

    Returns:
        Lower and upper limit, in the unit of the figures and at the confidence of their limits.

    Raises:
        SettingsError: a figure is not within its limits.

    >>> from copperline.evaluation.intervals import wilson_interval
    >>> low, high = difference_interval(56 / 70, wilson_interval(56, 70), 48 / 80, wilson_interval(48, 80))
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    for value, (low, high) in ((first, first_limits), (second, second_limits)):
        if not (low <= value <= high and isfinite(low) and isfinite(high)):
            raise SettingsError(
                f"expected a figure within its limits, found {value} and limits {low} to {high}",
                fix="give the figure and its interval in the same unit",
            )
    difference = first - second
    below = sqrt((first - first_limits[0]) ** 2 + (second_limits[1] - second) ** 2)
    above = sqrt((first_limits[1] - first) ** 2 + (second - second_limits[0]) ** 2)
    return difference - below, difference + above
