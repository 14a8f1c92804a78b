"""Boards in, calls out."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Header, Path, Query, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool

from copperline.access.principals import Principal, Scope
from copperline.line import InspectionDocument, Submission
from copperline.service.desk import request_key
from copperline.service.fields import IdempotencyKey, Key, Name, NameOrEmpty
from copperline.service.forms import RecipeText, only_fields, read, recipe_of
from copperline.service.handlers import CLIENT_GONE
from copperline.service.limits import limited_forms
from copperline.service.openapi import problems
from copperline.service.pieces import PiecesOf
from copperline.service.problems import invalid_request
from copperline.service.schemas import InspectionAnswer, InspectionsAsked, InspectionsPage
from copperline.service.security import allow
from copperline.warehouse import InspectionFilter, PageEnd, find_inspection, list_inspections, read_inspections

router = APIRouter(prefix="/v1/inspections", tags=["inspections"], route_class=limited_forms())

_FIELDS = (
    "image",
    "reference",
    "reference_id",
    "board_id",
    "station_id",
    "line_id",
    "product_type",
    "revision",
    "panel_id",
    "conditioning",
    "simulated",
)
_THERE = {"description": "The inspection was there already", "model": InspectionAnswer}
_MADE = {"description": "The board was inspected", "headers": {"Location": {"schema": {"type": "string"}}}}


@router.post(
    "",
    status_code=201,
    response_model=InspectionAnswer,
    responses={201: _MADE, 200: _THERE, **problems(404, 409, 504)},
    dependencies=[Depends(only_fields(*_FIELDS))],
)
async def inspect(
    request: Request,
    response: Response,
    pieces: PiecesOf,
    principal: Annotated[Principal, Depends(allow(Scope.INSPECT))],
    image: Annotated[UploadFile, File(description="JPEG, PNG, BMP, TIFF, PGM or PPM")],
    board_id: Annotated[Name, Form(description="Serial number of the board")],
    station_id: Annotated[Name, Form(description="Where it is inspected")],
    reference: Annotated[UploadFile | None, File(description="Golden image of the board, of the same size")] = None,
    reference_id: Annotated[Key | None, Form(description="Golden image of the library")] = None,
    line_id: Annotated[Name | None, Form()] = None,
    product_type: Annotated[Name | None, Form(description="Its current golden image is used if none is named")] = None,
    revision: Annotated[NameOrEmpty, Form(description="Of the product")] = "",
    panel_id: Annotated[Name | None, Form()] = None,
    conditioning: RecipeText = None,
    simulated: Annotated[bool, Form(description="Line, product or board are made up")] = False,
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(description="The same again gets the same inspection; a new one for each board"),
    ] = None,
) -> InspectionAnswer | Response:
    """Inspect a board. The answer comes when the inspection is in the warehouse."""
    if reference_id is not None and (reference is not None or conditioning):
        raise invalid_request(
            "expected reference_id alone, which brings its image and conditioning, found one of them too; leave it out",
            "body.reference_id",
        )
    submission = Submission(
        board_id=board_id,
        station_id=station_id,
        image=await read(image, "image"),
        reference=None if reference is None else await read(reference, "reference"),
        reference_id=reference_id,
        product_type=product_type,
        revision=revision,
        line_id=line_id,
        panel_id=panel_id,
        recipe=recipe_of(conditioning),
        source="simulated" if simulated else "real",
    )
    if idempotency_key is not None:
        # Hashing some megabytes takes longer than the other requests should wait.
        request_of = await run_in_threadpool(request_key, principal, idempotency_key, submission)
        submission = replace(submission, request=request_of)

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    reply = await pieces.desk.ask(submission, gone)
    if reply is None:
        return Response(status_code=CLIENT_GONE)
    response.status_code = 201 if reply.new else 200
    response.headers["Location"] = f"/v1/inspections/{reply.document.inspection_id}"
    return InspectionAnswer.of(reply.document, reply.new)


@router.get("", responses=problems())
def list_(
    pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())], asked: Annotated[InspectionsAsked, Query()]
) -> InspectionsPage:
    """Inspections, the newest first."""
    chosen = InspectionFilter(**asked.model_dump(exclude={"limit", "cursor"}))
    after = None if asked.cursor is None else _end_of(asked.cursor)
    page = list_inspections(pieces.engine, chosen, after=after, limit=asked.limit)
    taxonomy = pieces.inspector.detector.taxonomy
    return InspectionsPage(
        inspections=[InspectionDocument.of_trace(*found, taxonomy) for found in page.found],
        next_cursor=None if page.end is None else _cursor_of(page.end),
    )


@router.get("/{inspection_id}", responses=problems(404))
def get(
    pieces: PiecesOf,
    principal: Annotated[Principal, Depends(allow())],
    inspection_id: Annotated[Key, Path()],
) -> InspectionDocument:
    """One inspection."""
    found = read_inspections(pieces.engine, [inspection_id]) or (find_inspection(pieces.engine, inspection_id),)
    return InspectionDocument.of_trace(*found[0], pieces.inspector.detector.taxonomy)


def _cursor_of(end: PageEnd) -> str:
    text = json.dumps([end.inspected_at.isoformat(), end.inspection_id])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _end_of(cursor: str) -> PageEnd:
    try:
        moment, key = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        at = datetime.fromisoformat(moment)
        if at.utcoffset() is None or not isinstance(key, str):
            raise ValueError("no time with its zone, or no key")
        key.encode()
        return PageEnd(at, key)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise invalid_request("expected next_cursor of a page, found another text", "query.cursor") from error
