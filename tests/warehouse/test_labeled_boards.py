"""Labelled boards that come back as they were written, all or some, and no more of them at once than fit in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, update

from copperline.errors import DataError
from copperline.labeled_board import COLUMNS, TABLE
from copperline.warehouse import (
    LabeledBoard,
    list_labeled_boards,
    read_labeled_boards,
    write_labeled_boards,
    write_transaction,
)
from copperline.warehouse.tables import pcb_labeled_data

BOARDS = [
    LabeledBoard(
        f"{n:03}.png", bytes([n, 0, 255]), f"{n % 6} .5 .5 .1 .1\n", "train" if n % 3 else "val", b"golden", "g"
    )
    if n % 2
    else LabeledBoard(f"{n:03}.png", bytes([n]), "", "train" if n % 3 else "val", None, None)
    for n in range(120)
]


@pytest.fixture
def filled(any_engine: Engine) -> Engine:
    write_labeled_boards(any_engine, reversed(BOARDS))
    return any_engine


def test_the_table_has_the_columns_of_a_row() -> None:
    assert (pcb_labeled_data.name, tuple(pcb_labeled_data.c.keys())) == (TABLE, COLUMNS)


@pytest.mark.on_snowflake
def test_more_boards_than_fit_in_a_page_come_in_order(filled: Engine) -> None:
    assert list(read_labeled_boards(filled)) == BOARDS
    assert list(read_labeled_boards(filled, ["val"])) == BOARDS[::3]
    assert list_labeled_boards(filled) == [(board.filename, board.split, board.board_group) for board in BOARDS]
    wanted = [board.filename for board in BOARDS[::-2]]
    assert list(read_labeled_boards(filled, filenames=["gone.png", *wanted])) == BOARDS[::-2]
    assert list(read_labeled_boards(filled, ["val"], filenames=wanted)) == [b for b in BOARDS[::-2] if b.split == "val"]
    assert list(read_labeled_boards(filled, filenames=[])) == []


@pytest.fixture
def statements(filled: Engine) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(filled, "before_cursor_execute", note)
    yield sent
    event.remove(filled, "before_cursor_execute", note)


@pytest.mark.parametrize("any_url", ["sqlite"], indirect=True)
def test_images_are_fetched_fifty_at_a_time_and_none_for_the_list(filled: Engine, statements: list[str]) -> None:
    for filenames in (None, [board.filename for board in BOARDS]):
        next(read_labeled_boards(filled, filenames=filenames))
        assert len([sql for sql in statements if "image_bytes" in sql]) == 1
        statements.clear()
        list(read_labeled_boards(filled, filenames=filenames))
        assert len([sql for sql in statements if "image_bytes" in sql]) in (3, 4)
        statements.clear()
    list_labeled_boards(filled)
    assert statements and not any("_bytes" in sql for sql in statements)


@pytest.mark.parametrize("any_url", ["sqlite"], indirect=True)
def test_a_row_whose_image_is_no_bytes_is_named(filled: Engine) -> None:
    from sqlalchemy import literal_column

    with write_transaction(filled) as connection:
        wrong = update(pcb_labeled_data).where(pcb_labeled_data.c.filename == "007.png")
        connection.execute(wrong.values(split=literal_column("x'00'")))
    with pytest.raises(
        DataError, match=r"pcb_labeled_data, 007\.png: expected a name, bytes and a split, found str, bytes"
    ):
        list(read_labeled_boards(filled))
