"""The rows that other packages hand to the warehouse, as frozen dataclasses."""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from copperline.detections import Detections
from copperline.taxonomy import Call

Source = Literal["real", "simulated"]

# Any fixed UUID will do; changing it would make known inspections look new.
_NAMESPACE = uuid.UUID("6f0b8d3a-52a4-4f5c-9a63-0f6f2f8f4c11")


def inspection_id_for(
    board_id: str,
    image_sha256: str,
    reference_sha256: str | None,
    model_name: str,
    model_version: str,
    operating_point: str,
    conditioning: str | None = None,
) -> str:
    """The id of an inspection: the same board, images, model and operating point always give the same.

    So a run that is repeated after a crash adds nothing that is already there. `operating_point` and `conditioning`
    are compared as text: render their JSON always in the same way.

    >>> first = inspection_id_for("B1", "aa", None, "pcb-detector", "3", "{}")
    >>> first == inspection_id_for("B1", "aa", None, "pcb-detector", "3", "{}")
    True
    >>> first == inspection_id_for("B1", "aa", "bb", "pcb-detector", "3", "{}")
    False
    """
    # A JSON list keeps the parts apart (`a`, `bc` is not `ab`, `c`) and null apart from the empty string.
    parts = [board_id, image_sha256, reference_sha256, model_name, model_version, operating_point]
    if conditioning is not None:  # without one the id is what it was before there was any
        parts.append(conditioning)
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts)))


def inference_id_for(inspection_id: str, position: int) -> str:
    """The id of the detection at `position` (from 0) in its inspection."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([inspection_id, position])))


@dataclass(frozen=True, slots=True)
class InspectionRecord:
    """One image pair through one model version, and what came of it.

    Attributes:
        inspection_id: from `inspection_id_for`.
        inspected_at: with its time zone; stored in UTC.
        operating_point: JSON text of the operating point in force.
        image_sha256, reference_sha256: hexadecimal, of the files' bytes.
        registration_score: quality of the registration in [0, 1]; None without a reference.
        latency_ms: milliseconds from image to call.
        width, height: of the test image in pixels, which the boxes are in.
        detections: those that passed the operating point.
        brightness, contrast: mean and standard deviation of the test image's grey levels, 0-255; None: not measured.
        reference_id: of the golden library; None: no reference, or one from outside the library.
        conditioning: JSON text of the recipe that both images went through; None: none.

    Raises:
        ValueError: for a time without its zone, a size that is not positive or a figure that is not finite.
    """

    inspection_id: str
    board_id: str
    inspected_at: datetime
    station_id: str
    model_name: str
    model_version: str
    operating_point: str
    image_path: str
    image_sha256: str
    reference_path: str | None
    reference_sha256: str | None
    registration_score: float | None
    call: Call
    latency_ms: float
    width: int
    height: int
    detections: Detections
    brightness: float | None = None
    contrast: float | None = None
    reference_id: str | None = None
    conditioning: str | None = None

    def __post_init__(self) -> None:
        if self.inspected_at.utcoffset() is None:
            raise ValueError(f"expected inspected_at with its time zone, found {self.inspected_at.isoformat()}")
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"expected an image size above 0 px, found {self.width} x {self.height}")
        for name in ("registration_score", "latency_ms", "brightness", "contrast"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"expected a finite {name}, found {value}")


@dataclass(frozen=True, slots=True)
class BoardRecord:
    """What the factory knows of a board: one row of `pcb_metadata`.

    Attributes:
        source: `simulated` if any of it was made up; then every figure built on it must say so.
        opportunities: defect opportunities per board; None: unknown, so DPMO is not measured.
    """

    board_id: str
    manufacturing_date: date | None
    factory_line_id: str | None
    product_type: str | None
    image_path: str | None
    created_at: datetime
    panel_id: str | None
    source: Source
    opportunities: int | None
