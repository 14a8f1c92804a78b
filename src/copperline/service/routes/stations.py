"""Stations of the line."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from copperline.access.principals import Principal
from copperline.service.openapi import problems
from copperline.service.pieces import PiecesOf
from copperline.service.schemas import StationDocument, StationsDocument
from copperline.service.security import allow
from copperline.warehouse import list_stations

router = APIRouter(prefix="/v1/stations", tags=["stations"])


@router.get("", responses=problems())
def stations(pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())]) -> StationsDocument:
    """Every station that ever reported, and when it last did."""
    return StationsDocument(
        stations=[
            StationDocument(
                station_id=station.station_id,
                line_id=station.line_id or None,
                first_seen_at=station.first_seen_at,
                last_seen_at=station.last_seen_at,
            )
            for station in list_stations(pieces.engine)
        ]
    )
