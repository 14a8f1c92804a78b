"""Control charts of counted data: p- and u-charts, and Laney's p' and u' for subgroups that vary more than chance.

A point is one subgroup: the boards of an hour, a shift or a day. Limits follow the size of each subgroup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from copperline.errors import DataError, SettingsError
from copperline.quality.western_electric import Alarm, western_electric_alarms

ChartKind = Literal["p", "u", "p'", "u'"]
Zone = Literal["C", "B", "A", "beyond"]

_ZONES: tuple[Zone, ...] = ("C", "B", "A", "beyond")
_UNITS = {"p": "defective boards per inspected board", "u": "defects per inspected board"}
# Mean range of two values of a standard normal distribution (d2 for n = 2), printed as 1.128 in tables.
_MEAN_RANGE_OF_TWO = 2 / sqrt(pi)

MIN_MOVING_RANGES = 20
MIN_EXPECTED_COUNT = 5.0


@dataclass(frozen=True, slots=True)
class Subgroup:
    """What was counted in one subgroup.

    Attributes:
        label: name of the subgroup, its start as an ISO time for example.
        numerator: defective boards (p) or defects (u).
        n: inspected boards; 0: nothing was inspected, a gap.
    """

    label: str
    numerator: int
    n: int


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """One point of a control chart. None: not measured.

    Attributes:
        label, numerator, n: as in the subgroup.
        value: numerator / n; None in a gap.
        centre: the centre line.
        lower, upper: control limits; None in a gap, and where the baseline has no spread to measure them from.
        sigma: standard deviation that the limits use; limits are 3 of them from the centre, before they are cut off.
        standardised: (value - centre) / sigma, what the rules look at.
        zone: C up to 1 sigma from the centre, B up to 2, A up to 3, else beyond.
    """

    label: str
    numerator: int
    n: int
    value: float | None
    centre: float | None
    lower: float | None
    upper: float | None
    sigma: float | None
    standardised: float | None
    zone: Zone | None


@dataclass(frozen=True, slots=True)
class ControlChart:
    """A control chart with its alarms.

    Attributes:
        kind: p or u, p' or u' with Laney's limits.
        unit: of the values, in words.
        centre: the baseline's rate; None: nothing was inspected in it.
        sigma_z: what Laney's limits are wider by than the plain ones; None without them, and where not measured.
        baseline: positions of the points that centre and limits were computed from.
        points: one per subgroup, in their order.
        alarms: Western Electric rules 1 to 4, over all points.
    """

    kind: ChartKind
    unit: str
    centre: float | None
    sigma_z: float | None
    baseline: tuple[int, ...]
    points: tuple[ChartPoint, ...]
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Whether subgroups vary more than chance explains, so that plain limits would be too narrow.

    Attributes:
        sigma_z: spread from subgroup to subgroup over the spread by chance; about 1 if chance is all.
        threshold: what chance alone passes in 5 % of charts.
        moving_ranges: neighbouring pairs that `sigma_z` was computed from.
        expected_count: median over the subgroups of the count expected in one.
        needed: draw the chart with `overdispersion=True`. None: too little to tell, draw the plain chart.
        text: a sentence for people.
    """

    sigma_z: float | None
    threshold: float | None
    moving_ranges: int
    expected_count: float | None
    needed: bool | None
    text: str


def p_chart(
    subgroups: Sequence[Subgroup], *, overdispersion: bool = False, baseline: Iterable[int] | None = None
) -> ControlChart:
    """Fraction of boards that are defective, per subgroup.

    Centre p = defective / inspected over the baseline; limits p -+ 3 sqrt(p (1 - p) / n_i), cut off at 0 and 1
    (Montgomery, "Introduction to Statistical Quality Control", chapter 7). With `overdispersion`, Laney's p' chart:
    limits p -+ 3 sigma_z sqrt(p (1 - p) / n_i), where sigma_z is the mean moving range of
    (p_i - p) / sqrt(p (1 - p) / n_i) over 1.128 (Laney 2002, "Improved control charts for attributes", Quality
    Engineering 14, 531-537).

    A subgroup without boards is kept as a point without a value: it counts for nothing, gives no moving range and
    breaks the runs that the rules look for. Limits are None where the baseline gives none: no board in it, no board or
    each board defective, and for Laney's no two neighbours that differ.

    Args:
        subgroups: in the order of time.
        overdispersion: Laney's limits; `measure_dispersion` says whether they are needed, and nothing chooses them by
            itself.
        baseline: positions in `subgroups` that centre and limits come from, `range(20)` for example, so that an alarm
            does not move its own limits; by default all.

    Raises:
        DataError: a count that cannot be.
        SettingsError: a baseline position that is not there.

    >>> chart = p_chart([Subgroup("Mon", 4, 100), Subgroup("Tue", 6, 100), Subgroup("Wed", 5, 400)], baseline=range(2))
    >>> chart.centre, [round(point.upper, 3) for point in chart.points], chart.points[2].zone
    (0.05, [0.115, 0.115, 0.083], 'beyond')
    """
    return _chart("p", subgroups, overdispersion, baseline)


