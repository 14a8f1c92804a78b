from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from copperline.dashboard.launch import READ_ONLY

Open = Callable[..., Any]
Said = Callable[[Any], str]
HOSTILE = "<script>alert(1)</script>'\"; --**x**[a](b)"


def decisions(plant: Any) -> list[tuple[Any, ...]]:
    with plant.engine.connect() as connection:
        query = "SELECT inspection_id, inference_id, disposition, reviewer, note FROM dispositions ORDER BY decided_at"
        return [tuple(row) for row in connection.execute(text(query))]


def press(app: Any, label: str) -> Any:
    [button] = [button for button in app.button if button.label == label]
    return button.click().run()


def test_decisions_are_recorded_and_the_board_leaves_the_queue(open_page: Open, said: Said, plant: Any) -> None:
    first, second = plant.inspect("B1", "open"), plant.inspect("B2", "open", "short")
    app = open_page("review")
    app.text_input(key="reviewer").set_value(" ana ").run()
    app.text_input(key=f"note-{first.inspection_id}").set_value(HOSTILE).run()
    press(app, "Defect")
    assert decisions(plant) == [(first.inspection_id, None, "CONFIRMED", "ana", HOSTILE)]
    assert "**B2**" in said(app)
    press(app, "False call")
    assert decisions(plant)[1:] == [(second.inspection_id, None, "FALSE_CALL", "ana", None)]
    assert "Nothing waits in this queue" in said(app)


def test_skipped_boards_come_back_when_asked_for(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open")
    app = open_page("review")
    press(app, "Skip")
    assert "**B1**" not in said(app)
    press(app, "Show the 1 skipped boards again")
    assert "**B1**" in said(app)
    assert decisions(plant) == []


def test_a_read_only_server_lets_nobody_decide(
    open_page: Open, said: Said, plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(READ_ONLY, "1")
    plant.inspect("B1", "open")
    app = open_page("review")
    disabled = {button.label: button.disabled for button in app.button}
    assert disabled == {"Defect": True, "False call": True, "Skip": False, "Save 0 of 1 decisions": True}
    assert "You may look, not decide" in said(app)


def test_an_image_that_is_gone_or_cut_off(open_page: Open, said: Said, plant: Any) -> None:
    gone, cut = plant.inspect("B1", "open"), plant.inspect("B2", "open")
    Path(gone.image_path).unlink()
    Path(cut.image_path).write_bytes(Path(cut.image_path).read_bytes()[:40])
    for board in ("B1", "B2"):
        shown = said(open_page("board", board=board))
        assert "No test image: " in shown
        assert "No reference: inspected without a reference" in shown
    app = open_page("review")
    press(app, "Defect")  # it can be judged all the same
    assert decisions(plant)[0][2] == "CONFIRMED"


def test_a_board_whose_id_is_markup(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect(HOSTILE, "open", line=HOSTILE, station_id=HOSTILE)
    for module, address in (("review", {}), ("board", {"board": HOSTILE}), ("process_control", {}), ("overview", {})):
        shown = said(open_page(module, **address))
        for raw in ("<script>", "**x**", "[a](b)"):
            assert raw not in shown, module


def test_the_database_is_busy_while_somebody_decides(
    open_page: Open, said: Said, plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from copperline.dashboard import session

    monkeypatch.setattr(session, "BUSY_SECONDS", 0.05)
    plant.inspect("B1", "open")
    app = open_page("review")
    with plant.engine.connect() as other:
        other.exec_driver_sql("ROLLBACK")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        press(app, "Defect")
        shown = said(app).replace("\\", "")
        other.exec_driver_sql("ROLLBACK")
    assert "lock" in shown or "busy" in shown
    assert decisions(plant) == []
    press(app, "Defect")
    assert len(decisions(plant)) == 1
