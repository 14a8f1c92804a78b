"""Which conditions that people are told of hold now, by line and for the plant, from the counts of the latest hours."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, select

from copperline.errors import ModelError, SettingsError
from copperline.monitoring import CONFIDENCE, QUANTITIES, Quantity
from copperline.quality import WESTERN_ELECTRIC_RULES, Drift, class_drift, drift_from_baseline, withheld_rate
from copperline.registry import Baseline
from copperline.settings import Settings
from copperline.warehouse import (
    HOUR,
    BoardCounts,
    BoardFilter,
    ModelVersionKey,
    boards_by,
    full_hour,
    histograms_by,
    read_transaction,
)
from copperline.warehouse.alerts import AlertKind, Condition
from copperline.warehouse.line_tables import station_states
from copperline.workflows.control import Calendar, Grain, grouped, plant_chart
from copperline.workflows.model_cards import card_of_row

_log = logging.getLogger(__name__)

PLANT = "plant"
# A chart needs so many points before its latest ones, to know what is usual.
_BASELINE_POINTS = 20
# How far back a chart looks, and how old its newest point may be: an alarm of a line that stands still is old news.
_LOOKS_BACK = {Grain.HOUR: timedelta(days=7), Grain.SHIFT: timedelta(days=30)}
_NEWEST_POINT = {Grain.HOUR: timedelta(hours=3), Grain.SHIFT: timedelta(hours=24)}
# Points that are judged: not part of the baseline, so that a shift of the process does not hide in its own limits.
_RECENT_POINTS = 8
_KEY_LENGTH = 255

Counts = Mapping[datetime, BoardCounts]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The conditions that hold, and the kinds that could be evaluated."""

    holding: tuple[Condition, ...]
    evaluated: frozenset[AlertKind]


@dataclass
class Baselines:
    """Baselines of model versions as the registry has them; one that was found is not looked for again."""

    settings: Settings
    known: dict[ModelVersionKey, Baseline] = field(default_factory=dict)

    def of(self, model: ModelVersionKey) -> Baseline | None:
        if model not in self.known:
            card = card_of_row(self.settings, model.name, model.version)
            if card is None or card.baseline is None:
                return None
            self.known[model] = card.baseline
        return self.known[model]


def evaluate(engine: Engine, settings: Settings, now: datetime, baselines: Baselines | None = None) -> Evaluation:
    """Which conditions hold at a moment; nothing is written. Raises WarehouseError."""
    holding: list[Condition] = []
    evaluated = set(AlertKind)
    with read_transaction(engine) as connection:
        holding += silent_stations(connection, settings, now)
        holding += withheld_lines(connection, settings, now)
        holding += charts_out_of_control(connection, settings, now)
        try:
            holding += drifted_models(connection, settings, now, baselines or Baselines(settings))
        except (ModelError, SettingsError) as error:
            _log.warning("drift is not evaluated: %s", error)
            evaluated.discard(AlertKind.DRIFT)
    return Evaluation(tuple(holding), frozenset(evaluated))


