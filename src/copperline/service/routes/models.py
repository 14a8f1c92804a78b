"""Models: which there are, which inspects now, which is to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from copperline.access.audit import audit_promotion
from copperline.access.principals import Principal, Scope
from copperline.errors import ModelError
from copperline.registry import catalogue, promote_model
from copperline.service.openapi import problems
from copperline.service.pieces import Pieces, PiecesOf
from copperline.service.problems import Problem
from copperline.service.schemas import ModelDocument, ModelsDocument, PromotionAnswer, PromotionAsked, Serving
from copperline.service.security import address_of, allow

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", responses=problems())
def models(pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())]) -> ModelsDocument:
    """Versions and aliases, and the one that inspects now."""
    return ModelsDocument(
        serving=serving(pieces),
        models=[
            ModelDocument(
                key=entry.key,
                name=entry.name,
                version=entry.version,
                aliases=list(entry.aliases),
                created_at=entry.created_at,
                sha256=entry.sha256,
                classes=None if entry.card is None else list(entry.card.classes),
                fault=None if entry.fault is None else entry.fault.problem,
            )
            for entry in catalogue(pieces.settings).entries
        ],
    )


@router.post("/promotions", status_code=201, responses=problems(404, 409))
def promote(
    request: Request,
    pieces: PiecesOf,
    principal: Annotated[Principal, Depends(allow(Scope.ADMIN))],
    asked: PromotionAsked,
) -> PromotionAnswer:
    """Point an alias to a version. Where it is the alias that inspects, the new model takes over within seconds."""
    if not any(
        asked.version == entry.key or asked.version in entry.aliases for entry in catalogue(pieces.settings).entries
    ):
        raise Problem(
            404,
            "not-found",
            "There is no such thing",
            f"expected a version or an alias of GET /v1/models, found no {asked.version!r}",
        )
    try:
        promoted = promote_model(pieces.settings, asked.version, asked.alias, by=principal.name, reason=asked.reason)
    except ModelError as error:
        if error.__cause__ is not None:  # the registry itself fails
            raise
        raise Problem(
            409, "cannot-promote", "The model cannot be promoted", f"{error.problem}; {error.fix or 'see its card'}"
        ) from error
    audit_promotion(pieces.engine, principal, promoted.name, asked.alias, promoted.version, address_of(request))
    pieces.watch.look_now()
    return PromotionAnswer(
        name=promoted.name, version=str(promoted.version), alias=asked.alias, aliases=list(promoted.aliases)
    )


def serving(pieces: Pieces) -> Serving:
    """The model that inspects now."""
    detector = pieces.inspector.detector
    return Serving(
        name=detector.name,
        version=detector.version,
        asked_for=pieces.watch.name,
        since=pieces.watch.since,
        fault=pieces.watch.fault,
    )
