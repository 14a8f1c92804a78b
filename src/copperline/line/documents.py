"""An inspection as other systems read it: the answer of the service, the payload of an event."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from copperline.taxonomy import Call, Severity, Taxonomy
from copperline.warehouse import (
    BoardTold,
    BoardTrace,
    InspectionRecord,
    InspectionTrace,
    inference_id_for,
    normalised_boxes,
    pixel_boxes,
)

Box = tuple[float, float, float, float]
Size = tuple[int | None, int | None]


class ModelName(BaseModel):
    """Which model version inspected."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str


class ImageIdentity(BaseModel):
    """An image by the hash of its file; `reference_id` where it is of the golden library."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    width: int | None = Field(None, description="px")
    height: int | None = Field(None, description="px")
    reference_id: str | None = None


class DetectionDocument(BaseModel):
    """One defect. `box` is x1, y1, x2, y2 in px of the test image; null if its size is not known."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    inference_id: str
    defect_class: str = Field(alias="class")
    severity: Severity | None
    confidence: float = Field(ge=0)
    box: tuple[float, float, float, float] | None


class InspectionDocument(BaseModel):
    """One image pair through one model version: the machine's call and what it rests on."""

    model_config = ConfigDict(frozen=True)

    inspection_id: str
    board_id: str
    inspected_at: AwareDatetime
    station_id: str
    line_id: str | None
    product_type: str | None
    panel_id: str | None
    simulated: bool = Field(description="Line, product or board are made up")
    call: Call
    registration_score: float | None = Field(description="0-1; null: without a reference")
    latency_ms: float = Field(description="From decoded images to the call")
    model: ModelName
    operating_point: dict[str, Any]
    image: ImageIdentity
    reference: ImageIdentity | None
    conditioning: dict[str, Any] | None = Field(description="Recipe that both images went through; null: none")
    brightness: float | None
    contrast: float | None
    detections: tuple[DetectionDocument, ...]

    @classmethod
    def of_record(cls, record: InspectionRecord, told: BoardTold, taxonomy: Taxonomy) -> InspectionDocument:
        """Of an inspection as it is about to be written."""
        boxes = normalised_boxes(record.detections, record.width, record.height)
        detections = tuple(
            _detection(
                inference_id_for(record.inspection_id, position),
                taxonomy[int(class_id)].name,
                float(confidence),
                (float(x), float(y), float(w), float(h)),
                (record.width, record.height),
                taxonomy,
            )
            for position, (class_id, confidence, (x, y, w, h)) in enumerate(
                zip(record.detections.class_ids, record.detections.confidences, np.asarray(boxes), strict=True)
            )
        )
        return cls(
            **_common(record),
            board_id=record.board_id,
            line_id=told.line_id,
            product_type=told.product_type,
            panel_id=told.panel_id,
            simulated=told.source == "simulated",
            detections=detections,
        )

    @classmethod
    def of_trace(cls, board: BoardTrace, inspection: InspectionTrace, taxonomy: Taxonomy) -> InspectionDocument:
        """Of an inspection as the warehouse has it; line and product are those that are known of the board now."""
        return cls(
            **_common(inspection),
            board_id=board.board_id,
            line_id=board.line_id,
            product_type=board.product_type,
            panel_id=board.panel_id,
            simulated=board.source == "simulated",
            detections=tuple(
                _detection(
                    d.inference_id,
                    d.defect_class,
                    d.confidence,
                    d.box,
                    (inspection.width, inspection.height),
                    taxonomy,
                )
                for d in inspection.detections
            ),
        )


def _common(row: InspectionRecord | InspectionTrace) -> dict[str, Any]:
    reference = None
    if row.reference_sha256 is not None:
        reference = ImageIdentity(sha256=row.reference_sha256, reference_id=row.reference_id)
    score = row.registration_score
    return {
        "inspection_id": row.inspection_id,
        "inspected_at": row.inspected_at,
        "station_id": row.station_id,
        "call": row.call,
        "registration_score": None if score is None else round(score, 4),
        "latency_ms": round(row.latency_ms, 2),
        "model": ModelName(name=row.model_name, version=row.model_version),
        "operating_point": json.loads(row.operating_point),
        "image": ImageIdentity(sha256=row.image_sha256, width=row.width, height=row.height),
        "reference": reference,
        "conditioning": None if row.conditioning is None else json.loads(row.conditioning),
        "brightness": None if row.brightness is None else round(row.brightness, 2),
        "contrast": None if row.contrast is None else round(row.contrast, 2),
    }


def box_in_px(box: Box, size: Size) -> Box | None:
    """x1, y1, x2, y2 in tenths of a px of a box in fractions of the image; None where its size is not known.

    Args:
        box: x_center, y_center, width, height.
        size: width and height of the image, px.

    >>> box_in_px((0.5, 0.25, 0.1, 0.5), (200, 100)), box_in_px((0.5, 0.25, 0.1, 0.5), (None, None))
    ((90.0, 0.0, 110.0, 50.0), None)
    """
    width, height = size
    if width is None or height is None:
        return None
    x1, y1, x2, y2 = pixel_boxes(box, width, height)[0].round(1).tolist()
    return x1, y1, x2, y2


def _detection(
    inference_id: str,
    name: str,
    confidence: float,
    box: Box,
    size: Size,
    taxonomy: Taxonomy,
) -> DetectionDocument:
    # A row may be of a model whose classes are not this factory's any more.
    severity = taxonomy.by_name(name).severity if name in taxonomy.names else None
    return DetectionDocument(
        inference_id=inference_id,
        defect_class=name,
        severity=severity,
        confidence=round(confidence, 4),
        box=box_in_px(box, size),
    )
