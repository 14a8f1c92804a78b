"""The golden library over HTTP: added, compared with, retired; nothing of it is ever lost."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from copperline.errors import ServiceError

Board = tuple[bytes, bytes]


def test_a_reference_is_kept_as_it_was_given_and_compared_with(service: Any, boards: list[Board]) -> None:
    client = service.client
    made = client.add_reference(
        boards[0][1],
        product_type="Hub",
        conditioning={"median": 3},
        opportunities=120,
        note="first",
    )
    assert (made["version"], made["revision"], made["width"], made["created_by"]) == (1, "", 320, "local")
    assert made["conditioning"] == {"median": 3}
    assert client.reference(made["reference_id"]) == made
    assert client.references() == [made]
    answer = httpx.get(f"{service.url}/v1/references/{made['reference_id']}/image")
    assert (answer.content, answer.headers["content-type"]) == (boards[0][1], "image/jpeg")
    assert client.reference_image(made["reference_id"]) == boards[0][1]
    seen = client.inspect(boards[0][0], board_id="R1", station_id="S", product_type="Hub")
    assert seen["reference"]["reference_id"] == made["reference_id"]
    assert seen["conditioning"] == {"median": 3}
    dpmo = next(f for f in client.quality(products=["Hub"])["figures"] if f["key"] == "dpmo")
    assert dpmo["denominator"] == 120


def test_a_retired_version_stays_and_the_one_before_counts(service: Any, boards: list[Board]) -> None:
    client = service.client
    first = client.add_reference(boards[1][1], product_type="Mux")
    second = client.add_reference(boards[2][1], product_type="Mux")
    assert [r["version"] for r in client.references(product_type="Mux")] == [2, 1]
    gone = client.retire_reference(second["reference_id"])
    assert gone["retired_at"] is not None
    assert client.retire_reference(second["reference_id"]) == gone
    assert client.references(product_type="Mux") == [first]
    assert client.references(product_type="Mux", retired=True) == [gone, first]
    assert client.reference_image(second["reference_id"]) == boards[2][1]
    seen = client.inspect(boards[1][0], board_id="M1", station_id="S", product_type="Mux")
    assert seen["reference"]["reference_id"] == first["reference_id"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"product_type": "  "}, 422),
        ({"product_type": "P", "opportunities": "0"}, 422),
        ({"product_type": "P", "opportunities": "99999999999"}, 422),
        ({"product_type": "P", "conditioning": '{"channel": "infra-red"}'}, 422),
        ({"product_type": "P", "oportunities": "7"}, 422),
    ],
)
def test_a_wrong_field_adds_nothing(service: Any, boards: list[Board], fields: dict[str, str], status: int) -> None:
    before = service.client.references(retired=True)
    answer = httpx.post(f"{service.url}/v1/references", files={"image": boards[0][1]}, data=fields)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert service.client.references(retired=True) == before


def test_what_is_no_image_or_is_not_there(service: Any) -> None:
    with pytest.raises(ServiceError, match="expected an image"):
        service.client.add_reference(b"no image", product_type="P")
    for path in ("", "/image"):
        assert httpx.get(f"{service.url}/v1/references/nothing{path}").status_code == 404
    assert httpx.delete(f"{service.url}/v1/references/nothing").status_code == 404


def test_an_image_that_is_gone_from_the_stage_is_told(service: Any, boards: list[Board]) -> None:
    made = service.client.add_reference(boards[3][1], product_type="Lost")
    (path,) = service.pieces.stage.folder.rglob(f"{made['image_sha256']}*")
    path.unlink()
    answer = httpx.get(f"{service.url}/v1/references/{made['reference_id']}/image")
    assert answer.status_code == 404
    assert str(path.parent) not in answer.text
