from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from copperline.dashboard import session
from copperline.dashboard.inspection_pictures import pictures_of
from copperline.dashboard.launch import READ_ONLY
from copperline.data import write_image
from copperline.taxonomy import Disposition
from copperline.warehouse import (
    Judgement,
    NewReference,
    add_reference,
    inference_id_for,
    record_dispositions,
    trace_board,
)

Open = Callable[..., Any]
Said = Callable[[Any], str]
RECIPE = '{"channel":"red","binarise":"otsu","copper":"bright"}'
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


def corrections(plant: Any) -> list[tuple[Any, ...]]:
    with plant.engine.connect() as connection:
        query = (
            "SELECT inference_id, disposition, corrected_class, bbox_x_center, bbox_y_center, bbox_width, bbox_height "
            "FROM dispositions ORDER BY decided_at"
        )
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_detection_is_confirmed_as_another_class(open_page: Open, said: Said, plant: Any) -> None:
    record = plant.inspect("B1", "open", "short")
    first, second = (inference_id_for(record.inspection_id, n) for n in range(2))
    app = open_page("review")
    app.button_group(key=f"judge-{first}").set_value("another class").run()
    [save] = [button for button in app.button if button.label.startswith("Save")]
    assert (save.label, save.disabled) == ("Save 0 of 2 decisions", True)  # it is not said which
    choose = app.selectbox(key=f"class-{first}")
    assert "open" not in choose.options
    choose.set_value("spur").run()
    app.button_group(key=f"judge-{second}").set_value("false call").run()
    press(app, "Save 2 of 2 decisions")
    assert set(corrections(plant)) == {
        (first, "CONFIRMED", "spur", None, None, None, None),
        (second, "FALSE_CALL", None, None, None, None, None),
    }
    board = open_page("board", board="B1")
    [decided] = [frame.value for frame in board.dataframe if "disposition" in frame.value.columns]
    assert sorted(decided["corrected class"]) == ["", "spur"]


def test_an_escape_with_class_and_place(
    open_page: Open, said: Said, plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "BUSY_SECONDS", 0.05)
    record = plant.inspect("B1")
    key = record.inspection_id
    app = open_page("board", board="B1")
    app.toggle(key=f"escape-toggle-{key}").set_value(True).run()

    def fill(name: str, *box: int) -> None:
        app.selectbox(key=f"escape-class-{key}").set_value(name)
        for side, value in zip(("left", "top", "width", "height"), box, strict=True):
            app.number_input(key=f"escape-{side}-{key}").set_value(value)
        app.run()

    def record_button() -> Any:
        return app.button(key=f"escape-record-{key}")

    assert record_button().disabled
    fill("spur", 50, 0, 16, 16)  # of 64 px
    assert "The box leaves the image of 64 x 64 px" in said(app)
    assert record_button().disabled
    fill("spur", 16, 32, 8, 16)
    app.button(key=f"escape-another-{key}").click().run()
    assert app.number_input(key=f"escape-left-{key}").value is None
    assert record_button().label == "Record as escape: 1 marked"
    assert not record_button().disabled
    app.selectbox(key=f"escape-class-{key}").set_value("open").run()
    assert record_button().disabled  # half a mark would be lost
    fill("open", 0, 0, 64, 32)
    assert record_button().label == "Record as escape: 2 marked"
    with plant.engine.connect() as other:  # somebody else writes: nothing that was drawn is lost
        other.exec_driver_sql("ROLLBACK")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        record_button().click().run()
        other.exec_driver_sql("ROLLBACK")
    assert corrections(plant) == []
    assert record_button().label == "Record as escape: 2 marked"
    record_button().click().run()
    said(app)
    assert not app.toggle(key=f"escape-toggle-{key}").value
    app.toggle(key=f"escape-toggle-{key}").set_value(True).run()
    assert record_button().label == "Record as escape: 0 marked"
    assert app.number_input(key=f"escape-left-{key}").value is None
    assert corrections(plant) == [
        (None, "ESCAPE", "spur", 0.3125, 0.625, 0.125, 0.25),
        (None, "ESCAPE", "open", 0.5, 0.25, 1.0, 0.5),
    ]
    [decided] = [frame.value for frame in app.dataframe if "disposition" in frame.value.columns]
    assert decided["corrected class"].tolist() == ["spur", "open"]
    assert decided["centre x, y"].tolist() == ["0.3125, 0.6250", "0.5000, 0.2500"]


def mark(app: Any, key: str, name: str, *box: int) -> None:
    app.selectbox(key=f"escape-class-{key}").set_value(name)
    for side, value in zip(("left", "top", "width", "height"), box, strict=True):
        app.number_input(key=f"escape-{side}-{key}").set_value(value)
    app.run()


