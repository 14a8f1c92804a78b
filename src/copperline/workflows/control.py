"""Control charts of a plant: its hours grouped to shifts or days, limits and alarms of each line or product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Literal

from copperline.quality import ControlChart, Dispersion, Subgroup, measure_dispersion, p_chart, u_chart
from copperline.warehouse import BoardCounts

Kind = Literal["p", "u"]


class Grain(StrEnum):
    """What one point of a chart is."""

    HOUR = "hour"
    SHIFT = "shift"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class PlantChart:
    """The control chart of one line, product or of the whole plant.

    Attributes:
        starts: of the points, in the plant's time zone.
        chart: with limits and alarms.
        dispersion: whether the points vary more than chance, so that Laney's limits are right.
    """

    starts: tuple[datetime, ...]
    chart: ControlChart
    dispersion: Dispersion


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a plant cuts time.

    Attributes:
        zone: its time zone.
        shift_starts: local times, in order.
    """

    zone: tzinfo
    shift_starts: tuple[time, ...]

    def start_of(self, hour: datetime, grain: Grain) -> datetime:
        """When the hour, shift or day began that an hour lies in; local time."""
        local = hour.astimezone(self.zone)
        if grain is Grain.HOUR:
            return local
        if grain is Grain.SHIFT:
            return shift_start(hour, self.zone, self.shift_starts)
        return datetime.combine(local.date(), time(), self.zone)


def plant_chart(
    by_hour: Mapping[datetime, BoardCounts],
    kind: Kind,
    grain: Grain,
    calendar: Calendar,
    *,
    baseline: int | None = None,
    overdispersion: bool | None = None,
) -> PlantChart:
    """A p-chart of boards that failed their first inspection, or a u-chart of its defects.

    First inspections, because a repaired board that passes a second one says nothing of the process. Hours without a
    board are left out: whether the line was meant to run is not known.

    Args:
        by_hour: UTC hour -> counts, in order.
        kind: p or u.
        grain: what a point is.
        baseline: centre and limits come from so many first points; None: from all.
        overdispersion: Laney's limits; None: where the points call for them.
    """
    parts = grouped(by_hour, grain, calendar)
    form = "%Y-%m-%d" if grain is Grain.DAY else "%Y-%m-%d %H:%M"
    subgroups = [
        Subgroup(f"{start:{form}}", c.first_failed if kind == "p" else c.first_defects, c.boards)
        for start, c in parts.items()
    ]
    points = None if baseline is None else range(min(baseline, len(subgroups)))
    dispersion = measure_dispersion(kind, subgroups, baseline=points)
    wider = bool(dispersion.needed) if overdispersion is None else overdispersion
    draw = p_chart if kind == "p" else u_chart
    return PlantChart(tuple(parts), draw(subgroups, overdispersion=wider, baseline=points), dispersion)


def grouped(by_hour: Mapping[datetime, BoardCounts], grain: Grain, calendar: Calendar) -> dict[datetime, BoardCounts]:
    """Start of each hour, shift or day, in the plant's time zone -> its counts; in order, empty ones left out."""
    parts: dict[datetime, list[BoardCounts]] = {}
    names: dict[datetime, datetime] = {}
    for hour, of_hour in by_hour.items():
        start = calendar.start_of(hour, grain)
        # By the moment: where clocks go back, two hours have the same local time.
        key = start.astimezone(UTC)
        parts.setdefault(key, []).append(of_hour)
        names[key] = start
    # A datetime with a zone is equal to another by its local time alone if both have the same zone object, so the
    # offset of each is fixed here.
    return {_fixed(names[key]): BoardCounts.total(part) for key, part in parts.items()}


def _fixed(moment: datetime) -> datetime:
    return moment.astimezone(timezone(moment.utcoffset() or timedelta(), moment.tzname() or ""))


def shift_start(moment: datetime, zone: tzinfo, shift_starts: tuple[time, ...]) -> datetime:
    """When the shift began that a moment lies in, in the plant's time zone.

    >>> shift_start(datetime(2026, 3, 1, 3, tzinfo=UTC), UTC, (time(6), time(14), time(22))).isoformat()
    '2026-02-28T22:00:00+00:00'
    """
    today = moment.astimezone(zone).date()
    days = (today - timedelta(days=1), today)
    starts = [datetime.combine(day, start, zone) for day in days for start in shift_starts]
    # As moments: where clocks go back, two of them have the same local time.
    return max((start for start in starts if start.timestamp() <= moment.timestamp()), key=datetime.timestamp)
