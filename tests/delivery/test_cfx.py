"""Messages have the shape that is written down here, after the classes of the public CFX SDK: no certificate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("jsonschema", reason="jsonschema is not installed")

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from copperline.delivery.cfx import units_inspected
from copperline.delivery.opening import trial_event
from copperline.errors import DataError
from copperline.sink_settings import WebhookSink

TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
TEXT, MAYBE_TEXT = {"type": "string", "minLength": 1}, {"type": ["string", "null"]}
RESULT = {"enum": ["Passed", "Failed", "Error", "Aborted"]}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def a_list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


NULL = {"type": "null"}
DEFECT = an_object(
    UniqueIdentifier=TEXT,
    DefectCode=TEXT,
    DefectCategory=MAYBE_TEXT,
    Description=MAYBE_TEXT,
    Comments=MAYBE_TEXT,
    ComponentOfInterest=NULL,
    RegionOfInterest=NULL,
    DefectImages=a_list({}),
    Priority={"type": "integer", "minimum": 0},
    ConfidenceLevel={"type": "number", "minimum": 0, "maximum": 100},
    RelatedMeasurements=a_list({}),
    RelatedSymptoms=a_list({}),
)
MEASUREMENT = an_object(
    **{"$type": {"const": "CFX.Structures.NumericMeasurement, CFX"}},
    UniqueIdentifier=TEXT,
    MeasurementName=TEXT,
    MeasuredValue=an_object(
        Value={"type": "number"},
        ValueUnits=TEXT,
        ExpectedValue=NULL,
        ExpectedValueUnits=NULL,
        MinimumAcceptableValue=NULL,
        MaximumAcceptableValue=NULL,
    ),
    TimeRecorded=TIME,
    Sequence={"type": "integer", "minimum": 1},
    Result=RESULT,
    Components=NULL,
)
INSPECTION = an_object(
    UniqueIdentifier=TEXT,
    InspectionName=TEXT,
    InspectionStartTime=TIME,
    InspectionEndTime=TIME,
    TestProcedure=MAYBE_TEXT,
    Comments=MAYBE_TEXT,
    Result=RESULT,
    Error=MAYBE_TEXT,
    DefectsFound=a_list(DEFECT),
    Symptoms=a_list({}),
    Measurements=a_list(MEASUREMENT),
)
SCHEMA = an_object(
    MessageName={"const": "CFX.Production.TestAndInspection.UnitsInspected"},
    Version=TEXT,
    TimeStamp=TIME,
    UniqueID=TEXT,
    Source=TEXT,
    Target=MAYBE_TEXT,
    RequestID=MAYBE_TEXT,
    MessageBody=an_object(
        **{"$type": {"const": "CFX.Production.TestAndInspection.UnitsInspected, CFX"}},
        TransactionId=TEXT,
        InspectionMethod={"enum": ["Human", "AOI", "SPI", "AXI", "Unspecified"]},
        SamplingInformation=an_object(SamplingMethod=TEXT, LotSize={}, SampleSize={}),
        Inspector=an_object(
            OperatorIdentifier=TEXT,
            ActorType={"enum": ["Human", "Robot", "RemoteSystem"]},
            LastName=MAYBE_TEXT,
            FirstName=MAYBE_TEXT,
            LoginName=MAYBE_TEXT,
        ),
        InspectedUnits={
            "type": "array",
            "minItems": 1,
            "items": an_object(
                UnitIdentifier=TEXT,
                UnitPositionNumber={"type": "integer", "minimum": 1},
                OverallResult=RESULT,
                Inspections={"type": "array", "minItems": 1, "items": INSPECTION},
            ),
        },
    ),
)
Payload = Callable[..., dict[str, Any]]


def checked(message: dict[str, Any]) -> dict[str, Any]:
    message = json.loads(json.dumps(message))
    jsonschema.Draft202012Validator(SCHEMA).validate(message)
    return message


def test_a_failed_board(payload: Payload) -> None:
    message = checked(units_inspected("E1", payload("B1", panel_id="P7", simulated=True)))
    assert (message["UniqueID"], message["Source"]) == ("E1", "Copperline.L1.AOI-1")
    body = message["MessageBody"]
    assert body["TransactionId"] == payload("B1")["inspection_id"]
    (unit,) = body["InspectedUnits"]
    assert (unit["UnitIdentifier"], unit["OverallResult"]) == ("B1", "Failed")
    (inspection,) = unit["Inspections"]
    assert inspection["Comments"] == "Panel P7. Product Hub. Simulated: line, product or board are made up."
    (defect,) = inspection["DefectsFound"]
    assert (defect["DefectCode"], defect["DefectCategory"], defect["ConfidenceLevel"], defect["Priority"]) == (
        "open",
        "critical",
        90.0,
        1,
    )
    assert defect["Comments"].endswith("10 20 30 60")
    assert [m["MeasurementName"] for m in inspection["Measurements"]] == ["Registration score", "Brightness", "Latency"]


def test_a_withheld_board_is_neither_passed_nor_failed(payload: Payload) -> None:
    message = checked(units_inspected("E1", payload("B1", call="WITHHELD", detections=[])))
    (unit,) = message["MessageBody"]["InspectedUnits"]
    assert {unit["OverallResult"], unit["Inspections"][0]["Result"]} == {"Error"}
    assert "awaits a person's review" in unit["Inspections"][0]["Error"]


def test_a_passed_board_of_which_little_is_known(payload: Payload) -> None:
    bare = payload("B1", call="PASS", detections=[], line_id=None, product_type=None, registration_score=None)
    message = checked(units_inspected("E1", {**bare, "brightness": None, "latency_ms": None}))
    (unit,) = message["MessageBody"]["InspectedUnits"]
    assert unit["OverallResult"] == "Passed"
    assert unit["Inspections"][0]["Measurements"] == []
    assert message["Source"] == "Copperline.UNKNOWN.AOI-1"


@given(
    call=st.sampled_from(["PASS", "FAIL", "WITHHELD"]),
    board=st.text(min_size=1),
    line=st.none() | st.text(),
    confidences=st.lists(st.floats(0, 1), max_size=4),
    severity=st.sampled_from([None, "critical", "major", "minor"]),
    score=st.none() | st.floats(0, 1),
)
def test_any_inspection_has_the_shape(
    call: str, board: str, line: str | None, confidences: list[float], severity: str | None, score: float | None
) -> None:
    detections = [
        {"inference_id": f"D{n}", "class": "spur", "severity": severity, "confidence": confidence, "box": None}
        for n, confidence in enumerate(confidences)
    ]
    given = {
        "inspection_id": "I1",
        "board_id": board,
        "inspected_at": "2026-03-01T12:00:00Z",
        "station_id": "S",
        "line_id": line,
        "call": call,
        "registration_score": score,
        "model": {"name": "m", "version": "1"},
        "detections": detections,
    }
    message = checked(units_inspected("E1", given))
    (unit,) = message["MessageBody"]["InspectedUnits"]
    assert unit["UnitIdentifier"] == board
    assert (unit["OverallResult"] == "Passed") == (call == "PASS")
    assert (unit["OverallResult"] == "Failed") == (call == "FAIL")
    assert len(unit["Inspections"][0]["DefectsFound"]) == len(confidences)


@pytest.mark.parametrize("wrong", [{"call": "MAYBE"}, {"board_id": None}, {"inspected_at": "2026-03-01T12:00:00"}])
def test_what_is_no_inspection_is_refused(payload: Payload, wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        units_inspected("E1", {**payload("B1"), **wrong})


def test_the_trial_event_has_the_shape() -> None:
    event = trial_event(WebhookSink(kind="webhook", name="mes", url="http://mes", format="cfx"))
    message = checked(units_inspected(event.event_id, json.loads(event.payload)))
    assert "Simulated" in message["MessageBody"]["InspectedUnits"][0]["Inspections"][0]["Comments"]
