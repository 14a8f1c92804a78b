"""The figures of a plant for a period, each with its formula and its change: for the dashboard and for the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from copperline.quality import (
    Change,
    Rate,
    defect_rate,
    dpmo_of_products,
    dpu,
    escape_rate,
    false_call_rate,
    false_discovery_rate,
    machine_yield,
    rate_change,
    reviewed_yield,
    withheld_rate,
)
from copperline.warehouse import BoardCounts, DefectCounts

Better = Literal["up", "down"] | None


@dataclass(frozen=True, slots=True)
class FigureDefinition:
    """A figure: what it is called, how it is computed, and what is better.

    Attributes:
        key: in URLs, JSON and CSV.
        label: for people.
        formula: in words, with the names of the counts in the table `hourly_boards`.
        counts: the counts that it is computed from.
        better: whether a plant wants it up or down.
        compute: from the counts of a period.
    """

    key: str
    label: str
    formula: str
    counts: tuple[str, ...]
    better: Better
    compute: Callable[[BoardCounts], Rate]


@dataclass(frozen=True, slots=True)
class PlantFigure:
    """A figure of a period, beside the one before it."""

    definition: FigureDefinition
    change: Change


def _escapes(counts: BoardCounts) -> Rate:
    known = counts.audited_boards or counts.escaped_boards
    return escape_rate(counts.escaped_boards, counts.reviewed_bad if known else None)


def _dpmo(counts: BoardCounts) -> Rate:
    return dpmo_of_products(counts.rated_defects, counts.opportunities if counts.rated_boards else None)


FIGURES: tuple[FigureDefinition, ...] = (
    FigureDefinition(
        "machine_yield",
        "First-pass yield, machine",
        "Boards whose first inspection was PASS (`first_passed`) / inspected boards (`boards`).",
        ("first_passed", "boards"),
        "up",
        lambda c: machine_yield(c.first_passed, c.boards),
    ),
    FigureDefinition(
        "reviewed_yield",
        "First-pass yield, reviewed",
        "(`first_passed` - `first_escapes` + `first_false_calls`) / `boards`: false calls count as PASS, escapes as "
        "FAIL. A board that nobody reviewed keeps the machine's call; not measured until a board was reviewed.",
        ("first_passed", "first_escapes", "first_false_calls", "boards", "first_reviewed"),
        "up",
        lambda c: reviewed_yield(c.first_passed, c.first_false_calls, c.first_escapes, c.boards, c.first_reviewed),
    ),
    FigureDefinition(
        "defect_rate",
        "Defect rate",
        "Boards whose latest inspection was FAIL (`failed`) / inspected boards (`boards`). It is not defects / boards.",
        ("failed", "boards"),
        "down",
        lambda c: defect_rate(c.failed, c.boards),
    ),
    FigureDefinition(
        "dpu",
        "DPU, defects per unit",
        "Detections of the boards' latest inspections (`defects`) / inspected boards (`boards`).",
        ("defects", "boards"),
        "down",
        lambda c: dpu(c.defects, c.boards),
    ),
    FigureDefinition(
        "dpmo",
        "DPMO",
        "10^6 x `rated_defects` / `opportunities`, over the boards whose product's record has opportunities "
        "(`rated_boards`). Not measured where none has.",
        ("rated_defects", "opportunities", "rated_boards"),
        "down",
        _dpmo,
    ),
    FigureDefinition(
        "false_call_rate",
        "False-call rate",
        "Boards called FAIL that review found good (`false_call_boards`) / boards that review found good "
        "(`reviewed_good`). Boards that nobody reviewed are in neither count.",
        ("false_call_boards", "reviewed_good"),
        "down",
        lambda c: false_call_rate(c.false_call_boards, c.reviewed_good),
    ),
    FigureDefinition(
        "escape_rate",
        "Escape rate",
        "Boards called PASS that review or a later test found bad (`escaped_boards`) / boards found bad "
        "(`reviewed_bad`). Inspection alone cannot know it: not measured until an escape is recorded or passed boards "
        "are audited.",
        ("escaped_boards", "reviewed_bad", "audited_boards"),
        "down",
        _escapes,
    ),
    FigureDefinition(
        "withheld_rate",
        "Withheld",
        "Boards whose latest inspection was WITHHELD (`withheld`) / inspected boards (`boards`).",
        ("withheld", "boards"),
        "down",
        lambda c: withheld_rate(c.withheld, c.boards),
    ),
)


def plant_figures(current: BoardCounts, previous: BoardCounts | None) -> tuple[PlantFigure, ...]:
    """Every figure of FIGURES, in their order.

    Args:
        current: counts of the period.
        previous: of the period before it, over other boards; None: there is none to compare with.
    """
    before = previous or BoardCounts()
    return tuple(PlantFigure(d, rate_change(d.compute(current), d.compute(before))) for d in FIGURES)


def discovery_rate(counts: DefectCounts) -> Rate:
    """False discovery rate: false detections / reviewed detections."""
    return false_discovery_rate(counts.false_calls, counts.false_calls + counts.confirmed)
