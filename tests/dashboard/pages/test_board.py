from __future__ import annotations

from collections.abc import Callable
from typing import Any

Open = Callable[..., Any]
Said = Callable[[Any], str]


def test_without_a_board_it_asks_for_one(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    app = open_page("board")
    assert "Which board?" in said(app)
    app.text_input(key="board").set_value("B1").run()
    assert "B1" in [header.value for header in app.header]


def test_an_unknown_board_and_then_a_known_one(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    app = open_page("board", board="<b>' OR 1=1")
    shown = said(app)
    assert "expected an inspected board" in shown
    assert "<b>" not in shown
    app.text_input(key="board").set_value("B1").run()
    assert "expected an inspected board" not in said(app)


def test_a_good_board_can_be_called_an_escape(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1")
    app = open_page("board", board="B1")
    [escape] = [button for button in app.button if button.label == "Escape: it is bad"]
    escape.click().run()
    said(app)
    [decided] = [frame.value for frame in app.dataframe if "disposition" in frame.value.columns]
    assert decided["disposition"].tolist() == ["ESCAPE"]
