"""What people decide of calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from copperline.access.audit import audit_review
from copperline.access.principals import Principal, Scope
from copperline.errors import NotFoundError
from copperline.line.documents import Size, box_in_px
from copperline.service.openapi import problems
from copperline.service.pieces import Pieces, PiecesOf
from copperline.service.problems import invalid_request
from copperline.service.schemas import (
    DispositionDocument,
    DispositionsAnswer,
    DispositionsAsked,
    JudgementAsked,
)
from copperline.service.security import address_of, allow
from copperline.warehouse import DispositionRow, InspectionTrace, Judgement, read_inspections, record_dispositions

router = APIRouter(prefix="/v1/dispositions", tags=["dispositions"])


@router.post("", status_code=201, responses=problems(404, 409))
def judge(
    request: Request,
    pieces: PiecesOf,
    principal: Annotated[Principal, Depends(allow(Scope.REVIEW))],
    asked: DispositionsAsked,
) -> DispositionsAnswer:
    """Record what one person decided: all of it, or nothing. Earlier dispositions stay; the latest counts."""
    reviewer = _reviewer(principal, asked.reviewer)
    _require_classes(pieces, asked.judgements)
    wanted = sorted({judgement.inspection_id for judgement in asked.judgements})
    inspections = {trace.inspection_id: trace for _, trace in read_inspections(pieces.engine, wanted)}
    judgements = [_judgement(judgement, inspections) for judgement in asked.judgements]
    made = record_dispositions(pieces.engine, judgements, reviewer)
    for inspection_id in wanted:
        ids = [key for key, judgement in zip(made, judgements, strict=True) if judgement.inspection_id == inspection_id]
        audit_review(pieces.engine, principal, inspection_id, ids, address_of(request))
    return DispositionsAnswer(
        dispositions=sorted(
            (
                disposition_document(row, (trace.width, trace.height))
                for _, trace in read_inspections(pieces.engine, wanted)
                for row in trace.dispositions
                if row.disposition_id in made
            ),
            key=lambda document: document.decided_at,
        )
    )


def disposition_document(row: DispositionRow, size: Size) -> DispositionDocument:
    """Of a row; `size` is width and height of the test image in px, None where they are not known."""
    return DispositionDocument(
        disposition_id=row.disposition_id,
        inspection_id=row.inspection_id,
        inference_id=row.inference_id,
        disposition=row.disposition,
        reviewer=row.reviewer,
        decided_at=row.decided_at,
        note=row.note,
        corrected_class=row.corrected_class,
        box=None if row.box is None else box_in_px(row.box, size),
    )


def _reviewer(principal: Principal, named: str | None) -> str:
    if principal.key_id is None:
        if named is None:
            raise invalid_request("expected the field reviewer, found none; say who decided")
        return named
    if named not in (None, principal.name):
        raise invalid_request("expected no reviewer beside a key, whose own name counts, found another; leave it out")
    return principal.name


def _require_classes(pieces: Pieces, judgements: list[JudgementAsked]) -> None:
    known = dict.fromkeys((*pieces.inspector.detector.taxonomy.names, *pieces.settings.taxonomy.names))
    for judgement in judgements:
        if judgement.corrected_class is not None and judgement.corrected_class not in known:
            raise invalid_request(
                f"expected as corrected_class one of {', '.join(known)}, found {judgement.corrected_class!r}"
            )


def _judgement(asked: JudgementAsked, inspections: dict[str, InspectionTrace]) -> Judgement:
    inspection = inspections.get(asked.inspection_id)
    if inspection is None:
        raise NotFoundError(
            f"expected a known inspection, found no {asked.inspection_id!r}", fix="give its inspection_id"
        )
    return Judgement(
        inspection_id=asked.inspection_id,
        disposition=asked.disposition,
        inference_id=asked.inference_id,
        note=asked.note or None,
        corrected_class=asked.corrected_class,
        box=None if asked.box is None else _fractions(asked.box, inspection.width, inspection.height),
    )


def _fractions(
    box: tuple[float, float, float, float], width: int | None, height: int | None
) -> tuple[float, float, float, float]:
    if width is None or height is None:
        raise invalid_request("expected an inspection that knows its image's size for a box, found one that does not")
    left, top, right, bottom = box
    if right > width or bottom > height:
        raise invalid_request(
            f"expected a box inside the image of {width} x {height} px, found x2, y2 {right:g}, {bottom:g}"
        )
    return (left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height