def test_missed_defects_of_a_failed_board(open_page: Open, said: Said, plant: Any) -> None:
    """Nothing is an escape there; the detections still wait; what is drawn is recorded with any decision."""
    record = plant.inspect("B1", "open")
    key = record.inspection_id
    app = open_page("review")
    app.toggle(key=f"escape-toggle-{key}").set_value(True).run()
    mark(app, key, "spur", 16, 32, 8, 16)
    app.button(key=f"escape-another-{key}").click().run()
    mark(app, key, "open", 0, 0, 64, 32)
    record_button = app.button(key=f"escape-record-{key}")
    assert record_button.label == "Record as missed defect: 2 marked"
    record_button.click().run()
    assert [toast.value for toast in app.toast][-1].startswith("Recorded: 2 missed defects, by")
    shown = said(app)
    assert "**B1**" in shown
    assert "Missed defects recorded so far: spur, open." in shown
    assert "escape" not in " ".join(button.label.lower() for button in app.button)
    app.toggle(key=f"escape-toggle-{key}").set_value(True).run()
    mark(app, key, "short", 40, 40, 8, 8)
    press(app, "False call")  # takes back what was told before, not what is drawn with it
    assert [toast.value for toast in app.toast][-1].startswith("Recorded: FALSE_CALL and missed defect, short, by")
    assert "Nothing waits in this queue" in said(app)
    assert corrections(plant) == [
        (None, "ESCAPE", "spur", 0.3125, 0.625, 0.125, 0.25),
        (None, "ESCAPE", "open", 0.5, 0.25, 1.0, 0.5),
        (None, "FALSE_CALL", None, None, None, None, None),
        (None, "ESCAPE", "short", 0.6875, 0.6875, 0.125, 0.125),
    ]
    board = open_page("board", board="B1")
    assert "Missed defects recorded so far: short." in said(board)
    tables = [frame.value for frame in board.dataframe]
    [decided] = [table for table in tables if "disposition" in table.columns]
    assert decided["of"].tolist() == ["missed defect", "missed defect", "whole board", "missed defect"]
    [detections] = [table for table in tables if "review" in table.columns]
    assert detections["review"].tolist() == ["FALSE_CALL"]
    facts = next(table for table in tables if "value" in table.columns)
    assert dict(zip(facts[""], facts["value"], strict=True))["review found"] == "BAD"


def test_a_missed_defect_of_a_board_whose_call_is_judged_ends_its_turn(open_page: Open, said: Said, plant: Any) -> None:
    record = plant.inspect("B1", "open")
    record_dispositions(plant.engine, [Judgement(record.inspection_id, Disposition.CONFIRMED)], "bo")
    app = open_page("review", queue="Second look")
    app.toggle(key=f"escape-toggle-{record.inspection_id}").set_value(True).run()
    mark(app, record.inspection_id, "spur", 16, 32, 8, 16)
    app.button(key=f"escape-record-{record.inspection_id}").click().run()
    assert "Nothing waits in this queue" in said(app) or "skipped boards again" in str([b.label for b in app.button])
    assert [row[1] for row in corrections(plant)] == ["CONFIRMED", "ESCAPE"]


def test_reviewers_see_what_the_model_saw(open_page: Open, said: Said, plant: Any) -> None:
    """Copper is bright and red in the camera's image, dark after conditioning; both can be looked at."""
    camera = np.zeros((64, 64, 3), np.uint8)
    camera[:, 20:30, 2] = 220
    file = plant.folder / "stage" / "camera.png"
    write_image(file, camera)
    golden = add_reference(
        plant.engine, NewReference("Hub", "B", str(file), "cd" * 32, 64, 64, "ann", conditioning=RECIPE)
    )
    record = plant.inspect(
        "B1",
        "open",
        image_path=str(file),
        reference_path=str(file),
        reference_sha256="cd" * 32,
        reference_id=golden.reference_id,
        conditioning=RECIPE,
    )
    seen = pictures_of(trace_board(plant.engine, "B1").inspections[0])
    for image in (seen.test, seen.reference):
        assert not isinstance(image, str)
        assert image.shape == (64, 64)
        assert set(np.unique(image[:, 20:30])) == {0}
        assert set(np.unique(image[:, :20])) == {255}
    app = open_page("review")
    told = said(app).replace("\\", "")
    assert "reference of the library: Hub, revision B, version 1" in told
    assert "Conditioning of both images: red channel; one threshold by Otsu; inverted, copper is bright." in told
    app.toggle(key=f"raw-{record.inspection_id}").set_value(True).run()
    said(app)
    facts = next(f.value for f in open_page("board", board="B1").dataframe if "value" in f.value.columns)
    shown = dict(zip(facts[""], facts["value"], strict=True))
    assert shown["reference of the library"] == "Hub, revision B, version 1"
    assert shown["reference's id"] == golden.reference_id
    assert shown["conditioning of both images"].startswith("red channel")


def test_a_recipe_that_cannot_be_read_is_told(open_page: Open, said: Said, plant: Any) -> None:
    plant.inspect("B1", "open", conditioning='{"blur": 3}', reference_id="R-gone")
    told = said(open_page("review")).replace("\\", "")
    assert "No test image: expected a recipe of conditioning in JSON" in told
    assert "R-gone, which the library does not have any more" in told
