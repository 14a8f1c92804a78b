"""For whoever runs the service. These need no key, so they say nothing of boards."""

from __future__ import annotations

from fastapi import APIRouter, Response

from copperline.service.metrics import CONTENT_TYPE
from copperline.service.openapi import only_problems
from copperline.service.pieces import PiecesOf
from copperline.service.problems import Problem
from copperline.service.routes.models import serving
from copperline.service.schemas import Health, Ready

router = APIRouter(tags=["service"])


@router.get("/healthz", responses=only_problems(500))
async def healthz() -> Health:
    """Whether the process answers; if not, start it again."""
    return Health()


@router.get("/readyz", responses=only_problems(500, 503))
def readyz(pieces: PiecesOf) -> Ready:
    """Whether boards can be inspected now; if not, send them elsewhere and look again."""
    reasons = pieces.readiness.reasons()
    if reasons:
        raise Problem(
            503,
            "not-ready",
            "The service cannot inspect now",
            "; ".join(reasons),
            reasons=list(reasons),
            headers={"Retry-After": "1"},
        )
    return Ready(model=serving(pieces), waiting=pieces.lane.depth)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **only_problems(500)},
)
async def metrics(pieces: PiecesOf) -> Response:
    """For Prometheus."""
    return Response(pieces.metrics.text(), media_type=CONTENT_TYPE)
