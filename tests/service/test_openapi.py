"""The OpenAPI document says all, and the service keeps to it whatever it is sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
OPERATIONS = {
    ("get", "/healthz"),
    ("get", "/metrics"),
    ("get", "/readyz"),
    ("get", "/v1/boards/{board_id}"),
    ("post", "/v1/dispositions"),
    ("get", "/v1/inspections"),
    ("post", "/v1/inspections"),
    ("get", "/v1/inspections/{inspection_id}"),
    ("get", "/v1/models"),
    ("post", "/v1/promotions"),
    ("get", "/v1/quality"),
    ("get", "/v1/references"),
    ("post", "/v1/references"),
    ("get", "/v1/references/{reference_id}"),
    ("delete", "/v1/references/{reference_id}"),
    ("get", "/v1/references/{reference_id}/image"),
    ("get", "/v1/stations"),
}
OPEN = {"/healthz", "/metrics", "/readyz"}
# Of each operation and each way to make requests; more find nothing more, and take longer.
EXAMPLES = 4


@pytest.fixture(scope="module")
def document(service: Any, boards: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    service.client.inspect(boards[0][0], board_id="B1", station_id="S")
    service.client.add_reference(boards[0][1], product_type="Hub")
    found: dict[str, Any] = httpx.get(f"{service.url}/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): one for path, methods in document["paths"].items() for method, one in methods.items()}


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    found = operations(document)
    assert set(found) == OPERATIONS
    tags = {tag["name"] for tag in document["tags"]}
    for (_, path), operation in found.items():
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags
        assert ("security" in operation) == (path not in OPEN)
        for status, response in operation["responses"].items():
            assert response["description"]
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]
    assert list(document["components"]["securitySchemes"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


def asked() -> list[Any]:
    """Each operation with right requests and, where there is something to get wrong, with wrong ones."""
    without_parameters = {*OPEN, "/v1/models", "/v1/stations"}
    return [
        pytest.param(method, path, mode, id=f"{method} {path} {mode.value}")
        for method, path in sorted(OPERATIONS)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or path not in without_parameters
    ]


@pytest.mark.parametrize(("method", "path", "mode"), asked())
def test_the_service_keeps_to_its_document(
    service: Any, document: dict[str, Any], method: str, path: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=service.url)
    operation = schema[path][method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    holds()
