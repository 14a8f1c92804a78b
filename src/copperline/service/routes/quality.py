"""The figures of a plant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from copperline.access.principals import Principal
from copperline.quality import Rate, pareto
from copperline.service.openapi import problems
from copperline.service.pieces import PiecesOf
from copperline.service.problems import invalid_request
from copperline.service.schemas import FigureDocument, ParetoDocument, QualityAsked, QualityDocument
from copperline.service.security import allow
from copperline.warehouse import (
    BoardCounts,
    BoardFilter,
    DefectCounts,
    ModelVersionKey,
    boards_by,
    defects_by,
    read_transaction,
)
from copperline.workflows.plant_figures import discovery_rate, plant_figures

router = APIRouter(prefix="/v1/quality", tags=["quality"])

# Why a figure may have no value where boards were inspected; where none was, that is why.
_NOT_MEASURED = {
    "reviewed_yield": "no board of the period was reviewed",
    "dpmo": "no board's product has its opportunities recorded",
    "false_call_rate": "no board of the period was reviewed as good",
    "escape_rate": "no escape is recorded and no passed board was audited",
    "false_discovery_rate": "no detection of the period was reviewed",
}
_DISCOVERY = "Detections reviewed as false (`false_calls`) / reviewed detections. It is not the false positive rate."


@router.get("", responses=problems())
def quality(
    pieces: PiecesOf, principal: Annotated[Principal, Depends(allow())], asked: Annotated[QualityAsked, Query()]
) -> QualityDocument:
    """Every figure of a period with unit, counts, 95 % interval and formula. Periods are cut at full UTC hours."""
    chosen = BoardFilter(
        asked.since,
        asked.until,
        tuple(asked.line),
        tuple(asked.product),
        tuple(_model(text) for text in asked.model),
    )
    with read_transaction(pieces.engine) as connection:
        counts = boards_by(connection, chosen)[()]
        by_class = {name: found for (name,), found in defects_by(connection, chosen, ("detected_class",)).items()}
    return QualityDocument(
        since=chosen.since,
        until=chosen.until,
        boards=counts.boards,
        simulated_boards=counts.simulated,
        figures=_figures(counts, DefectCounts.total((DefectCounts(), *by_class.values()))),
        pareto=[
            ParetoDocument(defect_class=row.name, count=row.count, share=row.share, cumulative=row.cumulative)
            for row in pareto({name: found.defects - found.false_calls for name, found in by_class.items()})
        ],
    )


def _model(text: str) -> ModelVersionKey:
    name, found, version = text.rpartition(":")
    if not (found and name and version):
        raise invalid_request("expected NAME:VERSION, such as pcb-detector:3, found another text", "query.model")
    return ModelVersionKey(name, version)


def _figures(counts: BoardCounts, defects: DefectCounts) -> list[FigureDocument]:
    found = [
        _figure(f.definition.key, f.definition.label, f.definition.formula, f.change.current, counts)
        for f in plant_figures(counts, None)
    ]
    discovery = _figure("false_discovery_rate", "False discovery rate", _DISCOVERY, discovery_rate(defects), counts)
    return [*found, discovery]


def _figure(key: str, label: str, formula: str, rate: Rate, counts: BoardCounts) -> FigureDocument:
    reason = None
    if rate.value is None:
        reason = _NOT_MEASURED.get(key, "no board was inspected") if counts.boards else "no board was inspected"
    return FigureDocument(
        key=key,
        label=label,
        value=rate.value,
        unit=rate.unit,
        proportion=rate.proportion,
        numerator=rate.numerator,
        denominator=rate.denominator,
        interval=rate.interval,
        formula=formula,
        not_measured=reason,
    )
