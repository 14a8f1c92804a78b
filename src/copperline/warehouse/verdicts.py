"""What review found: of each detection, and of each inspection. The latest disposition counts.

This is the one definition: the counts of the plant, the review queue and the comparison of models all use it.
"""

from __future__ import annotations

from sqlalchemy import CTE, ColumnElement, Subquery, and_, case, func, not_, or_, select, true

from copperline.taxonomy import Call, Disposition
from copperline.warehouse.tables import defect_logs, dispositions, inspections

GOOD, BAD = "GOOD", "BAD"

# A defect that was not detected, with its place. It says nothing of what was detected.
MISSED_DEFECT = and_(
    dispositions.c.inference_id.is_(None),
    dispositions.c.disposition == Disposition.ESCAPE.value,
    dispositions.c.bbox_x_center.is_not(None),
)


def detection_verdicts(scope: ColumnElement[bool] | None = None) -> CTE:
    """For each reviewed detection its latest disposition, of itself or of its board. A missed defect is of neither.

    Columns: inference_id, inspection_id, detected_class, disposition.

    Args:
        scope: a condition on `dispositions`; None: all.
    """
    newest = (dispositions.c.decided_at.desc(), dispositions.c.disposition_id.desc())
    ranked = (
        select(
            defect_logs.c.inference_id,
            defect_logs.c.inspection_id,
            defect_logs.c.detected_class,
            dispositions.c.disposition,
            func.row_number().over(partition_by=defect_logs.c.inference_id, order_by=newest).label("age"),
        )
        .join(
            dispositions,
            and_(
                dispositions.c.inspection_id == defect_logs.c.inspection_id,
                or_(dispositions.c.inference_id.is_(None), dispositions.c.inference_id == defect_logs.c.inference_id),
            ),
        )
        .where(not_(MISSED_DEFECT), true() if scope is None else scope)
        .subquery()
    )
    shown = [column for column in ranked.c if column.name != "age"]
    return select(*shown).where(ranked.c.age == 1).cte("detection_verdicts")


def inspection_verdicts(scope: ColumnElement[bool] | None = None) -> CTE:
    """For each reviewed inspection whether the board was found GOOD or BAD there; null while only part is judged.

    Columns: inspection_id, verdict, calls_judged. BAD: an ESCAPE, or, of a board that was not passed, a missed defect
    or one confirmed detection. GOOD: a confirmed PASS, or a board of which all detections are false calls. A board that
    was not passed and has no detections is what the disposition of the whole board says: FALSE_CALL is good, anything
    else bad. So a confirmed WITHHELD is a bad board: the machine rightly did not pass it, and the reviewer's button for
    it says "Defect".

    A missed defect of a board that was not passed is taken back by a later FALSE_CALL of the whole board alone: whoever
    confirms its detections says nothing of it. On a board that was passed, any later word of the whole board counts.

    calls_judged is 1 where what was said of the detections would decide the board without its missed defects: one is
    confirmed or all are false calls; and where there are none.
    """
    newest = (dispositions.c.decided_at.desc(), dispositions.c.disposition_id.desc())
    ranked = (
        select(
            dispositions.c.inspection_id,
            dispositions.c.disposition,
            func.row_number().over(partition_by=dispositions.c.inspection_id, order_by=newest).label("age"),
        )
        .where(dispositions.c.inference_id.is_(None), true() if scope is None else scope)
        .subquery()
    )
    whole = select(ranked.c.inspection_id, ranked.c.disposition).where(ranked.c.age == 1).subquery()
    missed = _standing_missed_defects(scope)
    found = detection_verdicts(scope)
    judged = (
        select(
            found.c.inspection_id,
            func.sum(case((found.c.disposition == Disposition.CONFIRMED.value, 1), else_=0)).label("confirmed"),
            func.sum(case((found.c.disposition == Disposition.FALSE_CALL.value, 1), else_=0)).label("false_calls"),
            func.count().label("judged"),
        )
        .group_by(found.c.inspection_id)
        .subquery()
    )
    passed = inspections.c.call == Call.PASS.value
    verdict = case(
        (whole.c.disposition == Disposition.ESCAPE.value, BAD),
        (and_(passed, whole.c.disposition.is_not(None)), GOOD),
        (passed, None),
        (missed.c.inspection_id.is_not(None), BAD),
        (judged.c.confirmed > 0, BAD),
        (judged.c.false_calls == inspections.c.defect_count, GOOD),
        (inspections.c.defect_count > 0, None),
        (whole.c.disposition == Disposition.FALSE_CALL.value, GOOD),
        (whole.c.disposition.is_not(None), BAD),
        else_=None,
    )
    calls_judged = or_(
        inspections.c.defect_count == 0,
        judged.c.judged > judged.c.false_calls,
        judged.c.false_calls == inspections.c.defect_count,
    )
    reviewed = select(dispositions.c.inspection_id).where(true() if scope is None else scope)
    return (
        select(
            inspections.c.inspection_id,
            verdict.label("verdict"),
            case((calls_judged, 1), else_=0).label("calls_judged"),
        )
        .outerjoin(whole, whole.c.inspection_id == inspections.c.inspection_id)
        .outerjoin(missed, missed.c.inspection_id == inspections.c.inspection_id)
        .outerjoin(judged, judged.c.inspection_id == inspections.c.inspection_id)
        .where(inspections.c.inspection_id.in_(reviewed))
        .cte("inspection_verdicts")
    )


def _standing_missed_defects(scope: ColumnElement[bool] | None) -> Subquery:
    """The inspections with a missed defect that no later FALSE_CALL of the whole board takes back."""
    newest = (dispositions.c.decided_at.desc(), dispositions.c.disposition_id.desc())
    found_good = and_(dispositions.c.inference_id.is_(None), dispositions.c.disposition == Disposition.FALSE_CALL.value)
    ranked = (
        select(
            dispositions.c.inspection_id,
            dispositions.c.disposition,
            func.row_number().over(partition_by=dispositions.c.inspection_id, order_by=newest).label("age"),
        )
        .where(or_(MISSED_DEFECT, found_good), true() if scope is None else scope)
        .subquery()
    )
    stands = and_(ranked.c.age == 1, ranked.c.disposition == Disposition.ESCAPE.value)
    return select(ranked.c.inspection_id).where(stands).subquery()
