from __future__ import annotations

import re
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.warehouse import BoardCounts, DefectCounts
from copperline.warehouse.derived_tables import BOARD_COUNTS
from copperline.workflows.plant_figures import FIGURES, discovery_rate, plant_figures

# 200 boards: 150 passed at first, 40 failed, 10 withheld. 20 of them were reviewed.
PLANT = BoardCounts(
    boards=200,
    inspections=230,
    first_passed=150,
    first_failed=40,
    first_defects=90,
    first_reviewed=20,
    first_false_calls=6,
    first_escapes=1,
    passed=160,
    failed=32,
    withheld=8,
    defects=70,
    awaiting_review=22,
    reviewed_good=12,
    reviewed_bad=8,
    false_call_boards=5,
    escaped_boards=2,
    audited_boards=4,
    simulated=0,
    rated_boards=100,
    rated_defects=30,
    opportunities=60_000,
)
WANTED = {
    "machine_yield": 150 / 200,
    "reviewed_yield": (150 - 1 + 6) / 200,
    "defect_rate": 32 / 200,
    "dpu": 70 / 200,
    "dpmo": 1e6 * 30 / 60_000,
    "false_call_rate": 5 / 12,
    "escape_rate": 2 / 8,
    "withheld_rate": 8 / 200,
}


def values(counts: BoardCounts) -> dict[str, float | None]:
    return {figure.definition.key: figure.change.current.value for figure in plant_figures(counts, None)}


def test_each_figure_is_what_its_formula_says() -> None:
    assert values(PLANT) == pytest.approx(WANTED)


def test_figures_are_explained_by_the_columns_of_the_table() -> None:
    keys = [definition.key for definition in FIGURES]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z_]+", key) for key in keys)
    for definition in FIGURES:
        named = re.findall(r"`(\w+)`", definition.formula)
        assert named
        assert set(named) <= set(BOARD_COUNTS), definition.key


@settings(max_examples=100, deadline=None)
@given(st.builds(BoardCounts, **{name: st.integers(0, 50) for name in BOARD_COUNTS}), st.sampled_from(FIGURES))
def test_a_figure_follows_from_the_columns_that_its_formula_names(counts: BoardCounts, definition: object) -> None:
    """All others set to 0 give the same value; audits alone tell whether no escape is known or none was looked for."""
    formula, compute = definition.formula, definition.compute  # type: ignore[attr-defined]
    kept = {*re.findall(r"`(\w+)`", formula), "first_reviewed", "audited_boards"}
    bounded = {
        "first_passed": max(counts.first_passed, counts.first_escapes),
        "first_reviewed": counts.first_false_calls + counts.first_escapes + counts.first_reviewed,
        "boards": 200,
        "reviewed_good": counts.reviewed_good + counts.false_call_boards,
        "reviewed_bad": counts.reviewed_bad + counts.escaped_boards,
    }
    whole = BoardCounts(**{**asdict(counts), **bounded})
    assert compute(BoardCounts(**{n: v for n, v in asdict(whole).items() if n in kept})) == compute(whole)


def test_nothing_is_measured_without_a_board() -> None:
    assert set(values(BoardCounts()).values()) == {None}


def test_what_nobody_looked_at_is_not_measured() -> None:
    inspected = BoardCounts(boards=10, inspections=10, first_passed=10, passed=10)
    found = values(inspected)
    assert {key for key, value in found.items() if value is None} == {
        "reviewed_yield", "dpmo", "false_call_rate", "escape_rate",
    }  # fmt: skip
    assert (found["machine_yield"], found["defect_rate"], found["dpu"]) == (1, 0, 0)


def test_escapes_are_known_only_from_audits_or_escapes() -> None:
    """Boards that the machine failed, however many were found bad, say nothing of what it let through."""
    failed_alone = BoardCounts(boards=10, failed=5, reviewed_bad=5)
    assert values(failed_alone)["escape_rate"] is None
    assert values(failed_alone + BoardCounts(boards=1, passed=1, audited_boards=1))["escape_rate"] == 0
    escaped = BoardCounts(boards=1, passed=1, reviewed_bad=1, escaped_boards=1)
    assert values(failed_alone + escaped)["escape_rate"] == 1 / 6


def test_boards_without_opportunities_are_not_in_dpmo() -> None:
    assert values(BoardCounts(boards=10, defects=50))["dpmo"] is None
    rated = BoardCounts(boards=10, defects=50, rated_boards=1, rated_defects=2, opportunities=1000)
    assert values(rated)["dpmo"] == 2000


def test_a_change_is_against_the_period_before() -> None:
    before = BoardCounts(boards=100, first_passed=60, failed=40, defects=90)
    changes = {figure.definition.key: figure.change for figure in plant_figures(PLANT, before)}
    assert changes["machine_yield"].difference == pytest.approx(15)
    assert changes["machine_yield"].excludes_zero
    assert changes["dpu"].difference == pytest.approx(70 / 200 - 90 / 100)
    assert changes["escape_rate"].difference is None
    assert all(f.change.difference is None for f in plant_figures(PLANT, None))
    assert [f.definition for f in plant_figures(PLANT, None)] == list(FIGURES)


def test_false_discoveries_are_of_reviewed_detections() -> None:
    assert discovery_rate(DefectCounts(defects=100, boards=60, false_calls=5, confirmed=15)).value == 0.25
    assert discovery_rate(DefectCounts(defects=100, boards=60)).value is None
