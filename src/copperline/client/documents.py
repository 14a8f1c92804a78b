"""What the service's JSON documents have in them: they come as they are, and these types name their members."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from copperline.taxonomy import Disposition

Box = tuple[float, float, float, float]


class ModelName(TypedDict):
    """Which model version inspected."""

    name: str
    version: str


class ImageIdentity(TypedDict):
    """An image by the SHA-256 of its file; sizes in px, null where they are not known."""

    sha256: str
    width: int | None
    height: int | None
    reference_id: str | None


# `class` is a word of Python, so this one cannot be written as a class.
Detection = TypedDict(
    "Detection",
    {"inference_id": str, "class": str, "severity": str | None, "confidence": float, "box": list[float] | None},
)


class Inspection(TypedDict):
    """One image pair through one model version. `new` is there in the answer to `inspect` alone."""

    inspection_id: str
    board_id: str
    inspected_at: str
    station_id: str
    line_id: str | None
    product_type: str | None
    panel_id: str | None
    simulated: bool
    call: Literal["PASS", "FAIL", "WITHHELD"]
    registration_score: float | None
    latency_ms: float
    model: ModelName
    operating_point: dict[str, Any]
    image: ImageIdentity
    reference: ImageIdentity | None
    conditioning: dict[str, Any] | None
    brightness: float | None
    contrast: float | None
    detections: list[Detection]
    new: NotRequired[bool]


class Judgement(TypedDict):
    """What a person decided; `box` is x1, y1, x2, y2 in px of the test image.

    ESCAPE with `corrected_class` and `box` and without `inference_id` is a defect that was not detected.
    """

    inspection_id: str
    disposition: Disposition | Literal["CONFIRMED", "FALSE_CALL", "ESCAPE"]
    inference_id: NotRequired[str]
    corrected_class: NotRequired[str]
    box: NotRequired[Box]
    note: NotRequired[str]


class Reference(TypedDict):
    """A version of a product's golden image."""

    reference_id: str
    product_type: str
    revision: str
    version: int
    image_sha256: str
    width: int
    height: int
    conditioning: dict[str, Any] | None
    opportunities: int | None
    created_at: str
    created_by: str
    retired_at: str | None
    note: str | None


class Station(TypedDict):
    """A station of the line."""

    station_id: str
    line_id: str | None
    first_seen_at: str
    last_seen_at: str
