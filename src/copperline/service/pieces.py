"""What the routes work with; made once for each app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from copperline.line import LineInspector
from copperline.service.desk import Desk
from copperline.service.lane import Lane
from copperline.service.metrics import Metrics
from copperline.service.model_watch import ServiceModelWatch
from copperline.service.readiness import Readiness
from copperline.settings import Settings
from copperline.stage import Stage


@dataclass(frozen=True, eq=False, slots=True)
class Pieces:
    """Attributes:
    engine: of the warehouse.
    stage: where images are kept.
    max_pixels: of one image; None: no limit but the side's.
    """

    settings: Settings
    engine: Engine
    stage: Stage
    inspector: LineInspector
    metrics: Metrics
    lane: Lane
    desk: Desk
    watch: ServiceModelWatch
    readiness: Readiness
    max_pixels: int | None


def _pieces(request: Request) -> Pieces:
    found: Pieces = request.app.state.pieces
    return found


PiecesOf = Annotated[Pieces, Depends(_pieces)]
