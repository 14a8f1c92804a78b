from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from copperline.detections import Detections
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import (
    BoardFilter,
    InspectionRecord,
    Judgement,
    boards_of_two_models,
    find_inspection,
    inference_id_for,
    list_boards,
    record_disposition,
    record_dispositions,
    run_sql,
    trace_board,
    write_inspections,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, TWO = ("pcb-detector", "1"), ("pcb-detector", "2")
DEFECT = Detections.of([[10, 20, 30, 60], [100, 0, 110, 40]], [0, 3], [0.9, 0.75])
CLEAN = Detections.empty()
Inspect = Callable[..., InspectionRecord]


@pytest.fixture
def write(engine: Engine, inspection: Inspect) -> Callable[..., InspectionRecord]:
    """Writes one inspection of a board by a version, with or without defects, some minutes after noon."""

    def one(
        board: str, version: str, found: Detections = CLEAN, minutes: int = 0, **changes: object
    ) -> InspectionRecord:
        changes = {"image_sha256": board.ljust(64, "0"), "model_version": version, **changes}
        record = inspection(board, found, inspected_at=NOON + timedelta(minutes=minutes), **changes)
        write_inspections(engine, [record], DEEPPCB)
        return record

    return one


def test_only_boards_of_which_both_saw_the_same_image(engine: Engine, write: Inspect) -> None:
    write("a", "1", DEFECT)
    write("a", "2", DEFECT)
    write("b", "1", DEFECT)
    write("b", "2", CLEAN, 5)
    write("c", "1")
    write("c", "2", image_sha256="f" * 64)  # another image of it
    write("d", "1")
    write("e", "3")
    found = boards_of_two_models(engine, [ONE], [TWO])
    assert found.counts == {(Call.FAIL, Call.FAIL): 1, (Call.FAIL, Call.PASS): 1}
    (board,) = found.differing
    assert (board.board_id, board.first, board.second, board.is_bad) == ("b", Call.FAIL, Call.PASS, None)
    assert board.inspected_at == NOON + timedelta(minutes=5)
    assert (found.boards, found.agreeing, found.complete, found.decided) == (2, 1, True, (0, 0))


def test_the_newest_inspection_of_each_version_counts(engine: Engine, write: Inspect) -> None:
    write("a", "1", DEFECT, 0)
    write("a", "1", CLEAN, 9, operating_point='{"thresholds":{"open":0.9}}')
    write("a", "2", CLEAN, 4)
    write("a", "2", DEFECT, 2, operating_point='{"thresholds":{"open":0.1}}')
    assert boards_of_two_models(engine, [ONE], [TWO]).counts == {(Call.PASS, Call.PASS): 1}


def test_another_reference_is_told(engine: Engine, write: Inspect) -> None:
    write("a", "1", reference_sha256="1" * 64, reference_path="r.png")
    write("a", "2", reference_sha256="2" * 64, reference_path="r.png")
    write("b", "1")
    write("b", "2")
    assert boards_of_two_models(engine, [ONE], [TWO]).other_reference == 1


def test_a_file_with_two_names(engine: Engine, write: Inspect) -> None:
    write("a", "abc", model_name="deeppcb")
    write("a", "2")
    assert boards_of_two_models(engine, [ONE, ("deeppcb", "abc")], [TWO]).boards == 1


def test_one_side_is_among_the_latest(engine: Engine, write: Inspect) -> None:
    write("old", "1", minutes=0)
    write("old", "2", minutes=1)
    write("new", "1", minutes=2)
    write("other", "3", minutes=3)
    write("new", "2", minutes=4)
    found = boards_of_two_models(engine, [ONE], [TWO], window=2)
    assert (found.boards, found.window, found.complete) == (1, 2, False)
    assert boards_of_two_models(engine, [ONE], [TWO], window=5).complete
    write("far", "1", minutes=-1000)
    write("far", "2", minutes=10)
    assert boards_of_two_models(engine, [ONE], [TWO], window=1).boards == 1


@pytest.mark.parametrize(
    ("on_first", "on_second", "is_bad", "right"),
    [
        (Disposition.CONFIRMED, None, True, "first"),
        (Disposition.FALSE_CALL, None, False, "second"),
        (None, Disposition.ESCAPE, True, "first"),
        (None, Disposition.CONFIRMED, False, "second"),
        (Disposition.FALSE_CALL, Disposition.ESCAPE, True, "first"),  # the later one counts
        (None, None, None, None),
    ],
)
def test_who_was_right(
    engine: Engine,
    write: Inspect,
    on_first: Disposition | None,
    on_second: Disposition | None,
    is_bad: bool | None,
    right: str | None,
) -> None:
    first, second = write("a", "1", DEFECT), write("a", "2", CLEAN)
    for minutes, record, said in ((1, first, on_first), (2, second, on_second)):
        if said is not None:
            record_disposition(engine, record.inspection_id, said, "ann", decided_at=NOON + timedelta(minutes=minutes))
    found = boards_of_two_models(engine, [ONE], [TWO])
    assert (found.differing[0].is_bad, found.differing[0].right) == (is_bad, right)
    assert found.decided == (int(right == "first"), int(right == "second"))


@pytest.mark.parametrize(
    ("said", "is_bad"),
    [
        ((Disposition.FALSE_CALL, Disposition.CONFIRMED), True),
        ((Disposition.FALSE_CALL, Disposition.FALSE_CALL), False),
        ((Disposition.FALSE_CALL,), None),  # the other detection is not judged yet
    ],
)
def test_detections_judged_one_by_one(
    engine: Engine, write: Inspect, said: tuple[Disposition, ...], is_bad: bool | None
) -> None:
    first = write("a", "1", DEFECT)
    write("a", "2", CLEAN)
    for position, disposition in enumerate(said):
        inference_id = inference_id_for(first.inspection_id, position)
        record_disposition(engine, first.inspection_id, disposition, "ann", inference_id=inference_id)
    assert boards_of_two_models(engine, [ONE], [TWO]).differing[0].is_bad is is_bad


def test_a_missed_defect_makes_the_call_that_failed_the_board_right(engine: Engine, write: Inspect) -> None:
    """Whatever its detections are: the board has a defect."""
    first = write("a", "1", DEFECT)
    write("a", "2", CLEAN)
    missed = Judgement(first.inspection_id, Disposition.ESCAPE, corrected_class="open", box=(0.5, 0.5, 0.1, 0.1))
    record_dispositions(engine, [Judgement(first.inspection_id, Disposition.FALSE_CALL), missed], "ann")
    found = boards_of_two_models(engine, [ONE], [TWO])
    assert (found.differing[0].is_bad, found.differing[0].right) == (True, "first")


def test_a_withheld_call_is_neither_right_nor_wrong(engine: Engine, write: Inspect) -> None:
    withheld = write("a", "1", CLEAN, call=Call.WITHHELD, registration_score=0.1)
    write("a", "2", DEFECT)
    record_disposition(engine, withheld.inspection_id, Disposition.CONFIRMED, "ann")
    found = boards_of_two_models(engine, [ONE], [TWO])
    (board,) = found.differing
    assert (board.first, board.is_bad, board.right) == (Call.WITHHELD, True, "second")
    record_disposition(engine, withheld.inspection_id, Disposition.FALSE_CALL, "ann")
    (board,) = boards_of_two_models(engine, [ONE], [TWO]).differing
    assert (board.is_bad, board.right) == (False, None)  # the other one failed a good board


@pytest.mark.parametrize("seed", range(3))
def test_review_found_what_the_boards_own_page_says(
    any_engine: Engine, plant: Callable[..., None], inspection: Inspect, seed: int
) -> None:
    """Of drawn boards with all kinds of words: one verdict on the page, in the counts, and in the comparison."""
    plant(any_engine, random.Random(seed), boards=60)
    rows = [trace_board(any_engine, board.board_id).inspections[0] for board in list_boards(any_engine, BoardFilter())]
    reviewed = [row for row in rows if row.verdict is not None]
    assert {row.verdict for row in reviewed} == {"GOOD", "BAD"}
    again = []
    for row in reviewed:
        board = find_inspection(any_engine, row.inspection_id)[0].board_id
        other = Call.PASS if row.call is not Call.PASS else Call.FAIL
        again.append(
            inspection(
                board, DEFECT, call=other, model_name="other", image_sha256=row.image_sha256, inspected_at=NOON,
            )
        )  # fmt: skip
    write_inspections(any_engine, again, DEEPPCB)
    names = [("pcb-detector", "3"), ("pcb-detector", "4")]
    found = {
        board.first_inspection_id: board.is_bad
        for board in boards_of_two_models(any_engine, names, [("other", "3")]).differing
    }
    latest = {row.inspection_id: row.verdict == "BAD" for row in reviewed if row.inspection_id in found}
    assert len(latest) > 5
    assert {key: found[key] for key in latest} == latest


def test_nothing_in_common(engine: Engine, write: Inspect) -> None:
    write("a", "1")
    found = boards_of_two_models(engine, [ONE], [TWO])
    assert (found.boards, found.counts, found.differing, found.decided) == (0, {}, (), (0, 0))
    with pytest.raises(ValueError, match="names of both models"):
        boards_of_two_models(engine, [], [TWO])


def test_the_statement_is_what_runs(engine: Engine, url: str, write: Inspect) -> None:
    quoted = ("o'neill", "1")
    write("a", "1", model_name=quoted[0])
    write("a", "2")
    found = boards_of_two_models(engine, [quoted], [TWO])
    assert len(run_sql(url, found.statement).rows) == found.boards == 1
    with engine.connect() as connection:
        plan = "\n".join(row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {found.statement}")))
    assert "SCAN inspections USING INDEX ix_inspections_inspected_at" in plan
    assert plan.count("USING INDEX ix_inspections_board_id") == 2
