"""The measured figures of a card, whatever version of Copperline wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from copperline.evaluation.intervals import Interval
from copperline.registry.card import ModelCard

BY_SPLIT = "by split"
INTERVALS = ", 95 % intervals"
BY_CLASS = ", by class"
_ALL = "as recorded"


@dataclass(frozen=True, slots=True)
class CardFigure:
    """`value` None: not measured. `interval` None: not measured, or the card is of before they were recorded."""

    value: float | None
    interval: Interval | None = None


@dataclass(slots=True)
class CardMeasurement:
    """What was measured on one set of boards.

    Attributes:
        measured_on: in the card's words, e.g. `test, with reference`.
        figures: name as in `copperline evaluate --json` -> figure; rates in [0, 1], and counts such as `images`.
        per_class: class name -> figure name -> value, None: not measured; empty: the card does not have them.
    """

    measured_on: str
    figures: dict[str, CardFigure] = field(default_factory=dict)
    per_class: dict[str, dict[str, float | None]] = field(default_factory=dict)


def card_measurements(card: ModelCard) -> tuple[CardMeasurement, ...]:
    """The measurements of a card, those of the boards furthest from training first: test, then validation.

    Three ways of writing are read: rows of the table `by split` (with tables of intervals and of classes beside it,
    since they are recorded), a table of its own with `value`, `low` and `high` (shipped models), and bare figures.
    """
    found: dict[str, CardMeasurement] = {}

    def on(name: str) -> CardMeasurement:
        return found.setdefault(name, CardMeasurement(name))

    for name, content in card.metrics.items():
        if name == BY_SPLIT and isinstance(content, dict):
            for split, row in content.items():
                _add_values(on(split), row)
        elif name == "per_class":
            _add_classes(on(_ALL), content)
        elif name.endswith(BY_CLASS):
            _add_classes(on(name.removesuffix(BY_CLASS)), content)
        elif isinstance(content, dict):
            _add_intervals(on(name.removesuffix(INTERVALS)), content)
        else:
            _add_values(on(_ALL), {name: content})
    return tuple(sorted((m for m in found.values() if m.figures or m.per_class), key=_distance))


def _distance(measurement: CardMeasurement) -> int:
    """0 for what says most: boards that neither trained the model nor chose its operating point."""
    name = measurement.measured_on
    return 0 if name.startswith("test") else 1 if name.startswith(("val", _ALL)) else 2


def _add_values(measurement: CardMeasurement, row: JsonValue) -> None:
    for name, value in row.items() if isinstance(row, dict) else ():
        known = measurement.figures.get(name)
        measurement.figures[name] = CardFigure(_number(value), None if known is None else known.interval)


def _add_intervals(measurement: CardMeasurement, rows: Mapping[str, JsonValue]) -> None:
    for name, row in rows.items():
        if isinstance(row, dict):
            low, high = _number(row.get("low")), _number(row.get("high"))
            interval = None if low is None or high is None else (low, high)
            measurement.figures[name] = CardFigure(_number(row.get("value")), interval)


def _add_classes(measurement: CardMeasurement, rows: JsonValue) -> None:
    for name, row in rows.items() if isinstance(rows, dict) else ():
        if isinstance(row, dict):
            measurement.per_class[name] = {figure: _number(value) for figure, value in row.items()}


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
