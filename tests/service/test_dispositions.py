"""What people decide is recorded whole or not at all, and shows in the board's trace and in the figures."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from copperline.errors import ServiceError
from copperline.warehouse import plant_counts

Board = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def failed(service: Any, boards: list[Board]) -> dict[str, Any]:
    """An inspection with detections; of the drawn boards at least one has some."""
    for n, (image, reference) in enumerate(boards):
        made = service.client.inspect(image, board_id=f"D{n}", station_id="S", reference=reference)
        if made["call"] == "FAIL":
            return dict(made)
    raise AssertionError("no drawn board failed")


def test_a_judgement_is_in_the_trace(service: Any, failed: dict[str, Any]) -> None:
    key, detection = failed["inspection_id"], failed["detections"][0]
    made = service.client.judge(
        {"inspection_id": key, "disposition": "CONFIRMED", "note": "seen\nunder the microscope"},
        {
            "inspection_id": key,
            "disposition": "CONFIRMED",
            "inference_id": detection["inference_id"],
            "corrected_class": "short",
            "box": (10.0, 20.0, 30.0, 60.0),
        },
        reviewer="ann",
    )
    trace = service.client.board(failed["board_id"])
    (inspection,) = trace["inspections"]
    assert inspection["verdict"] == "BAD"
    whole, one = inspection["dispositions"]
    assert (whole["disposition_id"], one["disposition_id"]) == made
    assert (whole["reviewer"], whole["note"], whole["box"]) == ("ann", "seen\nunder the microscope", None)
    assert (one["corrected_class"], one["box"]) == ("short", [10.0, 20.0, 30.0, 60.0])
    assert one["inference_id"] == detection["inference_id"]
    assert inspection["image"] == failed["image"]
    assert inspection["operating_point"] == failed["operating_point"]


def test_a_missed_defect_of_a_failed_board_says_nothing_of_its_detections(service: Any, boards: list[Board]) -> None:
    answers = [
        service.client.inspect(image, board_id=f"M{n}", station_id="S", reference=reference)
        for n, (image, reference) in enumerate(boards)
    ]
    made = next(answer for answer in answers if answer["call"] == "FAIL")
    before = plant_counts(service.engine)
    missed = {
        "inspection_id": made["inspection_id"],
        "disposition": "ESCAPE",
        "corrected_class": "short",
        "box": (10.0, 20.0, 30.0, 60.0),
    }
    service.client.judge(missed, reviewer="ann")
    (inspection,) = service.client.board(made["board_id"])["inspections"]
    (said,) = inspection["dispositions"]
    assert (said["inference_id"], said["disposition"], said["corrected_class"]) == (None, "ESCAPE", "short")
    assert said["box"] == [10.0, 20.0, 30.0, 60.0]
    assert inspection["verdict"] == "BAD"
    counts = plant_counts(service.engine)
    assert counts.reviewed_bad == before.reviewed_bad + 1
    assert (counts.escaped_boards, counts.awaiting_review) == (before.escaped_boards, before.awaiting_review)
    for lacking in ("corrected_class", "box"):
        half = {name: value for name, value in missed.items() if name != lacking}
        with pytest.raises(ServiceError, match="found ESCAPE without") as error:
            service.client.judge(half, reviewer="ann")
        assert error.value.status == 409


def test_of_several_judgements_all_are_recorded_or_none(service: Any, failed: dict[str, Any]) -> None:
    before = len(service.client.board(failed["board_id"])["inspections"][0]["dispositions"])
    good = {"inspection_id": failed["inspection_id"], "disposition": "CONFIRMED"}
    for bad, status in (
        ({"inspection_id": "nothing", "disposition": "CONFIRMED"}, 404),
        ({"inspection_id": failed["inspection_id"], "disposition": "ESCAPE"}, 409),
        ({"inspection_id": failed["inspection_id"], "disposition": "CONFIRMED", "inference_id": "x"}, 404),
    ):
        with pytest.raises(ServiceError) as error:
            service.client.judge(good, bad, reviewer="ann")
        assert error.value.status == status
    assert len(service.client.board(failed["board_id"])["inspections"][0]["dispositions"]) == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"box": [30, 20, 10, 60]}, "x1 < x2"),
        ({"box": [10, 20, 30, 6000]}, "inside the image of 320 x 320 px"),
        ({"box": [-1, 20, 30, 60]}, "greater than or equal to 0"),
        ({"box": [1, 2, 3]}, "box"),
        ({"corrected_class": "scratch"}, "one of open, short"),
        ({"corected_class": "short"}, "corected_class"),
        ({"note": "a\0b"}, "control characters"),
        ({"disposition": "MAYBE"}, "disposition"),
    ],
)
def test_a_judgement_that_makes_no_sense_is_refused(
    service: Any, failed: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    judgement = {
        "inspection_id": failed["inspection_id"],
        "inference_id": failed["detections"][0]["inference_id"],
        "disposition": "CONFIRMED",
        **more,
    }
    answer = httpx.post(f"{service.url}/v1/dispositions", json={"judgements": [judgement], "reviewer": "ann"})
    assert answer.status_code == 422
    assert words in answer.text


def test_somebody_has_to_have_decided(service: Any, failed: dict[str, Any]) -> None:
    judgement = {"inspection_id": failed["inspection_id"], "disposition": "CONFIRMED"}
    for body in ({"judgements": [judgement]}, {"judgements": [judgement], "reviewer": "  "}, {"judgements": []}):
        assert httpx.post(f"{service.url}/v1/dispositions", json=body).status_code == 422


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"judgements": ' + b"[" * 20_000, b'"\\ud800"', b'{"\\ud800": 1}', b"\xff\xfe", b"NaN"]
)
def test_what_is_no_json_is_refused(service: Any, body: bytes) -> None:
    answer = httpx.post(f"{service.url}/v1/dispositions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_key_signs_with_its_own_name(failed: dict[str, Any]) -> None:
    from copperline.access.principals import Principal, Scope
    from copperline.service.problems import Problem
    from copperline.service.routes.dispositions import _reviewer

    bo = Principal("bo", frozenset({Scope.REVIEW}), key_id="k1")
    assert _reviewer(bo, None) == _reviewer(bo, "bo") == "bo"
    with pytest.raises(Problem, match="expected no reviewer beside a key"):
        _reviewer(bo, "ann")


def test_the_figures_know_of_it(service: Any, failed: dict[str, Any]) -> None:
    service.client.judge({"inspection_id": failed["inspection_id"], "disposition": "FALSE_CALL"}, reviewer="ann")
    assert plant_counts(service.engine).false_call_boards == 1
    found = {f["key"]: f for f in service.client.quality()["figures"]}
    assert found["false_call_rate"]["numerator"] == 1
    assert found["false_call_rate"]["value"] == 1.0
    assert found["false_discovery_rate"]["denominator"] == len(failed["detections"])
