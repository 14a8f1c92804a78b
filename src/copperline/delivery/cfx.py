"""Inspections shaped like the message UnitsInspected of IPC-2591 (CFX).

Shaped like it: the members are those of the classes in the public SDK of CFX. Not checked against the standard's text,
and not certified. docs/integration.md says what that means for a plant.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from copperline.errors import DataError

MESSAGE_NAME = "CFX.Production.TestAndInspection.UnitsInspected"
VERSION = "1.7"
# CFX names results Passed, Failed, Error and Aborted. A withheld board was neither passed nor failed: the machine could
# not decide, mostly because the image does not fit its reference. `Passed` would let it go on, `Failed` would count a
# defect that nobody saw, `Aborted` says that somebody stopped the inspection. `Error` is left: no result, look at it.
RESULTS = {"PASS": "Passed", "FAIL": "Failed", "WITHHELD": "Error"}
_WHY_WITHHELD = "Call WITHHELD: the inspection could not decide; the board awaits a person's review."
# 1 is the most urgent.
_PRIORITIES = {"critical": 1, "major": 2, "minor": 3}

Fraction = Annotated[float, Field(ge=0, le=1)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Detection(_Given):
    inference_id: str
    defect_class: str = Field(alias="class")
    severity: str | None = None
    confidence: Fraction
    box: tuple[float, float, float, float] | None = None


class _Model(_Given):
    name: str
    version: str


class _Inspection(_Given):
    """What is used of the payload of inspection.completed."""

    inspection_id: str
    board_id: str
    inspected_at: AwareDatetime
    station_id: str
    line_id: str | None = None
    product_type: str | None = None
    panel_id: str | None = None
    simulated: bool = False
    call: Literal["PASS", "FAIL", "WITHHELD"]
    registration_score: float | None = None
    latency_ms: float | None = None
    model: _Model
    brightness: float | None = None
    contrast: float | None = None
    detections: tuple[_Detection, ...] = ()


def units_inspected(event_id: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The message of one inspected board, in its envelope.

    `UniqueID` is the event's id and `TransactionId` the inspection's: the same at every try.

    Args:
        payload: of an event inspection.completed (an inspection as the service answers it).

    Raises:
        DataError: it is not one.
    """
    try:
        given = _Inspection.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"expected an inspection as JSON, found a wrong {name!r}: {first['msg']}", where=event_id
        ) from None
    return {
        "MessageName": MESSAGE_NAME,
        "Version": VERSION,
        "TimeStamp": given.inspected_at.isoformat(),
        "UniqueID": event_id,
        "Source": ".".join(("Copperline", given.line_id or "UNKNOWN", given.station_id)),
        "Target": None,
        "RequestID": None,
        "MessageBody": {
            "$type": f"{MESSAGE_NAME}, CFX",
            "TransactionId": given.inspection_id,
            "InspectionMethod": "AOI",
            "SamplingInformation": {"SamplingMethod": "NoSampling", "LotSize": None, "SampleSize": None},
            "Inspector": {
                "OperatorIdentifier": f"{given.model.name} {given.model.version}",
                "ActorType": "Robot",
                "LastName": None,
                "FirstName": None,
                "LoginName": None,
            },
            "InspectedUnits": [_unit(given)],
        },
    }


def _unit(given: _Inspection) -> dict[str, Any]:
    result = RESULTS[given.call]
    return {
        "UnitIdentifier": given.board_id,
        # Of one board by itself; where it lies in its panel is not known.
        "UnitPositionNumber": 1,
        "OverallResult": result,
        "Inspections": [
            {
                "UniqueIdentifier": given.inspection_id,
                "InspectionName": "Bare board, all of it",
                "InspectionStartTime": given.inspected_at.isoformat(),
                "InspectionEndTime": given.inspected_at.isoformat(),
                "TestProcedure": f"{given.model.name} {given.model.version}",
                "Comments": _comments(given),
                "Result": result,
                "Error": _WHY_WITHHELD if given.call == "WITHHELD" else None,
                "DefectsFound": [_defect(detection) for detection in given.detections],
                "Symptoms": [],
                "Measurements": _measurements(given),
            }
        ],
    }


def _comments(given: _Inspection) -> str | None:
    told = [f"Panel {given.panel_id}."] if given.panel_id else []
    told += [f"Product {given.product_type}."] if given.product_type else []
    told += ["Simulated: line, product or board are made up."] if given.simulated else []
    return " ".join(told) or None


def _defect(detection: _Detection) -> dict[str, Any]:
    # Regions of CFX are in millimetres of the board, and only pixels are known here.
    box = None
    if detection.box is not None:
        box = "Box in px of the image, x1 y1 x2 y2: " + " ".join(f"{edge:g}" for edge in detection.box)
    return {
        "UniqueIdentifier": detection.inference_id,
        "DefectCode": detection.defect_class,
        "DefectCategory": detection.severity,
        "Description": detection.defect_class,
        "Comments": box,
        "ComponentOfInterest": None,
        "RegionOfInterest": None,
        "DefectImages": [],
        "Priority": _PRIORITIES.get(detection.severity or "", 0),
        "ConfidenceLevel": round(100 * detection.confidence, 2),
        "RelatedMeasurements": [],
        "RelatedSymptoms": [],
    }


def _measurements(given: _Inspection) -> list[dict[str, Any]]:
    values = (
        ("Registration score", given.registration_score, "0-1"),
        ("Brightness", given.brightness, "grey level, 0-255"),
        ("Contrast", given.contrast, "grey levels"),
        ("Latency", given.latency_ms, "ms"),
    )
    measured = [(name, value, unit) for name, value, unit in values if value is not None]
    return [
        {
            "$type": "CFX.Structures.NumericMeasurement, CFX",
            "UniqueIdentifier": f"{given.inspection_id} {name}",
            "MeasurementName": name,
            "MeasuredValue": {
                "Value": value,
                "ValueUnits": unit,
                "ExpectedValue": None,
                "ExpectedValueUnits": None,
                "MinimumAcceptableValue": None,
                "MaximumAcceptableValue": None,
            },
            "TimeRecorded": given.inspected_at.isoformat(),
            "Sequence": position,
            # It was measured; whether it is good is not judged.
            "Result": "Passed",
            "Components": None,
        }
        for position, (name, value, unit) in enumerate(measured, start=1)
    ]
