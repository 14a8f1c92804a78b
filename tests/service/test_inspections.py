"""A board goes in, a call comes out, and it can be found again."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from copperline.client import Client
from copperline.data import decode_image
from copperline.errors import ServiceError
from copperline.inspection import Detector
from copperline.warehouse import plant_counts, trace_board

Board = tuple[bytes, bytes]


def post(service: Any, image: bytes, key: str | None = None, **fields: str) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return httpx.post(f"{service.url}/v1/inspections", files={"image": image}, data=fields, headers=headers, timeout=20)


def test_an_inspection_says_the_same_as_the_detector_and_can_be_read_again(
    service: Any, boards: list[Board], detector: Detector
) -> None:
    test, reference = boards[0]
    answer = httpx.post(
        f"{service.url}/v1/inspections",
        files={"image": test, "reference": reference},
        data={"board_id": "A1", "station_id": "AOI-1", "line_id": "L1", "product_type": "Hub", "panel_id": "P1"},
    )
    assert answer.status_code == 201
    made = answer.json()
    assert made.pop("new") is True
    assert answer.headers["Location"] == f"/v1/inspections/{made['inspection_id']}"
    found = detector(decode_image(test, "t"), decode_image(reference, "r")).to_dicts(detector.taxonomy)
    assert [d["class"] for d in made["detections"]] == [d["class"] for d in found]
    assert made["image"] == {
        "sha256": hashlib.sha256(test).hexdigest(),
        "width": 320,
        "height": 320,
        "reference_id": None,
    }
    read = httpx.get(service.url + answer.headers["Location"]).json()
    assert read == made
    again = httpx.post(
        f"{service.url}/v1/inspections",
        files={"image": test, "reference": reference},
        data={"board_id": "A1", "station_id": "AOI-1"},
    )
    assert (again.status_code, again.json()["new"]) == (200, False)
    assert again.json()["inspection_id"] == made["inspection_id"]


def test_a_key_is_inspected_once(service: Any, boards: list[Board]) -> None:
    first = post(service, boards[0][0], "key-1", board_id="K1", station_id="AOI-1")
    second = post(service, boards[0][0], "key-1", board_id="K1", station_id="AOI-1")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() | {"new": True}
    for other in (
        post(service, boards[1][0], "key-1", board_id="K1", station_id="AOI-1"),
        post(service, boards[0][0], "key-1", board_id="K2", station_id="AOI-1"),
        post(service, boards[0][0], "key-1", board_id="K1", station_id="AOI-1", simulated="true"),
    ):
        assert other.status_code == 422
        assert other.json()["type"] == "urn:copperline:problem:idempotency-key-used"
    assert len(trace_board(service.engine, "K1").inspections) == 1


def test_of_equal_requests_at_once_one_works_and_all_get_its_answer(start: Any, boards: list[Board], gate: Any) -> None:
    with start() as service, ThreadPoolExecutor(6) as threads:
        held = gate(service)
        asked = [threads.submit(post, service, boards[0][0], "same", board_id="C1", station_id="S") for _ in range(5)]
        held.wait_for_one()
        other = post(service, boards[1][0], "same", board_id="C1", station_id="S")
        assert other.status_code == 422
        held.open()
        answers = [one.result() for one in asked]
        assert held.came == ["C1"]
        assert len({a.json()["inspection_id"] for a in answers}) == 1
        assert {a.status_code for a in answers} <= {200, 201}
        assert plant_counts(service.engine).inspections == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"station_id": "S"}, "board_id"),
        ({"board_id": "B", "station_id": ""}, "station_id"),
        ({"board_id": "B" * 256, "station_id": "S"}, "board_id"),
        ({"board_id": "B\0", "station_id": "S"}, "board_id"),
        ({"board_id": "B\n7", "station_id": "S"}, "board_id"),
        ({"board_id": "   ", "station_id": "S"}, "board_id"),
        ({"board_id": "B", "station_id": "S", "conditioning": '{"median": 4}'}, "conditioning"),
        ({"board_id": "B", "station_id": "S", "conditioning": "{"}, "conditioning"),
        ({"board_id": "B", "station_id": "S", "product_typ": "Hub"}, "product_typ"),
        ({"board_id": "B", "station_id": "S", "simulated": "perhaps"}, "simulated"),
    ],
)
def test_a_wrong_field_is_named(service: Any, boards: list[Board], fields: dict[str, str], field: str) -> None:
    answer = post(service, boards[0][0], **fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert any(field in error["field"] for error in answer.json()["errors"])


def test_a_field_that_comes_twice_is_refused(service: Any, boards: list[Board]) -> None:
    answer = httpx.post(
        f"{service.url}/v1/inspections",
        files={"image": boards[0][0]},
        data={"board_id": ["B1", "B2"], "station_id": "S"},
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.board_id")


def test_what_is_no_board_is_refused_and_leaves_no_row(service: Any, boards: list[Board]) -> None:
    for image, words in (
        (b"GIF89a", "expected an image"),
        (boards[0][0][:-2000], "truncated or damaged"),
        (_large(), "at most 4,000,000 pixels"),
    ):
        answer = post(service, image, board_id="NO", station_id="S")
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert post(service, b"", board_id="NO", station_id="S").status_code == 422
    assert httpx.get(f"{service.url}/v1/boards/NO").status_code == 404


def _large() -> bytes:
    return cv2.imencode(".png", np.zeros((3000, 3000), np.uint8))[1].tobytes()


def test_a_reference_that_is_not_known_and_two_at_once(service: Any, boards: list[Board]) -> None:
    fields = {"board_id": "R1", "station_id": "S", "reference_id": "none"}
    assert post(service, boards[0][0], **fields).status_code == 404
    both = httpx.post(
        f"{service.url}/v1/inspections", files={"image": boards[0][0], "reference": boards[0][1]}, data=fields
    )
    assert both.status_code == 422
    assert post(service, boards[0][0], conditioning='{"median": 3}', **fields).status_code == 422


def test_inspections_are_listed_newest_first_page_by_page(start: Any, boards: list[Board]) -> None:
    with start() as service:
        client: Client = service.client
        made = [
            client.inspect(
                board[0],
                board_id=f"B{n % 3}",
                station_id=f"AOI-{n % 2}",
                line_id="L1" if n < 4 else "L2",
                product_type="Hub",
            )
            for n, board in enumerate(boards[:8])
        ]
        newest = [one["inspection_id"] for one in reversed(made)]
        for page in (1, 3, 8, 200):
            assert [i["inspection_id"] for i in client.inspections(page=page)] == newest
        first = next(client.inspections())
        assert first == {k: v for k, v in made[-1].items() if k != "new"}

        def ids(**chosen: Any) -> list[str]:
            return [i["inspection_id"] for i in client.inspections(**chosen)]

        of = {"board_id": "B1"}, {"station_id": "AOI-1"}, {"call": made[0]["call"]}
        for chosen in of:
            ((name, value),) = chosen.items()
            assert ids(**chosen) == [i["inspection_id"] for i in reversed(made) if i[name] == value]  # type: ignore[literal-required]
        now = datetime.now(UTC)
        assert ids(since=now - timedelta(hours=1), until=now) == newest
        assert ids(until=now - timedelta(hours=1)) == []
        assert ids(product_type="Hub", line_id="L2", call="PASS", station_id="AOI-7") == []
        # B0 was last told of with line L2.
        assert {i["board_id"] for i in client.inspections(line_id="L2")} == {"B0", "B1", "B2"}
        moment = datetime.fromisoformat(made[3]["inspected_at"])
        assert ids(since=moment) == newest[:5]
        assert ids(until=moment) == newest[5:]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=WzEsMl0=",
        "cursor=WyIyMDI2LTAxLTAxIiwgIngiXQ==",
        "limit=0",
        "limit=201",
        "since=2026-01-01T00:00:00",
        "since=0001-01-01T00:00:00Z",
        "call=MAYBE",
        "bord_id=B1",
        "board_id=%00",
    ],
)
def test_a_wrong_query_is_refused(service: Any, query: str) -> None:
    answer = httpx.get(f"{service.url}/v1/inspections?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("query.")


def test_ids_of_every_kind_come_back(service: Any, boards: list[Board]) -> None:
    for board_id in ("A/7", "..", "./x", "B 1?#%", "ä漢字", "'; DROP TABLE inspections; --", "<script>", "a//b/"):
        service.client.inspect(boards[2][0], board_id=board_id, station_id="S/1")
        assert service.client.board(board_id)["board_id"] == board_id
    with pytest.raises(ServiceError, match="found no 'nobody'"):
        service.client.board("nobody")
