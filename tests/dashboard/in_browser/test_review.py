"""Decisions made in the browser, by key and by click, against the table dispositions; and the figures that follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

Figures = Callable[..., dict[str, Any]]
Sql = Callable[..., list[tuple[Any, ...]]]
REVIEW = "/review?period=All+time"
HOSTILE = "<script>alert(1)</script> **bold** [x](http://x.invalid) $a$ :red[y]"


@pytest.fixture
def decided(sql: Sql) -> Callable[[], list[tuple[Any, ...]]]:
    """Decisions by order: board, whole or one detection, disposition, reviewer, note."""

    def rows() -> list[tuple[Any, ...]]:
        return sql(
            "SELECT i.board_id, p.inference_id, p.disposition, p.reviewer, p.note FROM dispositions p "
            "JOIN inspections i ON i.inspection_id = p.inspection_id WHERE p.reviewer = 'eve' ORDER BY p.decided_at"
        )

    return rows


@pytest.fixture
def at_review(visit: Any, ready: Any, served: str) -> Callable[..., Any]:
    """The review page of reviewer eve."""

    def opened(queue: str = "", **options: Any) -> Any:
        page = visit(served + REVIEW + (f"&queue={queue}" if queue else ""), **options)
        name = page.get_by_role("textbox", name="Reviewer")
        name.fill("eve")
        name.press("Enter")
        page.get_by_role("heading", name="Review", exact=True).click()  # the keys are for the page, not for the field
        return ready(page)

    return opened


def board_on(page: Any) -> str:
    """The board that waits for a decision."""
    return str(page.locator("a[href^='/board?board=']").get_attribute("href")).removeprefix("/board?board=")


def press(page: Any, key: str, board: str) -> None:
    """Presses a key and waits until the next board is there."""
    page.keyboard.press(key)
    page.wait_for_function(
        "old => { const a = document.querySelector('a[href^=\"/board?board=\"]'); return !a || !a.href.endsWith(old) }",
        arg=f"={board}",
    )


def first_waiting(sql: Sql) -> list[str]:
    """FAIL first, then WITHHELD, the least confident first; the latest inspections that nobody has judged at all."""
    return [
        board
        for (board,) in sql(
            "SELECT i.board_id FROM inspections i WHERE i.call <> 'PASS' "
            "AND NOT EXISTS (SELECT 1 FROM dispositions p WHERE p.inspection_id = i.inspection_id) "
            "AND NOT EXISTS (SELECT 1 FROM inspections l WHERE l.board_id = i.board_id "
            "AND l.inspected_at > i.inspected_at) ORDER BY i.call, "
            "(SELECT MIN(confidence_score) FROM defect_logs d WHERE d.inspection_id = i.inspection_id), i.board_id"
        )
    ]


def test_decisions_by_key(
    at_review: Any, ready: Any, sql: Sql, decided: Any, figures: Figures, eventually: Any, served: str
) -> None:
    before, waiting = figures(), first_waiting(sql)
    page = at_review()
    first = board_on(page)
    assert first == waiting[0]
    press(page, "y", first)
    assert decided() == [(first, None, "CONFIRMED", "eve", None)]
    assert figures()["bad"] == before["bad"] + 1

    second = board_on(ready(page))
    press(page, "n", second)
    assert decided()[1:] == [(second, None, "FALSE_CALL", "eve", None)]

    third = board_on(ready(page))
    press(page, "s", third)
    assert len(decided()) == 2
    assert [first, second, third] == waiting[:3]
    assert board_on(ready(page)) == waiting[3]

    after = figures()
    assert after["awaiting"] == before["awaiting"] - 2
    assert after["good"] == before["good"] + 1
    assert after["false_call_boards"] == before["false_call_boards"] + 1
    page.get_by_role("tab", name="What review has found").click()
    rate = f"{100 * after['false_call_boards'] / after['good']:.2f} %"

    def shown() -> None:
        texts = page.locator(".st-key-figure-review-false_call_rate").inner_text().splitlines()
        assert rate in texts
        assert any(text.startswith(f"{after['false_call_boards']} of {after['good']};") for text in texts)

    eventually(page, shown)
    calls = after["failed"] + after["withheld"]
    progress = f"{calls - after['awaiting']} of {calls} calls of this period are reviewed, {after['awaiting']} wait"
    assert page.get_by_test_id("stProgress").inner_text().strip() == progress


def test_a_hostile_note_is_kept_word_for_word_and_shown_as_text(
    at_review: Any, ready: Any, rows_of: Any, decided: Any, visit: Any, served: str
) -> None:
    page = at_review()
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    board = board_on(page)
    note = page.get_by_role("textbox", name="Note")
    note.fill(HOSTILE)
    note.press("Enter")
    ready(page)
    assert board_on(page) == board  # a letter in a note is no decision
    page.get_by_role("button", name=re.compile("Defect|All are defects")).click()
    press(page, "Shift", board)
    assert decided()[-1] == (board, None, "CONFIRMED", "eve", HOSTILE)

    shown = visit(f"{served}/board?board={board}")
    assert HOSTILE in rows_of(shown, "dispositions-0")[-1]
    assert alerts == []


def test_single_detections_are_judged_one_by_one(
    at_review: Any, ready: Any, sql: Sql, decided: Any, figures: Figures
) -> None:
    page = at_review()
    choices = page.get_by_test_id("stButtonGroup")
    while choices.count() < 2:
        press(page, "s", board_on(page))
        ready(page)
    board, before = board_on(page), figures()
    detections = sql(
        "SELECT d.inference_id FROM defect_logs d JOIN inspections i ON i.inspection_id = d.inspection_id "
        "WHERE i.board_id = :board ORDER BY d.confidence_score DESC, d.inference_id",
        board=board,
    )
    choices.nth(0).get_by_text("false call", exact=True).click()
    page.get_by_role("button", name=f"Save 1 of {len(detections)} decisions").wait_for()
    choices.nth(1).get_by_text("defect", exact=True).click()
    page.get_by_role("button", name=f"Save 2 of {len(detections)} decisions").click()
    press(page, "Shift", board)
    said = decided()[-2:]
    assert [(row[0], row[1], row[2]) for row in said] == [
        (board, detections[0][0], "FALSE_CALL"),
        (board, detections[1][0], "CONFIRMED"),
    ]
    after = figures()
    assert after["false_calls"] == before["false_calls"] + 1
    assert after["confirmed"] == before["confirmed"] + 1


def test_an_audit_finds_an_escape(at_review: Any, decided: Any, figures: Figures, ready: Any) -> None:
    before = figures()
    page = at_review("Audit+of+passed+boards")
    board = board_on(page)
    press(page, "e", board)
    assert decided()[-1][:3] == (board, None, "ESCAPE")
    after = figures()
    assert (after["escapes"], after["bad"]) == (before["escapes"] + 1, before["bad"] + 1)
    passed = board_on(ready(page))
    press(page, "y", passed)
    assert decided()[-1][:3] == (passed, None, "CONFIRMED")
    assert figures()["good"] == after["good"] + 1


def corrected(sql: Sql, board: str) -> list[tuple[Any, ...]]:
    return sql(
        "SELECT p.inference_id, p.disposition, p.corrected_class, p.bbox_x_center, p.bbox_y_center, p.bbox_width, "
        "p.bbox_height FROM dispositions p JOIN inspections i ON i.inspection_id = p.inspection_id "
        "WHERE p.reviewer = 'eve' AND i.board_id = :board ORDER BY p.decided_at",
        board=board,
    )


def test_a_defect_of_another_class_is_typed_and_no_letter_is_a_decision(
    at_review: Any, ready: Any, sql: Sql, decided: Any
) -> None:
    page = at_review()
    board, before = board_on(page), decided()
    page.get_by_test_id("stButtonGroup").first.get_by_text("another class", exact=True).click()
    choose = page.get_by_role("combobox", name="It is")
    choose.wait_for()
    ready(page)
    names = sql(
        "SELECT d.inference_id, d.detected_class FROM defect_logs d JOIN inspections i "
        "ON i.inspection_id = d.inspection_id WHERE i.board_id = :board ORDER BY d.confidence_score DESC, 1",
        board=board,
    )
    (inference, detected), really = names[0], "spur" if names[0][1] != "spur" else "short"
    choose.click()
    page.keyboard.type(really)  # s, n, y and e among its letters are keys of the page
    page.get_by_role("option", name=really, exact=True).wait_for()
    page.keyboard.press("Enter")
    save = page.get_by_role("button", name=f"Save 1 of {len(names)} decisions")
    save.wait_for()
    assert (board_on(ready(page)), decided()) == (board, before)
    assert detected != really
    save.click()
    page.get_by_text("Recorded: ").first.wait_for()
    assert corrected(sql, board) == [(inference, "CONFIRMED", really, None, None, None, None)]


def test_a_missed_defect_is_drawn_and_can_be_learned_from(
    at_review: Any, ready: Any, sql: Sql, eventually: Any
) -> None:
    page = at_review("Audit+of+passed+boards")
    board = board_on(page)
    width, height = draw_a_missed_defect(page, ready, eventually)
    page.get_by_role("button", name="Record as escape: 1 marked").click()
    page.get_by_text("Recorded: ESCAPE, open").first.wait_for()
    [(inference, said, name, *box)] = corrected(sql, board)
    assert (inference, said, name) == (None, "ESCAPE", "open")
    x, y, w, h = box
    drawn = [x * width, y * height, w * width, h * height]
    assert drawn == pytest.approx([120.5, 65, 41, 30], abs=2)
    assert board_on(ready(page)) != board


def test_a_defect_that_was_missed_on_a_failed_board_leaves_its_detections_to_be_judged(
    at_review: Any, ready: Any, sql: Sql, eventually: Any, figures: Figures, decided: Any
) -> None:
    before = figures()
    page = at_review()
    board = board_on(page)
    width, height = draw_a_missed_defect(page, ready, eventually)
    page.get_by_role("button", name="Record as missed defect: 1 marked").click()
    page.get_by_text("Recorded: missed defect, open").first.wait_for()
    page.get_by_text("Missed defects recorded so far: open.").wait_for()
    [(inference, said, name, *box)] = corrected(sql, board)
    assert (inference, said, name) == (None, "ESCAPE", "open")
    assert [box[0] * width, box[1] * height] == pytest.approx([120.5, 65], abs=2)
    assert board_on(ready(page)) == board
    marked = figures()
    assert (marked["bad"], marked["awaiting"]) == (before["bad"] + 1, before["awaiting"])
    assert (marked["escapes"], marked["audited"]) == (before["escapes"], before["audited"])
    page.get_by_role("heading", name="Review", exact=True).click()
    press(page, "y", board)
    assert [row[2] for row in decided()[-2:]] == ["ESCAPE", "CONFIRMED"]
    after = figures()
    assert (after["bad"], after["awaiting"]) == (marked["bad"], before["awaiting"] - 1)


def draw_a_missed_defect(page: Any, ready: Any, eventually: Any) -> tuple[int, int]:
    """Draws the box 100 to 141, 50 to 80 px of an open with the mouse; gives width and height of the board, px."""
    page.get_by_text("Mark a missed defect").click()
    stage = page.locator(".stage")
    stage.locator("image").wait_for(state="attached")
    ready(page)
    stage.scroll_into_view_if_needed()
    place, (width, height) = stage.bounding_box(), image_size(page)
    scale = min(place["width"] / width, place["height"] / height)
    left = place["x"] + (place["width"] - width * scale) / 2
    top = place["y"] + (place["height"] - height * scale) / 2
    page.mouse.move(left + 100 * scale, top + 50 * scale)
    page.mouse.down()
    page.mouse.move(left + 120 * scale, top + 70 * scale, steps=4)
    assert stage.locator("rect.rubber").count() == 1
    page.mouse.move(left + 140 * scale, top + 80 * scale, steps=4)
    page.mouse.up()
    numbers = [page.get_by_role("spinbutton", name=f"{side}, px") for side in ("Left", "Top", "Width", "Height")]

    def taken_over() -> None:
        found = [int(number.input_value() or -1) for number in numbers]
        assert found == pytest.approx([100, 50, 40, 30], abs=2)

    eventually(page, taken_over)
    numbers[2].fill("41")
    numbers[2].press("Enter")
    ready(page)  # a run closes a list that is open
    page.get_by_role("combobox", name="Defect", exact=True).click()
    page.get_by_role("option", name="open", exact=True).click()
    return width, height


def image_size(page: Any) -> tuple[int, int]:
    """Width and height of the board in the viewer, px."""
    label = page.locator(".stage svg").get_attribute("aria-label")
    width, height = re.findall(r"(\d+) by (\d+) px", label)[0]
    return int(width), int(height)


def test_a_second_look_is_at_what_others_judged(
    at_review: Any, sql: Sql, decided: Any, rows_of: Any, ready: Any
) -> None:
    page = at_review("Second+look")
    board = board_on(page)
    [(own,)] = sql(
        "SELECT COUNT(*) FROM dispositions p JOIN inspections i ON i.inspection_id = p.inspection_id "
        "WHERE i.board_id = :board AND p.reviewer = 'eve'",
        board=board,
    )
    assert own == 0
    press(page, "y", board)
    assert decided()[-1][:3] == (board, None, "CONFIRMED")
    ready(page)
    page.get_by_role("tab", name="What review has found").click()
    names = {name for pair in sql(
        "SELECT DISTINCT a.reviewer, b.reviewer FROM dispositions a JOIN dispositions b "
        "ON a.inspection_id = b.inspection_id AND a.inference_id IS b.inference_id AND a.reviewer < b.reviewer"
    ) for name in [" and ".join(pair)]}  # fmt: skip
    assert {row[0] for row in rows_of(page, "agreement")} == names | {"all pairs together"}


def test_a_read_only_server_shows_and_writes_nothing(serve: Any, visit: Any, plant: Any, sql: Sql, ready: Any) -> None:
    before = sql("SELECT COUNT(*) FROM dispositions")
    with serve(plant, read_only=True) as running:
        page = visit(running.url + REVIEW)
        assert "view only" in page.get_by_test_id("stSidebar").inner_text()
        assert page.get_by_role("textbox", name="Reviewer").count() == 0
        board = board_on(page)
        for name in (re.compile("Defect|All are defects"), "False call", re.compile("^save Save")):
            for button in page.get_by_role("button", name=name).all():
                assert button.is_disabled()
        assert page.get_by_role("button", name="False call").count() > 0
        for key in ("y", "n", "e"):
            page.keyboard.press(key)
        assert board_on(ready(page)) == board
        assert "Traceback" not in running.log.read_text()
    assert sql("SELECT COUNT(*) FROM dispositions") == before
