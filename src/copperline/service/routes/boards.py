"""All that is known of a board."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from copperline.access.principals import Principal
from copperline.line import InspectionDocument
from copperline.service.fields import Name
from copperline.service.openapi import problems
from copperline.service.pieces import PiecesOf
from copperline.service.routes.dispositions import disposition_document
from copperline.service.schemas import BoardDocument, TracedInspection
from copperline.service.security import allow
from copperline.warehouse import trace_board

router = APIRouter(prefix="/v1/boards", tags=["boards"])


# `path`: a board's id may have a slash in it.
@router.get("/{board_id:path}", responses=problems(404))
def trace(
    pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())], board_id: Annotated[Name, Path()]
) -> BoardDocument:
    """All inspections of a board with images, model, operating point, conditioning, and what people decided."""
    board = trace_board(pieces.engine, board_id)
    taxonomy = pieces.inspector.detector.taxonomy
    return BoardDocument(
        board_id=board.board_id,
        line_id=board.line_id,
        product_type=board.product_type,
        panel_id=board.panel_id,
        manufacturing_date=board.manufacturing_date,
        simulated=board.source == "simulated",
        inspections=[
            TracedInspection.model_construct(
                **dict(InspectionDocument.of_trace(board, inspection, taxonomy)),
                verdict=inspection.verdict,
                dispositions=[
                    disposition_document(decided, (inspection.width, inspection.height))
                    for decided in inspection.dispositions
                ],
            )
            for inspection in board.inspections
        ],
    )