def u_chart(
    subgroups: Sequence[Subgroup], *, overdispersion: bool = False, baseline: Iterable[int] | None = None
) -> ControlChart:
    """Defects per board, per subgroup.

    Centre u = defects / inspected over the baseline; limits u -+ 3 sqrt(u / n_i), the lower cut off at 0; with
    `overdispersion`, Laney's u' chart, in the same way as p'. Arguments, gaps, errors and sources as `p_chart`.

    >>> chart = u_chart([Subgroup("Mon", 120, 100), Subgroup("Tue", 80, 100)])
    >>> chart.centre, chart.points[0].upper, chart.alarms
    (1.0, 1.3, ())
    """
    return _chart("u", subgroups, overdispersion, baseline)


def measure_dispersion(
    kind: Literal["p", "u"], subgroups: Sequence[Subgroup], *, baseline: Iterable[int] | None = None
) -> Dispersion:
    """Say whether the subgroups call for Laney's limits.

    In large subgroups chance is so small that the ordinary differences between hours (product mix, material) put points
    outside plain limits all the time. It is the spread that decides, not the size alone: Laney's limits are needed
    where sigma_z, which is about 1 by chance, exceeds 1 + 1.645 sqrt(0.826 / m), m moving ranges. That is the upper 5 %
    point of the mean moving range of a standard normal sample (variance from Cryer and Ryan 1990, "The estimation of
    sigma for an X chart: MR/d2 or S/c4?", Journal of Quality Technology 22, 187-192). Moving ranges, unlike the
    variance of all points, are hardly moved by a lasting shift, so a process that went wrong is not taken for an
    overdispersed one.

    It is not told with fewer than 20 moving ranges, nor in sparse subgroups, which expect fewer than 5 defects (for p
    also fewer than 5 good boards): there sigma_z is no guide.

    Arguments and errors as `p_chart`.

    >>> swinging = [Subgroup(str(hour), 400 + 100 * (hour % 2), 20_000) for hour in range(24)]
    >>> dispersion = measure_dispersion("p", swinging)
    >>> round(dispersion.sigma_z, 2), round(dispersion.threshold, 2), dispersion.needed
    (4.23, 1.31, True)
    """
    counted = _Counted.of(kind, subgroups, baseline)
    sigma_z, moving_ranges = counted.sigma_z()
    if counted.centre is None:
        return Dispersion(None, None, 0, None, None, "Not measured: nothing was inspected in the baseline.")
    size = float(np.median(counted.n[counted.in_baseline & (counted.n > 0)]))
    expected = size * counted.centre
    sparse = expected < MIN_EXPECTED_COUNT or (kind == "p" and size * (1 - counted.centre) < MIN_EXPECTED_COUNT)
    if sigma_z is None or moving_ranges < MIN_MOVING_RANGES or sparse:
        why = (
            "the subgroups expect fewer than 5 of a kind"
            if sparse
            else f"{moving_ranges} pairs of neighbouring subgroups, at least {MIN_MOVING_RANGES} are needed"
        )
        return Dispersion(sigma_z, None, moving_ranges, expected, None, f"Not measured: {why}.")
    threshold = 1 + 1.645 * sqrt(0.826 / moving_ranges)
    needed = sigma_z > threshold
    verdict = "more than chance explains: use Laney's limits" if needed else "no more than chance explains"
    text = f"Subgroups vary {sigma_z:.2f} times as much as by chance (threshold {threshold:.2f}), {verdict}."
    return Dispersion(sigma_z, threshold, moving_ranges, expected, needed, text)


