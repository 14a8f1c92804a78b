"""Boards that two model versions inspected: the same board, the same image, two calls.

Looked for in the latest inspections only, so that it answers at once however many boards there are: one side of a pair
is among the latest `window` inspections of any model, the other one may be of any time. The newest inspection of each
version counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Select, and_, func, or_, select

from copperline.taxonomy import Call
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.plant import statement_text
from copperline.warehouse.tables import dispositions, inspections
from copperline.warehouse.verdicts import BAD, inspection_verdicts

WINDOW = 20_000
RowName = tuple[str, str]
_IN_ONE_QUERY = 400


@dataclass(frozen=True, slots=True)
class BoardCalls:
    """One board image that both versions inspected.

    Attributes:
        board_id, image_sha256: what was inspected.
        inspected_at: UTC, the later of the two.
        first, second: the calls.
        first_inspection_id, second_inspection_id: of the two inspections.
        same_reference: whether both compared it with the same golden image, or both with none.
        is_bad: what people or a later test found, as `verdicts` defines it, where both inspections were reviewed the
            later word: the board has a defect, or has none; None: not decided. Only looked up where the calls differ.
    """

    board_id: str
    image_sha256: str
    inspected_at: datetime
    first: Call
    second: Call
    first_inspection_id: str
    second_inspection_id: str
    same_reference: bool
    is_bad: bool | None = None

    @property
    def right(self) -> str | None:
        """`first` or `second`, whichever call was right; None: not decided, or neither call says PASS or FAIL."""
        if self.is_bad is None:
            return None
        right = Call.FAIL if self.is_bad else Call.PASS
        return "first" if self.first is right else "second" if self.second is right else None


@dataclass(frozen=True, slots=True)
class ModelPairs:
    """Attributes:
    counts: (call of the first, call of the second) -> boards; pairs of calls that do not occur are left out.
    differing: boards on which the calls differ, the latest first.
    other_reference: of all boards, those that the two compared with different golden images.
    window: so many of the latest inspections were searched.
    complete: whether these were all inspections that there are.
    statement: the SQL that found the pairs.
    """

    counts: dict[tuple[Call, Call], int]
    differing: tuple[BoardCalls, ...]
    other_reference: int
    window: int
    complete: bool
    statement: str

    @property
    def boards(self) -> int:
        return sum(self.counts.values())

    @property
    def agreeing(self) -> int:
        return sum(number for (first, second), number in self.counts.items() if first is second)

    @property
    def decided(self) -> tuple[int, int]:
        """Boards with differing calls on which the first, and on which the second, was right, as people decided."""
        right = Counter(board.right for board in self.differing)
        return right["first"], right["second"]


def boards_of_two_models(
    engine: Engine, first: Sequence[RowName], second: Sequence[RowName], *, window: int = WINDOW
) -> ModelPairs:
    """The boards that both inspected.

    Args:
        engine: of the warehouse.
        first, second: (model_name, model_version) of the rows of each; several where one file had several names.
        window: how many of the latest inspections are searched, 1 or more.

    Raises:
        ValueError: a side has no name, or the window is empty.
        WarehouseError: the warehouse cannot be read.
    """
    if not first or not second or window < 1:
        raise ValueError(f"expected names of both models and a window of 1 or more, found {first}, {second}, {window}")
    query = _pairs(first, second, window)
    with read_transaction(engine) as connection:
        newest: dict[tuple[str, str], BoardCalls] = {}
        for row in connection.execute(query):  # the oldest first, so that the newest stays
            newest[row.board_id, row.image_sha256] = BoardCalls(
                board_id=row.board_id,
                image_sha256=row.image_sha256,
                inspected_at=max(row.first_at, row.second_at),
                first=Call(row.first_call),
                second=Call(row.second_call),
                first_inspection_id=row.first_id,
                second_inspection_id=row.second_id,
                same_reference=row.first_reference == row.second_reference,
            )
        differing = [board for board in newest.values() if board.first is not board.second]
        decided = _decisions(connection, differing)
        beyond = connection.execute(select(inspections.c.inspection_id).offset(window).limit(1)).first()
    return ModelPairs(
        counts=dict(Counter((board.first, board.second) for board in newest.values())),
        differing=tuple(
            sorted((_with(board, decided) for board in differing), key=lambda b: (b.inspected_at, b.board_id))[::-1]
        ),
        other_reference=sum(not board.same_reference for board in newest.values()),
        window=window,
        complete=beyond is None,
        statement=statement_text(engine, query),
    )


def _pairs(first: Sequence[RowName], second: Sequence[RowName], window: int) -> Select[tuple[object, ...]]:
    all_rows = inspections.c
    latest = (
        select(all_rows.board_id, all_rows.image_sha256, all_rows.model_name, all_rows.model_version)
        .order_by(all_rows.inspected_at.desc())
        .limit(window)
        .cte("latest")
    )
    either = or_(_is(latest, first), _is(latest, second))
    candidates = select(latest.c.board_id, latest.c.image_sha256).where(either).distinct().cte("candidates")
    one, two = inspections.alias("one"), inspections.alias("two")

    def same_board(side: FromClause) -> ColumnElement[bool]:
        # `board_id` has an index, the hash has none.
        return and_(side.c.board_id == candidates.c.board_id, side.c.image_sha256 == candidates.c.image_sha256)

    return (
        select(
            candidates.c.board_id,
            candidates.c.image_sha256,
            one.c.inspected_at.label("first_at"),
            two.c.inspected_at.label("second_at"),
            one.c.call.label("first_call"),
            two.c.call.label("second_call"),
            one.c.inspection_id.label("first_id"),
            two.c.inspection_id.label("second_id"),
            one.c.reference_sha256.label("first_reference"),
            two.c.reference_sha256.label("second_reference"),
        )
        .select_from(candidates)
        .join(one, and_(same_board(one), _is(one, first)))
        .join(two, and_(same_board(two), _is(two, second)))
        .order_by(one.c.inspected_at, two.c.inspected_at, one.c.inspection_id, two.c.inspection_id)
    )


def _is(rows: FromClause, names: Sequence[RowName]) -> ColumnElement[bool]:
    return or_(*(and_(rows.c.model_name == name, rows.c.model_version == version) for name, version in names))


def _decisions(connection: Connection, boards: Sequence[BoardCalls]) -> dict[str, tuple[datetime, bool]]:
    """Inspection -> when review last said something of it, and whether it found the board bad; see `verdicts`."""
    keys = [key for board in boards for key in (board.first_inspection_id, board.second_inspection_id)]
    found: dict[str, tuple[datetime, bool]] = {}
    for some in _chunks(keys):
        these = dispositions.c.inspection_id.in_(some)
        verdicts = inspection_verdicts(these)
        last = (
            select(dispositions.c.inspection_id, func.max(dispositions.c.decided_at).label("at"))
            .where(these)
            .group_by(dispositions.c.inspection_id)
            .subquery()
        )
        query = (
            select(verdicts.c.inspection_id, verdicts.c.verdict, last.c.at)
            .join(last, last.c.inspection_id == verdicts.c.inspection_id)
            .where(verdicts.c.verdict.is_not(None))
        )
        found |= {key: (at, verdict == BAD) for key, verdict, at in connection.execute(query)}
    return found


def _with(board: BoardCalls, decided: dict[str, tuple[datetime, bool]]) -> BoardCalls:
    of_both = [decided[key] for key in (board.first_inspection_id, board.second_inspection_id) if key in decided]
    if not of_both:
        return board
    return replace(board, is_bad=max(of_both)[1])


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _IN_ONE_QUERY):
        yield keys[start : start + _IN_ONE_QUERY]