def silent_stations(connection: Connection, settings: Settings, now: datetime) -> Iterator[Condition]:
    """Stations that have reported nothing for too long, but did within the longest shift: others are switched off."""
    table = station_states.c
    silence = timedelta(minutes=settings.alert_silent_minutes)
    oldest = now - max(_longest_shift(settings), 2 * silence)
    query = select(station_states).where(table.last_seen_at <= now - silence, table.last_seen_at >= oldest)
    for row in connection.execute(query.order_by(table.station_id)).mappings():
        minutes = int((now - row["last_seen_at"]).total_seconds() // 60)
        of_line = f" of line {row['line_id']}" if row["line_id"] else ""
        yield _condition(
            AlertKind.STATION_SILENT,
            row["station_id"],
            f"Station {row['station_id']}{of_line} has reported nothing for {minutes} minutes.",
            {
                "station_id": row["station_id"],
                "line_id": row["line_id"],
                "last_seen_at": row["last_seen_at"].isoformat(),
                "silent_minutes": minutes,
                "limit_minutes": settings.alert_silent_minutes,
            },
            (row["station_id"],),
        )


def withheld_lines(connection: Connection, settings: Settings, now: datetime) -> Iterator[Condition]:
    """Lines whose withheld rate is above the limit, by the lower end of its 95 % interval."""
    chosen = _latest(settings.alert_hours, now)
    by_line = {line: counts for (line,), counts in boards_by(connection, chosen, ("line_id",)).items()}
    for subject, line, counts in _subjects(by_line):
        rate = withheld_rate(counts.withheld, counts.boards)
        if counts.boards < settings.alert_min_boards or rate.value is None or rate.interval is None:
            continue
        lowest = rate.interval[0]
        if lowest > settings.alert_withheld_rate:
            yield _condition(
                AlertKind.WITHHELD_RATE,
                subject,
                f"{subject}: {100 * rate.value:.1f} % of the boards of the last {settings.alert_hours} hours are "
                f"withheld ({counts.withheld} of {counts.boards}), above the limit of "
                f"{100 * settings.alert_withheld_rate:g} %{_made_up(counts)}.",
                {
                    "line_id": line,
                    "withheld": counts.withheld,
                    "boards": counts.boards,
                    "rate": rate.value,
                    "interval": list(rate.interval),
                    "limit": settings.alert_withheld_rate,
                    "hours": settings.alert_hours,
                    "simulated": counts.simulated > 0,
                },
                (_about(line),),
            )


def charts_out_of_control(connection: Connection, settings: Settings, now: datetime) -> Iterator[Condition]:
    """Western Electric rules that the newest point of a line's p-chart is part of: boards that fail first inspection.

    Centre and limits come from the points before the last 8, at least 20 of them. A point with fewer boards than
    `alert_min_boards` is left out: in it a single board would be an alarm.
    """
    grain = Grain(settings.alert_chart_grain)
    chosen = BoardFilter(now - _LOOKS_BACK[grain], full_hour(now) + HOUR)
    lines: dict[str, dict[datetime, BoardCounts]] = {}
    together: dict[datetime, BoardCounts] = {}
    for (hour, line), counts in boards_by(connection, chosen, ("hour", "line_id")).items():
        lines.setdefault(line, {})[hour] = counts
        together[hour] = together[hour] + counts if hour in together else counts
    calendar = Calendar(ZoneInfo(settings.time_zone), settings.shift_starts)
    for line, by_hour in sorted(lines.items()):
        yield from _alarms(line or "unknown line", line, by_hour, calendar, settings, now)
    if len(lines) > 1:
        yield from _alarms(PLANT, None, together, calendar, settings, now)


def drifted_models(
    connection: Connection, settings: Settings, now: datetime, baselines: Baselines
) -> Iterator[Condition]:
    """Lines on which a watched quantity of a model version has drifted from its card's baseline by a PSI above 0.25.

    Raises:
        ModelError: the registry or a card cannot be read.
    """
    chosen = _latest(settings.alert_hours, now)
    for name, version in boards_by(connection, chosen, ("model_name", "model_version")):
        model = ModelVersionKey(name, version)
        baseline = baselines.of(model)
        if baseline is None:
            continue
        of_model = BoardFilter(chosen.since, chosen.until, models=(model,))
        for quantity in QUANTITIES:
            for line, (drift, what) in _drifts(connection, of_model, baseline, quantity).items():
                if drift.verdict != "major" or drift.psi is None:
                    continue
                subject = line or "unknown line"
                yield _condition(
                    AlertKind.DRIFT,
                    subject,
                    f"{subject}: {what} has drifted from the baseline of {name} {version}: PSI {drift.psi:.2f} over "
                    f"the last {settings.alert_hours} hours, above 0.25.",
                    {
                        "line_id": line,
                        "model": {"name": name, "version": version},
                        "quantity": quantity.name,
                        "psi": drift.psi,
                        "baseline_samples": drift.baseline_samples,
                        "current_samples": drift.current_samples,
                        "hours": settings.alert_hours,
                    },
                    (_about(line), name, version, quantity.name),
                )


def _drifts(
    connection: Connection, chosen: BoardFilter, baseline: Baseline, quantity: Quantity
) -> dict[str, tuple[Drift, str]]:
    """Line -> drift of a quantity, of the class that drifted most where each detection has one, and its name."""
    label = quantity.name.replace("_", " ")
    found: dict[str, tuple[Drift, str]] = {}
    if quantity is not CONFIDENCE:
        before = baseline.counts(quantity)
        for (line,), now in histograms_by(connection, chosen, quantity, ("line_id",)).items():
            drift = drift_from_baseline(before, now)
            if drift is not None:
                found[line] = (drift, label)
        return found
    lines: dict[str, dict[str, tuple[int, ...]]] = {}
    for (line, name), counts in histograms_by(connection, chosen, quantity, ("line_id", "detected_class")).items():
        lines.setdefault(line, {})[name] = counts
    for line, by_class in lines.items():
        drifts = class_drift(baseline.counts_by_class(quantity), by_class)
        worst = None if drifts.most is None else drifts.by_class[drifts.most]
        if worst is not None:
            found[line] = (worst, f"{label} of {drifts.most}")
    return found


def _alarms(
    subject: str, line: str | None, by_hour: Counts, calendar: Calendar, settings: Settings, now: datetime
) -> Iterator[Condition]:
    grain = Grain(settings.alert_chart_grain)
    parts = grouped(by_hour, grain, calendar)
    usable = {start: counts for start, counts in parts.items() if counts.boards >= settings.alert_min_boards}
    baseline = len(usable) - _RECENT_POINTS
    if baseline < _BASELINE_POINTS or now - max(usable) > _NEWEST_POINT[grain]:
        return
    plotted = plant_chart(usable, "p", grain, calendar, baseline=baseline)
    chart, newest = plotted.chart, len(usable) - 1
    for alarm in chart.alarms:
        if alarm.points[-1] != newest or alarm.rule not in settings.alert_chart_rules:
            continue
        point, counts = chart.points[newest], list(usable.values())[newest]
        yield _condition(
            AlertKind.CONTROL_CHART,
            subject,
            f"{subject}: boards that fail first inspection are out of control ({chart.kind}-chart by {grain.value}). "
            f"{alarm.text}{_made_up(counts)}",
            {
                "line_id": line,
                "chart": chart.kind,
                "grain": grain.value,
                "rule": alarm.rule,
                "rule_says": WESTERN_ELECTRIC_RULES[alarm.rule],
                "side": alarm.side,
                "points": [chart.points[p].label for p in alarm.points],
                "value": point.value,
                "centre": point.centre,
                "lower": point.lower,
                "upper": point.upper,
                "boards": point.n,
                "simulated": counts.simulated > 0,
            },
            (_about(line), f"rule {alarm.rule}", alarm.side),
        )


def _subjects(by_line: Mapping[str, BoardCounts]) -> Iterator[tuple[str, str | None, BoardCounts]]:
    """What alerts are about: each line, and the plant where it has several."""
    for line, counts in by_line.items():
        yield line or "unknown line", line, counts
    if len(by_line) > 1:
        yield PLANT, None, BoardCounts.total(by_line.values())


def _about(line: str | None) -> str:
    """In a key: a line may be called `plant` too."""
    return PLANT if line is None else f"line {line}"


def _condition(
    kind: AlertKind, subject: str, summary: str, evidence: dict[str, Any], about: tuple[str, ...]
) -> Condition:
    key = ": ".join((kind.value, *about))
    if len(key) > _KEY_LENGTH:
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        key = f"{key[: _KEY_LENGTH - 17]} {digest}"
    return Condition(key, kind, subject, summary, evidence)


def _made_up(counts: BoardCounts) -> str:
    return " (simulated boards)" if counts.simulated else ""


def _latest(hours: int, now: datetime) -> BoardFilter:
    """So many full hours and the one that is running."""
    return BoardFilter(full_hour(now) - hours * HOUR, full_hour(now) + HOUR)


def _longest_shift(settings: Settings) -> timedelta:
    """By the clock.

    >>> from datetime import time
    >>> _longest_shift(Settings(shift_starts=(time(6), time(14), time(20)))).total_seconds() / 3600
    10.0
    """
    hours = [start.hour for start in settings.shift_starts]
    return timedelta(hours=max((b - a) for a, b in zip(hours, [*hours[1:], hours[0] + 24], strict=True)))