@dataclass(frozen=True, slots=True)
class _Counted:
    """The subgroups as arrays (N,), NaN in gaps, with the centre and the spread by chance that the baseline gives."""

    numerator: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    in_baseline: npt.NDArray[np.bool_]
    centre: float | None
    sigma: npt.NDArray[np.float64]

    @classmethod
    def of(cls, kind: Literal["p", "u"], subgroups: Sequence[Subgroup], baseline: Iterable[int] | None) -> _Counted:
        for subgroup in subgroups:
            _check(kind, subgroup)
        numerator = np.array([subgroup.numerator for subgroup in subgroups], dtype=np.int64)
        n = np.array([subgroup.n for subgroup in subgroups], dtype=np.int64)
        in_baseline = _mask(baseline, len(subgroups))
        boards = n.astype(np.float64)
        boards[n == 0] = np.nan
        inspected = int(n[in_baseline].sum())
        if not inspected:
            nothing = np.full(len(n), np.nan)
            return cls(numerator, n, numerator / boards, in_baseline, None, nothing)
        centre = int(numerator[in_baseline].sum()) / inspected
        variance = centre * (1 - centre) if kind == "p" else centre
        sigma = np.sqrt(variance / boards)
        # Without spread there are no limits: a baseline without a defect says nothing of how many are too many.
        sigma[sigma == 0] = np.nan
        return cls(numerator, n, numerator / boards, in_baseline, centre, sigma)

    def sigma_z(self) -> tuple[float | None, int]:
        """Laney's sigma_z and the number of moving ranges; both points of a range are neighbours in the baseline."""
        if self.centre is None:
            return None, 0
        z = np.where(self.in_baseline, (self.value - self.centre) / self.sigma, np.nan)
        ranges = np.abs(np.diff(z))
        ranges = ranges[~np.isnan(ranges)]
        return (float(ranges.mean()) / _MEAN_RANGE_OF_TWO if len(ranges) else None), len(ranges)


def _chart(
    kind: Literal["p", "u"], subgroups: Sequence[Subgroup], overdispersion: bool, baseline: Iterable[int] | None
) -> ControlChart:
    counted = _Counted.of(kind, subgroups, baseline)
    sigma, sigma_z = counted.sigma, None
    if overdispersion:
        sigma_z, _ = counted.sigma_z()
        sigma = sigma * (sigma_z or np.nan)
    centre = np.nan if counted.centre is None else counted.centre
    lower = np.maximum(0.0, centre - 3 * sigma)
    upper = centre + 3 * sigma
    if kind == "p":
        upper = np.minimum(1.0, upper)
    # A point exactly on a limit is not beyond it; rounding errors must not put it there.
    standardised = np.round((counted.value - centre) / sigma, 10)
    points = tuple(
        ChartPoint(
            subgroup.label,
            subgroup.numerator,
            subgroup.n,
            _or_none(counted.value[i]),
            counted.centre,
            _or_none(lower[i]),
            _or_none(upper[i]),
            _or_none(sigma[i]),
            _or_none(standardised[i]),
            _zone(standardised[i]),
        )
        for i, subgroup in enumerate(subgroups)
    )
    alarms = western_electric_alarms(standardised, [subgroup.label for subgroup in subgroups])
    primed: dict[str, ChartKind] = {"p": "p'", "u": "u'"}
    used = tuple(np.flatnonzero(counted.in_baseline).tolist())
    name = primed[kind] if overdispersion else kind
    return ControlChart(name, _UNITS[kind], counted.centre, sigma_z, used, points, alarms)


def _check(kind: Literal["p", "u"], subgroup: Subgroup) -> None:
    if subgroup.numerator < 0 or subgroup.n < 0:
        problem = f"expected counts of 0 or more, found {subgroup.numerator} of {subgroup.n}"
    elif kind == "p" and subgroup.numerator > subgroup.n:
        problem = f"expected at most {subgroup.n} defective boards, found {subgroup.numerator}"
    elif subgroup.numerator and not subgroup.n:
        problem = f"expected no defects without an inspected board, found {subgroup.numerator}"
    else:
        return
    raise DataError(
        problem, where=f"subgroup {subgroup.label}", fix="count numerator and boards over the same inspections"
    )


def _mask(baseline: Iterable[int] | None, points: int) -> npt.NDArray[np.bool_]:
    if baseline is None:
        return np.ones(points, dtype=np.bool_)
    positions = list(baseline)
    outside = [position for position in positions if not 0 <= position < points]
    if outside:
        raise SettingsError(
            f"expected baseline positions from 0 to {points - 1}, found {outside[0]}",
            fix="choose the baseline among the points of the chart",
        )
    mask = np.zeros(points, dtype=np.bool_)
    mask[positions] = True
    return mask


def _zone(standardised: float) -> Zone | None:
    if np.isnan(standardised):
        return None
    return _ZONES[int(sum(abs(standardised) > sigmas for sigmas in (1, 2, 3)))]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
