from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("streamlit")

from copperline.dashboard.board_table import board_link


@pytest.mark.parametrize("board", ["20085000", "a b/c?d#e&f", "100 %", "ä<b>'\"", "javascript:alert(1)"])
def test_a_link_names_its_board_and_nothing_else(board: str) -> None:
    address = urlsplit(board_link(board))
    assert address.path == "board"
    assert not address.fragment
    assert parse_qs(address.query) == {"board": [board]}
