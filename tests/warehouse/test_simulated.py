from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta

import pytest

from copperline.warehouse import simulate_metadata, simulated_time
from copperline.warehouse.simulated import LINES

BEFORE = date(2026, 3, 15)
IDS = [f"2008{n:04d}" for n in range(400)]


def test_a_board_depends_on_nothing_but_its_id_and_the_seed() -> None:
    boards = simulate_metadata(IDS, 7, before=BEFORE)
    assert [b.board_id for b in boards] == IDS
    assert simulate_metadata(reversed(IDS), 7, before=BEFORE) == boards[::-1]
    assert simulate_metadata([IDS[5]], 7, before=BEFORE) == [boards[5]]
    assert simulate_metadata(IDS, 8, before=BEFORE) != boards


def test_another_process_says_the_same() -> None:
    code = (
        "from datetime import date; from copperline.warehouse import simulate_metadata;"
        "print(simulate_metadata(['20080001'], 7, before=date(2026, 3, 15)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "123"}
    )
    assert run.stdout.strip() == repr(simulate_metadata(["20080001"], 7, before=BEFORE))


def test_values_are_plausible_and_marked() -> None:
    boards = simulate_metadata(IDS, 7, before=BEFORE, days=10)
    assert {b.source for b in boards} == {"simulated"}
    assert {b.opportunities for b in boards} == {None}
    assert {b.factory_line_id for b in boards} == set(LINES)
    assert all(1 <= (BEFORE - b.manufacturing_date).days <= 10 for b in boards if b.manufacturing_date)
    assert {b.manufacturing_date for b in boards} == {date(2026, 3, day) for day in range(5, 15)}
    products: dict[str | None, set[str | None]] = {}
    for board in boards:
        products.setdefault(board.panel_id, set()).add(board.product_type)
    assert all(len(of_panel) == 1 for of_panel in products.values())


def test_times_are_on_the_day_of_manufacture_all_around_the_clock() -> None:
    boards = simulate_metadata(IDS, 7, before=BEFORE)
    times = [simulated_time(board) for board in boards]
    assert [at.date() for at in times] == [board.manufacturing_date for board in boards]
    assert {at.utcoffset() for at in times} == {timedelta()}
    assert max(times) < datetime.combine(BEFORE, time(), UTC)
    assert {at.hour for at in times} == set(range(24))
    assert len({at.time() for at in times}) > 390  # to the second: 400 boards seldom meet
    assert [simulated_time(board) for board in reversed(boards)] == times[::-1]


def test_a_board_keeps_its_time_of_day_on_another_day() -> None:
    """So a demo that is run again a day later dates each inspection a day later, and none before the first."""
    for day, later in zip(
        simulate_metadata(IDS, 7, before=BEFORE),
        simulate_metadata(IDS, 7, before=BEFORE + timedelta(days=1)),
        strict=True,
    ):
        assert simulated_time(later) - simulated_time(day) == timedelta(days=1)


def test_a_board_without_a_day_has_no_time() -> None:
    board = dataclasses.replace(simulate_metadata(IDS[:1], 7, before=BEFORE)[0], manufacturing_date=None)
    with pytest.raises(ValueError, match="day of manufacture, found 20080000 without"):
        simulated_time(board)
